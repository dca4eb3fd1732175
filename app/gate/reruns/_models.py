"""The schema that the models create, and what autogenerate sees where scripts have changed the models."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes so

from app.gate.recording.model import Failure, Snapshot
from app.gate.reruns._pool import JobPool
from app.gate.reruns._whole_command import run_undriven, schema_of
from app.gate.reruns.results import RerunResults
from app.gate.server.database import Database
from app.gate.target.runner import TargetRunner, align_schema, session_of_walk
from app.gate.walk.client import DriverClient
from app.gate.walk.state import Walk


def first_walk_through(history: tuple[Any, ...], walks: Sequence[Walk]) -> int:
    """The index of the first walk with these models: what a command does later may depend on that walk."""
    return min(walk.index for walk in walks if walk.arrival.has_metadata and walk.arrival.history == history)


def create_models(
    jobs: JobPool,
    walk: Walk,
    first_walk: int,
    results: RerunResults,
    runner: TargetRunner,
    by_sql: Future[Snapshot | None] | None,
) -> None:
    """The schema that the models create: by their SQL, which may have begun, or by the command where SQL is not
    enough."""
    results.models = by_sql.result() if by_sql is not None else create_by_sql(walk, runner)
    if results.models is None:
        _create_by_command(jobs, walk, first_walk, results, runner)


def create_by_sql(walk: Walk, runner: TargetRunner) -> Snapshot | None:
    """None if SQL is not enough, or some of it fails: then the command's error is reported."""
    if walk.creation is None:
        return None
    with runner.blank_database() as database:
        with database.connect() as connection, connection.cursor() as cursor:
            _create_prerequisites(connection, walk)
            if not _run(walk.creation, cursor):
                return None
        return _schema_of_models(database, walk)


def _run(statements: Sequence[str], cursor: Cursor) -> bool:
    """Whether all of them run: in one message, which takes less time, or else one by one, as some have to."""
    for texts in ([";\n".join(statements)], statements):
        with suppress(psycopg2.Error):
            for text in filter(None, texts):
                cursor.execute(text)
            return True
    return False


def _schema_of_models(database: Database, walk: Walk) -> Snapshot:
    """The schema that was created, with the words of the one at head for definitions that mean the same."""
    return align_schema(walk.get_head(), schema_of(database, walk), database, same_history=False)


def _create_by_command(jobs: JobPool, walk: Walk, first_walk: int, results: RerunResults, runner: TargetRunner) -> None:
    with runner.blank_database() as database, runner.process(database) as process:
        with database.connect() as connection:
            _create_prerequisites(connection, walk)
        session = session_of_walk(first_walk, process, database, earlier="skip")
        if session is None:
            jobs.retry_alone()
            results.not_observed["models"] = f"the command did not reach Alembic a second time: {process.last_words()}"
            return
        session.request("prepare")
        answer = session.request("create_models", runner.target.timeout_s)
        if failure := answer.get("failure"):
            results.model_failure = Failure(**failure)
            results.not_observed["models"] = f"the models' own tables cannot be created: {failure['message']}"
        session.request("stop")
        if results.model_failure is None:
            results.models = _schema_of_models(database, walk)


def ask_drift_again(jobs: JobPool, walk: Walk, runner: TargetRunner) -> None:
    """Ask autogenerate in a process that has run no script: one that reflects into the models' metadata changes them.

    The database is brought to head by another run of the command.
    """
    walk.drift = None
    with runner.database() as database:
        run_undriven(runner, database)
        with runner.process(database) as process:
            session = session_of_walk(walk.index, process, database)
            if session is None or session.request("prepare").get("plan") != []:
                jobs.retry_alone()
                walk.not_observed["drift"] = (
                    "a script changes the models as it runs, and the command alone does not get to head"
                )
                return
            walk.note_drift(DriverClient(session, runner, database).drift(walk.unchanged.tables))
            session.request("stop")


def _create_prerequisites(connection: psycopg2.extensions.connection, walk: Walk) -> None:
    """The schemas and extensions of the history, which models refer to and do not create."""
    with connection.cursor() as cursor:
        for kind in ("schema", "extension"):
            for key, definition in walk.get_head().objects.items():
                if key.kind != kind:
                    continue
                if kind == "schema":
                    cursor.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(key.name)))
                else:
                    schema = definition.get("schema") or "public"
                    cursor.execute(
                        sql.SQL("CREATE EXTENSION IF NOT EXISTS {} WITH SCHEMA {} CASCADE").format(
                            sql.Identifier(key.name), sql.Identifier(schema)
                        )
                    )
