"""What means the same is the same, however PostgreSQL has come to print it; and what does not, is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, example, given, note, settings
from hypothesis import strategies as st

from app.gate.recording.model import Change, Key, Snapshot
from app.gate.snapshot.difference import difference
from app.gate.snapshot.meaning import align, difference_in_meaning
from app.gate.snapshot.read import read


class Session:
    """One connection to a database, asked as the driver would ask on it."""

    def __init__(self, database: Any) -> None:
        self.connection = psycopg2.connect(database.url())
        self.connection.autocommit = True

    def run(self, *statements: str) -> None:
        with self.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def rows(self, sql: str) -> list[Any]:
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def ask(self, statements: Sequence[str]) -> Any:
        value = None
        with self.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
                if cursor.description and (value := cursor.fetchall()[0][0]) is None:
                    break
        return value

    def schema_after(self, *statements: str) -> Snapshot:
        """The schema that the statements make in an empty database."""
        self.run("DROP SCHEMA public CASCADE", "CREATE SCHEMA public", *statements)
        return read(self.connection)


@pytest.fixture
def session(blank_database) -> Iterator[Session]:
    session = Session(blank_database)
    yield session
    session.connection.close()


MOOD = "CREATE TYPE mood AS ENUM ('sad', 'ok')"
COLUMNS = "a {text}, b text, n {whole}, m numeric(8, 2), e mood, d timestamptz"
VALUES = [
    "SELECT * FROM (VALUES (NULL), ('x'::varchar(9)), ('Y'), ('xyz')) AS a (a)",
    "(VALUES (NULL), ('x'::text), ('open')) AS b (b)",
    "(VALUES (NULL), (0::bigint), (1), (2), (7)) AS n (n)",
    "(VALUES (NULL), (0::numeric), (1.5)) AS m (m)",
    "(VALUES (NULL), ('ok'::mood), ('sad')) AS e (e)",
    "(VALUES (timestamptz '2024-01-01 00:00Z'), ('2026-01-01 00:00Z')) AS d (d)",
]
ATOMS = st.sampled_from(
    [
        "a IN ('x', 'Y')",
        "a IN ('x', 'Y', 'z')",
        "a NOT IN ('x', 'Y')",
        "a = 'x'",
        "a::text IN ('x', 'Y')",
        "lower(a) IN ('x', 'y')",
        "coalesce(a, 'x') = b",
        "a || 'z' = 'xz'",
        "a ~ '^x'",
        "a LIKE 'x%'",
        "a ILIKE ANY (ARRAY['X%', 'y'])",
        "char_length(a) > n",
        "a = b",
        "a < 'y' COLLATE \"C\"",
        "b IN ('x', 'open')",
        "b <> 'open'",
        "n BETWEEN 1 AND 2",
        "n >= 1 AND n <= 2",
        "n IN (1, 2)",
        "n > 1 + 1",
        "n > 2",
        "m > n",
        "m IN (0, 1.5)",
        "m >= 0",
        "e IN ('ok', 'sad')",
        "e = 'ok'",
        "e > 'sad' OR e IS NULL",
        "d > '2025-01-01 00:00Z'",
        "CASE a WHEN 'x' THEN n > 1 ELSE m IS NULL END",
        "(a IS NULL) = (b IS NULL)",
        "nullif(a, 'x') IS NOT NULL",
    ]
)
PREDICATES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        inner.map(lambda one: f"NOT ({one})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}) AND ({two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}) OR ({two[1]})"),
    ),
    max_leaves=3,
)


@dataclass(frozen=True)
class Route:
    """How a table came to be."""

    text: str  # the type of its column `a` to begin with
    whole: str  # the type of `n`
    reads_back: int = 0  # how often definitions are created once more, as PostgreSQL prints them


ROUTES = st.builds(
    Route, st.sampled_from(["varchar(9)", "varchar", "text"]), st.sampled_from(["int", "bigint"]), st.integers(0, 2)
)

READ_BACK = """DO $$ DECLARE each record; BEGIN
    FOR each IN SELECT conname, pg_get_constraintdef(oid) AS text FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0 LOOP
        EXECUTE format('ALTER TABLE t DROP CONSTRAINT %I', each.conname);
        EXECUTE format('ALTER TABLE t ADD CONSTRAINT %I %s', each.conname, each.text);
    END LOOP;
    FOR each IN SELECT indexrelid::regclass AS name, pg_get_indexdef(indexrelid) AS text FROM pg_index
            WHERE indrelid = 't'::regclass LOOP
        EXECUTE format('DROP INDEX %s', each.name);
        EXECUTE each.text;
    END LOOP;
    FOR each IN SELECT polname, pg_get_expr(polqual, polrelid) AS text FROM pg_policy LOOP
        EXECUTE format('ALTER POLICY %I ON t USING (%s)', each.polname, each.text);
    END LOOP;
    FOR each IN SELECT relname, pg_get_viewdef(oid) AS text FROM pg_class WHERE relname ~ '^v[0-9]' LOOP
        EXECUTE format('CREATE OR REPLACE VIEW %I AS %s', each.relname, each.text);
    END LOOP;
