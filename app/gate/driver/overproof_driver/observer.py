"""Sees what PostgreSQL does with each statement of a step: locks, rewrites, scans, index builds, rows.

SQLAlchemy's events say when a statement begins and ends; `looks` says what it did.

A statement outside of a transaction, as in an autocommit block, has released its locks before they can be read. So it
is given a separate transaction, which is what PostgreSQL would have done: BEGIN, the statement, a look, COMMIT. Those
that refuse to run in one (CONCURRENTLY, VACUUM, what commits by itself) run unchanged, and show what they left behind.
"""

from __future__ import annotations

import re
import sys
import time
from typing import TYPE_CHECKING, Any, Callable, Dict

from sqlalchemy import event
from sqlalchemy.engine import Engine

from .errors import DatabaseError, sqlstate
from .looks import Baseline, Looks, without_comments
from .naming import undoubled
from .rights import Rights, is_refusal

if TYPE_CHECKING:
    from types import FrameType

    from sqlalchemy.engine import Connection
    from sqlalchemy.engine.interfaces import ExceptionContext

    from . import protocol
    from .transactions import MigrationConnection

SQL_LIMIT = 20000  # characters of a statement that are kept
STATEMENT_LIMIT = 1000  # statements of a step that are kept
ERROR_LIMIT = 100

_ENDS_TRANSACTION = re.compile(r"\A(COMMIT|END|ROLLBACK|ABORT)\b(?!.*\bTO\b)", re.IGNORECASE | re.DOTALL)
# What steers transactions, or works in one only, is another thing inside of a transaction that we began.
_STEERS_TRANSACTIONS = re.compile(
    r"\A(BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE|LOCK|DECLARE)\b|\b(COMMIT|ROLLBACK)\b",
    re.IGNORECASE,
)
# active_sql_transaction, invalid_transaction_termination: "cannot run inside a transaction block", and COMMIT in a
# procedure.
_WANTS_NO_TRANSACTION = ("25001", "2D000")

Halts = Dict[int, Callable[[], None]]  # what to do before the statements of those numbers, from 0


class Counted:
    """The step is in a transaction of which the locks and counters at the last look are known."""

    def __init__(self, baseline: Baseline, follows: Ended | Autocommit | None = None) -> None:
        self.baseline = baseline
        self.follows = follows  # how the one before it in the same step ended


class Ended:
    """The script has ended the transaction itself, in SQL or through SQLAlchemy, and may or may not be in another
    one."""


class Autocommit:
    """The last statement was a transaction by itself, as in an autocommit block."""


class _Running:
    """The statement under way."""

    def __init__(self, line: int | None, is_alone: bool) -> None:
        self.line = line  # in the script
        self.is_alone = is_alone  # a transaction by itself
        self.begun = time.perf_counter()
        self.duration_ms: float | None = None  # once it has ended
        self.effects: protocol.Effects | None = None  # once they were looked at


