"""Other ways to head than the walk: the models' own schema, the SQL of `--sql`, two upgrades at once.

Each is one more run of the command on an empty database. They do not touch each other, so they run side by side.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psycopg2
from psycopg2 import sql

from app.gate import snapshot as snapshots
from app.gate.difference import difference
from app.gate.process import Conversation, Gone, Process
from app.gate.recording import TRIED_ONCE, Attempt, Failure, Part, Snapshot
from app.gate.server import Database
from app.gate.settled import complete
from app.gate.stage import Stage, accept, arrive_at
from app.gate.target import CannotVerify
from app.gate.walk import Walk

_RACE_PATIENCE_S = 5.0  # how long one upgrade waits for the other before the two start
_REFUSES_SQL = ("--sql", "unrecognized arguments", "no such option", "unexpected extra argument", "usage:")


@dataclass
class Seen:
    """What the attempts say of one walk."""

    models: Snapshot | None = None
    model_failure: Failure | None = None
    plain: Attempt | None = None
    offline: Attempt | None = None
    concurrent: Attempt | None = None
    missing: dict[str, str] = field(default_factory=dict)


def attempt_all(
    walks: Sequence[Walk],
    stage: Stage,
    on_progress: Callable[[str, int, int], None],
    ahead: Future[Printed] | None = None,
) -> dict[int, Seen]:
    """What was seen, by the walk's index. `ahead` is of `sql_ahead`."""
    seen = {walk.index: Seen() for walk in walks}
    arrived = [walk for walk in walks if walk.head is not None]
    jobs: list[Callable[[], None]] = [
        partial(_create_models, walk, _first_through(walk.history, walks), seen[walk.index], stage)
        for walk in arrived
        if walk.has_metadata and Part.MODELS in stage.parts
    ]
    jobs += [partial(_ask_drift_anew, walk, stage) for walk in arrived if walk.is_drift_stale]
    if arrived and all(walk.is_stop or walk.head is not None for walk in walks):
        # These two run the whole command, so they end at the head of the last walk.
        last = arrived[-1]
        if last.base is not None and not any(walk.plan for walk in arrived):
            seen[last.index].missing["offline"] = f"there is no revision that is not on {last.base.ref}"
        elif Part.OFFLINE in stage.parts:
            printed = ahead.result if ahead is not None else partial(_print_sql, stage, last.current)
            jobs.append(partial(_compare_sql, last, seen[last.index], printed))
        if last.base is not None and last.base.is_env_as_it_was:
            # Whether two upgrades keep out of each other's way is up to env.py.
            seen[last.index].missing["concurrent"] = f"env.py is as it is on {last.base.ref}"
        elif Part.CONCURRENT in stage.parts:
            jobs.append(partial(_upgrade_twice_at_once, last, seen[last.index], stage))
    for walk in arrived[:-1]:
        for part in ("offline", "concurrent"):
            seen[walk.index].missing[part] = TRIED_ONCE
    on_progress("attempts", 0, len(jobs))
    with ThreadPoolExecutor(max_workers=1 if stage.target.files else 2) as pool:
        futures = [pool.submit(job) for job in jobs]
        try:
            for done, future in enumerate(futures, start=1):
                future.result()
                on_progress("attempts", done, len(jobs))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            stage.interrupt()
            raise
    return seen


# The models.


def _first_through(history: tuple[Any, ...], walks: Sequence[Walk]) -> int:
    """The first walk that has the models of that history: what a command does after it may rest on what the walk did."""
    return min(walk.index for walk in walks if walk.has_metadata and walk.history == history)


def _create_models(walk: Walk, arrival: int, seen: Seen, stage: Stage) -> None:
    if walk.creation is not None and (created := _create_by_sql(walk, walk.creation, stage)) is not None:
        seen.models = complete(created, walk.get_head(), walk.settled)
        return
    with stage.blank_database() as database, stage.process(database) as process:
        with database.connect() as connection:
            _create_what_models_rest_on(connection, walk)
        conversation = arrive_at(arrival, process, database, earlier="skip")
        if conversation is None:
            seen.missing["models"] = f"the command did not reach Alembic a second time: {process.last_words()}"
            return
        conversation.ask("prepare")
        answer = conversation.ask("models", stage.target.timeout_s)
        if failure := answer.get("failure"):
            seen.model_failure = Failure(**failure)
            seen.missing["models"] = f"the models' own tables cannot be created: {failure['message']}"
        conversation.ask("stop")
        if seen.model_failure is None:
            seen.models = _schema(database, walk)


