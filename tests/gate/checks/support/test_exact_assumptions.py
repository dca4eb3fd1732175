"""The query of an assumption gives exactly the rows that make the revision fail, over rows of many shapes.

Which rows these are is found by trying: a rule about rows fails over each of them alone, and a rule about pairs over two.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.gate.checks.support.assumptions import find_assumption
from app.gate.checks.support.row_place import find_place
from app.gate.postgres import sqlstates
from app.gate.recording.model import Direction, Failure, Populated, RoundTrip, RowKind, Statement, Step
from app.gate.server.throwaway import Server
from app.gate.snapshot.difference import difference
from app.gate.snapshot.incremental import read_all, renames_between
from tests.gate.checks.builders import recording

T = "CREATE TABLE t (id integer PRIMARY KEY, a text, n integer, d numeric, f double precision, s int4range)"
PARTITIONED = """
    CREATE TABLE t (id integer, a text, n integer, d numeric, f float8, s int4range) PARTITION BY LIST (n);
    CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1); CREATE TABLE t2 PARTITION OF t DEFAULT
"""
P = f"{T}; CREATE TABLE p (x text, y integer, UNIQUE (x, y)); INSERT INTO p VALUES ('a', 1), ('b', 2), (NULL, 3)"
EVENTS = f"{T}; CREATE TABLE events (LIKE t) PARTITION BY"


@dataclass(frozen=True)
class Rule:
    before: str
    upgrade: tuple[str, ...]
    of_pairs: bool = False
    since: int = 14  # the first major version that has it


ROWS = {
    "not null": Rule(T, ("ALTER TABLE t ALTER a SET NOT NULL",)),
    "primary key": Rule(T.replace("PRIMARY KEY", "NOT NULL"), ("ALTER TABLE t ADD PRIMARY KEY (n)",), of_pairs=True),
    "check": Rule(T, ("ALTER TABLE t ADD CONSTRAINT ck CHECK (n >= 0 OR a IN ('a', 'x;y', '(z'))",)),
    "check with words of columns in texts": Rule(
        T, ("ALTER TABLE t RENAME n TO m", "ALTER TABLE t ADD CONSTRAINT ck CHECK (a <> 'm' AND m <> 1)")
    ),
    "foreign key": Rule(
        P.replace("UNIQUE (x, y)", "UNIQUE (x)"), ("ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (a) REFERENCES p (x)",)
    ),
    "composite foreign key": Rule(P, ("ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (a, n) REFERENCES p (x, y)",)),
    "foreign key of a full match": Rule(
        P, ("ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (a, n) REFERENCES p (x, y) MATCH FULL",)
    ),
    "foreign key of quoted names": Rule(
        'CREATE TABLE p ("a, (b" integer PRIMARY KEY); INSERT INTO p VALUES (1);' + T,
        ('ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (n) REFERENCES p ("a, (b")',),
    ),
    "shorter text": Rule(T, ("ALTER TABLE t ALTER a TYPE varchar(1)",)),
    "shorter text of fixed length": Rule(T, ("ALTER TABLE t ALTER a TYPE char(2)",)),
    "number as text": Rule(T, ("ALTER TABLE t ALTER n TYPE varchar(2)",)),
    "smaller integer": Rule(T, ("ALTER TABLE t ALTER n TYPE smallint",)),
    "integer of a fraction": Rule(T, ("ALTER TABLE t ALTER d TYPE smallint",)),
    "integer of a double": Rule(T, ("ALTER TABLE t ALTER f TYPE smallint",)),
    "fewer digits": Rule(T, ("ALTER TABLE t ALTER d TYPE numeric(6,2)",)),
    "fewer digits of a double": Rule(T, ("ALTER TABLE t ALTER f TYPE numeric(6,2)",)),
    "integer of a text": Rule(T, ("ALTER TABLE t ALTER a TYPE integer USING a::integer",)),
    "numeric of a text": Rule(T, ("ALTER TABLE t ALTER a TYPE numeric(4,1) USING CAST(a AS numeric(4,1))",)),
    "boolean of a text": Rule(T, ("ALTER TABLE t ALTER a TYPE boolean USING (a)::boolean",)),
    "date of a text": Rule(T, ("ALTER TABLE t ALTER a TYPE date USING a::text::date",), since=16),
    "enum": Rule(f"{T}; CREATE TYPE mood AS ENUM ('a', 'A')", ("ALTER TABLE t ALTER a TYPE mood USING a::mood",)),
    "new enum": Rule(T, ("CREATE TYPE mood AS ENUM ('a', 'A')", "ALTER TABLE t ALTER a TYPE mood USING a::mood")),
    "domain": Rule(T, ("CREATE DOMAIN few AS integer CHECK (VALUE < 2)", "ALTER TABLE t ALTER n TYPE few")),
    "domain of another type": Rule(
        f"{T}; CREATE DOMAIN few AS integer CHECK (VALUE < 2)", ("ALTER TABLE t ALTER a TYPE few USING a::few",)
    ),
    "domain that is not null": Rule(T, ("CREATE DOMAIN filled AS text NOT NULL", "ALTER TABLE t ALTER a TYPE filled")),
    "rule of a domain": Rule(
        f"CREATE DOMAIN few AS integer; {T.replace('n integer', 'n few')}",
        ("ALTER DOMAIN few ADD CONSTRAINT ck CHECK (VALUE < 2 OR VALUE::text = 'VALUE')",),
    ),
    "unnamed rule of a domain below another": Rule(
        f"CREATE DOMAIN few AS integer; CREATE DOMAIN fewer AS few; {T.replace('n integer', 'n fewer')}",
        ("ALTER DOMAIN few ADD CHECK (VALUE < 2)",),
    ),
    "domain becomes not null": Rule(
        f"CREATE DOMAIN few AS integer; {T.replace('n integer', 'n few')}", ("ALTER DOMAIN few SET NOT NULL",)
    ),
    "partition of a range": Rule(
        f"{EVENTS} RANGE (n)", ("ALTER TABLE events ATTACH PARTITION t FOR VALUES FROM (0) TO (2)",)
    ),
    "partition of an open range": Rule(
        f"{EVENTS} RANGE (n, a)", ("ALTER TABLE events ATTACH PARTITION t FOR VALUES FROM (1, 'a') TO (2, MAXVALUE)",)
    ),
    "partition of a list": Rule(
        f"{EVENTS} LIST (a)", ("ALTER TABLE events ATTACH PARTITION t FOR VALUES IN ('a', NULL)",)
    ),
    "partition of an expression": Rule(
        f"{EVENTS} LIST (lower(a))", ("ALTER TABLE events ATTACH PARTITION t FOR VALUES IN ('a', 'b')",)
    ),
    "partition of a hash": Rule(
        f"{EVENTS} HASH (n)", ("ALTER TABLE events ATTACH PARTITION t FOR VALUES WITH (MODULUS 2, REMAINDER 0)",)
    ),
    "default partition": Rule(
        f"{EVENTS} RANGE (n); ALTER TABLE events ATTACH PARTITION t DEFAULT",
        ("CREATE TABLE small PARTITION OF events FOR VALUES FROM (0) TO (2)",),
    ),
    "new column": Rule(T, ("ALTER TABLE t ADD b integer NOT NULL",)),
    "new column that is filled": Rule(
        T, ("ALTER TABLE t ADD b text", "UPDATE t SET b = a WHERE n > 0", "ALTER TABLE t ALTER b SET NOT NULL")
    ),
    "filled in part": Rule(T, ("UPDATE t SET a = 'x' WHERE a IS NULL AND n > 0", "ALTER TABLE t ALTER a SET NOT NULL")),
    "filled by two": Rule(
        T,
        (
            "UPDATE t SET n = 0 WHERE n < 0; ",
            "UPDATE t SET n = n - 1, a = lower(a) WHERE a = 'A'",
            "ALTER TABLE t ADD CONSTRAINT ck CHECK (n >= 0 AND a <> 'b')",
        ),
    ),
    "deleted in part": Rule(T, ("DELETE FROM t WHERE n = 1", "ALTER TABLE t ADD CONSTRAINT ck CHECK (a <> 'a')")),
    "UPDATE into a column that is not null": Rule(f"{T[:-1]}, b integer NOT NULL DEFAULT 0)", ("UPDATE t SET b = n",)),
    "UPDATE of some into a column with a rule": Rule(
        f"{T[:-1]}, b integer DEFAULT 0 CONSTRAINT ck CHECK (b < 3))", ("UPDATE t SET b = n WHERE a IS NOT NULL",)
    ),
    "UPDATE into a foreign key": Rule(
        f"CREATE TABLE p (y integer PRIMARY KEY); INSERT INTO p VALUES (1); {T[:-1]}, b integer REFERENCES p)",
        ("UPDATE t SET b = n WHERE a <> 'b'",),
    ),
    "foreign key after an UPDATE": Rule(
        P, ("UPDATE t SET a = lower(a)", "ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (a, n) REFERENCES p (x, y)")
    ),
    "foreign key after an UPDATE of another column": Rule(
        P.replace("UNIQUE (x, y)", "UNIQUE (x)"),
        ("UPDATE t SET n = 1", "ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (a) REFERENCES p (x)"),
    ),
    "quoted names": Rule(
        f'{T}; ALTER TABLE t RENAME a TO "A, (b"; ALTER TABLE t RENAME n TO "order"',
        ('ALTER TABLE t ADD CONSTRAINT ck CHECK ("A, (b" <> \'a\' AND "order" > 1)',),
    ),
    "quoted names that change": Rule(
        T,
        (
            'ALTER TABLE t RENAME TO "T; u"',
            'ALTER TABLE "T; u" RENAME a TO "My ""note"""',
            'ALTER TABLE "T; u" ALTER "My ""note""" SET NOT NULL',
        ),
    ),
    "new table that is filled": Rule(
        T,
        (
            "CREATE TABLE u (k text, m integer CHECK (m >= 0))",
            "INSERT INTO u (k, m) SELECT lower(a), n FROM t WHERE n <> 3",
        ),
    ),
    "new table that is filled with NULLs": Rule(
        T, ("CREATE TABLE u (k text NOT NULL)", "INSERT INTO u (k) SELECT a FROM t")
    ),
    "new table that is filled without a list of columns": Rule(
        T, ("CREATE TABLE u (k integer, m text NOT NULL, x integer)", "INSERT INTO u SELECT id, a FROM t WHERE n <> 3")
    ),
    "new table that is a copy": Rule(
        T,
        (
            "CREATE TABLE u (id integer, a text, n integer, d numeric, f float, s int4range, b integer DEFAULT 1)",
            "INSERT INTO u SELECT * FROM t",
            "ALTER TABLE u ALTER d SET NOT NULL",
        ),
    ),
    "UPDATE from another table": Rule(
        f"{T}; CREATE TABLE p (y integer PRIMARY KEY, x text); INSERT INTO p VALUES (1, 'a'), (2, NULL)",
        ("UPDATE t SET a = p.x FROM p WHERE p.y = t.n", "ALTER TABLE t ALTER a SET NOT NULL"),
    ),
    "new column from another table": Rule(
        f"{T}; CREATE TABLE p (y integer PRIMARY KEY, x text); INSERT INTO p VALUES (1, 'a'), (2, NULL)",
        (
            "ALTER TABLE t ADD b text",
            "UPDATE t AS o SET b = q.x FROM p AS q WHERE q.y = o.n AND o.a IS NOT NULL",
            "ALTER TABLE t ALTER b SET NOT NULL",
        ),
    ),
    "UPDATE from another table that fails itself": Rule(
        f"CREATE TABLE p (y integer PRIMARY KEY, x text); INSERT INTO p VALUES (1, 'a'), (2, NULL); {T[:-1]}, b text NOT NULL DEFAULT '')",
        ("UPDATE t SET b = x FROM p WHERE y = n",),
    ),
    "new table with references": Rule(
        P,
        (
            "CREATE TABLE u (k text, m integer, FOREIGN KEY (k, m) REFERENCES p (x, y))",
            "INSERT INTO u (k, m) SELECT a, n FROM t",
        ),
    ),
    "table of a query": Rule(
        T, ("CREATE TABLE u AS SELECT id, a AS k FROM t WHERE n IS NOT NULL", "ALTER TABLE u ALTER k SET NOT NULL")
    ),
    "of another type by then": Rule(
        T, ("ALTER TABLE t ALTER COLUMN n TYPE text", "ALTER TABLE t ADD CONSTRAINT ck CHECK (length(n) < 2)")
    ),
    "renamed": Rule(
        T, ("ALTER TABLE t RENAME a TO b", "UPDATE t SET b = 'x' WHERE n = 1", "ALTER TABLE t ALTER b TYPE varchar(1)")
    ),
}
PAIRS = {
    "unique": ("ALTER TABLE t ADD CONSTRAINT uq UNIQUE (a)",),
    "composite": ("ALTER TABLE t ADD CONSTRAINT uq UNIQUE (a, n)",),
    "quoted": ('ALTER TABLE t RENAME a TO "A, (b"', 'CREATE UNIQUE INDEX uq ON t (lower("A, (b"), n)'),
    "included": ("CREATE UNIQUE INDEX uq ON t (a DESC NULLS LAST) INCLUDE (n)",),
    "partial": ("CREATE UNIQUE INDEX uq ON t (a text_pattern_ops) WHERE n > 0",),
    "expression": ("CREATE UNIQUE INDEX uq ON t (lower(btrim(a, ' ,()')), coalesce(n, 0))",),
    "text with a comma": ("CREATE UNIQUE INDEX uq ON t ((a || ',)'), n) WHERE a <> ', b)'",),
    "after a deletion": ("DELETE FROM t WHERE n = 1", "CREATE UNIQUE INDEX uq ON t (a)"),
    "after an update": ("UPDATE t SET a = lower(a)", "CREATE UNIQUE INDEX uq ON t (a)"),
    "of a new table": ("CREATE TABLE u (k text UNIQUE)", "INSERT INTO u (k) SELECT lower(a) FROM t WHERE n > 0"),
    "UPDATE into a key": ("ALTER TABLE t ADD b text UNIQUE", "UPDATE t SET b = lower(a) WHERE n > 0"),
    "after rounding": ("ALTER TABLE t ALTER d TYPE numeric(20,0)", "ALTER TABLE t ADD CONSTRAINT uq UNIQUE (d)"),
    "exclusion": ("ALTER TABLE t ADD CONSTRAINT ex EXCLUDE USING gist (s WITH &&)",),
    "partial exclusion": ("ALTER TABLE t ADD CONSTRAINT ex EXCLUDE USING gist (s WITH &&) WHERE (n > 0)",),
    "exclusion of an expression": ("ALTER TABLE t ADD CONSTRAINT ex EXCLUDE USING btree (lower(a) WITH =, n WITH =)",),
    "nulls not distinct": ("ALTER TABLE t ADD CONSTRAINT uq UNIQUE NULLS NOT DISTINCT (a, n)",),
    "index of nulls": ("CREATE UNIQUE INDEX uq ON t (a, n) NULLS NOT DISTINCT WHERE a IS DISTINCT FROM 'b'",),
}
SINCE = {"nulls not distinct": 15, "index of nulls": 15}
RULES = {
    **ROWS,
    **{name: Rule(T, upgrade, of_pairs=True, since=SINCE.get(name, 14)) for name, upgrade in PAIRS.items()},
    "unique over the whole of a partitioned table": Rule(
        PARTITIONED, ("ALTER TABLE t ADD CONSTRAINT uq UNIQUE (a, n)",), of_pairs=True
    ),
    "not null over the whole of a partitioned table": Rule(PARTITIONED, ("ALTER TABLE t ALTER a SET NOT NULL",)),
    "check over the whole of a partitioned table": Rule(
        PARTITIONED, ("ALTER TABLE t ADD CONSTRAINT ck CHECK (a <> 'a')",)
    ),
    "foreign key of a partitioned table": Rule(
        f"CREATE TABLE p (x text PRIMARY KEY); INSERT INTO p VALUES ('a'); {PARTITIONED}",
        ("ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (a) REFERENCES p",),
    ),
    "type of a partitioned table": Rule(PARTITIONED, ("ALTER TABLE t ALTER a TYPE varchar(1)",)),
    "composite primary key": Rule(
        T.replace("PRIMARY KEY", "NOT NULL"), ("ALTER TABLE t ADD PRIMARY KEY (a, n)",), of_pairs=True
    ),
}