END $$"""


def statements(route: Route, predicates: Sequence[str]) -> Iterator[str]:
    """A table with each of the predicates in a check, two indexes, a policy and a view, and with the same columns at its
    end. A policy and a view forbid that the type of a column changes, and so come after it."""
    yield from (MOOD, f"CREATE TABLE t ({COLUMNS.format(text=route.text, whole=route.whole)})")
    for number, predicate in enumerate(predicates):
        yield f"ALTER TABLE t ADD CONSTRAINT c{number} CHECK ({predicate})"
        yield f"CREATE INDEX i{number} ON t (b) WHERE {predicate}"
        yield f"CREATE INDEX j{number} ON t ((({predicate})::text), n DESC)"
    yield from [READ_BACK] * route.reads_back
    yield "ALTER TABLE t ALTER a TYPE varchar(9), ALTER n TYPE bigint"
    for number, predicate in enumerate(predicates):
        yield f"CREATE POLICY p{number} ON t USING ({predicate})"
        yield f"CREATE VIEW v{number} AS SELECT b, ({predicate}) AS holds FROM t WHERE {predicate}"
    yield from [READ_BACK] * route.reads_back


def differing_numbers(before: Snapshot, after: Snapshot) -> dict[str, set[int]]:
    """Which of the predicates differ, by the first letter of what they are in."""
    found: dict[str, set[int]] = {letter: set() for letter in "cijpv"}
    for change in difference(before, after):
        if change.key.kind != "column":
            found[change.key.name[0]].add(int(change.key.name[1:]))
    return found


@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(st.lists(PREDICATES, min_size=1, max_size=6, unique=True), ROUTES, ROUTES)
@example(["a IN ('x', 'Y')"], Route("varchar(9)", "int"), Route("text", "bigint", 1))
def test_what_was_made_twice_by_different_routes_is_the_same(session, predicates, one, other):
    before = session.schema_after(*statements(one, predicates))
    after = session.schema_after(*statements(other, predicates))
    note(str(difference(before, after)))

    assert difference_in_meaning(before, after, session.ask) == ()


@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(PREDICATES, PREDICATES), min_size=1, max_size=6), ROUTES, ROUTES)
def test_what_gives_another_answer_for_some_row_remains_different(session, pairs, one, other):
    before = session.schema_after(*statements(one, [pair[0] for pair in pairs]))
    after = session.schema_after(*statements(other, [pair[1] for pair in pairs]))
    really = {number for number, pair in enumerate(pairs) if not gives_the_same(session, *pair)}

    found = differing_numbers(before, align(before, after, session.ask))

    for letter, numbers in found.items():
        assert numbers >= really, (letter, pairs)


def gives_the_same(session: Session, one: str, other: str) -> bool:
    grid = f"{VALUES[0]}, {', '.join(VALUES[1:])}"
    [[answer]] = session.rows(f"SELECT bool_and(({one}) IS NOT DISTINCT FROM ({other})) FROM ({grid}) AS t")
    return bool(answer)


T = "CREATE TABLE t (a varchar(9), n int, r int4range)"
F = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end'"
PRINTED = "(a)::text = ANY ((ARRAY['x'::character varying, 'Y'::character varying])::text[])"
WRITTEN = "a IN ('x', 'Y')"
PARTS = {
    "trigger": "CREATE TRIGGER g AFTER UPDATE ON t FOR EACH ROW WHEN ({new}) EXECUTE FUNCTION f()",
    "rule": "CREATE RULE g AS ON INSERT TO t WHERE {new} DO INSTEAD NOTHING",
    "exclusion constraint": "ALTER TABLE t ADD CONSTRAINT g EXCLUDE USING gist (r WITH &&) WHERE ({old})",
    "statistics": "CREATE STATISTICS g ON n, ({old}) FROM t",
    "generated column": "ALTER TABLE t ADD g boolean GENERATED ALWAYS AS ({old}) STORED",
    "materialized view": "CREATE MATERIALIZED VIEW g AS SELECT n FROM t WHERE {old}",
    "policy with a query": "CREATE POLICY g ON t USING (EXISTS (SELECT FROM t AS u WHERE u.n = t.n AND {old_u}))",
    "function": "CREATE FUNCTION g() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM t WHERE {old}; END",
    "domain check": "CREATE DOMAIN g AS varchar(9) CONSTRAINT g CHECK ({value})",
    "check over the whole row": "ALTER TABLE t ADD CONSTRAINT g CHECK (t IS NOT NULL AND {old})",
    "index by another name": "CREATE INDEX ON t (n) WHERE {old}",
}


def part(kind: str, predicate: str) -> tuple[str, ...]:
    forms = {"old": predicate}
    for name, prefix in (("new", "new.a"), ("old_u", "u.a"), ("value", "VALUE")):
        forms[name] = predicate.replace("(a)", f"({prefix})").replace("a IN", f"{prefix} IN")
    return (T, F, PARTS[kind].format(**forms))


@pytest.mark.parametrize("kind", PARTS)
def test_a_text_of_postgresql_s_that_it_has_read_back_is_the_same_in_every_kind_of_object(session, kind):
    before = session.schema_after(*part(kind, WRITTEN))
    after = session.schema_after(*part(kind, PRINTED))
    other = session.schema_after(*part(kind, PRINTED.replace("'Y'", "'Z'")))

    assert difference(before, after), "PostgreSQL prints it in one way: the test shows nothing"
    assert difference_in_meaning(before, after, session.ask) == ()
    assert difference_in_meaning(before, other, session.ask)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("t varchar(9) DEFAULT 'x'", "t text DEFAULT 'x'"),
        ("t varchar(9) DEFAULT upper('x')", "t text DEFAULT upper('x'::varchar)"),
        ("t int DEFAULT 7", "t text DEFAULT '7'"),
        ("t timestamptz DEFAULT '2024-01-01 00:00Z'", "t timestamptz DEFAULT timestamptz '2024-01-01 01:00+01'"),
    ],
)
def test_a_default_that_gives_the_same_value_is_the_same(session, one, other):
    retyped = f"ALTER TABLE d ALTER t TYPE {other.partition(' DEFAULT ')[0][2:]}"
    before = session.schema_after(f"CREATE TABLE d ({one})", retyped)
    after = session.schema_after(f"CREATE TABLE d ({other})")

    assert difference_in_meaning(before, after, session.ask) == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("DEFAULT now()", "DEFAULT clock_timestamp()"),
        ("DEFAULT '2024-01-01 00:00Z'", "DEFAULT '2024-01-01 00:00:01Z'"),
        ("DEFAULT '2024-01-01 00:00Z'", ""),
        ("DEFAULT now() + '1 day'", "DEFAULT now() + '24 hours'"),
    ],
)
def test_a_default_that_gives_another_value_is_another(session, one, other):
    before = session.schema_after(f"CREATE TABLE d (t timestamptz {one})")
    after = session.schema_after(f"CREATE TABLE d (t timestamptz {other})")

    [change] = difference_in_meaning(before, after, session.ask)

    assert change.key == Key("column", "public", "t", "d")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CHECK (a IN ('x', 'Y'))", "CHECK (a IN ('x', 'Y')) NO INHERIT"),
        ("EXCLUDE USING gist (r WITH &&)", "EXCLUDE USING gist (r WITH =)"),
    ],
)
def test_a_constraint_is_more_than_its_expression(session, one, other):
    before = session.schema_after(T, f"ALTER TABLE t ADD CONSTRAINT c {one}")
    after = session.schema_after(T, f"ALTER TABLE t ADD CONSTRAINT c {other}")

    assert len(difference_in_meaning(before, after, session.ask)) == 1


def test_an_index_is_more_than_its_expressions(session):
    indexes = [
        "(n) WHERE {}",
        "(n DESC) WHERE {}",
        "(n) INCLUDE (r) WHERE {}",
        "USING hash (n) WHERE {}",
        "(a) WHERE {}",
    ]
    schemas = [session.schema_after(T, f"CREATE INDEX i ON t {each.format(WRITTEN)}") for each in indexes]
    printed = [session.schema_after(T, f"CREATE INDEX i ON t {each.format(PRINTED)}") for each in indexes]

    for number, before in enumerate(schemas):
        same = [difference_in_meaning(before, after, session.ask) == () for after in printed]
        assert [place for place, is_same in enumerate(same) if is_same] == [number]


def test_a_definition_that_cannot_be_read_back_remains_different(session):
    check = "ALTER TABLE t ADD CONSTRAINT c CHECK (h(n) AND a = '{}')"
    h = "CREATE FUNCTION h(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'"
    before = session.schema_after(T, h, check.format("x"))
    after = session.schema_after(T, check.replace("h(n)", "n > 0").format("x"))

    found = difference_in_meaning(before, after, session.ask)

    assert [each.key.name for each in found] == ["h(integer)", "c"]


def test_without_the_language_of_the_block_what_differs_remains_different(session):
    before, after = (session.schema_after(*part("rule", each)) for each in (WRITTEN, PRINTED))
    session.run("DROP EXTENSION plpgsql CASCADE")

    assert len(difference_in_meaning(before, after, session.ask)) == 1


def test_nothing_of_it_stays_in_the_database_and_its_settings_are_as_they_were(session):
    before, after = (session.schema_after(*part("policy with a query", each)) for each in (WRITTEN, PRINTED))
    settings_before = session.rows(
        "SELECT name, setting FROM pg_settings WHERE name <> 'transaction_isolation' ORDER BY 1"
    )

    difference_in_meaning(before, after, session.ask)

    assert read(session.connection) == after
    assert session.rows("SELECT name, setting FROM pg_settings WHERE name <> 'transaction_isolation' ORDER BY 1") == (
        settings_before
    )


def test_schemas_that_are_alike_cost_no_query(session):
    schema = session.schema_after(T)

    def ask(statements: Sequence[str]) -> Any:
        raise AssertionError(statements)

    assert difference_in_meaning(schema, schema, ask) == ()
    dropped: tuple[Change, ...] = difference_in_meaning(schema, Snapshot({}), ask)
    assert {"table", "column"} < {each.key.kind for each in dropped}
