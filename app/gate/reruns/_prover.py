"""Statements of models, with values in them, tried on one schema and on another.

The values are those of rows that were made for the schema in question (see `rows/samples.py`), so that what is refused
is refused for what the statement names or leaves out. Where there is no such row, only errors that no value could avoid
count.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.gate.postgres import sqlstates
from app.gate.postgres.quoting import literal
from app.gate.recording.model import Failure
from app.gate.recording.running import RefusedStatement
from app.gate.reruns._tries import Session, Try
from app.gate.rows.samples import Sample, Values, make_samples
from app.gate.server.database import Database

if TYPE_CHECKING:
    from app.gate.driver.overproof_driver import protocol


@dataclass(frozen=True)
class _Statement:
    """A statement of a model, with its values."""

    model: protocol.ModelStatement
    tried: Try
    has_values: bool  # PostgreSQL accepts all of them on the schema in question


@dataclass
class Prover:
    """Tries the statements on one database after the other."""

    tables: Sequence[protocol.ModelTable]
    statements: Sequence[protocol.ModelStatement]
    search_path: str
    role: str | None = None  # as which they are tried
    concerned: frozenset[str] = frozenset()  # tables that have to have rows, besides those of the statements
    _old: Mapping[str, Sample] = field(default_factory=dict)

    def _sample(self, session: Session) -> Mapping[str, Sample]:
        session.begin(self.search_path, self.role)
        named = {each for statement in self.statements for each in statement["tables"]}
        return make_samples(session.ask, sorted(named | self.concerned))

    def accepted_by(self, database: Database) -> list[int]:
        """The numbers of the statements that the old schema accepts."""
        with database.connect(autocommit=False) as connection:
            session = Session(connection)
            self._old = self._sample(session)
            written = {number: self._write(each, self._old) for number, each in enumerate(self.statements)}
            ready = {number: each for number, each in written.items() if each is not None}
            failures = session.try_all([each.tried for each in ready.values()])
            connection.rollback()
        return [number for number, failure in zip(ready, failures, strict=True) if failure is None]

    def refused_by(self, database: Database, numbers: Sequence[int]) -> dict[int, RefusedStatement]:
        """Those of the statements that the schema refuses, whatever values they have."""
        with database.connect(autocommit=False) as connection:
            session = Session(connection)
            samples = self._sample(session)
            written = {number: self._write(self.statements[number], samples) for number in numbers}
            ready = {number: each for number, each in written.items() if each is not None}
            failures = session.try_all([each.tried for each in ready.values()])
            connection.rollback()
        return {
            number: _refused(statement, failure)
            for (number, statement), failure in zip(ready.items(), failures, strict=True)
            if failure is not None and _is_conclusive(statement, failure)
        }

    def _write(self, statement: protocol.ModelStatement, samples: Mapping[str, Sample]) -> _Statement | None:
        """The statement with values in it. None where there are none for it."""
        old, now = self._old.get(statement["table"]), samples.get(statement["table"])
        text = ""
        has_values = True
        for piece in statement["sql"]:
            if len(piece) == 1:
                text += piece[0]
                continue
            kind, name = piece
            value, is_accepted = (literal(name), True) if kind in _OF_MODEL else _value(kind, name, old, now)
            if value is None:
                return None
            text += value
            has_values &= is_accepted
        before = now.insert if now is not None and statement["action"] == "DELETE" else None
        return _Statement(statement, Try(text, before), has_values)


def _value(row: str, column: str, old: Sample | None, now: Sample | None) -> tuple[str | None, bool]:
    """A column's value as code of the base writes it, and whether the schema accepts it."""
    type_ = old.types.get(column) if old is not None else None
    before, after = _row(old, row), _row(now, row)
    if now is not None and column in after and now.types.get(column) == type_:
        return _literal(after[column], type_), True
    if column in before:
        return _literal(before[column], type_), False
    return None, False


def _row(sample: Sample | None, row: str) -> Values:
    values = None if sample is None else sample.new if row == "new" else sample.there
    return values or {}


_OF_MODEL = ("label", "extreme")
_BARE = {"int2", "int4", "int8", "float4", "float8", "numeric", "bool"}


def _literal(text: str | None, type_: str | None) -> str:
    if text is None:
        return "NULL"
    return text if type_ in _BARE and re.fullmatch(r"-?\d+(\.\d+)?|true|false", text) else literal(text)


def _is_conclusive(statement: _Statement, failure: Failure) -> bool:
    """Whether the statement is refused for what it names or leaves out, or for values that the model allows, and not
    for what else is in the row that was made up."""
    state = failure.sqlstate or ""
    if state[:2] in ("42", "0A", "55"):
        return True
    if state == sqlstates.NOT_NULL_VIOLATION and failure.column not in statement.model["columns"]:
        return True
    if any(len(piece) == 2 and piece[0] == "extreme" for piece in statement.model["sql"]):
        return state[:2] == "22"  # the type is too small; a rule may refuse what no code writes
    return statement.has_values


def _refused(statement: _Statement, failure: Failure) -> RefusedStatement:
    model = statement.model
    return RefusedStatement(
        "", model["model"], model["table"], model["action"], tuple(model["columns"]), statement.tried.sql, failure
    )
