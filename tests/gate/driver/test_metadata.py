"""What else than tables autogenerate compares in a project."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

from app.gate.driver.overproof_driver.metadata import entities


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
