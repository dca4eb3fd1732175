"""The code of the base on the schema of the branch: what its models send, tried before the branch's revisions and after
them.

The base is checked out beside the user's folder, and the command is started with its code. The driver stops it where
Alembic would begin, with the models in its hand, and hands over what an ORM sends for them. What the old schema refuses
says nothing. What only the new one refuses breaks the code that runs; which revision is to blame shows when they are
applied one by one, if there are several.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from app.gate.errors import CannotVerify, CommandExited, StepTimedOut
from app.gate.history.checkout import Checkout, check_out
from app.gate.history.paths import repository_root
from app.gate.postgres import sqlstates
from app.gate.postgres.quoting import literal
from app.gate.recording.model import TABLE_KINDS, Change, Direction, Failure, Key, Rename
from app.gate.recording.names import full_name, table_of
from app.gate.recording.running import ModelColumn, ModelTable, RefusedStatement, RunningCode
from app.gate.reruns._tries import Session, Try
from app.gate.reruns.results import RerunResults
from app.gate.rows.connection import QueryRefused
from app.gate.rows.samples import Sample, Values, make_samples
from app.gate.server.database import Database
from app.gate.target.runner import TargetRunner, session_of_walk
from app.gate.walk.client import DriverClient
from app.gate.walk.state import Walk

if TYPE_CHECKING:
    from app.gate.driver.overproof_driver import protocol


def prove_running_code(walk: Walk, runner: TargetRunner, results: RerunResults) -> None:
    """Note the outcome of the base's code, or why its models could not be asked."""
    base, head = walk.arrival.base, runner.at_head
    if base is None or head is None or walk.head is None:
        results.not_observed["running"] = "the branch's revisions do not all apply"
        return
    tables = concerned_tables(walk)
    if tables is not None and not tables & _older_tables(walk):
        results.running = RunningCode(base.commit)
        return
    try:
        root = repository_root(runner.target.directory)
        with (
            check_out(root, base.commit, runner.server.supervisor) as checkout,
            runner.database() as database,
        ):
            models = _load_models(walk, runner, database, checkout, tables)
            results.running = _prove(walk, runner, models, database, head)
    except (CannotVerify, CommandExited, TimeoutError, QueryRefused) as reason:
        results.not_observed["running"] = f"the models of {base.ref} were not loaded: {reason}"


# Which tables.

_OF_TABLES = {"column", "constraint", "index", "trigger", "policy", "rule", "sequence", *TABLE_KINDS}


def concerned_tables(walk: Walk) -> frozenset[str] | None:
    """The tables ("public.orders") that the branch's revisions change. None: any may be concerned."""
    steps = [trip.up for trip in walk.trips.values() if trip.up is not None and trip.up.failure is None]
    keys = [key for step in steps for key in keys_of(step.changes, step.renamed)]
    if any(key.kind not in _OF_TABLES for key in keys):
        return None
    return tables_of(keys) - {walk.arrival.version_table}


def keys_of(changes: Sequence[Change], renamed: Sequence[Rename]) -> list[Key]:
    """All that is changed, by its older and its newer names."""
    return [*(each.key for each in changes), *(key for each in renamed for key in (each.before, each.after))]


def tables_of(keys: Sequence[Key]) -> frozenset[str]:
    return frozenset(table_of(key) for key in keys if key.kind in _OF_TABLES and key.kind != "sequence")


def _older_tables(walk: Walk) -> set[str]:
    return {full_name(key) for key in (walk.start.objects if walk.start else {}) if key.kind in TABLE_KINDS}


# The models of the base.


def _load_models(
    walk: Walk, runner: TargetRunner, database: Database, checkout: Checkout, tables: frozenset[str] | None
) -> protocol.ModelStatementsAnswer:
    """Raises CannotVerify, CommandExited and TimeoutError."""
    with runner.process(database, checkout=checkout) as process:
        session = session_of_walk(walk.index, process, database, earlier="skip")
        if session is None:
            raise CannotVerify(f"the command never reached Alembic: {process.last_words()}")
        wanted = None if tables is None else sorted(tables)
        models: protocol.ModelStatementsAnswer = session.request(
            "model_statements", runner.target.timeout_s, tables=wanted
        )
        session.request("stop")
    if models["strays"]:
        raise CannotVerify(f"the command imports {models['strays'][0]}, which is the branch's")
    if not models["count"]:
        raise CannotVerify("there are none")
    return models


# Trying their statements.


@dataclass(frozen=True)
class _Statement:
    """A statement of a model, with its values."""

    model: protocol.ModelStatement
    tried: Try
    has_values: bool  # PostgreSQL accepts all of them on the schema in question


def _prove(
    walk: Walk, runner: TargetRunner, models: protocol.ModelStatementsAnswer, old: Database, new: Database
) -> RunningCode:
    """Raises QueryRefused, CannotVerify, CommandExited and TimeoutError."""
    prover = Prover(
        models["tables"], models["statements"], models["search_path"], concerned_tables(walk) or frozenset()
    )
    accepted = prover.accepted_by(old)
    refused = prover.refused_by(new, accepted)
    applied = [name for name in walk.plan if name in walk.applied]
    if len(applied) == 1:
        found = [replace(each, revision=applied[0]) for each in refused.values()]
    else:
        found = _find_revisions(walk, runner, prover, refused) if refused else []
    tables = tuple(map(model_table, prover.tables))
    return RunningCode(walk.arrival.base.commit if walk.arrival.base else "", tables, len(accepted), tuple(found))


def model_table(table: protocol.ModelTable) -> ModelTable:
    columns = {
        name: ModelColumn(column["type"], tuple(column["labels"]), column["is_optional"])
        for name, column in table["columns"].items()
    }
    return ModelTable(table["name"], table["model"], columns, tuple(map(tuple, table["keys"])))


def _find_revisions(
    walk: Walk, runner: TargetRunner, prover: Prover, refused: Mapping[int, RefusedStatement]
) -> list[RefusedStatement]:
    """The statements with the first revision after which each is refused."""
    found: dict[int, RefusedStatement] = {}
    with runner.database() as database, runner.process(database) as process:
        session = session_of_walk(walk.index, process, database)
        if session is None:
            raise CannotVerify(f"the command did not reach Alembic a second time: {process.last_words()}")
        client = DriverClient(session, runner, database)
        client.prepare()
        for revision in (name for name in walk.plan if name in walk.applied):
            try:
                failure = client.commit_step(revision, Direction.UPGRADE).failure
            except StepTimedOut as error:
                raise CannotVerify(str(error)) from error
            if failure is not None:
                raise CannotVerify(f"revision {revision} did not apply a second time: {failure.message}")
            now = prover.refused_by(database, [number for number in refused if number not in found])
            found |= {number: replace(each, revision=revision) for number, each in now.items()}
    last = walk.plan[-1]
    return [found.get(number, replace(each, revision=last)) for number, each in refused.items()]


@dataclass
class Prover:
    """Tries the statements on one database after the other."""

    tables: Sequence[protocol.ModelTable]
    statements: Sequence[protocol.ModelStatement]
    search_path: str
    concerned: frozenset[str] = frozenset()  # tables that have to have rows, besides those of the statements
    _old: Mapping[str, Sample] = field(default_factory=dict)

    def _sample(self, session: Session) -> Mapping[str, Sample]:
        session.begin(self.search_path)
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