def _create_by_sql(walk: Walk, statements: Sequence[str], stage: Stage) -> Snapshot | None:
    """What those statements create, without another run of the command; None if one of them fails.

    One may name what a settled table would have brought along, such as its sequence.
    """
    with stage.blank_database() as database:
        with database.connect() as connection, connection.cursor() as cursor:
            _create_what_models_rest_on(connection, walk)
            try:
                for statement in statements:
                    cursor.execute(statement)
            except psycopg2.Error:
                return None
        return _schema(database, walk)


def _ask_drift_anew(walk: Walk, stage: Stage) -> None:
    """Ask a process that has run no script, on a database at head: a script that reflects into the models' metadata makes it another."""
    walk.drift = None
    with stage.database() as database:
        with stage.process(database, is_driven=False) as process:
            process.wait(stage.target.timeout_s * max(1, len(walk.plan)))
        with stage.process(database) as process:
            conversation = arrive_at(walk.index, process, database)
            if conversation is None or conversation.ask("prepare").get("plan") != []:
                walk.missing["drift"] = (
                    "a script changes the models as it runs, and the command does not get to head by itself"
                )
                return
            walk.ask_drift(conversation, stage.target.timeout_s)
            conversation.ask("stop")


def _create_what_models_rest_on(connection: psycopg2.extensions.connection, walk: Walk) -> None:
    """The schemas and extensions that the history made: models name them, but it is not models that make them."""
    with connection.cursor() as cursor:
        for kind in ("schema", "extension"):
            for key, definition in walk.get_head().objects.items():
                if key.kind != kind:
                    continue
                if kind == "schema":
                    cursor.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(key.name)))
                else:
                    place = definition.get("schema") or "public"
                    cursor.execute(
                        sql.SQL("CREATE EXTENSION IF NOT EXISTS {} WITH SCHEMA {} CASCADE").format(
                            sql.Identifier(key.name), sql.Identifier(place)
                        )
                    )


def _schema(database: Database, walk: Walk) -> Snapshot:
    """What is in that database now, less Alembic's own table."""
    with database.connect(autocommit=False) as connection:
        return walk.without_version_table(snapshots.read(connection))


# The SQL of `upgrade --sql`.


@dataclass(frozen=True)
class Printed:
    """What came of `--sql`: one of the three."""

    schema: Snapshot | None = None  # of a database in which what was printed has been run
    failure: Failure | None = None
    missing: str | None = None


@contextmanager
def sql_ahead(stage: Stage, start: Sequence[str] | None) -> Iterator[Future[Printed] | None]:
    """`--sql` while the walk is under way, where it is known already at which revisions that begins."""
    if start is None or Part.OFFLINE not in stage.parts or stage.target.files:
        yield None
        return
    with ThreadPoolExecutor(max_workers=1) as pool:
        printed = pool.submit(_print_sql, stage, start)
        try:
            yield printed
        finally:
            if not printed.done():  # nobody waits for it any more
                stage.interrupt()


def _compare_sql(walk: Walk, seen: Seen, printed: Callable[[], Printed]) -> None:
    found = printed()
    if found.missing is not None:
        seen.missing["offline"] = found.missing
    elif found.failure is not None:
        seen.offline = Attempt(failures=(found.failure,))
    elif found.schema is not None:
        seen.offline = Attempt(differences=difference(walk.get_head(), walk.without_version_table(found.schema)))


def _print_sql(stage: Stage, start: Sequence[str]) -> Printed:
    """Have the command print SQL for a database at those revisions, and run that."""
    pieces: list[tuple[str | None, str]] = []
    with stage.database() as database, stage.process(database, "--sql") as process:
        while (conversation := process.arrive()) is not None:
            if not conversation.hello["as_sql"]:
                return Printed(missing="the command does not take --sql")
            answer = conversation.ask("offline", stage.target.timeout_s, start=list(start))
            pieces += answer["pieces"]
            if failure := answer.get("failure"):
                return Printed(failure=Failure(**failure))
            conversation.ask("skip")
        status = process.wait(stage.target.timeout_s)
        if not process.conversations or status != 0:
            words = process.last_words()
            if not process.conversations and any(sign in process.output().lower() for sign in _REFUSES_SQL):
                return Printed(missing="the command does not take --sql")
            return Printed(failure=Failure("CommandFailed", words))
        if failed := _run_printed(pieces, database):
            return Printed(failure=failed)
        with database.connect(autocommit=False) as connection:
            return Printed(schema=snapshots.read(connection))


