"""What an index leads with, against PostgreSQL: whether it looks for the rows that refer to another by that index."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.gate.checks.support.indexes import Indexes
from app.gate.server.throwaway import Server
from app.gate.snapshot.read import read
from tests.gate.checks.builders import key

INDEXES = [
    # (what makes the index, the columns of the foreign key)
    ("CREATE INDEX ON {t} (a)", "a"),
    ("CREATE INDEX ON {t} (a, b)", "a"),
    ("CREATE INDEX ON {t} (b, a)", "a"),
    ("CREATE INDEX ON {t} (b, a)", "a, b"),
    ("CREATE INDEX ON {t} (b, a, c)", "a, b"),
    ("CREATE INDEX ON {t} (a DESC NULLS LAST)", "a"),
    ("CREATE INDEX ON {t} (b) INCLUDE (a)", "a"),
    ("CREATE INDEX ON {t} (a) WHERE c > 0", "a"),
    ("CREATE INDEX ON {t} (a) WHERE a IS NOT NULL", "a"),
    ("CREATE INDEX ON {t} (a) WHERE c IS NOT NULL", "a"),
    ("CREATE INDEX ON {t} (a, b) WHERE a IS NOT NULL AND b IS NOT NULL", "a, b"),
    ("CREATE INDEX ON {t} (a) WHERE a IS NULL", "a"),
    ("CREATE INDEX ON {t} ((a + 0))", "a"),
    ("CREATE INDEX ON {t} (abs(a), a)", "a"),
    ("CREATE INDEX ON {t} USING hash (a)", "a"),
    ("CREATE INDEX ON {t} USING brin (a)", "a"),
    ("ALTER TABLE {t} ADD PRIMARY KEY (a)", "a"),
    ("ALTER TABLE {t} ADD PRIMARY KEY (b, a)", "a"),
    ("ALTER TABLE {t} ADD UNIQUE (a, b)", "a"),
    ("ALTER TABLE {t} ADD EXCLUDE USING btree (a WITH =)", "a"),
    ('CREATE INDEX ON {t} ("Odd, (name")', '"Odd, (name"'),
    ("CREATE INDEX ON {t} (mail text_pattern_ops)", "mail"),
    ('CREATE INDEX ON {t} (mail COLLATE "POSIX")', "mail"),
    ("SELECT", "a"),
]


@pytest.fixture(scope="module")
def cursor(server: Server) -> Iterator[Any]:
    database = server.create_database()
    with database.connect() as connection, connection.cursor() as cursor:
        yield cursor
    server.drop_database(database)


@pytest.mark.parametrize(("number", "made", "columns"), [(n, *each) for n, each in enumerate(INDEXES)])
def test_an_index_leads_with_the_columns_if_postgres_finds_rows_by_it(number, made, columns, cursor):
    table = f"t{number}"
    cursor.execute(f'CREATE TABLE {table} (a int, b int, c int, mail text, "Odd, (name" int)')
    cursor.execute(f"INSERT INTO {table} SELECT n, n, n, n, n FROM generate_series(1, 5000) AS n")
    cursor.execute(made.format(t=table))
    cursor.execute(f"ANALYZE {table}")

    found = Indexes(read(cursor.connection).objects).lead_with(
        key("constraint", "fk", table),
        [name.strip('"') for name in (columns.split(", ") if '"' not in columns else [columns])],
    )

    assert found == is_found_by_index(cursor, table, columns)


def is_found_by_index(cursor: Any, table: str, columns: str) -> bool:
    """Whether PostgreSQL checks a foreign key on those columns by an index, where all values are different."""
    names = columns.split(", ") if '"' not in columns else [columns]
    kind = "text" if columns == "mail" else "int"
    condition = " AND ".join(f"{name} = ${position}" for position, name in enumerate(names, 1))
    cursor.execute("SET enable_bitmapscan = off; SET plan_cache_mode = force_generic_plan")
    cursor.execute(
        f"PREPARE check_{table} ({', '.join([kind] * len(names))}) AS SELECT 1 FROM ONLY {table} x WHERE {condition} FOR KEY SHARE OF x"
    )
    cursor.execute(f"EXPLAIN (FORMAT JSON) EXECUTE check_{table} ({', '.join(['NULL'] * len(names))})")
    plan = json.dumps(cursor.fetchone()[0])
    conditions = plan.partition('"Index Cond": "')[2].partition('", "')[0]
    return all(name.strip('"') in conditions for name in names) and "Index Scan" in plan and "Filter" not in plan


def test_the_indexes_of_a_partitioned_table_are_those_of_its_partitions(cursor):
    cursor.execute("CREATE TABLE whole (a int, b int) PARTITION BY RANGE (a)")
    cursor.execute("CREATE TABLE part PARTITION OF whole FOR VALUES FROM (0) TO (9) PARTITION BY RANGE (a)")
    cursor.execute("CREATE TABLE part_of_part PARTITION OF part DEFAULT")
    cursor.execute("CREATE INDEX ON whole (b)")
    cursor.execute("CREATE INDEX ON ONLY whole (a)")  # which is invalid

    indexes = Indexes(read(cursor.connection).objects)

    assert [indexes.lead_with(key("constraint", "fk", name), ["b"]) for name in ("whole", "part", "part_of_part")] == [
        True
    ] * 3
    assert not indexes.lead_with(key("constraint", "fk", "part"), ["a"])
