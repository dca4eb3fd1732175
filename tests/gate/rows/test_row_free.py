"""What a statement creates that no row can violate, on a real PostgreSQL."""

from __future__ import annotations

import pytest

from app.gate.recording.model import Key, Snapshot
from app.gate.rows._row_free import RowFree, _size
from tests.gate.lines import Bench
from tests.gate.rows.steps import schema_of, step

BEFORE = """
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE DOMAIN code AS varchar(10);
    CREATE TABLE parents (id integer PRIMARY KEY, UNIQUE (id));
    CREATE TABLE t (id integer PRIMARY KEY, note text, short varchar(500), "My Short" varchar(160), at timestamptz, feeling mood,
        amount numeric(10, 2), code code, parent_id integer, deleted boolean);
"""
ADD = "ALTER TABLE t ADD new_id integer"


def created(bench: Bench, *statements: str) -> bool:
    """Whether the last of the statements does nothing but create what no row can violate."""
    bench.run(BEFORE)
    before = schema_of(bench)
    for each in statements:
        bench.run(each)
    up = step(statements, before, schema_of(bench))
    return RowFree(up, before).creates(up.statements[-1])


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE INDEX ix ON t (id, amount)"],
        ["CREATE INDEX IF NOT EXISTS ix ON public.t USING btree (at DESC NULLS LAST, feeling)"],
        ['CREATE INDEX "My ix" ON t ("My Short" varchar_pattern_ops, deleted)'],
        ["CREATE INDEX ix ON t (short)"],
        ["ALTER TABLE t ADD wide varchar(648)", "CREATE INDEX ix ON t (wide)"],
        [ADD, "CREATE INDEX ix ON t (new_id);"],
        [ADD, "ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (new_id) REFERENCES parents (id)"],
        [ADD, 'ALTER TABLE public."t" ADD CONSTRAINT "My fk" FOREIGN KEY(new_id) REFERENCES parents (id) ON DELETE CASCADE'],
    ],
)  # fmt: skip
def test_a_plain_index_and_a_key_of_new_columns_are_violated_by_no_row(bench, statements):
    assert created(bench, *statements)


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE UNIQUE INDEX ix ON t (at)"],
        ["CREATE INDEX ix ON t (note)"],  # a long one does not fit
        ["ALTER TABLE t ADD wide varchar(649)", "CREATE INDEX ix ON t (wide)"],
        ['CREATE INDEX ix ON t (short, "My Short")'],  # together they may not fit
        ["CREATE INDEX ix ON t (code)"],  # of a type whose size is not looked up
        ["CREATE INDEX ix ON t (lower(short))"],
        ["CREATE INDEX ix ON t ((10 / id))"],
        ["CREATE INDEX ix ON t (id) WHERE 10 / id > 1"],
        ["CREATE INDEX ix ON t (id) INCLUDE (note)"],
        ["CREATE INDEX ix ON t USING hash (id)"],
        ["CREATE INDEX ON t (id)"],
        ["SELECT id FROM t", "CREATE INDEX ix ON t (id)"],
        ["CREATE INDEX ix ON t (id)", "ALTER TABLE t ALTER at SET NOT NULL"],
        ["ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (parent_id) REFERENCES parents (id)"],
        ["ALTER TABLE t ADD new_id integer DEFAULT 1", "ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (new_id) REFERENCES parents (id)"],
        [ADD, "ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (new_id) REFERENCES parents (id), ALTER at SET NOT NULL"],
        [ADD, "ALTER TABLE t ADD FOREIGN KEY (new_id) REFERENCES parents (id)"],
        [ADD, "ALTER TABLE t ADD CONSTRAINT uq UNIQUE (new_id)"],
    ],
)  # fmt: skip
def test_what_some_row_may_violate_is_not_among_them(bench, statements):
    assert not created(bench, *statements)


@pytest.mark.parametrize(
    ("type_", "size"),
    [
        ("boolean", 9), ("smallint", 10), ("integer", 12), ("bigint", 16), ("real", 12), ("double precision", 16), ("date", 12),
        ("time without time zone", 16), ("time with time zone", 20), ("timestamp without time zone", 16),
        ("timestamp with time zone", 16), ("interval", 24), ("uuid", 24), ("numeric(10,2)", 18), ("character(3)", 20),
        ("character varying(10)", 48), ("mood", 12), ('shop."Mood"', 12), ("text", None), ("numeric", None), ("shop.mood", None),
    ],
)  # fmt: skip
def test_a_type_with_a_limit_has_a_largest_value(type_, size):
    enums: dict[Key, dict[str, object]] = {Key("enum", "public", "mood", ""): {}, Key("enum", "shop", "Mood", ""): {}}

    assert _size(type_, enums) == size


def test_an_enum_of_another_schema_is_found_by_its_whole_name(bench):
    bench.run("CREATE SCHEMA shop; CREATE TYPE shop.\"Mood\" AS ENUM ('sad')")
    assert created(bench, 'ALTER TABLE t ADD feels shop."Mood"', "CREATE INDEX ix ON t (feels)")


def test_what_is_there_already_is_not_among_them(bench):
    bench.run(BEFORE)
    bench.run("CREATE INDEX ix ON t (id)")
    before = schema_of(bench)
    up = step(["CREATE INDEX IF NOT EXISTS ix ON t (id)"], before, before)

    assert not RowFree(up, before).creates(up.statements[0])
    assert not RowFree(up, Snapshot({})).creates(up.statements[0])
