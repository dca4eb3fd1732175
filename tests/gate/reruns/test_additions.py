"""Which additions no statement of older code can mind. The labelled releases (`tests/gate/deployed`) run such code."""

from __future__ import annotations

from typing import Any

import pytest

from app.gate.recording.model import Change, Evidence, Key, RoundTrip, Snapshot
from app.gate.reruns._additions import are_harmless, only_adds
from tests.gate.checks.builders import added, altered, failure, key, removed, statement, trip
from tests.gate.walk.walks import walk

CHANNEL, INDEX = key("column", "channel", "orders"), key("index", "ix", "orders")
TABLE = Snapshot({key("table", "orders"): {}, key("constraint", "ck", "orders"): {"definition": "CHECK ((total > 0))"}})


def column(type_: str, default: str | None = None, *, nullable: bool = True, **more: Any) -> Change:
    fields = {"default": default} if default is not None else {}
    return added(CHANNEL, type=type_, nullable=nullable, **fields, **more)


def index(definition: str, **more: Any) -> Change:
    return added(INDEX, definition=definition, **more)


@pytest.mark.parametrize(
    "change",
    [
        column("character varying(80)"),
        column("timestamp(3) without time zone"),
        column("numeric(10,2)"),
        column("integer", "0", nullable=False),
        column("integer", "'-1'::integer", nullable=False),
        column("text", "'it''s ('::text", nullable=False),
        column("character varying", "'web'::character varying"),
        column("timestamp with time zone", "now()", nullable=False),
        column("text[]", "'{}'::text[]"),
        column("boolean", "false", comment="a comment"),
        index("USING btree (a, b)"),
        index('USING btree ("Total" DESC NULLS LAST, note varchar_pattern_ops) INCLUDE (status)', valid=False),
    ],
)
def test_a_column_that_fills_itself_and_an_ordinary_index_are_harmless(change: Change) -> None:
    assert are_harmless([change], TABLE, TABLE)


@pytest.mark.parametrize(
    "change",
    [
        column("text", nullable=False),
        column("public.filled"),  # a domain may refuse NULL
        column('"Filled"'),
        column("character varying(3)", "'long'::character varying"),
        column("integer", "nextval('orders_number_seq'::regclass)", nullable=False),
        column("integer", "(1 / 0)"),
        column("text", "'a'::text || note()"),
        column("numeric", generated="(total * (2)::numeric)"),
        column("integer", nullable=False, identity="always"),
        column("integer", identity="always"),
        Change(CHANNEL, None, None),
        altered(CHANNEL, {"type": "text", "nullable": True}, {"type": "text", "nullable": False}),
        removed(CHANNEL, type="text", nullable=True),
        index("USING btree (a)", unique=True),
        index("USING btree (((1 / length(note))))"),
        index("USING btree (lower(note))"),
        index("USING btree (a) WHERE ((1 / a) > 0)"),
        index("USING gin (tags)"),
        added(key("constraint", "uq", "orders"), type="unique", definition="UNIQUE (note)"),
        added(key("trigger", "note", "orders"), definition="CREATE TRIGGER …"),
    ],
)
def test_what_may_be_refused_to_older_code_is_not(change: Change) -> None:
    assert not are_harmless([column("text"), change], TABLE, TABLE)


@pytest.mark.parametrize(
    ("seen_by", "definition"),
    [
        (key("trigger", "copy", "orders"), {}),  # INSERT INTO log SELECT NEW.*
        (key("rule", "copy", "orders"), {}),
        (key("policy", "own", "orders"), {}),
        (key("function", "is_whole(orders)"), {}),
        (key("procedure", "copy(orders)"), {}),
        (key("event trigger", "copy"), {}),
        (key("foreign table", "orders_there"), {}),  # the other server may not have the column
        (key("constraint", "ck", "orders"), {"definition": "CHECK ((orders.* IS NOT NULL))"}),
        (key("constraint", "ck", "orders"), {"definition": 'CHECK (("Orders".* IS NOT NULL))'}),
        (key("index", "ix", "orders"), {"definition": "USING btree (((orders.*)::text))"}),
    ],
)
def test_no_addition_is_harmless_where_whole_rows_are_seen(seen_by: Key, definition: dict[str, Any]) -> None:
    schema = Snapshot({**TABLE.objects, seen_by: definition})

    assert not are_harmless([column("text")], schema, TABLE)
    assert not are_harmless([column("text")], TABLE, schema)


ADDS = trip("a1", changes=[column("text")], statements=[statement("ALTER TABLE orders ADD channel text")])


def adds(*trips: RoundTrip, **fields: Any) -> bool:
    return only_adds(walk(*trips, **{"start": TABLE, "head": TABLE, **fields}))


def test_a_branch_of_additions_only_adds() -> None:
    assert adds()
    assert adds(ADDS)
    assert adds(ADDS, trip("b2", changes=[index("USING btree (a)"), added(key("table", "new"))]))
    assert adds(ADDS, RoundTrip("c3", skipped_because="it comes after b2"))
    assert adds(trip("b2", changes=[added(key("constraint", "ck", "new"), definition="CHECK ((new.* IS NOT NULL))")]))


@pytest.mark.parametrize(
    "other",
    [
        trip("b2", changes=[removed(CHANNEL, type="text", nullable=True)]),
        trip("b2", changes=[added(key("function", "f()"))]),
        trip("b2", up_failure=failure()),
        trip("b2", renamed=[(key("table", "items"), key("table", "lines"))]),
        trip("b2", statements=[statement("UPDATE items SET a = 1", locks={"items": "RowExclusiveLock"})]),
    ],
    ids=["a removed column", "a function", "a failure", "a new name", "rows"],
)
def test_a_branch_that_does_anything_else_does_not(other: RoundTrip) -> None:
    assert not adds(ADDS, other)


@pytest.mark.parametrize("fields", [{"start": None}, {"head": None}, {"evidence": frozenset({Evidence.RUNNING})}])
def test_nor_does_one_of_which_too_little_is_known(fields: dict[str, Any]) -> None:
    assert not adds(ADDS, **fields)
