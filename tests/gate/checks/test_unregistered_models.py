"""Table classes that Alembic never sees."""

from __future__ import annotations

import pytest

from app.gate.checks.base import CheckSkipped
from app.gate.checks.unregistered_models import examine
from tests.gate.checks.builders import drift, recording, unregistered


def test_a_module_that_no_one_imports_is_named_with_its_tables_and_the_import():
    [finding] = examine(recording(unregistered=(unregistered("shop.orders.models", "Order", "orders", line=7),)))

    assert "shop.orders.models" in finding.message
    assert "Order (table orders)" in finding.message
    assert (finding.path, finding.line) == ("shop/orders/models.py", 7)
    assert "import shop.orders.models" in str(finding.help)


def test_the_classes_of_one_module_are_one_finding():
    models = (unregistered("shop.models", "Order", "orders"), unregistered("shop.models", "Item", "items"))

    [finding] = examine(recording(unregistered=models))

    assert "Order (table orders) and Item (table items)" in finding.message


def test_what_follows_is_reported_table_by_table():
    models = (unregistered("shop.models", "Order", "orders"), unregistered("shop.models", "Item", "items"))

    [finding] = examine(recording(unregistered=models, drift=drift("remove table public.orders")))

    assert finding.message == (
        "Neither env.py nor anything that it imports imports shop.models, so Alembic does not know Order (table orders) and "
        "Item (table items): autogenerate would drop orders and will never create items."
    )


def test_stays_quiet_when_every_class_is_registered():
    assert list(examine(recording(unregistered=()))) == []


def test_is_skipped_without_metadata():
    with pytest.raises(CheckSkipped, match="target_metadata"):
        list(examine(recording(has_metadata=False)))


def test_is_skipped_with_the_reason_when_no_one_looked():
    with pytest.raises(CheckSkipped, match="no package"):
        list(examine(recording(not_observed={"unregistered": "no package to look through"})))


def test_many_modules_are_one_finding():
    models = [unregistered(f"shop.part{number}", f"Order{number}", f"order{number}") for number in range(6)]

    [finding] = examine(recording(unregistered=tuple(models)))

    assert finding.object is None
    assert "imports 6 modules with models: shop.part0, shop.part1, shop.part2 and 3 more" in finding.message
    assert "does not know 6 tables" in finding.message
    assert str(finding.help).count("import shop.part") == 6
    assert len(list(examine(recording(unregistered=tuple(models[:5]))))) == 5


def test_of_many_modules_the_place_is_the_first_class_of_the_first_of_them():
    models = [unregistered(f"shop.part{number}", "Order", f"t{number}", line=number) for number in (3, 1, 5, 2, 4, 6)]
    models.append(unregistered("shop.part1", "Line", "t7", line=70))

    [finding] = examine(recording(unregistered=tuple(models)))

    assert (finding.path, finding.line) == ("shop/part1.py", 1)
