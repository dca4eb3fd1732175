"""What small upgrades and their downgrades lose of the rows that they find."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from app.gate.recording.model import Loss, LossKind
from app.gate.rows._contents import MOST_ROWS, read_contents
from app.gate.rows._equality import is_same
from app.gate.rows._losses import losses
from app.gate.server.throwaway import Server
from tests.gate.lines import Bench, line_over

TABLES = [f"public.{name}" for name in ("t", "u", "v", "w")]


@pytest.fixture(scope="module")
def bench_without_rollback(server: Server) -> Iterator[Bench]:
    database = server.create_database()
    with database.connect(autocommit=False) as connection:
        yield Bench(connection, line_over(connection))
        connection.rollback()
    server.drop_database(database)


@pytest.fixture
def bench(bench_without_rollback: Bench) -> Iterator[Bench]:
    bench_without_rollback.run("SET LOCAL timezone = 'UTC'")
    yield bench_without_rollback
    bench_without_rollback.connection.rollback()


@dataclass(frozen=True)
class Case:
    """An upgrade and a downgrade of what `before` made. `up` and `down` are their losses: {"t.a": "values rounded"}."""

    before: str
    upgrade: str
    downgrade: str
    up: dict[str, str]
    down: dict[str, str]


T = "CREATE TABLE t (id integer PRIMARY KEY, a text)"
NOTHING: dict[str, str] = {}
CASES = {
    # What is fine.
    "a new column": Case(T, "ALTER TABLE t ADD b text DEFAULT 'x'", "ALTER TABLE t DROP b", NOTHING, NOTHING),
    "rows that are there twice, once": Case(
        "CREATE TABLE t (a integer, b text); INSERT INTO t VALUES (1, 'x'), (1, 'x'), (NULL, 'y'), (NULL, 'y')",
        "DELETE FROM t AS one USING t AS other WHERE one IS NOT DISTINCT FROM other AND one.ctid > other.ctid",
        "SELECT 1",
        NOTHING,
        NOTHING,
    ),
    "a renamed column": Case(T, "ALTER TABLE t RENAME a TO b", "ALTER TABLE t RENAME b TO a", NOTHING, NOTHING),
    "three renamed columns with the same values": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a boolean, b boolean, c boolean)",
        "ALTER TABLE t RENAME a TO x; ALTER TABLE t RENAME b TO y; ALTER TABLE t RENAME c TO z",
        "ALTER TABLE t RENAME x TO a; ALTER TABLE t RENAME y TO b; ALTER TABLE t RENAME z TO c",
        NOTHING,
        NOTHING,
    ),
    "three renamed columns with the same values, that keep their new names": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a boolean, b boolean, c boolean)",
        "ALTER TABLE t RENAME a TO x; ALTER TABLE t RENAME b TO y; ALTER TABLE t RENAME c TO z",
        "SELECT 1",
        NOTHING,
        NOTHING,
    ),
    "a renamed table": Case(T, "ALTER TABLE t RENAME TO u", "ALTER TABLE u RENAME TO t", NOTHING, NOTHING),
    "a renamed key": Case(T, "ALTER TABLE t RENAME id TO key", "ALTER TABLE t RENAME key TO id", NOTHING, NOTHING),
    "a renamed table and column": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a text, b text)",
        "ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME a TO c",
        "ALTER TABLE u RENAME c TO a; ALTER TABLE u RENAME TO t",
        NOTHING,
        NOTHING,
    ),
    "a wider integer": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a integer)",
        "ALTER TABLE t ALTER a TYPE bigint, ALTER id TYPE bigint",
        "ALTER TABLE t ALTER a TYPE integer, ALTER id TYPE integer",
        NOTHING,
        NOTHING,
    ),
    "a text that is long enough": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a varchar(20))",
        "ALTER TABLE t ALTER a TYPE text",
        "ALTER TABLE t ALTER a TYPE varchar(20)",
        NOTHING,
        NOTHING,
    ),
    "padding": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a char(8))",
        "ALTER TABLE t ALTER a TYPE varchar(8)",
        "ALTER TABLE t ALTER a TYPE char(8)",
        NOTHING,
        NOTHING,
    ),
    "a number as a text": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a integer)",
        "ALTER TABLE t ALTER a TYPE text",
        "ALTER TABLE t ALTER a TYPE integer USING a::integer",
        NOTHING,
        NOTHING,
    ),
    "more decimals": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a numeric(8,2))",
        "ALTER TABLE t ALTER a TYPE numeric(12,4)",
        "ALTER TABLE t ALTER a TYPE numeric(8,2)",
        NOTHING,
        NOTHING,
    ),
    "json and jsonb": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a json)",
        "ALTER TABLE t ALTER a TYPE jsonb",
        "ALTER TABLE t ALTER a TYPE json",
        NOTHING,
        NOTHING,
    ),
    "a UUID in a text": Case(
        "CREATE TABLE t (id uuid PRIMARY KEY, a uuid)",
        "ALTER TABLE t ALTER a TYPE varchar(36), ALTER id TYPE text",
        "ALTER TABLE t ALTER a TYPE uuid USING a::uuid, ALTER id TYPE uuid USING id::uuid",
        NOTHING,
        NOTHING,
    ),
    "a time with the zone that it had": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a timestamp)",
        "ALTER TABLE t ALTER a TYPE timestamptz",
        "ALTER TABLE t ALTER a TYPE timestamp",
        NOTHING,
        NOTHING,
    ),
    "an enum instead of a CHECK": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a text CONSTRAINT c CHECK (a IN ('x', 'y')))",
        "CREATE TYPE e AS ENUM ('x', 'y'); ALTER TABLE t DROP CONSTRAINT c, ALTER a TYPE e USING a::e",
        "ALTER TABLE t ALTER a TYPE text; DROP TYPE e",
        NOTHING,
        NOTHING,
    ),
    "a boolean as a number": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a boolean)",
        "ALTER TABLE t ALTER a TYPE integer USING a::integer",
        "ALTER TABLE t ALTER a TYPE boolean USING a::boolean",
        NOTHING,
        NOTHING,
    ),
    "NULLs that get a value": Case(
        T,
        "UPDATE t SET a = '' WHERE a IS NULL; ALTER TABLE t ALTER a SET NOT NULL",
        "ALTER TABLE t ALTER a DROP NOT NULL",
        NOTHING,
        NOTHING,
    ),
    "a column that moves to another table": Case(
        T + "; CREATE TABLE u (id integer PRIMARY KEY REFERENCES t)",
        "ALTER TABLE u ADD a text; UPDATE u SET a = t.a FROM t WHERE t.id = u.id; INSERT INTO u SELECT id, a FROM t"
        " WHERE id NOT IN (SELECT id FROM u); ALTER TABLE t DROP a",
        "ALTER TABLE t ADD a text; UPDATE t SET a = u.a FROM u WHERE t.id = u.id; ALTER TABLE u DROP a",
        NOTHING,
        NOTHING,
    ),
    "a column that gets a table of its own": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a text, b text)",
        "CREATE TABLE u AS SELECT id AS t, a FROM t; ALTER TABLE t DROP a",
        "ALTER TABLE t ADD a text; UPDATE t SET a = u.a FROM u WHERE u.t = t.id; DROP TABLE u",
        NOTHING,
        NOTHING,
    ),
    "two columns that become one": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a text, b text)",
        "ALTER TABLE t ADD c text; UPDATE t SET c = concat_ws(' ', a, b); ALTER TABLE t DROP a, DROP b",
        "ALTER TABLE t ADD a text, ADD b text; ALTER TABLE t DROP c",
        NOTHING,
        {"t.a": "values removed", "t.b": "values removed"},
    ),
    "a text that is taken apart": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a text)",
        "ALTER TABLE t ADD b text, ADD c text; UPDATE t SET b = split_part(a, '-', 1), c = substr(a, strpos(a, '-') + 1);"
        " ALTER TABLE t DROP a",
        "ALTER TABLE t ADD a text; UPDATE t SET a = b || '-' || c WHERE c IS NOT NULL; ALTER TABLE t DROP b, DROP c",
        NOTHING,
        NOTHING,
    ),
    "columns that become a document": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a text, b uuid)",
        "ALTER TABLE t ADD c jsonb; UPDATE t SET c = jsonb_build_object('a', a, 'b', b); ALTER TABLE t DROP a, DROP b",
        "ALTER TABLE t ADD a text, ADD b uuid; UPDATE t SET a = c ->> 'a', b = (c ->> 'b')::uuid; ALTER TABLE t DROP c",
        NOTHING,
        NOTHING,
    ),
    "numbers and booleans that become a document": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a smallint, b boolean)",
        "ALTER TABLE t ADD d jsonb; UPDATE t SET d = jsonb_build_object('of', jsonb_build_object('a', a), 'b', jsonb_build_array(b));"
        " ALTER TABLE t DROP a, DROP b",
        "ALTER TABLE t ADD a smallint, ADD b boolean; UPDATE t SET a = (d -> 'of' ->> 'a')::smallint, b = (d -> 'b' ->> 0)::boolean;"
        " ALTER TABLE t DROP d",
        NOTHING,
        NOTHING,
    ),
    "labels that are renamed": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a text CONSTRAINT c CHECK (a IN ('x', 'y')))",
        "ALTER TABLE t DROP CONSTRAINT c; UPDATE t SET a = upper(a)",
        "UPDATE t SET a = lower(a)",
        NOTHING,
        NOTHING,
    ),
    "the time of the migration": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a timestamptz)", "UPDATE t SET a = now()", "SELECT", NOTHING, NOTHING
    ),
    "rows that move to another table": Case(
        T,
        "CREATE TABLE u (LIKE t); WITH gone AS (DELETE FROM t WHERE id > 1002 RETURNING *) INSERT INTO u SELECT * FROM gone",
        "INSERT INTO t SELECT * FROM u; DROP TABLE u",
        NOTHING,
        NOTHING,
    ),
    "a table without a key": Case(
        "CREATE TABLE t (a text, b integer)", "UPDATE t SET b = b + 1", "UPDATE t SET b = b - 1", NOTHING, NOTHING
    ),
    "a generated column": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a integer GENERATED ALWAYS AS (id * 2) STORED)",
        "ALTER TABLE t DROP a",
        "ALTER TABLE t ADD a integer GENERATED ALWAYS AS (id * 2) STORED",
        NOTHING,
        NOTHING,
    ),
    # What is lost.
    "a dropped column": Case(
        T, "ALTER TABLE t DROP a", "ALTER TABLE t ADD a text", {"t.a": "column dropped"}, {"t.a": "values removed"}
    ),
    "a dropped number of which another column holds a part": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a numeric(10,2))",
        "ALTER TABLE t ADD b integer; UPDATE t SET b = a; ALTER TABLE t DROP a",
        "ALTER TABLE t ADD a numeric(10,2); UPDATE t SET a = b; ALTER TABLE t DROP b",
        {"t.a": "column dropped"},
        {"t.a": "values rounded"},
    ),
    "a dropped table": Case(T, "DROP TABLE t", T, {"t": "table dropped"}, {"t": "rows deleted"}),
    "a table that is truncated": Case(T, "TRUNCATE t", "SELECT", {"t": "rows deleted"}, {"t": "rows deleted"}),
    "duplicates that are deleted": Case(
        T,
        "DELETE FROM t AS x USING t AS y WHERE x.id > y.id AND x.a = y.a",
        "SELECT",
        {"t": "rows deleted"},
        {"t": "rows deleted"},
    ),
    "decimals": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a numeric(10,2))",
        "ALTER TABLE t ALTER a TYPE integer",
        "ALTER TABLE t ALTER a TYPE numeric(10,2)",
        {"t.a": "values rounded"},
        {"t.a": "values rounded"},
    ),
    "digits of a float": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a double precision)",
        "ALTER TABLE t ALTER a TYPE real",
        "ALTER TABLE t ALTER a TYPE double precision",
        {"t.a": "values rounded"},
        {"t.a": "values rounded"},
    ),
    "the time of the day": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a timestamptz)",
        "ALTER TABLE t ALTER a TYPE date",
        "ALTER TABLE t ALTER a TYPE timestamptz",
        {"t.a": "values rounded"},
        {"t.a": "values rounded"},
    ),
    "microseconds": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a timestamp)",
        "ALTER TABLE t ALTER a TYPE timestamp(0)",
        "ALTER TABLE t ALTER a TYPE timestamp",
        {"t.a": "values rounded"},
        {"t.a": "values rounded"},
    ),
    "microseconds, all but 3 digits": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a timestamp); INSERT INTO t VALUES (1, '2001-01-01 10:11:12.123456')",
        "ALTER TABLE t ALTER a TYPE timestamp(3)",
        "ALTER TABLE t ALTER a TYPE timestamp",
        {"t.a": "values rounded"},
        {"t.a": "values rounded"},
    ),
    "microseconds, all but 5 digits": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a timestamp); INSERT INTO t VALUES (1, '2001-01-01 10:11:12.123456')",
        "ALTER TABLE t ALTER a TYPE timestamp(5)",
        "ALTER TABLE t ALTER a TYPE timestamp",
        {"t.a": "values rounded"},
        {"t.a": "values rounded"},
    ),
    "a microsecond": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a timestamp); INSERT INTO t VALUES (1, '2001-01-01 10:11:12.123456')",
        "UPDATE t SET a = a + interval '1 microsecond' WHERE id = 1",
        "SELECT 1",
        NOTHING,
        {"t.a": "values changed"},
    ),
    "an instant": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a timestamp)",
        "SET LOCAL timezone = 'Europe/Berlin'; ALTER TABLE t ALTER a TYPE timestamptz",
        "SET LOCAL timezone = 'UTC'; ALTER TABLE t ALTER a TYPE timestamp",
        {"t.a": "values changed"},
        {"t.a": "values changed"},
    ),
    "the host of an address": Case(
        "CREATE TABLE t (id integer PRIMARY KEY, a inet)",
        "ALTER TABLE t ALTER a TYPE cidr",
        "ALTER TABLE t ALTER a TYPE inet",
        {"t.a": "hosts cut off"},
        {"t.a": "values changed"},
    ),
    "the end of a text": Case(
        T,
        "ALTER TABLE t ALTER a TYPE varchar(10) USING left(a, 10)",
        "ALTER TABLE t ALTER a TYPE text",
        {"t.a": "values truncated"},
        {"t.a": "values truncated"},
    ),
    "what becomes NULL": Case(
        T, "UPDATE t SET a = NULL", "SELECT", {"t.a": "values removed"}, {"t.a": "values removed"}
    ),
    "what all becomes the same": Case(
        T, "UPDATE t SET a = 'x' || length(a) / 1000", "SELECT", {"t.a": "values merged"}, {"t.a": "values changed"}
    ),
    "texts that become true or false": Case(
        T,
        "ALTER TABLE t ALTER a TYPE boolean USING a = 'yes'",
        "ALTER TABLE t ALTER a TYPE text",
        {"t.a": "values merged"},
        {"t.a": "values changed"},
    ),
    "what a cascade takes along": Case(
        "CREATE TABLE u (id integer PRIMARY KEY); CREATE TABLE t (id integer PRIMARY KEY, u integer REFERENCES u ON DELETE CASCADE)",
        "DELETE FROM u",
        "SELECT",
        {"t": "rows deleted", "u": "rows deleted"},
        {"t": "rows deleted", "u": "rows deleted"},
    ),
    # What only the way back shows.
    "a normalisation that is not undone": Case(
        T, "UPDATE t SET a = upper(a)", "SELECT", NOTHING, {"t.a": "values changed"}
    ),
    "a copy that is not used": Case(
        T,
        "ALTER TABLE t ADD b text; UPDATE t SET b = a; ALTER TABLE t DROP a",
        "ALTER TABLE t ADD a text; ALTER TABLE t DROP b",
        NOTHING,
        {"t.a": "values removed"},
    ),
    "a new key": Case(
        T,
        "ALTER TABLE t DROP id, ADD id uuid DEFAULT gen_random_uuid() PRIMARY KEY",
        "ALTER TABLE t DROP id, ADD id serial PRIMARY KEY",
        {"t.id": "values changed"},
        {"t.id": "values changed"},
    ),
}
CASES["a new key"] = Case(**{**CASES["a new key"].__dict__, "up": NOTHING})


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_is_lost(bench: Bench, case: Case) -> None:
    bench.run(case.before)
    filled = bench.fill("t", "u")
    before = read_contents(bench.line.ask, TABLES)

    bench.run(case.upgrade)
    after = read_contents(bench.line.ask, TABLES)
    bench.run(case.downgrade)
    back = read_contents(bench.line.ask, TABLES)

    assert filled.tables_without_rows == {}
    assert sum(before.counts.values()) >= 6
    assert by_column(losses(before, after)) == case.up
    assert by_column(losses(before, back, is_return=True)) == case.down


def by_column(found: tuple[Loss, ...]) -> dict[str, str]:
    """{"t.a": "values rounded"}"""
    return {".".join(filter(None, [loss.table.removeprefix("public."), loss.column])): loss.kind for loss in found}


def test_a_loss_has_a_number_of_rows_and_an_example(bench: Bench) -> None:
    bench.run("CREATE TABLE t (id integer PRIMARY KEY, a numeric); INSERT INTO t VALUES (1, 1.5), (2, 2), (3, NULL)")
    before = read_contents(bench.line.ask, TABLES)

    bench.run("ALTER TABLE t ALTER a TYPE integer")

    after = read_contents(bench.line.ask, TABLES)
    assert losses(before, after) == (Loss("public.t", "a", LossKind.VALUES_ROUNDED, 1, 3, "1.5", "2", ("id",)),)


def test_rows_that_are_gone_are_counted_and_one_is_named(bench: Bench) -> None:
    bench.run(
        "CREATE TABLE t (id integer PRIMARY KEY, a text); INSERT INTO t SELECT n, 'a' FROM generate_series(1, 9) AS n"
    )
    before = read_contents(bench.line.ask, TABLES)

    bench.run("DELETE FROM t WHERE id > 5")

    after = read_contents(bench.line.ask, TABLES)
    assert losses(before, after) == (Loss("public.t", None, LossKind.ROWS_DELETED, 4, 9, "id = 6", None, ("id",)),)


def test_of_a_large_table_some_rows_are_followed_and_all_are_counted(bench: Bench) -> None:
    bench.run(f"CREATE TABLE t AS SELECT n AS id, 'a' || n AS a FROM generate_series(1, {MOST_ROWS + 700}) AS n")
    before = read_contents(bench.line.ask, TABLES)

    bench.run("UPDATE t SET a = upper(a)")

    after = read_contents(bench.line.ask, TABLES)
    assert before.counts == {"public.t": MOST_ROWS + 700}
    assert len(before.tables["public.t"].rows) == MOST_ROWS
    assert losses(before, after) == ()


def test_a_long_value_is_compared_by_its_digest(bench: Bench) -> None:
    bench.run(
        "CREATE TABLE t (id integer PRIMARY KEY, a text); INSERT INTO t VALUES (1, repeat('x', 100000)), (2, 'y')"
    )
    before = read_contents(bench.line.ask, TABLES)

    bench.run("UPDATE t SET a = 'same'")

    after = read_contents(bench.line.ask, TABLES)
    assert len(before.tables["public.t"].rows[0]["a"] or "") < 1000
    assert by_column(losses(before, after)) == {"t.a": "values merged"}


def test_a_table_that_is_not_there_or_that_may_not_be_read_is_left_out(bench: Bench) -> None:
    bench.run(
        """
        CREATE ROLE overproof_reader;
        CREATE TABLE t (a integer); CREATE TABLE u (a integer);
        REVOKE ALL ON u FROM overproof_reader; GRANT SELECT ON t TO overproof_reader;
        SET LOCAL ROLE overproof_reader
        """
    )

    before = read_contents(bench.line.ask, [*TABLES, "no.such", "strange"])

    assert before.counts == {"public.t": 0}
    assert before.unreadable == {"public.u"}


def test_a_table_that_can_no_longer_be_read_is_not_lost(bench: Bench) -> None:
    bench.run("CREATE ROLE overproof_reader; CREATE TABLE t (a integer); INSERT INTO t VALUES (1)")
    before = read_contents(bench.line.ask, TABLES)

    bench.run("SET LOCAL ROLE overproof_reader")

    assert losses(before, read_contents(bench.line.ask, TABLES)) == ()


def test_a_table_that_can_no_longer_be_read_hides_no_other(bench: Bench) -> None:
    bench.run(
        """
        CREATE ROLE overproof_reader;
        CREATE TABLE t (a integer); INSERT INTO t VALUES (1);
        CREATE TABLE u (a integer); INSERT INTO u VALUES (2); GRANT ALL ON u TO overproof_reader
        """
    )
    before = read_contents(bench.line.ask, TABLES)

    bench.run("SET LOCAL ROLE overproof_reader; DELETE FROM u")

    assert by_column(losses(before, read_contents(bench.line.ask, TABLES))) == {"u": "rows deleted"}


def test_names_that_must_be_quoted_are_read(bench: Bench) -> None:
    bench.run(
        """CREATE SCHEMA "a.b"; CREATE TABLE "a.b"."C d" ("e ""f'" integer); INSERT INTO "a.b"."C d" VALUES (1)"""
    )

    contents = read_contents(bench.line.ask, ["a.b.C d"])

    assert contents.tables["a.b.C d"].rows == ({"e \"f'": "1"},)


@pytest.mark.parametrize(
    ("old", "new", "is_equal"),
    [
        ('{"a":1,"b":[1,2]}', '{ "b": [1, 2],\n  "a": 1 }', True),
        ("[1,2]", "[1, 2]", True),
        ('{"a":1}', '{"a": 2}', False),
        ("{not json}", "{ not json }", False),
        ("a  b", "a b", False),
    ],
)
def test_white_space_in_json_means_nothing_whatever_the_column_s_type(old: str, new: str, is_equal: bool) -> None:
    assert is_same(old, new, "text", "text") is is_equal


TEXTS = "CREATE TABLE t (id integer PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'ann'), (2, 'ANN'), (3, 'bob'), (4, 'ann')"


@pytest.mark.parametrize(
    ("upgrade", "lost"), [("UPDATE t SET a = lower(a)", []), ("UPDATE t SET a = left(a, 0)", ["values merged"])]
)
def test_texts_that_had_differed_in_case_only_may_become_equal(bench: Bench, upgrade: str, lost: list[str]) -> None:
    bench.run(TEXTS)
    before = read_contents(bench.line.ask, TABLES)

    bench.run(upgrade)

    assert [loss.kind for loss in losses(before, read_contents(bench.line.ask, TABLES))] == lost


@pytest.mark.parametrize(
    ("delete", "with_new_key", "count"),
    [
        ("DELETE FROM t WHERE id = 4", ["public.t"], 0),
        ("DELETE FROM t WHERE id = 4", [], 1),
        ("DELETE FROM t WHERE id IN (3, 4)", ["public.t"], 1),
        ("DELETE FROM t WHERE a = 'ann'", ["public.t"], 2),
    ],
    ids=["for the key", "for no key", "another one too", "all of them"],
)
def test_one_of_two_rows_that_are_equal_but_for_their_ids_goes_for_a_unique_key(
    bench: Bench, delete: str, with_new_key: list[str], count: int
) -> None:
    bench.run(TEXTS)
    before = read_contents(bench.line.ask, TABLES)

    bench.run(delete)

    found = losses(before, read_contents(bench.line.ask, TABLES), with_new_key=with_new_key)
    assert sum(loss.count for loss in found) == count
