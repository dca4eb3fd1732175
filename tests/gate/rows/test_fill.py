"""Rows made from the catalog, against a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod
from types import SimpleNamespace
from typing import Any

import psycopg2
import pytest

from app.gate.recording.model import Failure
from app.gate.rows._catalog import Catalog, CatalogTable, CheckConstraint, Column, ForeignKey, Type
from app.gate.rows._fill import Filled, _outcome, _reason, fill
from app.gate.rows._plan import Plan
from app.gate.rows._shapes import Shape
from app.gate.rows._sources import kept_of
from app.gate.rows.connection import QueryRefused
from app.gate.server.database import Database
from app.gate.server.throwaway import Server
from tests.gate.lines import Bench, line_over

WITH_EDGE_CASES = 6  # three ordinary ones, one of NULLs, a duplicate, an extreme one
WITH_TEXTS = WITH_EDGE_CASES + 2  # one in capital letters, one with a blank at the end
TEXTS = ("text", "varchar", "char(", "citext")


@pytest.fixture(scope="module")
def database(server: Server) -> Iterator[Database]:
    database = server.create_database()
    with database.connect() as connection, connection.cursor() as cursor:
        for extension in ("citext", "hstore", "ltree", "btree_gist", "cube"):
            cursor.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
    yield database
    server.drop_database(database)


@pytest.fixture
def bench(database: Database) -> Iterator[Bench]:
    with database.connect(autocommit=False) as connection:
        yield Bench(connection, line_over(connection))
        connection.rollback()


TYPES = """
    boolean | smallint | integer | bigint | real | double precision | numeric | numeric(3,0) | numeric(10,2) | numeric(4,4)
    | money | text | varchar | varchar(1) | varchar(3) | varchar(200) | char(1) | char(10) | name | "char" | bytea | date | time
    | time(0) | timetz | timestamp | timestamp(3) | timestamptz | interval | interval day to second | uuid | json | jsonb | jsonpath
    | inet | cidr | macaddr | macaddr8 | bit(1) | bit(12) | bit varying(20) | varbit | point | line | lseg | box | path | polygon | circle
    | tsvector | tsquery | int4range | int8range | numrange | daterange | tsrange | tstzrange | int4multirange | datemultirange
    | oid | regclass | regtype | regproc | regprocedure | regnamespace | regrole | regconfig | regdictionary | regcollation | cid | pg_lsn | xid | xid8 | tid | pg_snapshot | citext | hstore | ltree | cube
    | integer[] | text[] | varchar(5)[] | numeric(6,2)[][] | jsonb[] | uuid[] | timestamptz[]
