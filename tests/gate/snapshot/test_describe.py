"""What differs between two schemas, and how that is written."""

from __future__ import annotations

from typing import Any

import pytest

from app.gate.recording.model import Change, Key, Snapshot
from app.gate.snapshot.describe import describe, describe_all, named, without_parts
from app.gate.snapshot.difference import difference, without_nondeterministic

ORDERS = Key("table", "public", "orders", "")
NOTE = Key("column", "public", "note", "orders")


def key(kind: str, name: str, table: str = "orders", schema: str = "public") -> Key:
    return Key(kind, schema, name, table)


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (NOTE, "column public.orders.note"),
        (ORDERS, "table public.orders"),
        (key("constraint", "ck"), "constraint ck on public.orders"),
        (key("index", "ix"), "index public.ix"),
        (key("statistics", "st"), "statistics public.st"),
        (key("extension", "citext", "", ""), "extension citext"),
    ],
)
def test_an_object_has_a_name(of: Key, expected: str) -> None:
    assert named(of) == expected


def changed(before: dict[str, Any], after: dict[str, Any], of: Key = NOTE) -> list[str]:
    return describe(Change(of, before, after)).partition(": ")[2].split("; ")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"type": "text"}, {"type": "integer"}, ["type text -> integer"]),
        ({"a": "x", "type": "t", "b": "1"}, {"a": "y", "type": "u", "b": "2"}, ["type t -> u", "a x -> y", "b 1 -> 2"]),
        ({"a": "x", "definition": "d"}, {"a": "y", "definition": "e"}, ["definition d -> e", "a x -> y"]),
        ({"nullable": True}, {"nullable": False}, ["NOT NULL is new"]),
        ({"nullable": False}, {"nullable": True}, ["NOT NULL is gone"]),
        ({}, {"is_identity": True}, ["now is identity"]),
        ({"is_identity": False}, {}, ["now is identity"]),
        ({"default": None}, {"default": "a\n  b"}, ["default a b is new"]),
        ({"options": {"a": "1", "b": "2"}}, {}, ["options a 1, b 2 is gone"]),
        ({"columns": ["a", "b"]}, {"columns": ["a", "c"]}, ["columns b gone", "columns c new"]),
        ({"columns": ["a", "b"]}, {"columns": ["b", "a"]}, ["columns in another order: a, b -> b, a"]),
        ({"columns": ["a"], "definition": "x"}, {"columns": ["b"], "definition": "y"}, ["definition x -> y"]),
        ({"references": "a", "definition": "x"}, {"references": "b", "definition": "x"}, ["references a -> b"]),
        ({"columns": None}, {"columns": ["a"]}, ["columns a new"]),
        ({"columns": ["a"]}, {}, ["columns a gone"]),
        ({"valid": True}, {"valid": False}, ["no longer valid"]),
        ({"index_valid": False}, {"index_valid": True}, ["now index valid"]),
        ({"validated": False}, {}, ["now validated"]),
        ({"labels": ["a", "b"]}, {"labels": ["x", "a", "y", "b"]}, ["label 'x' added at the start", "label 'y' added after 'a'"]),
        ({"labels": ["a", "b"]}, {"labels": ["b"]}, ["label 'a' is gone"]),
        ({"labels": ["a", "b"]}, {"labels": ["b", "a"]}, ["labels in another order: a, b -> b, a"]),
        ({"labels": ["a"]}, {}, ["label 'a' is gone"]),
        ({"privileges": {"ann": "r", "bob": "w"}}, {"privileges": {"ann": "rw", "cid": "r"}},
         ["privileges of ann r -> rw", "privileges of bob w -> as by default", "privileges of cid as by default -> r"]),
        ({"privileges": None}, {"privileges": {"ann": "r"}}, ["privileges of ann as by default -> r"]),
        ({"privileges": {"ann": "r"}}, {}, ["privileges of ann r -> as by default"]),
    ],
)  # fmt: skip
def test_what_has_changed_is_one_line(before: dict[str, Any], after: dict[str, Any], expected: list[str]) -> None:
    assert changed(before, after) == expected


