"""The objects of two schemas, compared: without a database."""

from __future__ import annotations

from typing import Any

import pytest

from app.environments.drift import _by_key, _differences

TABLE = {"kind": "table", "schema": "public", "name": "orders", "definition": {}}
NOTE = {"kind": "column", "schema": "public", "table": "orders", "name": "note", "definition": {"type": "text"}}


def test_an_object_is_known_by_its_kind_schema_table_and_name() -> None:
    assert _by_key([TABLE, NOTE]) == {
        ("table", "public", "", "orders"): {},
        ("column", "public", "orders", "note"): {"type": "text"},
    }


@pytest.mark.parametrize(
    "entry",
    [None, "table", 7, [], ["kind", "schema", "name", "definition"], {}]
    + [{name: value for name, value in TABLE.items() if name != missing} for missing in TABLE],
)
def test_what_is_no_object_is_left_out_and_nothing_behind_it(entry: Any) -> None:
    assert _by_key([entry, TABLE]) == _by_key([TABLE])


def changed(entry: dict[str, Any], **definition: Any) -> dict[str, Any]:
    return {**entry, "definition": definition}


def test_a_difference_is_named_from_the_side_of_what_was_found() -> None:
    users, index = {**TABLE, "name": "users"}, {**NOTE, "kind": "index", "name": "ix"}

    found = _differences(_by_key([users, TABLE, NOTE]), _by_key([TABLE, changed(NOTE, type="xml"), index]))

    assert [(each.object, each.kind, each.change, each.proved, each.found) for each in found] == [
        ("public.orders.note", "column", "changed", {"type": "text"}, {"type": "xml"}),
        ("public.orders.ix", "index", "unexpected", None, {"type": "text"}),
        ("public.users", "table", "missing", {}, None),
    ]
