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
