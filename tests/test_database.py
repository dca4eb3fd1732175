"""DATABASE_URL: what it may be, and the one line for each way in which it can be wrong, for every command alike."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlmodel import SQLModel

from app.cli import main
from app.database import DatabaseRefused, connect, create_engine, database_url
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
