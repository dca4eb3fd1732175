"""What an upgrade assumes of rows, as SQL: run by PostgreSQL, on the schema before the revision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg2
import pytest

from app.gate.checks.support.assumptions import find_assumption
from app.gate.checks.support.row_place import Place, find_place
from app.gate.recording.model import Direction, Failure, Populated, Rename, RoundTrip, RowKind, Statement, Step
from app.gate.server.throwaway import Server
from app.gate.snapshot.difference import difference
from app.gate.snapshot.read import read
from tests.gate.checks.builders import key, recording


@dataclass
class Found:
    """What is assumed, and what the query gives before the upgrade."""

    sql: str | None
    place: Place
    rows: list[tuple[Any, ...]]


@pytest.fixture
def connection(server: Server) -> Iterator[Any]:
    database = server.create_database()
    with database.connect(autocommit=False) as connection:
        yield connection
        connection.rollback()
    server.drop_database(database)


def assumed(connection: Any, before: str, rows: str, *upgrade: str) -> Found:
    """The assumption of an upgrade that fails over these rows, and passes without them."""
    with connection.cursor() as cursor:
        cursor.execute(before)
        schema = read(connection)
        cursor.execute("SAVEPOINT before")
        for statement in upgrade:
            cursor.execute(statement)
        head = read(connection)
        cursor.execute("ROLLBACK TO SAVEPOINT before")
        cursor.execute(rows)
        failure = _failure(cursor, upgrade)
        step = Step(
            "a1",
            Direction.UPGRADE,
            1.0,
            statements=tuple(Statement(each, 1.0) for each in upgrade),
            changes=difference(schema, head),
            renamed=tuple(_renames(upgrade)),
        )
        trip = RoundTrip("a1", up=step)
        version = str(connection.info.server_version // 10000)
        of_trip = replace(recording(trip, head=head), postgres=version)
        place = find_place(trip, Populated(step, RowKind.EDGE_CASES), failure, head)
        sql = find_assumption(of_trip, trip, failure, place)
        if sql is not None:
            cursor.execute(sql)
        return Found(sql, place, cursor.fetchall() if sql is not None else [])


def _renames(upgrade: Sequence[str]) -> Iterator[Rename]:
    """What PostgreSQL knows by its oids."""
    for statement in upgrade:
        match statement.split():
            case ["ALTER", "TABLE", table, "RENAME", "TO", name]:
                yield Rename(key("table", table), key("table", name))
            case ["ALTER", "TABLE", table, "RENAME", column, "TO", name]:
                yield Rename(key("column", column, table), key("column", name, table))


def _failure(cursor: Any, upgrade: Sequence[str]) -> Failure:
    cursor.execute("SAVEPOINT upgrade")
    for statement in upgrade:
        try:
            cursor.execute(statement)
        except psycopg2.Error as error:
            cursor.execute("ROLLBACK TO SAVEPOINT upgrade")
            diag = error.diag
            return Failure(
                type(error).__name__,
                str(diag.message_primary),
                error.pgcode,
                statement,
                table=f"{diag.schema_name}.{diag.table_name}" if diag.table_name else None,
                column=diag.column_name,
                constraint=diag.constraint_name,
            )
    raise AssertionError("the upgrade did not fail")


T = "CREATE TABLE t (id integer PRIMARY KEY, a text, n integer, d numeric)"
P = f"{T}; CREATE TABLE p (id integer PRIMARY KEY, code text UNIQUE)"
ROWS = "INSERT INTO t VALUES (1, 'a', 1, 1), (2, 'A', -1, 1234567), (3, NULL, NULL, NULL), (4, 'a ', 70000, 2), (5, 'a', 1, 3)"
LONG = "INSERT INTO t VALUES (6, 'long')"
QUOTED = 'INSERT INTO shop."T" VALUES (7)'


@pytest.mark.parametrize(
    ("before", "upgrade", "place", "first"),
    [
        (T, ["ALTER TABLE t ALTER a SET NOT NULL"], "public.t.a", [3]),
        (T, ["ALTER TABLE t RENAME a TO b", "ALTER TABLE t ALTER b SET NOT NULL"], "public.t.b", [3]),
        (T, ["ALTER TABLE t RENAME TO u", "ALTER TABLE u ALTER a SET NOT NULL"], "public.u.a", [3]),
        (T, ["ALTER TABLE t ADD CONSTRAINT ck CHECK (n >= 0)"], "public.t", [2]),
        (T, ["ALTER TABLE t ADD CONSTRAINT ck CHECK (n >= 0 OR a = 'x') NO INHERIT"], "public.t", [2]),
        (T, ["ALTER TABLE t RENAME n TO m", "ALTER TABLE t ADD CONSTRAINT ck CHECK (m >= 0)"], "public.t", [2]),
        (P, ["ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (n) REFERENCES p"], "public.t.n", [1, 2, 4, 5]),
        (
            P,
            ["ALTER TABLE p RENAME TO q", "ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (a) REFERENCES q (code)"],
            "public.t.a",
            [1, 2, 4, 5],
        ),
        (T, ["ALTER TABLE t ADD CONSTRAINT uq UNIQUE (a)"], "public.t.a", ["a"]),
        (T, ["CREATE UNIQUE INDEX uq ON t (a, n)"], "public.t", ["a"]),
        (T, ["CREATE UNIQUE INDEX uq ON t (lower(btrim(a)) DESC)"], "public.t", ["a"]),
        (T, ["CREATE UNIQUE INDEX uq ON t (a text_pattern_ops) WHERE n > 0"], "public.t.a", ["a"]),
        (
            f"{T}; ALTER TABLE t ADD UNIQUE (a, id)",
            ["ALTER TABLE t ADD UNIQUE NULLS NOT DISTINCT (a)"],
            "public.t.a",
            ["a"],
        ),
        (T.replace("a text", "a varchar(9)"), ["ALTER TABLE t ALTER a TYPE varchar(1)"], "public.t.a", [6]),
        (T, ["ALTER TABLE t ALTER n TYPE smallint"], "public.t.n", [4]),
        (T, ["ALTER TABLE t ALTER d TYPE numeric(6,2)"], "public.t.d", [2]),
        (T, ["ALTER TABLE t ALTER a TYPE integer USING a::integer"], "public.t.a", [1, 2, 4, 5]),
        (T, ["ALTER TABLE t ALTER COLUMN a TYPE date USING CAST(a AS date)"], "public.t.a", [1, 2, 4, 5]),
        (
            f"{T}; CREATE TYPE mood AS ENUM ('a', 'A')",
            ["ALTER TABLE t ALTER a TYPE mood USING a::mood"],
            "public.t.a",
            [4],
        ),
        (
            'CREATE SCHEMA shop; CREATE TABLE shop."T" (id integer PRIMARY KEY, "My note" text)',
            ['ALTER TABLE shop."T" ALTER "My note" SET NOT NULL'],
            "shop.T.My note",
            [7],
        ),
    ],
)
def test_the_query_gives_the_rows_over_which_the_upgrade_fails(connection, before, upgrade, place, first):
    if "date" in upgrade[0] and connection.info.server_version < 160000:
        pytest.skip("PostgreSQL can be asked whether a text is a date since 16")
    rows = LONG if "varchar" in before else ROWS if "TABLE t" in before else QUOTED

    found = assumed(connection, before, rows, *upgrade)

    assert found.place.object == place
    assert found.sql is not None
    assert [row[0] for row in found.rows] == first


def test_an_update_into_a_key_assumes_that_its_values_stay_apart(connection):
    before = f"{T}; ALTER TABLE t ADD CONSTRAINT uq UNIQUE (a)"
    rows = "INSERT INTO t VALUES (1, 'a'), (2, 'A'), (3, 'b')"

    found = assumed(connection, before, rows, "UPDATE t SET a = lower(a) WHERE a <> lower(a)")

    assert found.place == Place("public.t", "a")
    assert found.rows == [("a", 2)]


@pytest.mark.parametrize(
    "upgrade",
    [
        ["ALTER TABLE t ADD b integer DEFAULT -1", "ALTER TABLE t ADD CONSTRAINT ck CHECK (b >= 0)"],
        [
            "UPDATE t SET a = lower(a)",
            "UPDATE t SET n = o.n FROM t AS o WHERE o.id = t.id + 1",
            "ALTER TABLE t ALTER n SET NOT NULL",
        ],
        ["DO $$ BEGIN UPDATE t SET n = 1 WHERE n > 1; END $$", "ALTER TABLE t ALTER n SET NOT NULL"],
        ["ALTER TABLE t ALTER a TYPE integer USING length(a)::text::date - '2000-01-01'::date"],
        [
            "CREATE TABLE u (a text)",
            "INSERT INTO u WITH x AS (SELECT a FROM t) SELECT a FROM x",
            "ALTER TABLE u ALTER a SET NOT NULL",
        ],
    ],
    ids=["rule for a new column", "of other rows", "in a block", "worked out", "new table"],
)
def test_what_the_older_schema_does_not_have_is_no_assumption_about_it(connection, upgrade):
    found = assumed(connection, T, ROWS, *upgrade)

    assert found.sql is None
