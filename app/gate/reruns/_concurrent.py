"""Two runs of the command on one database at the same time, as when two replicas of an application start together.

One of the two usually fails, and the other one then continues as if it were alone. So the schema that they leave also
shows whether the command gets to head where no driver takes it apart into revisions.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Condition

from app.gate.errors import CannotVerify, CommandExited, ServerUnavailable
from app.gate.recording.model import COMMAND_FAILED, Failure, Snapshot
from app.gate.server.database import Database
from app.gate.target.process import Process
from app.gate.target.runner import TargetRunner, check_database, read_schema
from app.gate.target.session import DriverSession

_PATIENCE_S = 5.0  # how long one upgrade waits at least for the other, before the two start


@dataclass(frozen=True)
class ConcurrentUpgrade:
    """How two concurrent upgrades ended."""

    failures: tuple[Failure, ...]  # of the two runs, the first to fail first
    schema: Snapshot  # that they left


def upgrade_concurrently(runner: TargetRunner) -> ConcurrentUpgrade:
    """Run two concurrent upgrades on a separate database. Raises ServerUnavailable."""
    with runner.database() as database:
        return _TwoRuns(runner, database).run()


class _TwoRuns:
    """Two runs of the command on one database, started so that they collide if nothing prevents it.

    It is a matter of chance whether two ordinary runs collide. Here each waits, once it has read the revision that the
    database is at, until the other has read it too. An env.py that takes a lock first keeps the other from reading it.
    PostgreSQL shows that (one holds an advisory lock, or the other waits for a lock), and then neither waits longer.
    """

    def __init__(self, runner: TargetRunner, database: Database) -> None:
        self._runner = runner
        self._database = database
        self._changed = Condition()
        self._reads = [0, 0]  # how often each has read the version table
        self._ended = [False, False]
        self._failures: list[Failure] = []
        self._began = time.monotonic()

    def run(self) -> ConcurrentUpgrade:
        """Start both, and wait for their end."""
        with (
            ThreadPoolExecutor(
                max_workers=2
            ) as pool,  # which is left last: an error ends the processes, and so the threads
            self._runner.process(self._database) as first,
            self._runner.process(self._database) as second,
        ):
            for run in [pool.submit(self._follow, me, process) for me, process in enumerate((first, second))]:
                run.result()
        return ConcurrentUpgrade(tuple(self._failures), read_schema(self._database))

    def _follow(self, me: int, process: Process) -> None:
        """Follow one run to its end, and note its failure if it fails. Raises ServerUnavailable."""
        failure: Failure | None = None
        try:
            failure = self._upgrade(me, process)
        except TimeoutError:
            failure = Failure(COMMAND_FAILED, f"for {self._runner.patience_s:g} s it did nothing, and did not end")
            process.kill()
        except ServerUnavailable:
            raise
        except (CommandExited, CannotVerify) as error:
            failure = Failure(COMMAND_FAILED, str(error))
        finally:
            with self._changed:
                self._ended[me] = True
                if failure is not None:
                    self._failures.append(failure)
                self._changed.notify_all()

    def _upgrade(self, me: int, process: Process) -> Failure | None:
        while (session := self._next_session(process)) is not None:
            check_database(session, self._database, process)
            session.send("run_concurrently")
            try:
                session.receive(self._runner.patience_s)
                self._wait_for_other(me, session)
                session.send("continue")
            except CommandExited:
                pass  # it never read the version table, or has ended: its exit status shows which
        if process.wait(self._runner.patience_s) != 0:
            return Failure(COMMAND_FAILED, process.last_words())
        return None

    def _next_session(self, process: Process) -> DriverSession | None:
        """The session of the next walk; None at the command's end. Raises TimeoutError if the command does nothing."""
        while True:
            try:
                return process.next_session(self._runner.patience_s)
            except TimeoutError:
                if not self._runner.is_getting_on(self._database):
                    raise

    def _wait_for_other(self, me: int, session: DriverSession) -> None:
        """Wait until the other run has read the revision too, unless something prevents it."""
        with self._changed:
            self._reads[me] += 1
            self._changed.notify_all()
            other = 1 - me
            now = time.monotonic()
            # What took this one long to get here may take the other one longer.
            deadline = now + max(_PATIENCE_S, now - self._began)
            while self._reads[other] < self._reads[me] and not self._ended[other]:
                if time.monotonic() >= deadline or self._excludes_other(session.handshake["backend"]):
                    return
                self._changed.wait(0.05)

    def _excludes_other(self, backend: str) -> bool:
        """Whether this run holds an advisory lock, or a session of the database waits for a lock."""
        with self._database.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = %(pid)s AND locktype = 'advisory' AND granted)"
                " OR EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
                "            WHERE NOT l.granted AND a.datname = current_database())",
                {"pid": int(backend)},
            )
            (answer,) = cursor.fetchone() or (False,)
            return bool(answer)