def test_what_is_new_or_gone_is_said_with_its_parts_left_out() -> None:
    part, other = key("constraint", "ck"), key("column", "a", "lines")
    changes = [
        Change(ORDERS, None, {}),
        Change(NOTE, None, {}),
        Change(part, None, {}),
        Change(other, {"type": "text"}, None),
    ]

    assert describe_all(changes) == ["table public.orders is new", "column public.lines.a is gone"]
    assert list(without_parts([*changes[1:], Change(ORDERS, {}, {"comment": "x"})]))[:2] == changes[1:3]
    elsewhere = Change(key("column", "note", schema="shop"), None, {})
    assert list(without_parts([changes[0], elsewhere])) == [changes[0], elsewhere]


def test_what_may_have_been_renamed_is_one_line() -> None:
    def of(name: str, before: Any, after: Any, kind: str = "column") -> Change:
        return Change(key(kind, name), before, after)

    text, number = {"type": "text"}, {"type": "integer"}

    assert describe_all([of("a", text, None), of("b", None, text)]) == [
        "column public.orders.a is gone, and column public.orders.b is new with the same definition (renamed?)"
    ]
    assert describe_all([of("b", None, text), of("a", text, None)]) == [
        "column public.orders.a is gone, and column public.orders.b is new with the same definition (renamed?)"
    ]
    assert describe_all([of("c", text, number), of("a", text, None), of("b", None, text)])[1:] == [
        "column public.orders.a is gone, and column public.orders.b is new with the same definition (renamed?)"
    ]
    two = describe_all([of("a", text, None), of("b", None, text), of("c", None, text)])
    assert two == ["column public.orders.a is gone", "column public.orders.b is new", "column public.orders.c is new"]
    assert len(describe_all([of("a", text, None), of("b", None, number)])) == 2
    assert len(describe_all([of("a", text, None), of("b", None, text, "index")])) == 2
    schemas = [Change(Key("schema", "", "a", ""), {}, None), Change(Key("schema", "", "b", ""), None, {})]
    assert describe_all(schemas) == ["schema a is gone", "schema b is new"]


def test_a_table_may_have_been_renamed_if_it_has_the_same_columns() -> None:
    def table(name: str, is_new: bool, *columns: str) -> list[Change]:
        sides: tuple[Any, Any] = (None, {}) if is_new else ({}, None)
        parts = [
            Change(key("column", each, name), *((None, {"type": "text"}) if is_new else ({"type": "text"}, None)))
            for each in columns
        ]
        return [Change(key("table", name, ""), *sides), *parts]

    assert describe_all([*table("a", False, "x", "y"), *table("b", True, "y", "x")]) == [
        "table public.a is gone, and table public.b is new with the same definition (renamed?)"
    ]
    assert len(describe_all([*table("a", False, "x"), *table("b", True, "z")])) == 2


# Which objects differ.


def snapshot(*names: str, kind: str = "index", definition: Any = None) -> Snapshot:
    return Snapshot({key(kind, name): dict(definition or {"columns": ["a"]}) for name in names})


def differing(before: Snapshot, after: Snapshot, *, same_history: bool = True) -> list[tuple[str, bool, bool]]:
    return [
        (change.key.name, change.before is not None, change.after is not None)
        for change in difference(before, after, same_history=same_history)
    ]


