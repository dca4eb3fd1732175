"""A database's URL, as it is written and as it is read."""

from __future__ import annotations

import re
from typing import Any

import psycopg2
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from app.gate.errors import ServerUnavailable
from app.gate.server import database as database_module
from app.gate.server.database import ConnectionRefused, Database, connect_to, location_of, read_url, reason_of

SHOP = Database("shop", "db.example", 5432, "ann", "s3cret")


@pytest.mark.parametrize(
    ("database", "driver", "url"),
    [
        (SHOP, None, "postgresql://ann:s3cret@db.example:5432/shop"),
        (SHOP, "asyncpg", "postgresql+asyncpg://ann:s3cret@db.example:5432/shop"),
        (Database("shop", "::1", 5432, "ann", ""), None, "postgresql://ann@[::1]:5432/shop"),
        (Database("shop", "/run/pg", 5433, "ann", ""), None, "postgresql://ann@/shop?host=/run/pg&port=5433"),
        (Database("a b", "h", 1, "a@b", "p:/@%#ö"), None, "postgresql://a%40b:p%3A%2F%40%25%23%C3%B6@h:1/a%20b"),
    ],
)
def test_a_url_says_how_to_connect(database: Database, driver: str | None, url: str) -> None:
    assert database.url(driver) == url
    parsed = sa.make_url(url)
    assert (parsed.database, parsed.username, parsed.password or "") == (
        database.name,
        database.user,
        database.password,
    )


@pytest.mark.parametrize(
    ("driver", "query"),
    [
        (None, "?sslmode=require&sslrootcert=/etc/ca.pem"),
        ("psycopg", "?sslmode=require&sslrootcert=/etc/ca.pem"),
        ("asyncpg", "?ssl=require"),
        ("pg8000", ""),
    ],
)
def test_each_driver_is_given_the_options_that_it_knows(driver: str | None, query: str) -> None:
    database = Database("shop", "h", 1, "ann", "", {"sslmode": "require", "sslrootcert": "/etc/ca.pem"})

    assert database.url(driver).partition("/shop")[2] == query


def test_a_database_does_not_show_its_password() -> None:
    assert "s3cret" not in repr(SHOP)


WORDS = st.from_regex(r"[a-z0-9._-]+", fullmatch=True)
OPTIONS = st.sampled_from(["sslmode", "application_name", "ssl", "prepared_statement_cache_size", "dbname", "user"])


@given(
    scheme=st.sampled_from(["postgres", "postgresql", "postgresql+psycopg2", "postgresql+asyncpg"]),
    who=st.just("") | st.builds("{}@".format, WORDS) | st.builds("{}:{}@".format, WORDS, WORDS),
    where=st.just("") | WORDS | st.builds("{}:{}".format, WORDS, st.integers(1, 65535)),
    name=st.just("") | st.builds("/{}".format, WORDS),
    options=st.dictionaries(OPTIONS, WORDS, max_size=3),
)
def test_a_plain_url_is_read_as_sqlalchemy_reads_it(
    scheme: str, who: str, where: str, name: str, options: dict[str, str]
) -> None:
    query = "&".join(f"{option}={value}" for option, value in options.items())
    url = f"{scheme}://{who}{where}{name}" + (f"?{query}" if query else "")

    plain = read_url(url)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database_module, "_PLAIN_URL", re.compile("(?!)"))
        told = read_url(url)
    assert {option: str(value) for option, value in plain.items()} == {option: str(told[option]) for option in told}


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("ssl=require", {"sslmode": "require"}),
        ("ssl=require&sslmode=verify-full", {"sslmode": "verify-full"}),
        ("sslmode=verify-ca&sslrootcert=/etc/ca.pem", {"sslmode": "verify-ca", "sslrootcert": "/etc/ca.pem"}),
        ("prepared_statement_cache_size=0", {}),
        ("application_name=shop", {"application_name": "shop"}),
    ],
)
@pytest.mark.parametrize("password", ["s3cret", "s%2Fcret"], ids=["plain", "escaped"])
@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+asyncpg", "postgresql+psycopg"])
def test_options_keep_their_meaning_for_libpq(scheme: str, password: str, query: str, options: dict[str, str]) -> None:
    keywords = read_url(f"{scheme}://ann:{password}@db.example:5432/shop?{query}")

    identity = ("host", "port", "user", "password", "dbname")
    assert {name: value for name, value in keywords.items() if name not in identity} == options


