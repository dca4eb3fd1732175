"""How large tables are, by what PostgreSQL has counted."""

from __future__ import annotations

from app.gate.server.database import Database
from app.gate.snapshot.sizes import Size, _size, read_sizes

BLOCK = 8192


def test_a_table_has_the_rows_that_were_counted_and_a_partitioned_one_those_of_its_partitions(
    blank_database: Database,
) -> None:
    with blank_database.connect(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("""
            CREATE TABLE counted AS SELECT * FROM generate_series(1, 10) AS id;
            CREATE TABLE never AS TABLE counted;
            CREATE TABLE none (id int);
            CREATE MATERIALIZED VIEW kept AS TABLE counted;
            CREATE VIEW seen AS TABLE counted;
            CREATE TEMPORARY TABLE gone AS TABLE counted;
            CREATE TABLE parts (id int) PARTITION BY RANGE (id);
            CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM (0) TO (5);
            CREATE TABLE part2 PARTITION OF parts FOR VALUES FROM (5) TO (100) PARTITION BY RANGE (id);
            CREATE TABLE part3 PARTITION OF part2 FOR VALUES FROM (5) TO (100);
            INSERT INTO parts TABLE counted;
            CREATE TABLE halves (id int) PARTITION BY RANGE (id);
            CREATE TABLE half1 PARTITION OF halves FOR VALUES FROM (0) TO (5);
            CREATE TABLE half2 PARTITION OF halves FOR VALUES FROM (5) TO (9);
            INSERT INTO halves VALUES (1), (5);
            ANALYZE counted, none, kept, part1, part3, half1
            """)
        sizes = read_sizes(connection)

    assert list(sizes) == [
        f"public.{name}"
        for name in ("counted", "never", "none", "kept", "parts", "part1", "part2", "part3", "halves", "half1", "half2")
    ]
    assert {name.removeprefix("public."): each for name, each in sizes.items()} == {
        "counted": Size(10, BLOCK),
        "never": Size(None, sizes["public.never"].bytes),
        "none": Size(0, 0),
        "kept": Size(10, BLOCK),
        "parts": Size(10, 2 * BLOCK),
        "part1": Size(4, BLOCK),
        "part2": Size(6, BLOCK),
        "part3": Size(6, BLOCK),
        "halves": Size(None, BLOCK + sizes["public.half2"].bytes),
        "half1": Size(1, BLOCK),
        "half2": Size(None, sizes["public.half2"].bytes),
    }


def test_the_rows_of_a_foreign_table_are_not_counted() -> None:
    tables = {1: ["public", "parts", "p", -1, 0], 2: ["public", "part", "r", 7, BLOCK]}

    assert _size(1, tables, {1: [2, 3]}) == Size(None, BLOCK)
    assert _size(3, tables, {}) == Size(None, 0)
