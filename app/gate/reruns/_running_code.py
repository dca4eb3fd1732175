"""The code of the base on the schema of the branch: what its models send, tried before the branch's revisions and after
them.

The base is checked out beside the user's folder, and the command is started with its code. The driver stops it where
Alembic would begin, with the models in its hand, and hands over what an ORM sends for them. What the old schema refuses
says nothing. What only the new one refuses breaks the code that runs; which revision is to blame shows when they are
applied one by one, if there are several.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from app.gate.errors import CannotVerify, CommandExited, ServerUnavailable, StepTimedOut
from app.gate.history.checkout import Checkout, check_out
from app.gate.history.paths import repository_root
from app.gate.recording.model import Direction, Evidence
from app.gate.recording.running import ModelColumn, ModelTable, RefusedStatement, RunningCode
from app.gate.reruns._additions import only_adds
from app.gate.reruns._pool import JobPool
from app.gate.reruns._prover import Prover
from app.gate.reruns.results import RerunResults
from app.gate.rows.connection import QueryRefused
from app.gate.server.database import Database
from app.gate.target.process import Process
from app.gate.target.runner import TargetRunner, check_database, session_of_walk
from app.gate.target.session import DriverSession
from app.gate.walk.changed import changed_keys, concerned_tables, tables_of
from app.gate.walk.client import DriverClient
from app.gate.walk.state import Walk

if TYPE_CHECKING:
    from app.gate.driver.overproof_driver import protocol


_TIMED_OUT = "the command did not answer in time: give it more with --timeout"


def prove_running_code(jobs: JobPool, walk: Walk, runner: TargetRunner, results: RerunResults) -> None:
    """Note the outcome of the base's code, or why its models could not be asked."""
    base, head = walk.arrival.base, runner.at_head
    if base is None or (walk.head is None and not walk.is_continued):
        results.not_observed["running"] = "the branch's revisions do not all apply"
        return
    if head is None:
        results.not_observed["running"] = "the history creates roles, so the database at head was not kept"
        return
    tables = concerned_tables(walk)
    if tables is not None and not tables:
        results.running = RunningCode(base.commit, too_early=())
        return
    try:
        if only_adds(walk):
            results.running = RunningCode(base.commit, too_early=_new_code_too_early(walk, runner, head))
            return
        root = repository_root(runner.target.directory)
        with (
            check_out(root, base.commit, runner.server.supervisor) as checkout,
            runner.database() as database,
        ):
            models = _load_models(walk, runner, database, checkout, tables)
            results.running = _prove(walk, runner, models, database, head)
    except ServerUnavailable:
        raise
    except (CannotVerify, CommandExited, TimeoutError, QueryRefused) as reason:
        jobs.retry_alone()
        results.not_observed["running"] = f"the models of {base.ref} were not loaded: {reason or _TIMED_OUT}"


# The models of the base.


def _load_models(
    walk: Walk, runner: TargetRunner, database: Database, checkout: Checkout, tables: frozenset[str] | None
) -> protocol.ModelStatementsAnswer:
    """Raises CannotVerify, CommandExited and TimeoutError."""
    with runner.process(database, checkout=checkout) as process:
        session = _session_of_walk(walk.index, process, database, runner)
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


def _session_of_walk(index: int, process: Process, database: Database, runner: TargetRunner) -> DriverSession:
    """The call of Alembic by the base's code that the walk made. Raises CannotVerify and TimeoutError."""
    while (session := process.next_session(runner.start_patience_s)) is not None:
        check_database(session, database, process)
        if index == 0:
            return session
        session.request("skip")
        index -= 1
    raise CannotVerify(f"the command never reached Alembic: {process.last_words()}")


def _prove(
    walk: Walk, runner: TargetRunner, models: protocol.ModelStatementsAnswer, old: Database, new: Database
) -> RunningCode:
    """Raises QueryRefused, CannotVerify, CommandExited and TimeoutError."""
    old, new = as_application(old, runner), as_application(new, runner)
    prover = _prover(walk, runner, models)
    accepted = prover.accepted_by(old)
    refused = prover.refused_by(new, accepted)
    applied = [name for name in walk.plan if name in walk.applied]
    if len(applied) == 1 and not walk.is_continued:
        found = [replace(each, revision=applied[0]) for each in refused.values()]
    else:
        found = find_revisions(walk, runner, prover, refused) if refused else []
    needs_order = bool(found) or Evidence.TOO_EARLY in walk.evidence
    commit = walk.arrival.base.commit if walk.arrival.base else ""
    tables = tuple(map(model_table, prover.tables))
    too_early = _too_early(walk, runner, old, new) if needs_order else None
    return RunningCode(commit, tables, len(accepted), tuple(found), too_early)


def _new_code_too_early(walk: Walk, runner: TargetRunner, new: Database) -> tuple[RefusedStatement, ...] | None:
    """None where no check asks. Raises QueryRefused and CannotVerify."""
    if walk.models is None or Evidence.TOO_EARLY not in walk.evidence:
        return None
    with runner.database() as old:
        return _too_early(walk, runner, as_application(old, runner), as_application(new, runner))


def _too_early(walk: Walk, runner: TargetRunner, old: Database, new: Database) -> tuple[RefusedStatement, ...] | None:
    """What the branch's own models send, and the schema before its revisions refuses. None if they are not known."""
    if walk.models is None:
        return None
    ahead = _prover(walk, runner, walk.models)
    return tuple(ahead.refused_by(old, ahead.accepted_by(new)).values())


def _prover(walk: Walk, runner: TargetRunner, models: protocol.ModelStatementsAnswer) -> Prover:
    changed, role = tables_of(changed_keys(walk)), application_of(runner)
    return Prover(models["tables"], models["statements"], models["search_path"], role, changed)


def application_of(runner: TargetRunner) -> str | None:
    """The role as which an application would connect: the command's may be a superuser just then."""
    ordinary = runner.server.ordinary
    return None if ordinary is None else ordinary.application


def as_application(database: Database, runner: TargetRunner) -> Database:
    """The database, as who may be the application connects to it."""
    return database if runner.server.ordinary is None else runner.server.database(database.name)


def model_table(table: protocol.ModelTable) -> ModelTable:
    columns = {
        name: ModelColumn(column["type"], tuple(column["labels"]), column["is_optional"])
        for name, column in table["columns"].items()
    }
    return ModelTable(table["name"], table["model"], columns, tuple(map(tuple, table["keys"])))


class Refuser(Protocol):
    """Says which of numbered statements a database's schema refuses."""

    def refused_by(self, database: Database, numbers: Sequence[int]) -> dict[int, RefusedStatement]: ...


def find_revisions(
    walk: Walk, runner: TargetRunner, prover: Refuser, refused: Mapping[int, RefusedStatement]
) -> list[RefusedStatement]:
    """The statements with the first revision after which each is refused; those of later walks are left to them."""
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
            now = prover.refused_by(
                as_application(database, runner), [number for number in refused if number not in found]
            )
            found |= {number: replace(each, revision=revision) for number, each in now.items()}
    if walk.is_continued:
        return [*found.values()]
    last = walk.plan[-1]
    return [found.get(number, replace(each, revision=last)) for number, each in refused.items()]
