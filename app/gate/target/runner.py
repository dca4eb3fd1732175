"""Runs of the command: a database prepared for each, and the command started on it."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from app.gate.errors import CannotVerify, FileInUse, OtherDatabase
from app.gate.history.checkout import Checkout
from app.gate.recording.model import Snapshot
from app.gate.server.database import Database
from app.gate.server.throwaway import Server
from app.gate.snapshot import read as snapshots
from app.gate.snapshot.meaning import align
from app.gate.target._error_line import last_line
from app.gate.target.advice import advise_on_database
from app.gate.target.process import Process, kill_group, start_command
from app.gate.target.session import DriverSession
from app.gate.target.target import Target, fill_placeholders

if TYPE_CHECKING:
    from app.gate.driver.overproof_driver import protocol

LONG_START_S = 60.0
SHORT_START_S = 20.0  # enough for most commands, also where a step is given a second


class TargetRunner:
    """Runs a target's command on databases of one server."""

    def __init__(self, target: Target, server: Server) -> None:
        self.target = target
        self.server = server
        self.base: Database | None = None  # what every run of the command begins with, with --base
        self.roles_made: frozenset[str] = (
            frozenset()
        )  # while the command ran; on a given server perhaps by another session
        self.only_in_one_run: set[str] = set()  # revisions that apply only in one run with those before them
        self.must_run_serially = target.must_run_serially  # whether two runs at the same time would disturb each other
        self.at_head: Database | None = None  # the walk's own, which is kept
        self._running: set[Callable[[], None]] = set()  # what ends each command that runs
        self._roles: frozenset[str] | None = None  # that were there before
        self._in_use = 0  # databases
        self._lent = ExitStack()  # a superuser's rights, once they were lent
        self._has_rights = server.ordinary is None
        self._is_closed = False
        self._lock = threading.Lock()

    @contextmanager
    def blank_database(self, template: Database | None = None) -> Iterator[Database]:
        """A database with nothing in it, or a copy of `template`."""
        with self._lock:
            self._in_use += 1
            if self._roles is None:
                self._roles = self.server.read_roles()
        database = None
        try:
            database = self.server.for_command(self.server.create_database(template))
            yield database
        finally:
            try:
                if database is not None and database != self.at_head:
                    self.server.drop_database(database)
            finally:
                with self._lock:
                    self._in_use -= 1
                    self._drop_roles(self._roles)

    def has_new_roles(self) -> bool:
        """Whether the server has a role that was not there before the command ran."""
        return self._roles is not None and bool(self.server.read_roles() - self._roles)

    def keep(self, database: Database) -> None:
        """Keep the database, in which the walk has got to head, until `drop_kept`. Not where it has created roles: the
        next run of the command creates them again."""
        if not self.has_new_roles():
            self.at_head = database

    def drop_kept(self) -> None:
        """Drop what `keep` has kept."""
        database, self.at_head = self.at_head, None
        if database is not None:
            self.server.drop_database(database)

    def _drop_roles(self, older: frozenset[str]) -> None:
        """Drop new roles, else CREATE ROLE fails in the next run. On a given server they may be another session's."""
        made = self.server.read_roles() - older
        self.roles_made |= made
        self.must_run_serially |= bool(made)
        if made and self.server.is_embedded and not self._in_use:
            self.server.drop_roles(made)

    @contextmanager
    def database(self) -> Iterator[Database]:
        """A database as the command is to find it: empty, with what `--prepare` put there, or at the base."""
        with self.blank_database(self.base) as database:
            if self.base is None:
                self.prepare(database)
            yield database

    @contextmanager
    def process(
        self, database: Database, *extra: str, is_driven: bool = True, checkout: Checkout | None = None
    ) -> Iterator[Process]:
        """The command, running on that database, with the target's files filled in for it. With `checkout`, the code of
        that commit."""
        self._write_files(database)
        if checkout is not None:
            self._write_into(checkout, database)
        with (
            Process(self.target, self.server, database, extra, is_driven=is_driven, checkout=checkout) as process,
            self._ended_by(process.kill),
        ):
            yield process

    @contextmanager
    def _ended_by(self, end: Callable[[], None]) -> Iterator[None]:
        """Have `close` end a command that way. Raises CannotVerify if it has been called already."""
        self._running.add(end)
        try:
            if self._is_closed:
                raise CannotVerify("interrupted")
            yield
        finally:
            self._running.discard(end)

    def _write_into(self, checkout: Checkout, database: Database) -> None:
        """Fill the target's files in at the same places of the checkout."""
        for path, text in self.target.files_for(database).items():
            if path.is_relative_to(checkout.root):
                there = checkout.place / path.relative_to(checkout.root)
                there.parent.mkdir(parents=True, exist_ok=True)
                there.unlink(missing_ok=True)  # it may be linked to the user's
                there.write_text(text, "utf-8")

    def _write_files(self, database: Database) -> None:
        """Fill the target's files in for that database. Raises CannotVerify.

        A file that has that text already is left alone: another run may be reading it.
        """
        with self._lock:
            for path, text in self.target.files_for(database).items():
                try:
                    if not path.is_file() or path.read_text("utf-8", "replace") != text:
                        self.server.supervisor.write(path, text)
                except FileInUse as error:
                    raise CannotVerify(
                        f"{error}: wait until it has ended, or let each run have a file of its own, with {{database}} in --file's"
                        " path, or use --set sqlalchemy.url={url}, which writes no file"
                    ) from error
                except OSError as error:
                    raise CannotVerify(f"cannot write {path}, which --file names: {error.strerror}") from error

    def gain_rights(self) -> bool:
        """Have the command's role be a superuser from here on. False if it has all rights that it can have."""
        if self._has_rights:
            return False
        self._lent.enter_context(self.server.superuser_rights())
        self._has_rights = True
        return True

    def return_rights(self) -> None:
        """Take back what `gain_rights` has lent."""
        self._lent.close()

    def close(self) -> None:
        """End every command that runs now, so that no thread waits for one any longer, and start no other."""
        self._is_closed = True
        for end in list(self._running):
            end()

    def reopen(self) -> None:
        """Allow commands to be started again."""
        self._is_closed = False

    def prepare(self, database: Database) -> None:
        """Run the target's `--prepare`, if it has one, on an empty database, with all rights. Raises CannotVerify."""
        if not self.target.prepare:
            return
        with self.server.superuser_rights():
            self._run_prepare(database)

    def _run_prepare(self, database: Database) -> None:
        self._write_files(database)
        command = [fill_placeholders(argument, database) for argument in self.target.prepare]
        with tempfile.TemporaryFile() as output:
            process = start_command(
                command, self.target.environment_for(database), self.target.directory, self.server, output
            )
            try:
                with self._ended_by(lambda: kill_group(process, self.server)):
                    status = process.wait(self.start_patience_s)
            except subprocess.TimeoutExpired:
                raise CannotVerify(
                    f"the --prepare command did not end within {self.start_patience_s:g} s: give it more time with --timeout"
                ) from None
            finally:
                kill_group(process, self.server)
            output.seek(0)
            words = last_line(output.read().decode("utf-8", "replace"))
        if status != 0:
            raise CannotVerify(f"the --prepare command ended with status {status}: {words}")

    def wait(self, process: Process, database: Database) -> int:
        """The exit status of a command without the driver. Raises TimeoutError if it does nothing for `patience_s`."""
        while True:
            try:
                return process.wait(self.patience_s)
            except TimeoutError:
                if not self.is_getting_on(database):
                    raise

    @property
    def start_patience_s(self) -> float:
        """How long a command may take until it reaches Alembic, or ends, while it does nothing in the database."""
        return max(self.target.timeout_s, SHORT_START_S)

    @property
    def patience_s(self) -> float:
        """How long a command may do nothing in the database: it has to start first."""
        return max(self.target.timeout_s, LONG_START_S)

    def is_getting_on(self, database: Database) -> bool:
        """Whether a statement has begun in the database within `patience_s`."""
        with database.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND clock_timestamp() - query_start < make_interval(secs => %s))",
                (self.patience_s,),
            )
            (answer,) = cursor.fetchone() or (False,)
            return bool(answer)

    def cancel(self, database: Database, backend: str) -> None:
        """Cancel what a backend of that database is doing."""
        with database.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_cancel_backend(%s)", (int(backend),))

    def cancel_blocked(self, database: Database, backend: str) -> bool:
        """Cancel what waits for a lock of that backend, while that one runs nothing. False if there is nothing."""
        with database.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_cancel_backend(waiting.pid)) FROM pg_stat_activity AS blocker"
                " JOIN pg_stat_activity AS waiting ON waiting.datname = blocker.datname AND waiting.wait_event_type = 'Lock'"
                " AND blocker.pid = ANY (pg_blocking_pids(waiting.pid))"
                " WHERE blocker.pid = %s AND blocker.state = 'idle in transaction'",
                (int(backend),),
            )
            (count,) = cursor.fetchone() or (0,)
            return bool(count)


