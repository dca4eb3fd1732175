"""What else than tables autogenerate compares in a project."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from app.gate.driver.overproof_driver.metadata import entities
from app.gate.driver.overproof_driver.unchanged import Filters


def test_what_is_registered_with_alembic_utils_is_named_as_the_catalog_names_it(monkeypatch):
    library: Any = ModuleType("alembic_utils.replaceable_entity")
    registered = [
        SimpleNamespace(schema="public", signature="touch(a integer)"),
        SimpleNamespace(schema="shop", signature="fr"),
        SimpleNamespace(schema="public", signature="touched", on_entity="public.visitor"),
        SimpleNamespace(schema="public", signature="own", on_entity='"Visitor"'),
    ]
    library.registry = SimpleNamespace(entities=lambda: registered)
    monkeypatch.setitem(sys.modules, "alembic_utils.replaceable_entity", library)

    assert entities() == ["public.touch", "shop.fr", "public.visitor.touched", "public.Visitor.own"]


def test_without_that_library_there_is_nothing(monkeypatch):
    monkeypatch.delitem(sys.modules, "alembic_utils.replaceable_entity", raising=False)

    assert entities() == []


@pytest.mark.parametrize("own", [None, lambda item, name, kind, is_reflected, counterpart: kind != "grant_table"])
def test_a_grant_that_has_only_the_name_of_its_table_is_compared_as_the_project_says(own):
    context = SimpleNamespace(opts={"include_object": own})
    grant = SimpleNamespace(schema="public", table="orders")

    with Filters(context, ["public.orders"]) as filters:
        is_included = context.opts["include_object"](grant, "PGGrantTable: public.orders", "grant_table", False, None)

    assert is_included is (own is None)
    assert filters.refused == set()
