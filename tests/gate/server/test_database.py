"""A database's URL, as it is written and as it is read."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from app.gate.server import database as database_module
from app.gate.server.database import Database, read_url

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
