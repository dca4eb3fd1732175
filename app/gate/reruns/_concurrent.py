"""Two runs of the command on one database at once, as where two replicas of an application start together.

One of the two mostly fails, and the other one then goes all the way as if it were alone: what it leaves behind also tells
whether the command gets to head where nobody takes it apart into revisions.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from app.gate.errors import CannotVerify, CommandExited
from app.gate.recording.model import COMMAND_FAILED, Failure, Snapshot
from app.gate.server.database import Database
from app.gate.target.process import Process
from app.gate.target.runner import TargetRunner, check_database, read_schema
from app.gate.target.session import DriverSession

_PATIENCE_S = 5.0  # how long one upgrade waits at least for the other, before the two start


@dataclass(frozen=True)
class ConcurrentUpgrade:
    """What came of it."""

    failures: tuple[Failure, ...]  # of the two runs, at best none
    schema: Snapshot  # that they left behind


def upgrade_concurrently(runner: TargetRunner) -> ConcurrentUpgrade:
    """Let two upgrades meet on a database of their own."""
    with runner.database() as database:
        return _Race(runner, database).run()


class _Race:
    """Two runs of the command on one database, started so that they collide if nothing keeps them apart.

    Chance decides whether two ordinary runs meet. Here each waits, when it has read which revision the database is at, until the
    other has read it too. An env.py that takes a lock first keeps the other from getting there; that is seen in PostgreSQL
    (one holds an advisory lock, or the other waits for a lock), and then nobody waits any longer.
    """

    def __init__(self, runner: TargetRunner, database: Database) -> None:
        self._stage = runner
        self._database = database
        self._changed = threading.Condition()
        self._met: list[int] = [0, 0]  # how often each has read the version table
        self._ended = [False, False]
        self._failures: list[Failure] = []
        self._began = time.monotonic()

    def run(self) -> ConcurrentUpgrade:
        """Start both, and see to it that they meet."""
        with self._stage.process(self._database) as first, self._stage.process(self._database) as second:
            runners = [
                threading.Thread(target=self._steer, args=(0, first)),
                threading.Thread(target=self._steer, args=(1, second)),
            ]
            for runner in runners:
                runner.start()
            for runner in runners:
                runner.join()
        return ConcurrentUpgrade(tuple(self._failures), read_schema(self._database))

    def _steer(self, me: int, process: Process) -> None:
        failure: Failure | None = None
        try:
            while (session := self._next_session(process)) is not None:
                check_database(session, self._database)
                session.send("run_concurrently")
                try:
                    session.receive(self._stage.patience_s)
                    self._meet(me, session)
                    session.send("continue")
                except CommandExited:
                    pass  # it never read the version table, or ended; its exit status tells
            if process.wait(self._stage.patience_s) != 0:
                failure = Failure(COMMAND_FAILED, process.last_words())
        except TimeoutError:
            failure = Failure(COMMAND_FAILED, f"for {self._stage.patience_s:g} s it did nothing, and did not end")
            process.kill()
        except (CommandExited, CannotVerify) as error:
            failure = Failure(COMMAND_FAILED, str(error))
        with self._changed:
            self._ended[me] = True
            if failure is not None:
                self._failures.append(failure)
            self._changed.notify_all()

    def _next_session(self, process: Process) -> DriverSession | None:
        """The session of the next walk, None at the command's end. Raises TimeoutError if there is neither, and nothing under way."""
        while True:
            try:
                return process.next_session(self._stage.patience_s)
            except TimeoutError:
                if not self._stage.is_getting_on(self._database):
                    raise

    def _meet(self, me: int, session: DriverSession) -> None:
        """Wait for the other one, unless it cannot come."""
        with self._changed:
            self._met[me] += 1
            self._changed.notify_all()
            other = 1 - me
            now = time.monotonic()
            # What took this one long to get here may take the other one longer.
            deadline = now + max(_PATIENCE_S, now - self._began)
            while self._met[other] < self._met[me] and not self._ended[other]:
                if time.monotonic() >= deadline or self._is_kept_apart(session.handshake["backend"]):
                    return
                self._changed.wait(0.05)

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
