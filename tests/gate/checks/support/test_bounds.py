"""Conditions that prove to PostgreSQL that it need not look at the rows of a partition: its own word for it."""

from __future__ import annotations

import pytest

from app.gate.checks.support.bounds import outside, within
from app.gate.server.database import Database

TEXTS = "a text, b date, c int"
KEYS = [
    ("LIST (a)", "a int", "FOR VALUES IN (1, 2)"),
    ("RANGE (a)", "a int", "FOR VALUES FROM (1) TO (3)"),
    ("RANGE (a)", "a int", "FOR VALUES FROM (MINVALUE) TO (3)"),
    ('RANGE ("A b", b)', '"A b" int, b int', "FOR VALUES FROM (1, 2) TO (3, 4)"),
    ("RANGE (a, b)", "a int, b int", "FOR VALUES FROM (1, 2) TO (1, 9)"),
    ("RANGE (a, b)", "a int, b int", "FOR VALUES FROM (1, MINVALUE) TO (3, MAXVALUE)"),
    ("RANGE (a, b)", "a int, b int", "FOR VALUES FROM (1, MAXVALUE) TO (3, MINVALUE)"),
    ("RANGE (a, b)", "a int, b int", "FOR VALUES FROM (MINVALUE, MINVALUE) TO (3, 4)"),
    ("RANGE (a, b)", "a int, b int", "FOR VALUES FROM (1, 2) TO (MAXVALUE, MAXVALUE)"),
    ("RANGE (a, b, c)", TEXTS, "FOR VALUES FROM ('x, y', '2020-01-01', MINVALUE) TO ('x, y', '2021-01-01', 9)"),
    ("RANGE (a, b, c)", TEXTS, "FOR VALUES FROM ('it''s', '2020-01-01', -1) TO ('y', '2021-01-01', 9)"),
]


@pytest.mark.parametrize(("partition_by", "columns", "bounds"), KEYS, ids=[f"{key} {to}" for key, _, to in KEYS])
def test_postgres_takes_them_for_a_proof(
    partition_by: str, columns: str, bounds: str, blank_database: Database
) -> None:
    with blank_database.connect(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE p ({columns}) PARTITION BY {partition_by}; CREATE TABLE d PARTITION OF p DEFAULT;"
            f"CREATE TABLE q ({columns}, CHECK ({within(partition_by, bounds)}));"
            f"ALTER TABLE d ADD CHECK ({outside(partition_by, bounds)}); SET client_min_messages = debug1"
        )
        connection.notices.clear()

        cursor.execute(f"ALTER TABLE p ATTACH PARTITION q {bounds}")

        said = "".join(connection.notices)
        assert 'table "q" is implied by existing constraints' in said
        assert 'default partition "d" is implied by existing constraints' in said


@pytest.mark.parametrize(
    ("partition_by", "bounds"),
    [
        ("LIST (a)", "FOR VALUES IN (1, NULL)"),
        ("LIST (lower(a))", "FOR VALUES IN ('x')"),
        ("RANGE (((a + b)))", "FOR VALUES FROM (1) TO (2)"),
        ("HASH (a)", "FOR VALUES WITH (modulus 2, remainder 0)"),
        ("RANGE (a)", "DEFAULT"),
    ],
)
def test_what_cannot_be_read_has_none(partition_by: str, bounds: str) -> None:
    assert within(partition_by, bounds) is None
    assert outside(partition_by, bounds) is None


def test_every_row_is_within_what_has_no_ends() -> None:
    bounds = "FOR VALUES FROM (MINVALUE) TO (MAXVALUE)"

    assert within("RANGE (a)", bounds) == "a IS NOT NULL"
    assert outside("RANGE (a)", bounds) is None


@pytest.mark.parametrize(
    ("partition_by", "bounds", "condition"),
    [
        ("RANGE (a)", "FROM (1) TO (5)", "a IS NOT NULL AND a >= 1 AND a < 5"),
        ("RANGE (a, b)", "FROM (1, 2) TO (1, 9)", "a IS NOT NULL AND b IS NOT NULL AND a = 1 AND b >= 2 AND b < 9"),
        (
            "RANGE (a, b)",
            "FROM (1, 2) TO (3, 4)",
            "a IS NOT NULL AND b IS NOT NULL AND (a > 1 OR (a = 1 AND b >= 2)) AND (a < 3 OR (a = 3 AND b < 4))",
        ),
        ("RANGE (a, b)", "FROM (1, MINVALUE) TO (1, MAXVALUE)", "a IS NOT NULL AND b IS NOT NULL AND a = 1"),
        ("RANGE (a, b)", "FROM (MINVALUE, MINVALUE) TO (3, MAXVALUE)", "a IS NOT NULL AND b IS NOT NULL AND a <= 3"),
        (
            "RANGE (a, b, c)",
            "FROM (1, 2, MINVALUE) TO (1, 5, 6)",
            "a IS NOT NULL AND b IS NOT NULL AND c IS NOT NULL AND a = 1 AND b >= 2 AND (b < 5 OR (b = 5 AND c < 6))",
        ),
        ('RANGE ("A b")', "FROM ('x') TO ('y')", '"A b" IS NOT NULL AND "A b" >= \'x\' AND "A b" < \'y\''),
    ],
)
def test_a_range_as_a_condition_in_the_words_of_postgresql(partition_by: str, bounds: str, condition: str) -> None:
    assert within(partition_by, f"FOR VALUES {bounds}") == condition
    assert outside(partition_by, f"FOR VALUES {bounds}") == f"NOT ({condition})"


def test_a_range_without_ends_leaves_nothing_outside() -> None:
    assert within("RANGE (a)", "FOR VALUES FROM (MINVALUE) TO (MAXVALUE)") == "a IS NOT NULL"
    assert outside("RANGE (a)", "FOR VALUES FROM (MINVALUE) TO (MAXVALUE)") is None


@pytest.mark.parametrize("values", ["1, 2", "'NULL', 'x''NULL'"])
def test_a_list_as_a_condition_in_the_words_of_postgresql(values: str) -> None:
    assert within("LIST (a)", f"FOR VALUES IN ({values})") == f"a IS NOT NULL AND a IN ({values})"
    assert outside("LIST (a)", f"FOR VALUES IN ({values})") == f"a NOT IN ({values})"


@pytest.mark.parametrize(
    ("partition_by", "bounds"),
    [
        ("LIST (a)", "FOR VALUES IN (1, NULL)"),
        ("LIST (a)", "FOR VALUES FROM (1) TO (2)"),
        ("RANGE (a)", "FOR VALUES IN (1)"),
        ("RANGE (a, b)", "FOR VALUES FROM (1) TO (2)"),
        ("HASH (a)", "FOR VALUES WITH (modulus 2, remainder 0)"),
        ("RANGE (lower(a))", "FOR VALUES FROM ('a') TO ('b')"),
        ("RANGE (a)", "DEFAULT"),
    ],
)
def test_what_is_no_range_and_no_list_of_values_has_no_condition(partition_by: str, bounds: str) -> None:
    assert (within(partition_by, bounds), outside(partition_by, bounds)) == (None, None)