def read_schema(database: Database) -> Snapshot:
    """The schema of that database."""
    with database.connect(autocommit=False) as connection:
        return snapshots.read(connection)


def align_schema(before: Snapshot, now: Snapshot, database: Database, *, same_history: bool = True) -> Snapshot:
    """The database's schema `now`, with the words of another one for definitions that mean the same."""

    def ask(statements: Sequence[str]) -> Any:
        with database.connect(autocommit=False) as connection, connection.cursor() as cursor:
            value = None
            for statement in statements:
                cursor.execute(statement)
                if cursor.description and (value := cursor.fetchall()[0][0]) is None:
                    break
            return value

    return align(before, now, ask, same_history=same_history)


def check_database(session: DriverSession, database: Database, process: Process) -> None:
    """Make sure that the command works on our database and on no other. Raises CannotVerify.

    The walk goes down as well as up, so this is what protects a database that is in use.
    """
    handshake = session.handshake
    if handshake["dialect"] != "postgresql":
        advice = advise_on_database(None, process.target, process.asked_for())
        raise OtherDatabase(
            f"the command migrates a database of another system ({handshake['dialect']}): {advice.text}", advice.options
        )
    if handshake["as_sql"]:
        raise CannotVerify("the command only prints SQL (--sql): name the one that upgrades the database, after --")
    if handshake["database"] != database.name:
        advice = advise_on_database(handshake["database"], process.target, process.asked_for())
        raise OtherDatabase(
            f"the command connected to the database {handshake['database']!r} and not to the throwaway one, so nothing was run:"
            f" {advice.text}",
            advice.options,
        )


def session_of_walk(
    index: int, process: Process, database: Database, earlier: protocol.Ending = "run_whole"
) -> DriverSession | None:
    """The session of the walk with that index, the ones before it being ended like `earlier`. None if there is none."""
    for _ in range(index):
        session = process.next_session()
        if session is None:
            return None
        check_database(session, database, process)
        session.request(earlier)
    session = process.next_session()
    if session is not None:
        check_database(session, database, process)
    return session