class StepObserver:
    """Observes the statements of one step after the other."""

    def __init__(self, connection: MigrationConnection) -> None:
        self._connection = connection
        self._listeners: list[tuple[Any, str, Callable[..., Any]]] = []
        self._is_on = False
        self._has_to_look = True
        self._halts: Halts = {}
        self._begun_statements = 0
        self._running = _Running(None, is_alone=False)
        self._transaction: Counted | Ended | Autocommit = Counted(Baseline())
        self._script: str | None = None
        self._statements: list[protocol.Statement] = []
        self.looks = Looks(connection)
        self.rights = Rights(connection)
        self.errors: list[DatabaseError] = []  # of the step, whatever the script made of them

    @property
    def first_error(self) -> DatabaseError | None:
        return self.errors[0] if self.errors else None

    def listen(self) -> None:
        """Listen to SQLAlchemy until `close`."""
        dialect = self._connection.context.dialect
        self._listeners = [
            (Engine, "before_cursor_execute", self._before),
            (Engine, "after_cursor_execute", self._after),
            (Engine, "handle_error", self._note_error),
            (Engine, "commit", self._on_commit),
            (dialect, "do_execute", self._execute),
            (dialect, "do_executemany", self._execute_many),
            (dialect, "do_execute_no_params", self._execute_bare),
        ]
        for listener in self._listeners:
            event.listen(*listener)

    def close(self) -> None:
        for listener in self._listeners:
            event.remove(*listener)

    def start(self, script: str | None, observe: bool, transaction: int, halts: Halts | None = None) -> None:
        """Begin a step of the script at that path, in the transaction of that id. `observe` False only notes errors."""
        self._script = script
        self._statements = []
        self.errors = []
        self._has_to_look = observe
        self._halts = halts or {}
        self._begun_statements = 0
        if observe:
            self.looks.begin_step(transaction)
            self._transaction = Counted(Baseline() if self._are_counters_at_zero() else self.looks.count())
        self._is_on = True

    def _are_counters_at_zero(self) -> bool:
        """Whether the counters of all earlier transactions were flushed (pg_stat_force_next_flush, PostgreSQL 15). In a
        rollback-only transaction they continue from what was done in it before, and a step may have left some if it
        ended its transaction itself."""
        has_flushed = isinstance(self._transaction, Counted) and self._transaction.follows is None
        return has_flushed and self._connection.server_version >= 150000 and self._connection.is_untouched

    def stop(self) -> list[protocol.Statement]:
        """End the step and return what was seen."""
        if self._is_on and self._has_to_look and not self.errors:
            # What a script did without SQLAlchemy, through the bare DBAPI connection, shows here at the latest.
            rest = self.looks.look(self._counted().baseline).to_message()
            if "locks" in rest or "rewrites" in rest or "index_builds" in rest:
                self._note("(statements sent past SQLAlchemy)", None, 0.0, True, rest)
        self._is_on = False
        return self._statements

    def abort(self) -> list[protocol.Statement]:
        """Stop noting, without a last look: the transaction cannot be used any more."""
        self._is_on = False
        return self._statements

    def _counted(self) -> Counted:
        """The transaction that the session is in, counted if it is a new one."""
        if not isinstance(self._transaction, Counted):
            self._transaction = Counted(self.looks.count(), follows=self._transaction)
        return self._transaction

    def _has_ended(self) -> bool:
        """Whether the script has ended a transaction in this step, and may have ended this one unseen."""
        latest = self._transaction.follows if isinstance(self._transaction, Counted) else self._transaction
        return isinstance(latest, Ended)

    def _is_ours(self, connection: Connection) -> bool:
        return self._is_on and self._connection.is_same(connection)

    def _before(
        self, connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> None:
        if not self._is_ours(connection):
            return
        self._note_begun()
        self._connection.refuse_commit_in(statement)
        is_alone = self._connection.is_autocommit or (self._has_ended() and not self._connection.has_transaction())
        if self._has_to_look and not is_alone:
            self._counted()
        self._running = _Running(_line_in(self._script), is_alone)

    def _note_begun(self) -> None:
        """Raises Stopped before a statement that is not to run."""
        if self._begun_statements in self._halts:
            self._halts[self._begun_statements]()
        self._begun_statements += 1

    def _execute(self, cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        run = context.dialect.do_execute
        return self._run(lambda: run(cursor, statement, parameters, context), statement, context)

    def _execute_many(self, cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        run = context.dialect.do_executemany
        return self._run(lambda: run(cursor, statement, parameters, context), statement, context)

    def _execute_bare(self, cursor: Any, statement: str, context: Any) -> bool:
        run = context.dialect.do_execute_no_params
        return self._run(lambda: run(cursor, statement, context), statement, context)

    def _run(self, run: Callable[[], None], statement: str, context: Any) -> bool:
        """Run a statement in another way than SQLAlchemy would. False if there is no need to."""
        if not self._is_ours(context.root_connection):
            return False
        bare = without_comments(statement)

        def noted(error: Exception) -> DatabaseError:
            return DatabaseError(error, statement, self._running.line)

        if not self._running.is_alone:
            return self.rights.is_careful and self.rights.run_carefully(run, bare, noted)
        self._transaction = Ended() if self._has_ended() else Autocommit()
        can_look = self._has_to_look and len(self._statements) < STATEMENT_LIMIT
        if can_look and not _STEERS_TRANSACTIONS.search(bare) and self._run_in_transaction(run, statement, noted):
            return True
        if not self.rights.can_be_lent:
            return False
        try:
            run()
        except Exception as error:
            if not is_refusal(error):
                raise
            self.rights.repeat(run, noted(error), in_transaction=False)
        return True

    def _run_in_transaction(
        self, run: Callable[[], None], statement: str, noted: Callable[[Exception], DatabaseError]
    ) -> bool:
        """Run a statement that would be a transaction by itself in one that can be looked into. False if that cannot be
        done."""
        connection, running = self._connection, self._running
        connection.execute("BEGIN")
        try:
            baseline = self.looks.count()
            try:
                run()
            except Exception as error:
                if not is_refusal(error) or not self.rights.can_be_lent:
                    raise
                connection.execute("ROLLBACK")
                connection.execute("BEGIN")
                self.rights.repeat(run, noted(error))
            running.duration_ms = (time.perf_counter() - running.begun) * 1000
            running.effects = self.looks.look(baseline, statement).to_message()
            connection.execute("COMMIT")
        except Exception as error:
            connection.execute("ROLLBACK")
            if sqlstate(error) in _WANTS_NO_TRANSACTION:
                running.begun = time.perf_counter()
                return False
            raise
        return True

    def _after(
        self, connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool
    ) -> None:
        if not self._is_ours(connection):
            return
        running = self._running
        if running.effects is None:
            running.duration_ms = (time.perf_counter() - running.begun) * 1000
        if len(self._statements) < STATEMENT_LIMIT:
            effects = self._effects_of(statement)
            self._note(statement, running.line, running.duration_ms or 0.0, not running.is_alone, effects)
        if _ENDS_TRANSACTION.match(without_comments(statement)):
            self._end_transaction()

    def _effects_of(self, statement: str) -> protocol.Effects:
        running = self._running
        if running.effects is not None:
            return running.effects
        if not self._has_to_look:
            return {}
        if running.is_alone:
            return self.looks.look_after_commit(statement).to_message()
        return self.looks.look(self._counted().baseline, statement).to_message()

    def _on_commit(self, connection: Connection) -> None:
        """SQLAlchemy commits: if it is the script that wants it, that is in effect another statement."""
        if not self._connection.is_same(connection):
            return
        self._connection.refuse_commit()
        if self._connection.is_autocommit or not self._is_on:
            return
        self._note_begun()
        self._note("COMMIT", _line_in(self._script), 0.0, True, {})
        self._end_transaction()

    def _note(
        self, sql: str, line: int | None, duration_ms: float, transactional: bool, effects: protocol.Effects
    ) -> None:
        self._statements.append(
            {
                "sql": undoubled(sql, self._connection.context.dialect.paramstyle)[:SQL_LIMIT],
                "duration_ms": duration_ms,
                "line": line,
                "transactional": transactional,
                **effects,
            }
        )

    def _end_transaction(self) -> None:
        self._connection.has_committed = True
        self._transaction = Ended()

    def _note_error(self, context: ExceptionContext) -> None:
        connection = context.connection
        if self._is_on and connection is not None and self._connection.is_same(connection):
            if len(self.errors) < ERROR_LIMIT:
                self.errors.append(DatabaseError(context.original_exception, context.statement, self._running.line))
            self.rights.note_error(context.original_exception)


def _line_in(script: str | None) -> int | None:
    """The line of the script at that path that is running."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename == script:
            return frame.f_lineno
        frame = frame.f_back
    return None
