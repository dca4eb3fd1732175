"""What an environment variable is for, judging by its name."""

from __future__ import annotations

import pytest

from app.gate.target.variable_names import choose_parts, choose_url, part_of


@pytest.mark.parametrize(
    ("names", "url"),
    [
        (["REDIS_URL", "SHOP_DB_URL"], "SHOP_DB_URL"),
        (["TEST_DB_URL", "SHOP_POSTGRES_URI"], "SHOP_POSTGRES_URI"),
        (["OS_DATABASE__SLAVE_CONNECTION", "OS_DATABASE__CONNECTION"], "OS_DATABASE__CONNECTION"),
        (["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"], "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"),
        (["TEST_DATABASE_URL"], "TEST_DATABASE_URL"),
        (["SQLALCHEMY_WARN_20", "PIP_INDEX_URL", ""], None),
    ],
)  # fmt: skip
def test_the_url_is_the_one_that_is_of_a_database_and_of_no_other(names: list[str], url: str | None) -> None:
    assert choose_url(names) == url


@pytest.mark.parametrize(
    "word",
    [
        "DATABASE",
        "DATABASES",
        "DB",
        "POSTGRES",
        "POSTGRESQL",
        "PG",
        "PSQL",
        "SQL",
        "SQLALCHEMY",
        "ALEMBIC",
        "MIGRATION",
        "MIGRATIONS",
        "RDS",
    ],
)
def test_a_database_has_each_of_these_names(word: str) -> None:
    assert choose_url(["SHOP_URL", f"SHOP_{word}_URL"]) == f"SHOP_{word}_URL"


@pytest.mark.parametrize("word", ["URL", "URI", "DSN", "CONNECTION", "CONN", "STRING"])
def test_a_url_has_each_of_these_names(word: str) -> None:
    assert choose_url(["DB", "DB_ECHO", f"DB_{word}"]) == f"DB_{word}"


@pytest.mark.parametrize(
    "word", ["TEST", "TESTS", "TESTING", "SLAVE", "REPLICA", "READ", "READONLY", "RO", "ASYNC", "ASYNCIO"]
)
def test_a_url_of_another_database_comes_last(word: str) -> None:
    assert choose_url([f"{word}_DB_URL", "OUR_SHOP_DB_URL"]) == "OUR_SHOP_DB_URL"


@pytest.mark.parametrize(
    ("last", "part"),
    [
        *dict.fromkeys(["HOST", "HOSTNAME", "SERVER", "ADDRESS"], "host").items(),
        ("PORT", "port"),
        *dict.fromkeys(["USER", "USERNAME", "LOGIN"], "user").items(),
        *dict.fromkeys(["PASSWORD", "PASS", "PASSWD", "PWD"], "password").items(),
        *dict.fromkeys(["DB", "NAME", "DATABASE", "DBNAME"], "database").items(),
    ],
)
def test_each_part_of_a_url_has_these_names(last: str, part: str) -> None:
    assert part_of(f"PG_{last}") == ("PG", part)


@pytest.mark.parametrize("part", ["host", "port", "user", "password", "database"])
def test_the_variables_of_libpq_are_parts_of_one_url(part: str) -> None:
    assert part_of(f"PG{part.upper()}") == ("PG", part)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("POSTGRES_DB", ("POSTGRES", "database")),
        ("SHOP_DB_USER", ("SHOP_DB", "user")),
        ("PGHOST", ("PG", "host")),
        ("SHOP_DB", None),
        ("REDIS_HOST", None),
        ("POSTGRES_ECHO", None),
        ("", None),
    ],
)
def test_a_part_of_a_url_is_known_by_its_last_word(name: str, part: tuple[str, str] | None) -> None:
    assert part_of(name) == part


def test_the_parts_of_one_url_go_together() -> None:
    names = ["DB_HOST", "REDIS_HOST", "OTHER_DB_USER", "DB_USER", "DB_NAME"]

    assert choose_parts(names) == {"host": "DB_HOST", "user": "DB_USER", "database": "DB_NAME"}
    assert choose_parts(names[:3]) == {}


@pytest.mark.parametrize(("third", "is_enough"), [("HOST", True), ("NAME", True), ("PORT", False)])
def test_the_parts_of_a_url_have_its_host_or_its_database(third: str, is_enough: bool) -> None:
    assert bool(choose_parts(["DB_USER", "DB_PASSWORD", f"DB_{third}"])) is is_enough
    assert not choose_parts(["DB_USER", f"DB_{third}"])