Row = tuple[Any, ...]
VALUES = st.tuples(
    st.sampled_from([None, "a", "A", "a ", "b", "1", "12", "1.5", "99999.95", "true", "2026-01-01", "", "a,)", "m"]),
    st.sampled_from([None, -1, 0, 1, 2, 3, 12345, 70000]),
    st.sampled_from([None, "1", "32767.4", "32767.6", "9999.994", "9999.996", "-9999.996", "NaN"]),
    st.sampled_from([None, "1", "32767.4", "-32768.6", "9999.996", "1e10"]),
    st.sampled_from([None, "[1,3)", "[2,4)", "[5,6)", "empty"]),
)


@pytest.fixture(scope="module")
def connection(server: Server) -> Iterator[Any]:
    database = server.create_database()
    with database.connect(autocommit=False) as connection:
        yield connection
        connection.rollback()
    server.drop_database(database)


class Trial:
    """An upgrade that is tried over rows."""

    def __init__(self, connection: Any, rule: Rule) -> None:
        self.cursor, self.rule = connection.cursor(), rule
        self.cursor.execute(rule.before)
        schema = read_all(self.ask)
        self.cursor.execute("SAVEPOINT before")
        for statement in rule.upgrade:
            self.cursor.execute(statement)
        head = read_all(self.ask)
        self.cursor.execute("ROLLBACK TO SAVEPOINT before")
        step = Step(
            "a1",
            Direction.UPGRADE,
            1.0,
            statements=tuple(Statement(each, 1.0) for each in rule.upgrade),
            changes=difference(schema, head),
            renamed=renames_between(schema, head),
        )
        self.trip = RoundTrip("a1", up=step)
        version = str(connection.info.server_version // 10000)
        self.recording = replace(recording(self.trip, head=head), postgres=version)

    def ask(self, statements: Sequence[str]) -> Any:
        for statement in statements:
            self.cursor.execute(statement)
        return self.cursor.fetchone()[0]

    def failure_over(self, rows: Sequence[Row]) -> Failure | None:
        self.cursor.execute("SAVEPOINT rows")
        try:
            self.insert(rows)
            for statement in self.rule.upgrade:
                try:
                    self.cursor.execute(statement)
                except psycopg2.Error as error:
                    return _failure(error, statement)
            return None
        finally:
            self.cursor.execute("ROLLBACK TO SAVEPOINT rows")

    def insert(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self.cursor.execute("INSERT INTO t VALUES (%s, %s, %s, %s, %s, %s)", row)

    def offending(self, rows: Sequence[Row]) -> set[int]:
        """The rows that fail alone, or together with another one that does not."""
        alone = {row[0] for row in rows if self.failure_over([row]) is not None}
        others = [row for row in rows if row[0] not in alone]
        together = [
            pair for pair in itertools.combinations(others, 2) if self.rule.of_pairs and self.failure_over(pair)
        ]
        return alone | {row[0] for pair in together for row in pair}

    def query_for(self, failure: Failure) -> str | None:
        up = self.trip.up
        assert up is not None
        place = find_place(self.trip, Populated(up, RowKind.EDGE_CASES), failure, self.recording.head)
        return find_assumption(self.recording, self.trip, failure, place)

    def given_by(self, sql: str, rows: Sequence[Row]) -> set[int] | int:
        """The ids of the rows that the query gives, or how many it says there are."""
        self.cursor.execute("SAVEPOINT rows")
        self.insert(rows)
        self.cursor.execute(sql)
        names = [each.name for each in self.cursor.description]
        found = self.cursor.fetchall()
        if names[0] == "id":
            given: set[int] | int = {row[0] for row in found}
        elif names[-1] == "count":
            given = sum(row[-1] for row in found)
        elif "ctid" not in names:
            given = len(found)
        else:
            self.cursor.execute(
                "SELECT id FROM t WHERE ctid::text = ANY(%s)", ([row[names.index("ctid")] for row in found],)
            )
            given = {id_ for (id_,) in self.cursor.fetchall()}
        self.cursor.execute("ROLLBACK TO SAVEPOINT rows")
        return given


def _failure(error: psycopg2.Error, statement: str) -> Failure:
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


@pytest.mark.parametrize("name", RULES)
def test_the_query_gives_the_rows_that_make_the_revision_fail_and_no_others(connection, name):
    rule = RULES[name]
    if connection.info.server_version < rule.since * 10000:
        pytest.skip(f"PostgreSQL has that since {rule.since}")
    failures = 0

    @given(st.lists(VALUES, min_size=3, max_size=5))
    @settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[*HealthCheck], database=None)
    def check(values: list[Row]) -> None:
        nonlocal failures
        rows = [(number, *row) for number, row in enumerate(values, 1)]
        failure = trial.failure_over(rows)
        if failure is None or failure.sqlstate == sqlstates.FEATURE_NOT_SUPPORTED:  # NaN, which is no integer
            return
        failures += 1
        sql = trial.query_for(failure)
        assert sql is not None, (failure, rows)
        expected = trial.offending(rows)
        given_ = trial.given_by(sql, rows)
        assert given_ == (len(expected) if isinstance(given_, int) else expected), (sql, rows)

    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT rule")
    try:
        trial = Trial(connection, rule)
        check()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK TO SAVEPOINT rule")
    assert failures, "no rows were drawn over which it fails"