"""


@pytest.mark.parametrize("type_", [each.strip() for each in TYPES.split("|")])
def test_a_column_of_any_type_is_filled_and_once_null(bench: Bench, type_: str) -> None:
    bench.run(f"CREATE TABLE t (id integer PRIMARY KEY, a {type_}, b {type_} NOT NULL)")

    rows = WITH_TEXTS if type_.startswith(TEXTS) and not type_.endswith("]") else WITH_EDGE_CASES

    filled = bench.fill("t")

    assert filled.tables_without_rows == {}
    assert filled.tables == {"public.t": rows}
    assert bench.run("SELECT count(*), count(a), count(b) FROM t") == [(rows, rows - 1, rows)]


@pytest.mark.parametrize(
    "type_",
    """
    smallint | integer | bigint | numeric | numeric(3,0) | numeric(10,2) | numeric(4,4) | real | double precision | text | varchar(1)
    | varchar(2) | char(3) | "bit" | bit varying | bytea | date | timestamp | timestamptz | time | interval | uuid | inet | cidr | macaddr | bit(4)
    | int4range | daterange | tstzrange | jsonb | money | oid | text[] | citext
    """.replace("\n", "").split("|"),
)
def test_values_are_distinct_so_that_they_can_be_a_key(bench: Bench, type_: str) -> None:
    bench.run(f"CREATE TABLE t (a {type_} PRIMARY KEY, b {type_} UNIQUE)")

    filled = bench.fill("t", with_edge_cases=False)

    assert filled.tables == {"public.t": 3}


def test_two_columns_of_a_type_have_no_value_in_common(bench: Bench) -> None:
    columns = ["integer", "text", "date", "uuid", "numeric(12,2)", "timestamptz", "jsonb"]
    definitions = [f"a{index} {type_}, b{index} {type_}" for index, type_ in enumerate(columns)]
    bench.run(f"CREATE TABLE t ({', '.join(definitions)})")

    bench.fill("t", with_edge_cases=False)

    for index in range(len(columns)):
        assert bench.run(f"SELECT FROM t AS x JOIN t AS y ON x.a{index} = y.b{index}") == []


def test_the_same_rows_are_made_each_time(bench: Bench) -> None:
    bench.run(
        "CREATE TABLE t (id serial PRIMARY KEY, a text, b uuid DEFAULT gen_random_uuid(), c timestamptz DEFAULT now())"
    )

    contents = []
    for _ in range(2):
        bench.run("SAVEPOINT empty")
        bench.fill("t")
        contents.append(bench.run("SELECT * FROM t ORDER BY id"))
        bench.run("ROLLBACK TO SAVEPOINT empty")

    assert contents[0] == contents[1]


def test_no_sequence_is_moved(bench: Bench) -> None:
    bench.run("CREATE TABLE t (id serial PRIMARY KEY, n integer GENERATED ALWAYS AS IDENTITY, a text)")

    filled = bench.fill("t")

    assert filled.tables == {"public.t": WITH_TEXTS}
    assert bench.run("INSERT INTO t (a) VALUES ('first') RETURNING id, n") == [(1, 1)]


def test_a_document_has_the_shape_of_its_default(bench: Bench) -> None:
    bench.run("CREATE TABLE t (id integer PRIMARY KEY, a jsonb DEFAULT '[]', b jsonb DEFAULT '{}')")

    bench.fill("t", with_edge_cases=False)

    assert bench.run("SELECT DISTINCT jsonb_typeof(a), jsonb_typeof(b) FROM t") == [("array", "object")]


@pytest.mark.parametrize(
    ("columns", "count"),
    [
        ("a boolean UNIQUE", 7),
        ("a boolean, b boolean, c boolean, PRIMARY KEY (a, b, c)", 7),
        ("a mood UNIQUE", 7),
        ("a mood, b boolean, PRIMARY KEY (a, b)", 6),
        ("a boolean, b mood, c integer, UNIQUE (a, b), PRIMARY KEY (c)", 8),
    ],
)
def test_a_key_of_few_values_uses_them_all(bench: Bench, columns: str, count: int) -> None:
    bench.run("CREATE TYPE mood AS ENUM ('sad', 'calm', 'happy')")
    bench.run(f"CREATE TABLE t ({columns})")

    assert bench.fill("t").tables == {"public.t": count}


# Edge cases.


def test_one_row_has_null_wherever_it_may(bench: Bench) -> None:
    bench.run("CREATE TABLE t (id integer PRIMARY KEY, a text, b integer, c date NOT NULL, CHECK (b > 5))")

    bench.fill("t")

    assert bench.run("SELECT count(*) FROM t WHERE a IS NULL AND b IS NULL AND c IS NOT NULL") == [(1,)]


def test_two_rows_are_equal_but_for_their_keys(bench: Bench) -> None:
    bench.run("CREATE TABLE t (id integer PRIMARY KEY, code text UNIQUE, a text, b integer, c jsonb)")

    bench.fill("t")

    assert bench.run("SELECT count(*) FROM t AS x JOIN t AS y USING (a, b, c) WHERE x.id < y.id") == [(1,)]


def test_a_key_of_two_columns_has_duplicates_on_either_side(bench: Bench) -> None:
    bench.run("CREATE TABLE t (tenant integer, email text, a text, PRIMARY KEY (tenant, email))")

    bench.fill("t")

    assert bench.run("SELECT count(*) FROM t AS x JOIN t AS y USING (tenant, a) WHERE x.email < y.email") == [(1,)]
    assert bench.run("SELECT count(*) FROM t AS x JOIN t AS y USING (email, a) WHERE x.tenant < y.tenant") == [(1,)]


@pytest.mark.parametrize(
    ("type_", "condition"),
    [
        ("varchar(40)", "length(v) = 40"),
        ("text", "length(v) > 255"),
        ("numeric(10,2)", "v > 9999999 AND v <> round(v, 1)"),
        ("numeric", "v <> round(v, 6)"),
        ("bigint", "v > 2147483647"),
        ("integer", "v > 32767"),
        ("double precision", "v::real::double precision <> v"),
        ("timestamptz", "v <> date_trunc('milliseconds', v)"),
        ("timestamp(3)", "v <> date_trunc('second', v)"),
        ("time", "v <> date_trunc('second', v)::time"),
        ("date", "v > '2038-01-19'"),
        ("text", "v ~ ''''"),
        ("text", "octet_length(v) > length(v)"),
        ("jsonb", "v::text ~ 'null'"),
        ("bytea", "octet_length(v) > 255"),
        ("inet", "v::cidr::inet <> v"),
    ],
)
def test_one_row_has_what_a_narrower_type_would_lose(bench: Bench, type_: str, condition: str) -> None:
    bench.run(f"CREATE TABLE t (id integer PRIMARY KEY, v {type_})")

    bench.fill("t")

    assert bench.run(f"SELECT count(*) FROM t WHERE {condition}") == [(1,)]


def test_ordinary_rows_have_neither(bench: Bench) -> None:
    bench.run("CREATE TABLE t (id integer PRIMARY KEY, a text, b numeric(10,2))")

    bench.fill("t", with_edge_cases=False)

    assert bench.run("SELECT count(*), count(DISTINCT a), count(DISTINCT b), max(length(a)) FROM t") == [(3, 3, 3, 3)]


# What rows have to satisfy.

MET = [
    "a integer NOT NULL CHECK (a > 0 AND a < 5)",
    "a integer NOT NULL CHECK (a BETWEEN 7 AND 9)",
    "a numeric(5,2) NOT NULL CHECK (a >= 0 AND a <= 1)",
    "a smallint NOT NULL CHECK (a IN (3, 5, 100000))",
    "a text NOT NULL CHECK (a IN ('new', 'paid'))",
    "a varchar(10) NOT NULL CHECK (a = ANY (ARRAY['new', 'paid']))",
    "a text NOT NULL CHECK (length(a) <= 3)",
    "a text NOT NULL CHECK (char_length(trim(a)) = 17)",
    "a text NOT NULL CHECK (a ~ '^[A-Z]{3}-\\d+$')",
    "a text NOT NULL CHECK (a ~* '^https?://[a-z.]+/(x|y)$')",
    "a text NOT NULL CHECK (a ~ '^[[:alpha:]_][[:alnum:]_]*$')",
    "a text NOT NULL CHECK (a LIKE 'https://%.example.com/_')",
    "a text NOT NULL CHECK (a LIKE '%@%')",
    "a text NOT NULL CHECK (a SIMILAR TO 'a%')",
    "a text NOT NULL CHECK (a = upper(a))",
    "a text NOT NULL CHECK (a <> '')",
    "a date NOT NULL CHECK (a > '2019-01-01')",
    "a date NOT NULL CHECK (extract(day from a) = 1)",
    "a timestamptz NOT NULL CHECK (a >= '2020-01-01 00:00:00+00' AND a < '2020-02-01 00:00:00+00')",
    "a interval NOT NULL CHECK (a > '3 days')",
    "a jsonb NOT NULL CHECK (jsonb_typeof(a) = 'array')",
    "a jsonb NOT NULL CHECK (a ? 'sku')",
    "a json NOT NULL CHECK (json_typeof(a -> 'sku') = 'string')",
    "a text[] NOT NULL CHECK (cardinality(a) = 3)",
    "a text[] NOT NULL CHECK (a <@ ARRAY['red', 'blue'])",
    "a integer NOT NULL, b integer NOT NULL, CHECK (a < b)",
    "a numeric(6,2) NOT NULL CHECK (a > 9000), b smallint NOT NULL, CHECK (a < b)",
    "a integer NOT NULL, b integer NOT NULL, c integer NOT NULL CHECK (c > 90000), CHECK (c < b), CHECK (b < a)",
    "a date NOT NULL CHECK (a > '2090-01-01'), b date NOT NULL, CHECK (a < b)",
    "a integer NOT NULL, b integer NOT NULL, CHECK (a > b)",
    "a date NOT NULL, b date NOT NULL, CHECK (b < a)",
    "a integer, b integer, CHECK (num_nonnulls(a, b) = 1)",
    "a integer, b text, CHECK ((a IS NULL) <> (b IS NULL))",
    "a text NOT NULL CHECK (a IN ('new', 'paid')), b timestamptz, CHECK (a <> 'paid' OR b IS NOT NULL)",
    "a bytea NOT NULL CHECK (length(a) = 32)",
    "a boolean NOT NULL CHECK (a)",
    "a boolean UNIQUE",
    "a text NOT NULL CHECK (a::integer > 0)",
    "a text NOT NULL CHECK (jsonb_typeof(a::jsonb) = 'array')",
    "a pos NOT NULL",
    "a code NOT NULL",
    "a mood NOT NULL, b mood UNIQUE",
    "a moods NOT NULL",
    "a address NOT NULL",
    "a floatrange NOT NULL",
    "a text UNIQUE NULLS NOT DISTINCT",
    "a integer, b tsrange, EXCLUDE USING gist (a WITH =, b WITH &&)",
    "a integer, b integer GENERATED ALWAYS AS (a * 2) STORED",
    "a integer, b text, UNIQUE (a, b)",
]
KINDS = """
    CREATE DOMAIN pos AS integer CHECK (VALUE > 0 AND VALUE < 10);
    CREATE DOMAIN code AS varchar(8) CHECK (VALUE ~ '^[A-Z]{3}-\\d+$');
    CREATE TYPE mood AS ENUM ('sad', 'it''s 100% :ok', 'happy');
    CREATE DOMAIN moods AS mood[];
    CREATE TYPE address AS (street text, number integer);
    CREATE TYPE floatrange AS RANGE (subtype = double precision);
