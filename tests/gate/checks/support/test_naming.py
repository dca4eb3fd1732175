"""How findings name things."""

from __future__ import annotations

import pytest

from app.gate.checks.support.naming import failure_reason, noun, principal
from app.gate.recording.model import Change
from app.gate.wording import counted, listed
from tests.gate.checks.builders import added, altered, failure, key, python_failure, removed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (added(key("table", "orders")), "table orders"),
        (added(key("table", "orders", schema="shop")), "table shop.orders"),
        (added(key("column", "note", "orders")), "column orders.note"),
        (added(key("constraint", "ck", "orders"), type="check"), "check constraint ck on orders"),
        (removed(key("constraint", "fk", "orders"), type="foreign key"), "foreign key fk on orders"),
        (added(key("index", "ix", "orders", "shop")), "index ix on shop.orders"),
        (added(key("function", "touch()")), "function touch()"),
        (added(key("extension", "pgcrypto", schema="")), "extension pgcrypto"),
    ],
)
def test_objects_are_named_as_people_say_them(change, words):
    assert noun(change) == words


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c", "d"], "a, b, c and d"),
        (["a", "b", "c", "d", "e"], "a, b, c and 2 more"),
    ],
)
def test_long_lists_are_cut(items, words):
    assert listed(items) == words


@pytest.mark.parametrize(("number", "words"), [(1, "1 script"), (3, "3 scripts")])
def test_what_is_counted_agrees_with_its_number(number, words):
    assert counted(number, "script") == words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (failure('relation "x" does not exist\nLINE 1: …'), 'relation "x" does not exist'),
        (python_failure("KeyError", "'a'"), "KeyError: 'a'"),
        (python_failure("NotImplementedError"), "NotImplementedError"),
        (python_failure("Timeout", "did not end within 300 s"), "it did not end within 300 s"),
        (
            python_failure("Gone", "the command ended in the middle of the revision"),
            "the command ended in the middle of the revision",
        ),
    ],
)
def test_errors_are_reported_in_a_sentence(error, words):
    assert failure_reason(error) == words


def test_what_goes_with_a_column_is_not_reported_beside_it():
    column = added(key("column", "note", "orders"), type="text")
    with_it = [
        added(key("constraint", "ck", "orders"), type="check", definition="CHECK ((note <> ''::text))"),
        added(key("constraint", "uq", "orders"), type="unique", columns=["note"], definition="UNIQUE (note)"),
        added(key("index", "ix", "orders"), definition="USING btree (note)"),
        added(key("sequence", "orders_note_seq"), owned_by="public.orders.note"),
    ]
    by_itself = added(key("index", "ix_total", "orders"), definition="USING btree (total)")

    assert principal([*with_it, by_itself, column]) == [column, by_itself]


def test_what_goes_while_a_column_comes_is_reported():
    changes = [
        added(key("column", "note", "orders")),
        removed(key("index", "ix", "orders"), definition="USING btree (note)"),
    ]

    assert principal(changes) == changes


def test_what_is_in_a_new_schema_goes_with_it():
    schema = added(key("schema", "shop", schema=""))

    assert principal(
        [added(key("table", "orders", schema="shop")), added(key("enum", "status", schema="shop")), schema]
    ) == [schema]


def test_an_altered_object_is_always_told():
    changes = [
        added(key("table", "orders")),
        Change(key("column", "note", "orders"), {"type": "text"}, {"type": "integer"}),
    ]

    assert principal(changes) == changes


def test_what_holds_others_comes_before_them():
    kinds = ["schema", "table", "view", "materialized view", "column", "constraint", "index", "function"]
    changes = [altered(key(kind, "b", "t"), {"a": 1}, {"a": 2}) for kind in kinds]
    also = [altered(key(kind, "a", "t"), {"a": 1}, {"a": 2}) for kind in ("index", "trigger", "view")]

    found = [(each.key.kind, each.key.name) for each in principal([*reversed(changes), *also])]

    assert found == [
        ("schema", "b"), ("table", "b"), ("materialized view", "b"), ("view", "a"), ("view", "b"), ("column", "b"), ("constraint", "b"),
        ("index", "a"), ("index", "b"), ("function", "b"), ("trigger", "a"),
    ]  # fmt: skip
