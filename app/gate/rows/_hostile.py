"""Rows that the schema before a revision allows, and that break a rule which the revision adds.

A new CHECK, a new foreign key and a change of type rest on an assumption about the rows that are there. Each is tried
with one row for which it does not hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.gate.recording.model import Change, Failure
from app.gate.rows._catalog import CatalogTable, Type
from app.gate.rows._plan import Plan, Rules
from app.gate.rows._shapes import Row, Shape

_NUMBER = 50  # of the row
_MOST = 4  # rules of one revision


@dataclass(frozen=True)
class Aim:
    """A rule of the revision's, and the row that breaks it."""

    table: int  # its oid
    row: Row

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the rule is about."""
        row = self.row
        bound = row.refused_by or row.orphan_of
        return bound.columns if bound is not None else (row.unconverted or "",)


def list_aims(plan: Plan) -> list[Aim]:
    """The rules that rows of the older schema may break, less those that the edge cases break."""
    aims = [
        aim
        for table in plan.catalog.tables.values()
        if table.is_touched and table.oid in plan.rules
        for aim in _aims(table, plan.rules[table.oid])
    ]
    return aims[:_MOST]


def _aims(table: CatalogTable, rules: Rules) -> Iterator[Aim]:
    for check in (*rules.checks, *rules.retyped):
        if check not in rules.narrowing and not check.is_of_partitions:
            yield Aim(table.oid, Row(Shape.HOSTILE, _NUMBER, refused_by=check))
    bound = {name for key in table.foreign_keys for name in key.columns}
    for key in rules.foreign_keys:
        if not bound & set(key.columns):
            yield Aim(table.oid, Row(Shape.HOSTILE, _NUMBER, orphan_of=key))
    for name, (later, _) in rules.types.items():
        if name not in bound and _may_refuse(table.get_column(name).type.base, later):
            yield Aim(table.oid, Row(Shape.HOSTILE, _NUMBER, unconverted=name, is_bare=name in rules.converted))
    for name in rules.documents:
        yield Aim(table.oid, Row(Shape.HOSTILE, _NUMBER, unconverted=name, is_bare=True))


def may_correct(statements: Iterable[str], columns: Iterable[str]) -> bool:
    """Whether one of the statements, which cannot be run again without its parameters, may correct what is in those
    columns: it names one of them."""
    sought = set(columns)
    return any(
        _IS_INCOMPLETE.search(statement) and sought & set(re.findall(r"\w+", statement)) for statement in statements
    )


def failed_columns(failure: Failure, changes: Iterable[Change]) -> set[str]:
    """The columns of the rule by which an upgrade failed."""
    found = {failure.column} if failure.column else set()
    for change in changes:
        if change.after is not None and failure.constraint and change.key.name == failure.constraint:
            found |= set(change.after.get("columns") or re.findall(r"\w+", str(change.after.get("definition", ""))))
    return found


_IS_INCOMPLETE = re.compile(r"%\(|%s|\$\d|(?<!:):[a-zA-Z_]|\A\s*def\s")


def breaks_rule(failure: Failure) -> bool:
    """Whether an upgrade failed because of what a row holds."""
    return failure.sqlstate is not None and failure.sqlstate[:2] in ("22", "23")


def cause_of(failure: Failure) -> tuple[str | None, ...]:
    """What two failures have in common that have one cause."""
    return (failure.sqlstate, failure.table, failure.constraint or failure.column or failure.sql)


def _may_refuse(now: Type, later: Type) -> bool:
    """Whether values of one type may be refused by the other; where they have too many digits, the edge cases show
    it."""
    return now.category != later.base.category or later.kind in ("domain", "enum")
