"""DATABASE_URL: what it may be, and the one line for each way in which it can be wrong, for every command alike."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlmodel import SQLModel

from app.cli import main
from app.database import DatabaseRefused, cap, connect, connection_failure, create_engine, database_url, in_utc, uuid7
from app.factory import create_app
from app.gate.server.database import Database
from app.metadata import metadata

ROOT = Path(__file__).parents[1]
SECRET = "opensesame"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("postgres://ann:x@db/shop", "postgresql+psycopg2://ann:x@db/shop"),
        ("postgresql://ann:x@db/shop", "postgresql+psycopg2://ann:x@db/shop"),
        ("postgresql+psycopg2://ann:x@db:6543/shop", "postgresql+psycopg2://ann:x@db:6543/shop"),
        ("  postgresql://db/shop\n", "postgresql+psycopg2://db/shop"),
        ("postgresql://ann:a%40b%2Fc@db/shop", "postgresql+psycopg2://ann:a%40b%2Fc@db/shop"),
        ("postgresql://[::1]:5432/shop", "postgresql+psycopg2://[::1]:5432/shop"),
        ("postgresql:///shop?host=%2Frun%2Fpg", "postgresql+psycopg2:///shop?host=%2Frun%2Fpg"),
        ("postgresql://db/shop?sslmode=require", "postgresql+psycopg2://db/shop?sslmode=require"),
        ("postgresql://ann@db/shop?password=x", "postgresql+psycopg2://ann:x@db/shop"),
        (
            "postgres://ann:x@db-1:5433,db-2/shop",
            "postgresql+psycopg2://ann:x@/shop?host=db-1%3A5433&host=db-2&target_session_attrs=read-write",
        ),
        (
            "postgresql://db-1,db-2,db-3/shop?target_session_attrs=any",
            "postgresql+psycopg2:///shop?host=db-1&host=db-2&host=db-3&target_session_attrs=any",
        ),
    ],
)
def test_what_hosts_hand_out_means_psycopg2(given: str, meant: str) -> None:
    assert database_url({"DATABASE_URL": given}).render_as_string(hide_password=False) == meant


@pytest.mark.parametrize(
    ("url", "line"),
    [
        (
            "",
            (
                "DATABASE_URL is not set: name the application's PostgreSQL database in it, "
                "as in DATABASE_URL=postgresql://user:password@localhost/overproof"
            ),
        ),
        (
            "shop",
            (
                "DATABASE_URL is malformed: it must be postgresql://user:password@host:port/database, "
                "with special characters in the password percent-encoded"
            ),
        ),
        (
            "mysql+pymysql://db/shop",
            "DATABASE_URL names another database system ('mysql'): use postgresql://user:password@host:port/database",
        ),
        (
            "postgresql+asyncpg://db/shop",
            "DATABASE_URL names the driver 'asyncpg': write postgresql:// instead of postgresql+asyncpg://, for psycopg2",
        ),
        ("postgresql://db/shop\0", "DATABASE_URL is malformed: it contains a NUL character"),
        (
            "postgresql://db",
            "DATABASE_URL is malformed: it names no database: add /overproof, or the name of yours, after the host",
        ),
        (
            "postgresql://ann:x@y@db/shop",
            "DATABASE_URL is malformed: percent-encode special characters in the password, such as @ (%40) or / (%2F)",
        ),
        ("postgresql://db:65536/shop", "DATABASE_URL is malformed: 65536 is not a port number"),
        ("postgresql://db:0/shop", "DATABASE_URL is malformed: 0 is not a port number"),
    ],
)
def test_what_is_wrong_with_a_url_is_told_in_one_line(url: str, line: str) -> None:
    with pytest.raises(DatabaseRefused) as refused:
        database_url({"DATABASE_URL": url})

    assert str(refused.value) == line


def test_the_first_and_the_last_port_are_ports() -> None:
    assert [database_url({"DATABASE_URL": f"postgresql://db:{port}/shop"}).port for port in (1, 65535)] == [1, 65535]
    assert database_url({"DATABASE_URL": "postgresql:///?dbname=shop"}).query["dbname"] == "shop"
    assert database_url({"DATABASE_URL": "postgresql://a@db/shop?password=x&password=y"}).password == "y"


WRONG_URLS = {
    "": "DATABASE_URL is not set",
    "   ": "DATABASE_URL is not set",
    "shop": "is malformed",
    f"ann:{SECRET}@db/shop": "is malformed",
    f"postgresql://ann:{SECRET}@db:port/shop": "is malformed",
    f"postgresql://ann:{SECRET}@db-1,db-2:port/shop": "is malformed",
    f"postgresql://ann:{SECRET}@db:70000/shop": "70000 is not a port number",
    f"postgresql://ann:{SECRET}@db": "it names no database",
    f"postgresql://ann:x@{SECRET}@db/shop": "percent-encode special characters",
    f"postgresql://ann:x@{SECRET}:y@db/shop": "is malformed",
    f"postgresql://ann:{SECRET}@db/shop\0": "NUL",
    f"mysql://ann:{SECRET}@db/shop": "another database system ('mysql')",
    f"sqlite:///{SECRET}.db": "another database system ('sqlite')",
    f"postgresql+asyncpg://ann:{SECRET}@db/shop": "the driver 'asyncpg'",
}


@pytest.mark.parametrize("url", WRONG_URLS, ids=lambda url: url.replace("\0", "NUL") or "unset")
def test_a_url_that_cannot_be_used_is_one_line_without_its_password(url: str) -> None:
    with pytest.raises(DatabaseRefused) as refused:
        database_url({"DATABASE_URL": url})

    line = str(refused.value)
    assert WRONG_URLS[url] in line
    assert "\n" not in line
    assert SECRET not in line


def unreachable(server: Database) -> str:
    return f"postgresql://ann:{SECRET}@127.0.0.1:1/shop"


def unreachable_anywhere(server: Database) -> str:
    return f"postgresql://ann:{SECRET}@127.0.0.1:1,127.0.0.1:2/shop"


def with_wrong_password(server: Database) -> str:
    return f"postgresql://{server.user}:{SECRET}@{server.host}:{server.port}/{server.name}"


def without_database(server: Database) -> str:
    return server.url().replace(server.name, f"{server.name}_{SECRET[:4]}")


def with_unknown_option(server: Database) -> str:
    return f"{server.url()}?colour={SECRET}"


NO_CONNECTION: dict[Callable[[Database], str], str] = {
    unreachable: "cannot connect to the database 'shop' on 127.0.0.1:1, which DATABASE_URL names: Connection refused",
    unreachable_anywhere: "on 127.0.0.1:1 or 127.0.0.1:2, which DATABASE_URL names: Connection refused; Connection refused",
    with_wrong_password: "refused the user or password of DATABASE_URL",
    without_database: "there is no database",
    with_unknown_option: "cannot connect to the database",
}


@pytest.mark.parametrize("wrong", NO_CONNECTION, ids=lambda wrong: wrong.__name__)
def test_a_database_that_cannot_be_had_is_one_line_without_its_password(
    wrong: Callable[[Database], str], blank_database: Database
) -> None:
    url = database_url({"DATABASE_URL": wrong(blank_database)})

    with pytest.raises(DatabaseRefused) as refused, connect(create_engine(url, poolclass=sa.NullPool)):
        pass

    line = str(refused.value)
    assert NO_CONNECTION[wrong] in line
    assert "\n" not in line
    assert SECRET not in line
    assert blank_database.password not in line


def upgrade() -> None:
    command.upgrade(Config(ROOT / "alembic.ini"), "head")


def print_upgrade() -> None:
    command.upgrade(Config(ROOT / "alembic.ini"), "head", sql=True)


def serve() -> None:
    raise SystemExit(main(["serve", "--port", "1"]))


def serve_with_workers() -> None:
    raise SystemExit(main(["serve", "--port", "1", "--workers", "2"]))


def create_token() -> None:
    raise SystemExit(main(["token", "create", "--admin"]))


COMMANDS = [upgrade, serve, serve_with_workers, create_app, create_token]


@pytest.mark.parametrize("wrong", [lambda _: "", lambda _: "mysql://a/b", *NO_CONNECTION])
@pytest.mark.parametrize("run", COMMANDS, ids=lambda run: run.__name__)
def test_every_command_ends_with_the_same_line_and_status_2(
    run: Callable[[], object],
    wrong: Callable[[Database], str],
    blank_database: Database,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", wrong(blank_database))

    with pytest.raises(SystemExit) as end:
        run()

    output, said = capfd.readouterr()
    assert end.value.code == 2
    assert output == ""
    assert len(said.splitlines()) == 1, said
    assert said.partition(": ")[0] in ("alembic", "overproof")
    assert SECRET not in said


def test_printing_the_sql_asks_for_the_url_as_well(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)

    with pytest.raises(SystemExit) as end:
        print_upgrade()

    assert end.value.code == 2
    assert capfd.readouterr().err.startswith("alembic: DATABASE_URL is not set:")


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "alembic", "upgrade", "head"],
        ["-m", "app", "serve"],
    ],
    ids=lambda arguments: " ".join(arguments[1:]),
)
def test_a_real_process_shows_no_traceback(arguments: list[str], blank_database: Database) -> None:
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": with_wrong_password(blank_database)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert "refused the user or password" in ended.stderr
    assert SECRET not in ended.stdout + ended.stderr


def test_tables_are_named_after_their_classes_and_constraints_after_both() -> None:
    table = metadata.tables["api_token"]

    items = [*table.constraints, *table.indexes]
    assert {str(item.name) for item in items} == {  # type: ignore[attr-defined]
        "pk_api_token",
        "uq_api_token_digest",
        "fk_api_token_project_id_project",
        "ix_api_token_project_id",
        "ck_api_token_digest_is_a_sha256",
        "ck_api_token_only_an_admin_spans_projects",
    }


def test_a_model_that_derives_from_sqlmodel_directly_is_on_the_same_metadata() -> None:
    assert metadata is SQLModel.metadata


FAILED = "connection to server at {}, port 5432 failed: {}\n"
DB = '"db" (10.0.0.7)'


@pytest.mark.parametrize(
    ("url", "said", "line"),
    [
        (
            "postgresql://db:5432/shop",
            FAILED.format(DB, 'FATAL:  password authentication failed for user "ann"'),
            (
                "PostgreSQL on db:5432 refused the user or password of DATABASE_URL: "
                'password authentication failed for user "ann"'
            ),
        ),
        (
            "postgresql://db/shop",
            FAILED.format(DB, "fe_sendauth: no password supplied"),
            "PostgreSQL on db refused the user or password of DATABASE_URL: fe_sendauth: no password supplied",
        ),
        (
            "postgresql:///shop",
            'connection to server on socket "/run/.s.PGSQL.5432" failed: FATAL:  database "shop" does not exist\n',
            "there is no database 'shop' on the local socket: create it (createdb shop) or correct DATABASE_URL",
        ),
        (
            "postgresql:///?dbname=shop&host=a&host=b",
            FAILED.format("a", "Connection refused.")
            + "\tIs the server running?\n"
            + FAILED.format("b", "timeout expired"),
            "cannot connect to the database 'shop' on a or b, which DATABASE_URL names: Connection refused; timeout expired",
        ),
        (
            "postgresql://db/shop",
            '\n  invalid connection option "colour"\nmore\n',
            "cannot connect to the database 'shop' on db, which DATABASE_URL names: invalid connection option \"colour\"",
        ),
        ("postgresql://db/shop", "", "cannot connect to the database 'shop' on db, which DATABASE_URL names: OSError"),
    ],
)
def test_why_there_is_no_connection_is_told_in_one_line(url: str, said: str, line: str) -> None:
    error = sa.exc.OperationalError(None, None, OSError(said))

    assert connection_failure(error, sa.make_url(url)) == line


def test_an_engine_has_a_name_and_gives_up_unless_the_url_says_otherwise() -> None:
    def arguments(query: str = "", **options: object) -> dict[str, object]:
        found: dict[str, object] = {}
        engine = create_engine(sa.make_url(f"postgresql+psycopg2://db/shop{query}"), **options)
        sa.event.listen(engine, "do_connect", lambda *of_connect: found.update(of_connect[3]) or FAKE)
        with suppress(Exception):
            engine.connect()
        return {name: found[name] for name in ("connect_timeout", "application_name", "options") if name in found}

    assert arguments() == {"connect_timeout": 10, "application_name": "overproof"}
    assert arguments("?connect_timeout=3&application_name=x") == {"connect_timeout": "3", "application_name": "x"}
    assert arguments(connect_args={"options": "-c a=b"})["options"] == "-c a=b"


FAKE = object()


@pytest.mark.parametrize(
    ("text", "length", "capped"), [(None, 3, None), ("abc", 3, "abc"), ("abcd", 3, "ab…"), ("", 3, ""), ("ab", 3, "ab")]
)
def test_a_long_text_ends_in_an_ellipsis(text: str | None, length: int, capped: str | None) -> None:
    assert cap(text, length) == capped


def test_a_moment_is_in_utc_or_refused() -> None:
    east = timezone(timedelta(hours=14))

    assert in_utc(datetime(2026, 1, 1, 14, tzinfo=east)) == datetime(2026, 1, 1, tzinfo=UTC)
    assert in_utc(datetime(2026, 1, 1, 14, tzinfo=east)).tzinfo is UTC
    with pytest.raises(ValueError, match=r"^the time cannot be expressed in UTC$"):
        in_utc(datetime(1, 1, 1, tzinfo=east))


def test_identifiers_of_rows_are_of_version_7_and_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    before = time.time_ns() // 1_000_000
    made = uuid7()
    after = time.time_ns() // 1_000_000

    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert before <= made.int >> 80 <= after
    bits = [uuid7().int & ~(0xFFFF_FFFF_FFFF << 80) for _ in range(200)]
    changing = 0
    for each in bits:
        changing |= each ^ bits[0]
    assert changing == (1 << 12) - 1 << 64 | (1 << 62) - 1