def _run_printed(pieces: Sequence[tuple[str | None, str]], database: Database) -> Failure | None:
    """Run what `--sql` printed, as psql would, up to what fails. What env.py printed before its call of Alembic, a BEGIN, is set anew."""
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        for revision, piece in [*pieces, (None, "COMMIT")]:
            is_begin = piece.strip().upper() == "BEGIN;"
            if _is_comment(piece) or (is_begin and _is_in_transaction(connection)):
                continue
            try:
                cursor.execute(piece)
            except psycopg2.Error as error:
                message = str(error).strip().splitlines()[0]
                name = f"{type(error).__module__}.{type(error).__qualname__}"
                return Failure(name, message, sqlstate=error.pgcode, sql=piece, revision=revision)
    return None


def _is_in_transaction(connection: psycopg2.extensions.connection) -> bool:
    return connection.info.transaction_status != psycopg2.extensions.TRANSACTION_STATUS_IDLE


def _is_comment(piece: str) -> bool:
    return all(not line.strip() or line.strip().startswith("--") for line in piece.splitlines())


# Two upgrades at once.


def _upgrade_twice_at_once(walk: Walk, seen: Seen, stage: Stage) -> None:
    with stage.database() as database:
        failures = Race(stage, database).run()
        differences = difference(walk.get_head(), _schema(database, walk))
    seen.concurrent = Attempt(failures=tuple(failures), differences=differences)
    if differences:
        # Is it the race, or does the command never get there? An env.py whose transaction nobody commits ends well, and in vain.
        seen.plain = _upgrade_plainly(walk, stage)


def _upgrade_plainly(walk: Walk, stage: Stage) -> Attempt:
    with stage.database() as database, stage.process(database, is_driven=False) as process:
        if process.wait(stage.target.timeout_s * max(1, len(walk.plan))) != 0:
            return Attempt(failures=(Failure("CommandFailed", process.last_words()),))
        return Attempt(differences=difference(walk.get_head(), _schema(database, walk)))


class Race:
    """Two runs of the command on one database, started so that they collide if nothing keeps them apart.

    Chance decides whether two ordinary runs meet. Here each waits, when it has read which revision the database is at, until the
    other has read it too. An env.py that takes a lock first keeps the other from getting there; that is seen in PostgreSQL
    (one holds an advisory lock, or the other waits for a lock), and then nobody waits any longer.
    """

    def __init__(self, stage: Stage, database: Database) -> None:
        self._stage = stage
        self._database = database
        self._changed = threading.Condition()
        self._met: list[int] = [0, 0]  # how often each has read the version table
        self._ended = [False, False]
        self._failures: list[Failure] = []

    def run(self) -> list[Failure]:
        """The failures of the two, at best none."""
        with self._stage.process(self._database) as first, self._stage.process(self._database) as second:
            runners = [
                threading.Thread(target=self._steer, args=(0, first)),
                threading.Thread(target=self._steer, args=(1, second)),
            ]
            for runner in runners:
                runner.start()
            for runner in runners:
                runner.join()
        return self._failures

    def _steer(self, me: int, process: Process) -> None:
        failure: Failure | None = None
        try:
            while (conversation := process.arrive()) is not None:
                accept(conversation, self._database)
                conversation.send("meet")
                try:
                    conversation.receive(self._stage.target.timeout_s)
                    self._meet(me, conversation)
                    conversation.send("go")
                except Gone:
                    pass  # it never read the version table, or ended; its exit status tells
            if process.wait(self._stage.target.timeout_s) != 0:
                failure = Failure("CommandFailed", process.last_words())
        except (Gone, TimeoutError, CannotVerify) as error:
            failure = Failure("CommandFailed", str(error) or "it did not end in time")
        with self._changed:
            self._ended[me] = True
            if failure is not None:
                self._failures.append(failure)
            self._changed.notify_all()

    def _meet(self, me: int, conversation: Conversation) -> None:
        """Wait for the other one, unless it cannot come."""
        with self._changed:
            self._met[me] += 1
            self._changed.notify_all()
            other = 1 - me
            waited_s = 0.0
            while self._met[other] < self._met[me] and not self._ended[other]:
                if waited_s >= _RACE_PATIENCE_S or self._is_kept_apart(conversation.hello["backend"]):
                    return
                self._changed.wait(0.05)
                waited_s += 0.05

    def _is_kept_apart(self, backend: str) -> bool:
        """Whether this one holds an advisory lock, or somebody in the database waits for a lock."""
        with self._database.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = %(pid)s AND locktype = 'advisory' AND granted)"
                " OR EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
                "            WHERE NOT l.granted AND a.datname = current_database())",
                {"pid": int(backend)},
            )
            (answer,) = cursor.fetchone() or (False,)
            return bool(answer)
