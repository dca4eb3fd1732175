"""What a revision demands of rows, by the names that tables and columns had before it."""

from __future__ import annotations

from dataclasses import replace

from app.gate.recording.model import Key, Rename
from app.gate.rows._catalog import Catalog, CatalogTable, CheckConstraint, Column, ForeignKey, Type, UniqueKey
from app.gate.rows._renames import newer_names, with_older_names


def column(name: str) -> Column:
    return Column(1, name, Type("integer", "pg_catalog", "base", "N"), -1, "integer", not_null=False)


def table(oid: int, label: str, *columns: str, **parts: object) -> CatalogTable:
    return replace(
        CatalogTable(oid, "public", label, True, False, False, tuple(map(column, columns))),
        **parts,  # type: ignore[arg-type]
    )


def renamed(kind: str, before: str, after: str, table: str = "", new_table: str = "") -> Rename:
    return Rename(Key(kind, "public", before, table), Key(kind, "public", after, new_table or table))


RENAMES = (
    renamed("table", "orders", "purchases"),
    renamed("column", "id", "id", "orders", "purchases"),
    renamed("column", "size", "Width", "orders", "purchases"),
    renamed("column", "order_id", "purchase_id", "visits"),
)


def test_tables_columns_and_the_constraints_on_them_get_their_older_names() -> None:
    check = CheckConstraint("ck", ("Width", "note"), "((\"Width\" > 0) AND (note <> 'Width'::text))")
    purchases = table(1, "purchases", "id", "Width", keys=(UniqueKey("pk", ("id", "Width")),), checks=(check,))
    visits = table(2, "visits", "purchase_id", foreign_keys=(ForeignKey("fk", ("purchase_id",), 1, ("Width",)),))

    catalog = with_older_names(Catalog({1: purchases, 2: visits}, {}), RENAMES)

    orders = catalog.find("public.orders")
    assert orders is not None
    assert [each.name for each in orders.columns] == ["id", "size"]
    assert orders.keys[0].columns == ("id", "size")
    assert orders.checks[0].columns == ("size", "note")
    assert orders.checks[0].expression == "((size > 0) AND (note <> 'Width'::text))"
    assert catalog.tables[2].foreign_keys == (ForeignKey("fk", ("order_id",), 1, ("size",)),)


def test_without_renames_the_catalog_is_what_it_was() -> None:
    catalog = Catalog({1: table(1, "orders", "id")}, {})

    assert with_older_names(catalog, ()) is catalog


def test_the_newer_names_are_those_of_the_tables_that_are_asked_for() -> None:
    assert newer_names(RENAMES, ["public.orders", "public.visits"]) == {"public.purchases"}
    assert newer_names(RENAMES, ["public.visits"]) == set()