@pytest.mark.parametrize(
    ("kind", "old", "new", "is_same", "is_same_in_another_history"),
    [
        ("constraint", "orders_check", "orders_check1", True, True),
        ("constraint", "orders_check", "lines_check", False, True),
        ("constraint", "orders_check", "orders_key", False, False),
        ("index", "orders_a_idx", "orders_a_idx7", True, True),
        ("index", "mine", "orders_a_idx", False, False),
        ("statistics", "orders_a_stat", "orders_a_stat1", True, True),
        ("trigger", "orders_check", "orders_check1", False, False),
        ("constraint", "x" * 57 + "_check", "x" * 56 + "_check1", True, True),
        ("constraint", "x" * 56 + "_check", "x" * 55 + "_check1", False, True),
        ("constraint", "x" * 20 + "y" * 37 + "_check", "x" * 20 + "z" * 36 + "_check1", True, True),
        ("constraint", "x" * 19 + "y" * 38 + "_check", "x" * 19 + "z" * 37 + "_check1", False, True),
    ],
)
def test_names_that_postgresql_numbers_are_one_name(
    kind: str, old: str, new: str, is_same: bool, is_same_in_another_history: bool
) -> None:
    both = [(name, name == old, name == new) for name in sorted((old, new))]

    assert sorted(differing(snapshot(old, kind=kind), snapshot(new, kind=kind))) == ([] if is_same else both)
    found = differing(snapshot(old, kind=kind), snapshot(new, kind=kind), same_history=False)
    assert sorted(found) == ([] if is_same_in_another_history else both)


def test_of_several_with_numbered_names_those_that_are_alike_are_paired() -> None:
    one, two, three = {"columns": ["a"]}, {"columns": ["b"]}, {"columns": ["c"]}
    before = Snapshot({key("index", "t_idx"): one, key("index", "t_idx1"): two})
    after = Snapshot(
        {key("index", "t_idx"): dict(two), key("index", "t_idx1"): three, key("index", "t_idx2"): dict(one)}
    )

    assert [(change.key.name, change.before, change.after) for change in difference(before, after)] == [
        ("t_idx1", None, three)
    ]
    changed = Snapshot({key("index", "t_idx"): three, key("index", "t_idx1"): two})
    assert [(change.key.name, change.before, change.after) for change in difference(before, changed)] == [
        ("t_idx", one, three)
    ]


def test_the_name_of_a_serial_s_sequence_is_ignored_in_another_history() -> None:
    def of(name: str, **more: Any) -> Snapshot:
        return Snapshot(
            {
                key("sequence", name, ""): {"owned_by": "public.orders.id", "start": 1},
                key("column", "id"): {"default": f"nextval('public.{name}'::regclass)", **more},
            }
        )

    one, other = of("user_id_seq"), of("users_id_seq")

    assert difference(one, other, same_history=False) == ()
    more = Snapshot({**other.objects, key("trigger", "id"): {}})
    assert [each.key.kind for each in difference(one, more, same_history=False)] == ["trigger"]
    counted = Snapshot({**other.objects, key("column", "id"): {"default": "7"}})
    assert [each.key.kind for each in difference(one, counted, same_history=False)] == ["column"]
    assert len(difference(one, other)) == 3
    assert [each.key.name for each in difference(one, of("users_id_seq", type="bigint"), same_history=False)] == ["id"]
    assert len(difference(one, of("numbers"), same_history=False)) == 3
    started = Snapshot(
        {**other.objects, key("sequence", "users_id_seq", ""): {"owned_by": "public.orders.id", "start": 9}}
    )
    assert len(difference(one, started, same_history=False)) == 3


def test_only_what_can_differ_is_compared_where_that_is_known() -> None:
    before, after = (
        snapshot("a", "b"),
        Snapshot({key("index", "a"): {"columns": ["z"]}, key("index", "b"): {"columns": ["z"]}}),
    )

    assert [each.key.name for each in difference(before, after, among=[key("index", "b"), key("index", "none")])] == [
        "b"
    ]
    assert [each.key.name for each in difference(before, after)] == ["a", "b"]
    assert difference(before, snapshot("b", "a")) == ()


def test_what_differs_between_any_two_runs_is_no_difference() -> None:
    random_default = Change(NOTE, {"default": "1"}, {"default": "2"})
    random_name = [Change(key("index", "ix_1"), {}, None), Change(key("index", "ix_2"), None, {})]
    others = [
        Change(key("column", "other"), {"default": "1"}, {"default": "2"}),
        Change(key("index", "ix_3"), {}, {"valid": False}),
        Change(key("index", "ix_4", "lines"), None, {}),
    ]

    found = without_nondeterministic(
        [random_default, Change(key("index", "ix_9"), None, {}), *others], [random_default, *random_name]
    )

    assert found == tuple(others)
