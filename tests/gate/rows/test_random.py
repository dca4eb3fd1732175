"""Tables of any kind: they are filled, or it is said why not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.gate.rows._contents import read_contents
from app.gate.rows._losses import losses
from app.gate.server.throwaway import Server
from tests.gate.lines import Bench, bench_on

TYPES = [
    "boolean", "smallint", "integer", "bigint", "numeric(6,2)", "numeric", "real", "text", "varchar(1)", "varchar(12)", "char(4)",
    "date", "timestamp(0)", "timestamptz", "interval", "uuid", "jsonb", "json", "bytea", "inet", "bit(3)", "int4range", "text[]",
    "integer[]", "mood", "positive", "address",
]  # fmt: skip
KINDS = """
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
    CREATE TYPE address AS (street text, number integer);
"""
WITHOUT_ORDER = {"json"}  # no key can be made of it
COMPARABLE = {"smallint", "integer", "bigint", "numeric(6,2)", "numeric", "real"}
SMALL = {"smallint", "numeric(6,2)"}
LARGE = "{c} >= 1000000"
# What a CHECK may say of a column of some types; {c} is the column.
CHECKS = {
    "integer": ["{c} > 0", "{c} BETWEEN 3 AND 9", "{c} IN (1, 5, 8)", "mod({c}, 2) = 0", "{c} <> 7"],
    "bigint": [LARGE, "{c} < 0"],
    "numeric(6,2)": ["{c} >= 0 AND {c} <= 1", "{c} > 9000"],
    "text": [
        "length({c}) <= 5",
        "{c} IN ('a', 'b', 'c')",
        "{c} ~ '^[A-Z]{{2}}\\d+$'",
        "{c} LIKE '%@%.org'",
        "{c} <> ''",
    ],
    "varchar(12)": ["length({c}) = 12", "{c} = lower({c})", "{c} ~ '^\\+?[0-9]{{6,}}$'"],
    "date": ["{c} > '2020-05-05'", "{c} < '1980-01-01'"],
    "timestamptz": ["{c} >= '2020-01-01'"],
    "jsonb": ["jsonb_typeof({c}) = 'object'", "{c} ? 'kind'"],
    "text[]": ["cardinality({c}) > 0", "array_length({c}, 1) <= 2"],
    "boolean": ["{c}", "NOT {c}"],
    "mood": ["{c} = 'happy'"],
}


@st.composite
def schemas(draw: st.DrawFn) -> list[str]:
    """CREATE TABLE statements for t0, t1, …, each with foreign keys to those before it or to itself."""
    statements: list[str] = []
    key_types: list[list[str]] = []
    for number in range(draw(st.integers(1, 3))):
        types = draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=5))
        key = draw(st.lists(st.sampled_from(["integer", "uuid", "text", "bigint", "date"]), min_size=1, max_size=2))
        parts = [f"k{index} {type_}" for index, type_ in enumerate(key)]
        parts.append(f"PRIMARY KEY ({', '.join(f'k{index}' for index in range(len(key)))})")
        checked: dict[int, str] = {}
        for index, type_ in enumerate(types):
            name = f"c{index}"
            words = [name, type_, draw(st.sampled_from(["", "NOT NULL"]))]
            if type_ in CHECKS and draw(st.booleans()):
                checked[index] = draw(st.sampled_from(CHECKS[type_]))
                words.append(f"CHECK ({checked[index].format(c=name)})")
            parts.append(" ".join(words))
        unique = [f"c{index}" for index, type_ in enumerate(types) if type_ not in WITHOUT_ORDER]
        keys = st.lists(st.sampled_from(unique or ["k0"]), min_size=1, max_size=2, unique=True)
        parts += [f"UNIQUE ({', '.join(names)})" for names in draw(st.lists(keys, max_size=2))]
        numbers = [index for index, type_ in enumerate(types) if type_ in COMPARABLE]
        if len(numbers) > 1 and draw(st.booleans()):
            low, high = numbers[:2]
            is_out_of_reach = checked.get(low) == LARGE and types[high] in SMALL
            if not is_out_of_reach and not {low, high} <= checked.keys():
                parts.append(f"CHECK (c{low} < c{high})")
        key_types.append(key)
        for index, parent in enumerate(draw(st.lists(st.integers(0, number), max_size=2))):
            columns = [f"f{index}_{place}" for place in range(len(key_types[parent]))]
            required = draw(st.sampled_from(["", "NOT NULL"]))
            parts += [f"{column} {type_} {required}" for column, type_ in zip(columns, key_types[parent], strict=True)]
            parts.append(f"FOREIGN KEY ({', '.join(columns)}) REFERENCES {f't{parent}'}")
        statements.append(f"CREATE TABLE t{number} ({', '.join(parts)})")
    return statements


@pytest.fixture(scope="module")
def bench(server: Server) -> Iterator[Bench]:
    with bench_on(server) as bench:
        bench.run(KINDS)
        yield bench


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(statements=schemas(), data=st.data())
def test_any_tables_are_filled_and_nothing_of_them_is_lost_when_nothing_happens(
    bench: Bench, statements: list[str], data: Any
) -> None:
    bench.run("SAVEPOINT example")
    try:
        for statement in statements:
            bench.run(statement)
        names = [f"public.t{number}" for number in range(len(statements))]

        filled = bench.fill(*names)

        # None of these conditions contradict each other but for a key of too few values, and that leaves room for some rows.
        assert filled.tables_without_rows == {}, statements
        assert set(filled.tables) == set(names)
        before = read_contents(bench.line.ask, names)
        assert before.counts == dict(filled.tables)
        again = read_contents(bench.line.ask, names)
        assert losses(before, again) == losses(before, again, is_return=True) == ()
    finally:
        bench.run("ROLLBACK TO SAVEPOINT example")
