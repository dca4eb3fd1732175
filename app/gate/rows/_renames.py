"""A catalog by the names that its tables and columns had before a revision renamed them.

Rows are inserted before the revision, and have to obey what it demands: a foreign key on a table that it renames first,
say, which after it is on a table of another name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from app.gate.postgres.quoting import quote
from app.gate.recording.model import Rename
from app.gate.rows._catalog import Catalog, CatalogTable, CheckConstraint

Names = Mapping[str, str]  # of a table's columns: their new names -> their older ones


def newer_names(renames: Iterable[Rename], tables: Iterable[str]) -> set[str]:
    """What those tables ("public.orders") are called after the renames."""
    wanted = set(tables)
    moved = [each for each in renames if each.before.kind == "table"]
    return {
        f"{each.after.schema}.{each.after.name}"
        for each in moved
        if f"{each.before.schema}.{each.before.name}" in wanted
    }


def with_older_names(catalog: Catalog, renames: Sequence[Rename]) -> Catalog:
    """The catalog after the renames, by the names from before them."""
    if not renames:
        return catalog
    columns = {oid: _older_columns(table, renames) for oid, table in catalog.tables.items()}
    tables = {oid: _with_older_names(table, columns, renames) for oid, table in catalog.tables.items()}
    return Catalog(tables, catalog.renamed)


def _older_columns(table: CatalogTable, renames: Iterable[Rename]) -> Names:
    return {
        each.after.name: each.before.name
        for each in renames
        if each.after.kind == "column" and (each.after.schema, each.after.table) == (table.schema, table.label)
    }


def _with_older_names(table: CatalogTable, columns: Mapping[int, Names], renames: Iterable[Rename]) -> CatalogTable:
    older = columns[table.oid]
    moved = {(each.after.schema, each.after.name): each.before for each in renames if each.after.kind == "table"}
    before = moved.get((table.schema, table.label))
    return replace(
        table,
        schema=before.schema if before is not None else table.schema,
        label=before.name if before is not None else table.label,
        columns=tuple(replace(each, name=older.get(each.name, each.name)) for each in table.columns),
        keys=tuple(replace(each, columns=_older(each.columns, older)) for each in table.keys),
        checks=tuple(_check(each, older) for each in table.checks),
        foreign_keys=tuple(
            replace(
                each,
                columns=_older(each.columns, older),
                parent_columns=_older(each.parent_columns, columns.get(each.parent, {})),
            )
            for each in table.foreign_keys
        ),
    )


def _older(names: Iterable[str], older: Names) -> tuple[str, ...]:
    return tuple(older.get(name, name) for name in names)


_LITERALS_AND_NAMES = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")+"|\w+""")


def _check(check: CheckConstraint, older: Names) -> CheckConstraint:
    in_sql = {quote(new): quote(old) for new, old in older.items()}
    expression = _LITERALS_AND_NAMES.sub(lambda found: in_sql.get(found[0], found[0]), check.expression)
    return replace(check, columns=_older(check.columns, older), expression=expression)
