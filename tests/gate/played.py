"""The command, the driver in it and what runs the two, played: for what is decided about them, without a process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any, cast

from app.gate.server.database import Database
from app.gate.target.process import Process
from app.gate.target.runner import TargetRunner
from app.gate.target.session import DriverSession
from tests.gate.walk.walks import HANDSHAKE

THROWAWAY = Database("throwaway", "localhost", 5432, "overproof", "secret")


class Session:
    """One call of Alembic. It gives these answers, one after the other; an exception is raised."""

    def __init__(self, *answers: Any, **handshake: Any) -> None:
        self.handshake = {**HANDSHAKE, **handshake}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.patience: list[float | None] = []  # with which each answer was waited for
        self._answers = list(answers)

    @property
    def words(self) -> list[str]:
        """What it was asked for, less the details."""
        return [do for do, _ in self.asked]

    def send(self, do: str, **arguments: Any) -> None:
        self.asked.append((do, arguments))

    def receive(self, timeout_s: float | None = None) -> Any:
        self.patience.append(timeout_s)
        answer = self._answers.pop(0) if self._answers else {}
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def request(self, do: str, timeout_s: float | None = None, **arguments: Any) -> Any:
        self.send(do, **arguments)
        return self.receive(timeout_s)


class Command:
    """The command: its calls of Alembic, how it ends, and what it prints. An exception is raised in place of a call."""

    def __init__(self, *sessions: Session | BaseException, status: int = 0, output: str = "") -> None:
        self.sessions = 0
        self.target: Any = None
        self.is_killed = False
        self._waiting = list(sessions)
        self._status, self._output = status, output

    def next_session(self, timeout_s: float | None = None) -> DriverSession | None:
        if not self._waiting:
            return None
        session = self._waiting.pop(0)
        if isinstance(session, BaseException):
            raise session
        self.sessions += 1
        return cast(DriverSession, session)

    def wait(self, timeout_s: float | None = None) -> int:
        return self._status

    def output(self) -> str:
        return self._output

    def last_words(self) -> str:
        return self._output.splitlines()[-1] if self._output else "it printed nothing"

    def kill(self) -> None:
        self.is_killed = True

    def asked_for(self) -> Any:
        return ()


class Runner:
    """Starts these commands, one after the other, each on the database."""

    def __init__(self, *commands: Command, database: Database = THROWAWAY, **fields: Any) -> None:
        self.commands = list(commands)
        self.started: list[dict[str, Any]] = []  # how each was started
        self.base: Database | None = None
        self.at_head: Database | None = None
        self.only_in_one_run: set[str] = set()
        self.roles_made: frozenset[str] = frozenset()
        self.patience_s = self.start_patience_s = 60.0
        self.must_run_serially = False
        self.is_closed = False
        self.calls: list[str] = []
        self.target: Any = SimpleNamespace(timeout_s=9.0, prepare=(), directory=None)
        self.server: Any = SimpleNamespace(
            ordinary=None,
            is_embedded=True,
            version="18.6",
            supervisor=SimpleNamespace(check=lambda: self.calls.append("check")),
            superuser_rights=nullcontext,
        )
        self.is_busy = iter(())  # whether the database is still being worked on, each time that it is asked
        self._database = database
        for name, value in fields.items():
            setattr(self, name, value)

    def database(self) -> AbstractContextManager[Database]:
        return nullcontext(self._database)

    blank_database = database

    @contextmanager
    def process(self, database: Database, *extra: str, **how: Any) -> Iterator[Process]:
        self.started.append(how)
        yield cast(Process, self.commands.pop(0))

    def wait(self, process: Command, database: Database) -> int:
        return process.wait()

    def prepare(self, database: Database) -> None:
        self.calls.append("prepare")

    def is_getting_on(self, database: Database) -> bool:
        return next(self.is_busy, False)

    def cancel(self, database: Database, backend: str) -> None:
        self.calls.append(f"cancel {backend}")

    def cancel_blocked(self, database: Database, backend: str) -> bool:
        self.calls.append(f"cancel what {backend} blocks")
        return next(self.is_busy, False)

    def gain_rights(self) -> bool:
        self.calls.append("gain rights")
        return next(self.is_busy, False)

    def close(self) -> None:
        self.is_closed = True

    def reopen(self) -> None:
        self.is_closed = False

    def keep(self, database: Database) -> None:
        self.at_head = database


def as_runner(runner: Runner) -> TargetRunner:
    return cast(TargetRunner, runner)