"""


@pytest.mark.parametrize("columns", MET)
def test_rows_obey(bench: Bench, columns: str, server: Server) -> None:
    if "NULLS NOT DISTINCT" in columns and int(server.version.split(".")[0]) < 15:
        pytest.skip("NULLS NOT DISTINCT is of PostgreSQL 15")
    bench.run(KINDS)
    bench.run(f"CREATE TABLE t (id integer PRIMARY KEY, {columns})")

    filled = bench.fill("t")

    assert filled.tables_without_rows == {}
    # A key of few values has room for few rows.
    assert filled.tables["public.t"] >= (2 if "UNIQUE" in columns else 4)


def test_an_index_on_an_expression_or_on_some_rows_is_a_key_too(bench: Bench) -> None:
    bench.run("CREATE TABLE t (id integer PRIMARY KEY, a text NOT NULL CHECK (a IN ('x', 'y', 'z')), gone boolean)")
    bench.run("CREATE UNIQUE INDEX ON t (lower(a)) WHERE gone IS NULL")

    filled = bench.fill("t")

    assert filled.tables["public.t"] >= 4


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (
            "CREATE TABLE t (id integer PRIMARY KEY, a integer NOT NULL CHECK (a > 3 AND a < 3))",
            "no values were found that satisfy CHECK t_a_check ((a > 3) AND (a < 3))",
        ),
        ("CREATE TABLE t (a integer) PARTITION BY LIST (a)", "it has no partition for a row"),
        (
            """
            CREATE TABLE t (a integer);
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not on my watch'; END$$;
            CREATE TRIGGER guard BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION refuse()
            """,
            "not on my watch (raised by an INSERT, possibly in trigger guard)",
        ),
        (
            """
            CREATE TABLE t (a integer);
            CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
            CREATE TRIGGER guard BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION swallow()
            """,
            "a trigger suppresses each INSERT",
        ),
        (
            """
            CREATE TABLE p (id integer PRIMARY KEY CHECK (id * id = 2));
            CREATE TABLE t (p integer NOT NULL REFERENCES p)
            """,
            "it needs a row of public.p, which could not be filled either: no values were found",
        ),
    ],
    ids=["a CHECK that nothing meets", "no partition", "a trigger that raises", "a trigger that swallows", "no parent"],
)
def test_a_table_that_cannot_be_filled_is_reported_with_the_reason(bench: Bench, table: str, reason: str) -> None:
    bench.run(table)

    filled = bench.fill("t")

    assert filled.tables == {}
    assert filled.tables_without_rows["public.t"].startswith(reason)


def test_many_columns_whose_checks_raise_errors_are_given_up_in_time(bench: Bench) -> None:
    columns = ", ".join(f"c{number} text NOT NULL CHECK (c{number}::integer > 7000)" for number in range(14))
    bench.run(f"CREATE TABLE t (id integer PRIMARY KEY, {columns})")

    filled = bench.fill("t")

    assert set(filled.tables) | set(filled.tables_without_rows) == {"public.t"}


@pytest.mark.parametrize("most", [12, 40])
def test_combinations_of_many_parts_stay_few(most: int) -> None:
    for count in range(1, 80):
        assert 1 <= prod(kept_of(index, count, most) for index in range(count)) <= 4096


def test_a_table_that_cannot_be_filled_does_not_keep_others_empty(bench: Bench) -> None:
    bench.run("CREATE TABLE t (a integer NOT NULL CHECK (a <> a)); CREATE TABLE u (a integer)")

    filled = bench.fill("t", "u")

    assert filled.tables == {"public.u": WITH_EDGE_CASES}
    assert list(filled.tables_without_rows) == ["public.t"]


# Foreign keys.


def test_parents_are_filled_first_as_far_as_they_are_needed(bench: Bench) -> None:
    bench.run(
        """
        CREATE TABLE land (id integer PRIMARY KEY);
        CREATE TABLE town (id integer PRIMARY KEY, land integer NOT NULL REFERENCES land, twin integer REFERENCES land);
        CREATE TABLE far (id integer PRIMARY KEY);
        CREATE TABLE shop (id integer PRIMARY KEY, town integer REFERENCES town, far integer REFERENCES far);
        CREATE TABLE t (id integer PRIMARY KEY, shop integer REFERENCES shop)
        """
    )

    filled = bench.fill("t")

    # A shop can do without a town; the table itself is to have all of its columns filled.
    assert filled.tables == {"public.t": WITH_EDGE_CASES, "public.shop": 3}
    assert bench.run("SELECT count(DISTINCT shop), count(*) FILTER (WHERE shop IS NULL) FROM t") == [(3, 1)]


def test_rows_that_are_there_already_are_referred_to(bench: Bench) -> None:
    bench.run(
        """
        CREATE TABLE role (id serial PRIMARY KEY, name text UNIQUE);
        INSERT INTO role (name) VALUES ('admin'), ('user'), ('guest');
        CREATE TABLE t (id integer PRIMARY KEY, role integer NOT NULL REFERENCES role)
        """
    )

    filled = bench.fill("t")

    assert filled.tables == {"public.t": WITH_EDGE_CASES}
    assert set(bench.column("DISTINCT role")) <= {1, 2, 3}


@pytest.mark.parametrize(
    ("tables", "count"),
    [
        ("CREATE TABLE t (id integer PRIMARY KEY, up integer REFERENCES t)", WITH_EDGE_CASES),
        ("CREATE TABLE t (id integer PRIMARY KEY, up integer NOT NULL REFERENCES t)", WITH_EDGE_CASES),
        ("CREATE TABLE t (id integer PRIMARY KEY, up integer REFERENCES t CHECK (up <> id))", WITH_EDGE_CASES),
        (
            """
            CREATE TABLE p (tenant integer, id integer, PRIMARY KEY (tenant, id));
            CREATE TABLE t (id integer PRIMARY KEY, tenant integer NOT NULL, one integer NOT NULL, two integer NOT NULL,
              FOREIGN KEY (tenant, one) REFERENCES p, FOREIGN KEY (tenant, two) REFERENCES p)
            """,
            WITH_EDGE_CASES,
        ),
        (
            """
            CREATE TABLE tenant (id integer PRIMARY KEY);
            CREATE TABLE p (tenant integer REFERENCES tenant, id integer, PRIMARY KEY (tenant, id));
            CREATE TABLE t (id integer PRIMARY KEY, tenant integer NOT NULL REFERENCES tenant, p integer,
              FOREIGN KEY (tenant, p) REFERENCES p)
            """,
            WITH_EDGE_CASES,
        ),
        ("CREATE TABLE p (id integer PRIMARY KEY); CREATE TABLE t (id integer PRIMARY KEY REFERENCES p, a text)", 3),
        (
            """
            CREATE TABLE p (id integer PRIMARY KEY); CREATE TABLE q (id integer PRIMARY KEY);
            CREATE TABLE t (p integer REFERENCES p, q integer REFERENCES q, PRIMARY KEY (p, q))
            """,
            6,
        ),
        ("CREATE TABLE p (code varchar(3) UNIQUE); CREATE TABLE t (id integer PRIMARY KEY, p varchar REFERENCES p (code))", WITH_EDGE_CASES),
        (
            """
            CREATE TABLE p (kind text CHECK (kind IN ('x', 'y')), id integer, PRIMARY KEY (id, kind));
            CREATE TABLE t (id integer PRIMARY KEY, kind text NOT NULL CHECK (kind = 'y'), p integer NOT NULL,
              FOREIGN KEY (p, kind) REFERENCES p (id, kind))
            """,
            4,
        ),
        (
            """
            CREATE TABLE p (id integer PRIMARY KEY); CREATE TABLE q (id integer PRIMARY KEY);
            CREATE TABLE t (id integer PRIMARY KEY, p integer REFERENCES p, q integer REFERENCES q, CHECK (num_nonnulls(p, q) = 1))
            """,
            WITH_EDGE_CASES,
        ),
    ],
    ids=[
        "to its own table", "that must be given", "and not to itself", "two that share a column", "one that may be NULL in part",
        "that is the primary key", "a table between two", "to a unique key", "bound by a CHECK", "one or the other",
    ],
)  # fmt: skip
def test_foreign_keys_are_met(bench: Bench, tables: str, count: int) -> None:
    bench.run(tables)

    filled = bench.fill("t")

    assert filled.tables_without_rows == {}
    assert filled.tables["public.t"] >= count


@pytest.mark.parametrize(
    "tables",
    [
        """
        CREATE TABLE t (id integer PRIMARY KEY, u integer NOT NULL);
        CREATE TABLE u (id integer PRIMARY KEY, t integer NOT NULL REFERENCES t);
        ALTER TABLE t ADD FOREIGN KEY (u) REFERENCES u
        """,
        """
        CREATE TABLE t (id integer PRIMARY KEY, u integer NOT NULL);
        CREATE TABLE u (id integer PRIMARY KEY, t integer NOT NULL REFERENCES t DEFERRABLE INITIALLY DEFERRED);
        ALTER TABLE t ADD FOREIGN KEY (u) REFERENCES u DEFERRABLE INITIALLY DEFERRED
        """,
        """
        CREATE TABLE t (id integer PRIMARY KEY, u integer);
        CREATE TABLE u (id integer PRIMARY KEY, t integer NOT NULL REFERENCES t);
        ALTER TABLE t ADD FOREIGN KEY (u) REFERENCES u
        """,
    ],
    ids=["that must be given", "deferred", "of which one may be NULL"],
)
def test_a_circle_of_foreign_keys_is_closed(bench: Bench, tables: str) -> None:
    bench.run(tables)

    filled = bench.fill("t", "u")

    assert filled.tables_without_rows == {}
    assert bench.run("SELECT count(*) >= 3 FROM t JOIN u ON t.u = u.id") == [(True,)]


def test_a_deferred_key_waits_for_the_end_of_the_transaction_afterwards(bench: Bench) -> None:
    bench.run(
        """
        CREATE TABLE p (id integer PRIMARY KEY);
        CREATE TABLE t (id integer PRIMARY KEY, p integer REFERENCES p DEFERRABLE INITIALLY DEFERRED,
          q integer REFERENCES p DEFERRABLE)
        """
    )

    bench.fill("t")

    bench.run("UPDATE t SET p = -1")
    with pytest.raises(psycopg2.Error, match="pending trigger events"):
        bench.run("ALTER TABLE t ADD x integer")


# Kinds of tables.


@pytest.mark.parametrize(
    "bounds",
    [
        "RANGE (at); CREATE TABLE t1 PARTITION OF t FOR VALUES FROM ('1999-01-01') TO ('1999-02-01')",
        "LIST (kind); CREATE TABLE t1 PARTITION OF t FOR VALUES IN ('x', 'y')",
        "HASH (id); CREATE TABLE t1 PARTITION OF t FOR VALUES WITH (MODULUS 3, REMAINDER 1)",
        "LIST (kind); CREATE TABLE t1 PARTITION OF t DEFAULT",
        """
        RANGE (at); CREATE TABLE t1 PARTITION OF t FOR VALUES FROM ('1999-01-01') TO ('1999-02-01') PARTITION BY LIST (kind);
        CREATE TABLE t2 PARTITION OF t1 FOR VALUES IN ('z')
        """,
    ],
    ids=["range", "list", "hash", "default", "in two levels"],
)
def test_rows_fall_into_the_partitions_that_there_are(bench: Bench, bounds: str) -> None:
    bench.run(f"CREATE TABLE t (id integer, at date NOT NULL, kind text) PARTITION BY {bounds}")

    filled = bench.fill("t1")

    assert filled.tables_without_rows == {}
    assert filled.tables["public.t"] >= 3


def test_an_inheritance_parent_gets_rows_of_its_own(bench: Bench) -> None:
    bench.run("CREATE TABLE t (id integer); CREATE TABLE u () INHERITS (t)")

    filled = bench.fill("t")

    assert filled.tables == {"public.t": WITH_EDGE_CASES}
    assert bench.run("SELECT count(*) FROM ONLY t") == [(WITH_EDGE_CASES,)]


def test_views_and_tables_that_are_not_there_are_no_concern(bench: Bench) -> None:
    bench.run("CREATE VIEW v AS SELECT 1 AS a")

    assert bench.fill("v", "nothing", "no.where") == Filled({}, {})


def test_names_that_must_be_quoted_are_quoted(bench: Bench) -> None:
    name, column = 'We"ird 100% :table.é', "the 'column' %s :x"
    bench.run(
        f"CREATE SCHEMA {_quoted('my.schema')}; CREATE TABLE {_quoted('my.schema')}.{_quoted(name)} ({_quoted(column)} text PRIMARY KEY)"
    )

    filled = bench.fill(f"my.schema.{name}")

    assert filled.tables == {f"my.schema.{name}": WITH_TEXTS + 1}  # the key is a text


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""').replace("%", "%") + '"'


def test_row_level_security_that_lets_nothing_in_is_reported(bench: Bench) -> None:
    bench.run(
        """
        CREATE ROLE overproof_clerk;
        CREATE TABLE t (a integer);
        ALTER TABLE t ENABLE ROW LEVEL SECURITY;
        GRANT ALL ON t TO overproof_clerk;
        GRANT ALL ON SCHEMA public TO overproof_clerk;
        SET LOCAL ROLE overproof_clerk
        """
    )

    filled = bench.fill("t")

    assert filled.tables_without_rows == {"public.t": 'new row violates row-level security policy for table "t"'}


# What the revision is about to demand.


@pytest.mark.parametrize(
    ("before", "then"),
    [
        ("a integer", "ALTER TABLE t ADD CHECK (a BETWEEN 5 AND 50)"),
        ("a text", "ALTER TABLE t ADD CHECK (a IN ('x', 'y'))"),
        ("a integer, CHECK (a < 5000)", "ALTER TABLE t ADD CHECK (a > 4000)"),
        ("a integer", "CREATE TABLE other (id integer); ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES p"),
        ("a text", "ALTER TABLE t ALTER a TYPE integer USING a::integer"),
        ("a text", "ALTER TABLE t ALTER a TYPE date USING a::date"),
        ("a text", "ALTER TABLE t ALTER a TYPE uuid USING a::uuid"),
        ("a varchar(20)", "CREATE TYPE mood AS ENUM ('sad', 'happy'); ALTER TABLE t ALTER a TYPE mood USING a::mood"),
        ("a text", "ALTER TABLE t ALTER a TYPE jsonb USING a::jsonb"),
        ("a text[]", "ALTER TABLE t ALTER a TYPE varchar(20)[]"),
        ("a varchar(20)", "ALTER TABLE t ALTER a TYPE varchar(2)"),
        ("a numeric(8,2)", "ALTER TABLE t ALTER a TYPE numeric(3,1)"),
        ("a text, b text", "ALTER TABLE t ADD UNIQUE (a), ADD UNIQUE (b)"),
        ("a integer", "ALTER TABLE t ALTER a SET NOT NULL"),
        (
            "a integer",
            """
            CREATE TABLE whole (id integer, a integer) PARTITION BY LIST (a);
            ALTER TABLE t DROP CONSTRAINT t_pkey, ALTER id DROP NOT NULL;
            ALTER TABLE whole ATTACH PARTITION t FOR VALUES IN (7, 8)
            """,
        ),
        (
            "a integer",
            "CREATE EXTENSION IF NOT EXISTS btree_gist; ALTER TABLE t ADD EXCLUDE USING gist (a WITH =)",
        ),
    ],
)
def test_ordinary_rows_obey_what_is_to_come(bench: Bench, before: str, then: str) -> None:
    bench.run("CREATE TABLE p (id integer PRIMARY KEY)")
    bench.run(f"CREATE TABLE t (id integer PRIMARY KEY, {before})")

    filled = bench.fill("t", with_edge_cases=False, then=then)

    assert filled.tables["public.t"] == 3
    bench.run(then)


def test_what_is_to_come_does_not_keep_a_row_of_nulls_away(bench: Bench) -> None:
    bench.run("CREATE TABLE t (id integer PRIMARY KEY, a integer)")

    bench.fill("t", then="ALTER TABLE t ALTER a SET NOT NULL")

    assert None in bench.column("a")


# A type and a CHECK, what replaces them, and the value that one row holds and the revision no longer allows.
_RETIRED = [
    (
        "a text CONSTRAINT ck CHECK (a IN ('new', 'paid'))",
        "ALTER TABLE t DROP CONSTRAINT ck, ADD CONSTRAINT ck CHECK (a IN ('paid', 'sent'))",
        "new",
    ),
    (
        "a integer CONSTRAINT ck CHECK (a >= 0)",
        "ALTER TABLE t DROP CONSTRAINT ck, ADD CONSTRAINT ck CHECK (a >= 10)",
        1,
    ),
    (
        "a mood",
        """
        ALTER TYPE mood RENAME TO old;
        CREATE TYPE mood AS ENUM ('happy', 'calm');
        ALTER TABLE t ALTER a TYPE mood USING a::text::mood
        """,
        "sad",
    ),
]


@pytest.mark.parametrize(("before", "then", "retired"), _RETIRED)
def test_one_row_has_what_is_no_longer_allowed(bench: Bench, before: str, then: str, retired: object) -> None:
    bench.run("CREATE TYPE mood AS ENUM ('sad', 'happy')")
    bench.run(f"CREATE TABLE t (id integer PRIMARY KEY, {before})")

    bench.fill("t", then=then)

    assert bench.column("a").count(retired) == 1
    with pytest.raises(psycopg2.Error):
        bench.run(then)


@pytest.mark.parametrize(("before", "then", "retired"), _RETIRED)
def test_ordinary_rows_have_what_is_still_allowed(bench: Bench, before: str, then: str, retired: object) -> None:
    bench.run("CREATE TYPE mood AS ENUM ('sad', 'happy')")
    bench.run(f"CREATE TABLE t (id integer PRIMARY KEY, {before})")

    filled = bench.fill("t", with_edge_cases=False, then=then)

    assert filled.tables["public.t"] == 3
    bench.run(then)


def test_a_check_that_only_allows_more_leaves_nothing_to_hold(bench: Bench) -> None:
    bench.run("CREATE TABLE t (id integer PRIMARY KEY, a text CONSTRAINT ck CHECK (a IN ('new', 'paid')))")
    then = "ALTER TABLE t DROP CONSTRAINT ck, ADD CONSTRAINT ck CHECK (a IN ('new', 'paid', 'sent'))"

    filled = bench.fill("t", then=then)

    assert filled.tables["public.t"] == WITH_TEXTS
    bench.run(then)


def _counts(bench: Bench, one: str, other: str) -> int:
    """How many pairs of rows have the same value in `one`, and different ones in `other`."""
    [(count,)] = bench.run(f"SELECT count(*) FROM t AS x JOIN t AS y ON {one} AND x.{other} < y.{other}")
    return int(count)


def test_texts_of_one_key_differ_in_how_one_of_them_is_written(bench: Bench) -> None:
    bench.run("CREATE TABLE t (id int PRIMARY KEY, tenant int, land text, code text, UNIQUE (tenant, land, code))")

    bench.fill("t")

    for name, others in (("land", "x.tenant = y.tenant AND x.code = y.code"), ("code", "x.land = y.land")):
        assert _counts(bench, f"lower(x.{name}) = lower(y.{name}) AND {others}", name)
        assert _counts(bench, f"rtrim(x.{name}) = rtrim(y.{name}) AND {others}", name)
        assert _counts(bench, f"replace(x.{name}, ' ', '') = replace(y.{name}, ' ', '') AND x.{name} ~ '\\w \\w'", name)


def test_a_key_without_texts_has_room_for_rows_of_other_texts(bench: Bench) -> None:
    bench.run("CREATE TABLE t (id int PRIMARY KEY, number int UNIQUE, email varchar(40) UNIQUE, short varchar(7))")

    bench.fill("t")

    assert _counts(bench, "lower(x.email) = lower(y.email)", "email")
    assert _counts(bench, "rtrim(x.email) = rtrim(y.email)", "email")


# What came of it, without a database.


def task(name: str, shape: Shape, inserted: int = 0, refusal: tuple[str, str, str] | None = None) -> Any:
    return SimpleNamespace(table=TABLES[name], row=SimpleNamespace(shape=shape), inserted=inserted, refusal=refusal)


TABLES = {
    name: CatalogTable(oid, "public", name, is_touched=True, is_partitioned=False, has_children=False, columns=())
    for oid, name in enumerate("abc", 1)
}
REFUSED = ("42501", "permission denied", "")


def outcome(*tasks: Any, failure: Failure | None = None, unknown: dict[int, str] | None = None) -> Filled:
    plan: Any = SimpleNamespace(groups=[[TABLES["a"]], [TABLES["b"], TABLES["c"]]], catalog=None)
    builder: Any = SimpleNamespace(unknown=unknown or {})
    return _outcome(plan, tasks, builder, failure)


def test_a_foreign_key_that_was_filled_in_afterwards_is_no_row_and_rows_behind_it_count() -> None:
    filled = outcome(
        task("a", Shape.ORDINARY, 3),
        task("a", Shape.DEFERRED_KEY, 3),
        task("b", Shape.NULLS, 1),
        task("a", Shape.NULLS, 1),
        task("c", Shape.DEFERRED_KEY, 1),
        unknown={3: "no values are known for point3d"},
    )

    assert filled.tables == {"public.a": 4, "public.b": 1}
    assert list(filled.tables_without_rows) == ["public.c"]


def test_the_reason_is_that_of_the_first_ordinary_row_that_was_refused() -> None:
    filled = outcome(
        task("a", Shape.NULLS, 0, ("23502", "null value", "")),
        task("a", Shape.ORDINARY, 0, REFUSED),
        task("a", Shape.ORDINARY, 0, ("22003", "out of range", "")),
        task("b", Shape.ORDINARY, 1),
        unknown={3: "no values are known for point3d"},
    )

    assert filled.tables_without_rows == {
        "public.a": "permission denied",
        "public.c": "no values are known for point3d",
    }
    assert outcome(failure=Failure("E", "it broke")).tables_without_rows == dict.fromkeys(
        ("public.a", "public.b", "public.c"), "it broke"
    )


@pytest.mark.parametrize(
    ("shape", "inserted", "has_hostile", "selected"),
    [
        (Shape.HOSTILE, 1, True, {}),
        (Shape.HOSTILE, 0, False, {}),
        (Shape.SELECTED, 2, False, {"public.a": 1}),
        (Shape.SELECTED, 0, False, {}),
        (Shape.MATCHED, 1, False, {"public.a": 1}),
        (Shape.NOT_SELECTED, 1, False, {}),
    ],
)
def test_rows_with_a_purpose_are_counted_where_they_are_in(
    shape: Shape, inserted: int, has_hostile: bool, selected: dict[str, int]
) -> None:
    filled = outcome(task("a", shape, inserted))

    assert (filled.has_hostile, filled.selected) == (has_hostile, selected)


POSITIVE = CheckConstraint("positive", ("n",), "(n > 0)")
NEVER = CheckConstraint("its partitions", (), "false")
CHECKS = (POSITIVE, *(CheckConstraint(name, ("n",), f"n <> {name!r}") for name in "bcd"))
TO_B = ForeignKey("fk", ("n", "m"), 2, ("id", "id"))
COLUMNS = tuple(
    Column(number, name, Type("int4", "integer", "base", "N"), -1, "integer", True)
    for number, name in enumerate("nm", 1)
)
NULLABLE = (COLUMNS[0], replace(COLUMNS[1], not_null=False))


@pytest.mark.parametrize(
    ("parts", "refusal", "reason"),
    [
        ({"is_partitioned": True, "checks": (POSITIVE, NEVER)}, REFUSED, "it has no partition for a row"),
        ({"is_partitioned": True, "checks": (POSITIVE,)}, REFUSED, "permission denied"),
        ({"checks": (NEVER,)}, REFUSED, "permission denied"),
        ({"foreign_keys": (TO_B,)}, REFUSED, "it needs a row of public.b, which could not be filled either: why not"),
        ({"foreign_keys": (TO_B,), "columns": NULLABLE}, REFUSED, "permission denied"),
        ({"foreign_keys": (replace(TO_B, parent=3), TO_B)}, REFUSED, "it needs a row of public.b, which could not be filled either: why not"),
        ({"foreign_keys": (replace(TO_B, parent=9),)}, REFUSED, "permission denied"),
        ({"checks": CHECKS}, ("23514", "m", "c"), "no values were found that satisfy CHECK c (n <> 'c')"),
        ({"checks": CHECKS}, ("23514", "m", "z"), "no values were found that satisfy CHECK positive (n > 0) and CHECK b (n <> 'b') and CHECK c (n <> 'c')"),
        ({"checks": (NEVER, POSITIVE)}, ("", "", ""), "no values were found that satisfy its partitions and CHECK positive (n > 0)"),
        ({"checks": CHECKS}, ("23505", "duplicate key", "c"), "duplicate key"),
        ({"triggers": ("one", "two")}, ("", "", ""), "a trigger suppresses each INSERT"),
        ({}, ("", "", ""), "no values were found for it"),
        ({"triggers": ("one", "two")}, ("P0001", "no", ""), "no (raised by an INSERT, possibly in trigger one)"),
        ({"triggers": ("one", "two")}, ("23505", "no", ""), "no"),
        ({}, ("P0001", "no", ""), "no"),
        ({}, ("P0001", "", ""), "PostgreSQL refuses every row that was tried (SQLSTATE P0001)"),
    ],
)  # fmt: skip
def test_why_no_row_is_taken(parts: dict[str, Any], refusal: tuple[str, str, str], reason: str) -> None:
    of = replace(TABLES["a"], **{"columns": COLUMNS, **parts})
    plan: Any = SimpleNamespace(catalog=Catalog({1: of, 2: TABLES["b"], 3: TABLES["c"]}, {}))

    assert _reason(plan, of, refusal, SimpleNamespace(unknown={}), {"public.b": "why not"}) == reason  # type: ignore[arg-type]


def test_why_no_row_is_written_comes_before_what_postgres_says() -> None:
    plan: Any = SimpleNamespace(catalog=Catalog({}, {}))
    builder: Any = SimpleNamespace(unknown={1: "no value of type x is known"})

    assert _reason(plan, TABLES["a"], REFUSED, builder, {}) == "no value of type x is known"


def test_without_tables_nothing_is_asked() -> None:
    assert fill(Plan(Catalog({}, {})), None, with_edge_cases=True) == Filled({}, {})  # type: ignore[arg-type]


def test_a_block_that_is_refused_as_a_whole_is_tried_once_and_is_the_reason_of_every_table() -> None:
    asked = []

    def ask(sql: str, *before: str) -> str:
        asked.append(sql)
        raise QueryRefused(Failure("E", "no PL/pgSQL"))

    filled = fill(Plan(Catalog({1: TABLES["a"], 2: TABLES["b"]}, {})), ask, with_edge_cases=False)

    assert filled == Filled({}, {"public.a": "no PL/pgSQL", "public.b": "no PL/pgSQL"})
    assert len(asked) == 1