@pytest.mark.parametrize("driver", [None, "psycopg2", "psycopg2cffi", "psycopg", "psycopg_async"])
def test_drivers_of_libpq_are_given_its_options(driver: str | None) -> None:
    assert Database("shop", "h", 1, "ann", "", {"sslmode": "require"}).url(driver).endswith("/shop?sslmode=require")


def test_asyncpg_is_given_no_option_where_there_is_none() -> None:
    assert Database("shop", "h", 1, "ann", "", {"options": "x"}).url("asyncpg").endswith("/shop")


def test_an_embedded_server_is_connected_to_whatever_the_environment_says() -> None:
    given = Database("shop", "h", 1, "ann", "", {"connect_timeout": "3", "host": "other"})
    embedded = Database("shop", "h", 1, "ann", "s3cret", is_embedded=True)

    identity = {"host": "h", "port": 1, "user": "ann", "dbname": "shop"}
    assert given.keywords() == {**identity, "connect_timeout": "3"}
    assert embedded.keywords() == {
        **identity, "password": "s3cret", "connect_timeout": 10, "sslmode": "disable", "gssencmode": "disable"
    }  # fmt: skip
    assert location_of(given) == "h:1"


@pytest.mark.parametrize(
    ("said", "keywords", "kind", "told"),
    [
        (
            'connection to server at "h" (1.2.3.4), port 5432 failed: FATAL:  no such role.\nmore',
            {"host": "h", "port": 7},
            ConnectionRefused,
            "PostgreSQL at h:7 refused the connection: no such role",
        ),
        (
            'connection to server at "h", port 5432 failed: Connection refused\n\tIs the server running?',
            {"host": "h"},
            ServerUnavailable,
            "no PostgreSQL could be reached at h:5432: Connection refused",
        ),
        ("timeout expired\n", {}, ServerUnavailable, "no PostgreSQL could be reached at the local socket:5432: timeout expired"),
        ("", {"port": 1}, ServerUnavailable, "no PostgreSQL could be reached at the local socket:1: "),
    ],
)  # fmt: skip
def test_why_there_is_no_connection_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, said: str, keywords: dict[str, Any], kind: type[ServerUnavailable], told: str
) -> None:
    def connect(**_: Any) -> None:
        raise psycopg2.OperationalError(said)

    monkeypatch.setattr(psycopg2, "connect", connect)

    with pytest.raises(ServerUnavailable) as refusal:
        connect_to(keywords)

    assert (type(refusal.value), str(refusal.value)) == (kind, told)


@pytest.mark.parametrize(
    ("error", "told"),
    [(psycopg2.OperationalError("closed\nmore"), "closed"), (psycopg2.InterfaceError(), "InterfaceError")],
)
def test_the_reason_is_one_line(error: psycopg2.Error, told: str) -> None:
    assert reason_of(error) == told


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:s3cret@db:s3cret/shop",
        "postgresql://ann:s3cret@s3cret@db/shop",
        "postgresql://ann:s3cret@d b/shop",
        "postgresql://ann:s3cret@db/shop\0",
        "s3cret",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ServerUnavailable) as refusal:
        read_url(url)

    assert str(refusal.value) == (
        "the database URL cannot be read: write postgresql://user:password@host:5432/name,"
        " with special characters of the password percent-encoded"
    )


@pytest.mark.parametrize("scheme", ["mysql", "sqlite", "mariadb+pymysql"])
def test_a_url_of_another_system_is_refused(scheme: str) -> None:
    with pytest.raises(ServerUnavailable) as refusal:
        read_url(f"{scheme}://ann:s3cret@db/shop")

    assert str(refusal.value) == (
        f"the database URL names another database system ({scheme.partition('+')[0]}), and only PostgreSQL is supported:"
        " write postgresql://user:password@host:5432/name"
    )


def test_a_url_is_read_with_spaces_around_it_and_with_a_driver_s_name_in_it() -> None:
    expected = {"host": "db", "user": "ann", "dbname": "+psycopg"}

    assert read_url(" postgresql://ann@db/%2Bpsycopg\n") == expected
    assert read_url("postgresql+psycopg://ann@db/shop") == {**expected, "dbname": "shop"}
