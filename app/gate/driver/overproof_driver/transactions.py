"""The transactions of the migration's connection: who begins and ends them while the gate steers the command.

One revision is one transaction, whatever `env.py` set. Where `env.py` began the transaction itself, SQLAlchemy's view
of it is left alone, and a bare COMMIT and BEGIN are sent to the server between the revisions; what `env.py` had set
with SET LOCAL is set again.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Iterator

import sqlalchemy

from . import _queries
from .connection import BareConnection
from .errors import CommitInRollbackOnly, RightsMissing

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext


class MigrationConnection(BareConnection):
    """The connection on which the migration runs, and the transaction that it is in."""

    def __init__(self, context: MigrationContext) -> None:
        super().__init__(context)
        self.server_version = 0
        self.is_autocommit = False  # each statement commits by itself, as in an autocommit block
        self.is_rollback_only = False  # what is done now will be rolled back
        self.is_untouched = True  # nothing was done in the transaction yet
        self.has_committed = False  # the step under way, in whole or in part
        self.keeps_queries_prepared = False  # a step was to be observed
        self.superuser: str | None = None  # a role that the session may set, where its own is an ordinary one
        self.lacks_rights = False  # PostgreSQL has refused a statement of the step, which is to be taken again
        self._is_always_autocommit = False
        self._is_external = False  # `env.py` began the transaction itself
        self.was_per_migration = False
        self._was_in_transaction = False
        self._rollback_only_transaction: int | None = None
        self._settings: dict[str, str] = {}

    # Taking over from Alembic, and giving back.

    def take_over(self) -> None:
        """Own the transactions from here on. Ends the one that Alembic has begun."""
        context = self.context
        self.server_version = int(self.scalar_outside("SELECT current_setting('server_version_num')::text"))
        self.keep_prepared_statements()
        self._is_external = context._in_external_transaction
        self._settings = self._local_settings()
        self.was_per_migration = context._transaction_per_migration
        self._was_in_transaction = context._transaction is not None
        if self._was_in_transaction:
            context._transaction.commit()
            context._transaction = None
        context._transaction_per_migration = True
        self._patch_autocommit_block()

    def give_back(self) -> None:
        """Put the context back into the state that `env.py` expects."""
        context = self.context
        context.__dict__.pop("autocommit_block", None)
        context._transaction_per_migration = self.was_per_migration
        if self._was_in_transaction:
            context._transaction = self._begun_transaction()

    def find_autocommit(self) -> None:
        """Find out whether each statement commits by itself: then two have two transactions."""
        first, second = self.transaction_id(), self.transaction_id()
        self.is_autocommit = self._is_always_autocommit = first != second

    def _patch_autocommit_block(self) -> None:
        block = type(self.context).autocommit_block

        @contextmanager
        def autocommit_block() -> Iterator[None]:
            self.refuse_commit()
            self.has_committed = True
            self.is_autocommit = True  # before the block ends the transaction, which is not the script's commit
            try:
                with block(self.context):
                    yield
            finally:
                self.is_autocommit = self._is_always_autocommit

        self.context.autocommit_block = autocommit_block

    # Transactions.

    def open(self) -> None:
        """Be in a transaction."""
        if not self._is_external:
            self.context._transaction = self._begun_transaction()
        elif not self.context.connection.in_transaction():
            # A script has ended what `env.py` began. SQLAlchemy would begin another with the next statement, unless a
            # `with` forbids it.
            with suppress(sqlalchemy.exc.InvalidRequestError):
                self.context.connection.begin()

    def begin(self) -> int:
        """Be in a transaction in which a step, or whatever a script does, finds what it would find in a new session.
        Returns its id."""
        self.open()
        are_prepared = _queries.ARE_PREPARED if self.keeps_queries_prepared else "1"
        asked = ["txid_current()::bigint", "pg_my_temp_schema()::bigint", are_prepared]
        if self.server_version >= 150000:
            # At its end, so that the counters of the next one start from zero.
            asked.append("pg_stat_force_next_flush()::text")
        transaction: int
        ((transaction, has_temporary, is_prepared, *_),) = self.rows("SELECT " + ", ".join(asked))
        if has_temporary:
            self.execute("DISCARD TEMP")
        if not is_prepared:
            self.prepare_queries()
        self.is_untouched = True
        self._apply_settings()
        return transaction

    def commit(self) -> None:
        if self._is_external:
            self._end_external("COMMIT")
            return
        # A script that committed has left Alembic's transaction behind, and SQLAlchemy has begun another.
        transaction = self.context.connection.get_transaction()
        self.context._transaction = None
        if transaction is not None:
            transaction.commit()

    def roll_back(self) -> None:
        if self._is_external:
            transaction = self.context.connection.get_transaction()
            if transaction is not None and not transaction.is_active:
                # A script's commit of it was interrupted: SQLAlchemy would refuse all that comes.
                transaction.rollback()
            self._end_external("ROLLBACK")
            return
        transaction = self.context.connection.get_transaction()
        self.context._transaction = None
        if transaction is not None:
            transaction.rollback()
        else:
            # A script that rolled back may leave a connection that SQLAlchemy takes for idle and PostgreSQL
            # for aborted.
            self.raw_connection().rollback()

    def undo(self) -> None:
        """Roll back what a step did, in the ORM's sessions too that it left in the middle of something.

        A session that outlives the script, as an application's may, would refuse everything that the next one wants of
        it. If it shares the connection (StaticPool, SingletonThreadPool), its rollback is ours.
        """
        sessions = getattr(sys.modules.get("sqlalchemy.orm.session"), "_sessions", {})
        for session in list(sessions.values()):
            if not session.is_active:
                with suppress(Exception):
                    session.rollback()
        self.roll_back()

    def _begun_transaction(self) -> Any:
        """The connection's SQLAlchemy transaction, begun if there is none."""
        connection = self.context.connection
        return connection.get_transaction() or connection.begin()

    def _end_external(self, how: str) -> None:
        """End the transaction that `env.py` began, and begin the next, unless SQLAlchemy alone takes it for one."""
        if self._is_always_autocommit:
            return  # a BEGIN would make a transaction that nothing ends
        self.execute(how)
        self.execute("BEGIN")

    def _local_settings(self) -> dict[str, str]:
        """{"lock_timeout": "2s"}: what `env.py` has set in its session or transaction."""
        rows: list[tuple[str, str]] = self.rows(
            "SELECT name::text, current_setting(name)::text FROM pg_settings"
            " WHERE source = 'session' AND context IN ('user', 'superuser')"
            " UNION ALL SELECT 'role', current_setting('role') WHERE current_setting('role') <> 'none'"
        )
        return dict(rows)

    def _apply_settings(self) -> None:
        """Set again what a COMMIT has undone."""
        if not self._settings:
            return
        names = sorted(self._settings)
        asked = ", ".join(f"current_setting({_literal(name)})::text" for name in names)
        (values,) = self.rows(f"SELECT {asked}")
        for name, value in zip(names, values):
            if value != self._settings[name]:
                self.execute(f"SELECT set_config({_literal(name)}, {_literal(self._settings[name])}, true)")

    # The rollback-only transaction.

    def begin_rollback_only(self) -> int:
        """Begin a transaction in which any commit raises CommitInRollbackOnly. Returns its id."""
        self._rollback_only_transaction = transaction = self.begin()
        self.is_rollback_only = True
        self.lend_rights()
        return transaction

    def begin_step(self) -> int:
        """Be in the transaction in which a step is to run: the rollback-only one if there is one. Returns its id."""
        if not self.is_rollback_only or self._rollback_only_transaction is None:
            return self.begin()
        if self.superuser is not None:
            self.execute("SAVEPOINT overproof_step")
            self.execute(f"SELECT set_config('role', {_literal(self._settings.get('role', 'none'))}, true)")
        return self._rollback_only_transaction

    def end_step(self) -> None:
        """After a step in the rollback-only transaction, the gate's own statements follow."""
        if self.is_rollback_only:
            with suppress(Exception):  # it cannot be used any more, and will be rolled back to where it could
                if self.superuser is not None:
                    self.execute("RELEASE SAVEPOINT overproof_step")
                self.lend_rights()

    def undo_step(self) -> bool:
        """Undo the step as if it had not begun. False if a part of it was committed."""
        if not self.is_rollback_only:
            self.undo()
            return not self.has_committed
        with suppress(Exception):  # the script may have ended the transaction
            self.execute("ROLLBACK TO SAVEPOINT overproof_step")
            return True
        return False

    def lend_rights(self) -> None:
        """Have the gate's own statements run as a superuser's until the transaction ends: they see every row, and may
        write it."""
        if self.superuser is not None:
            self.execute(f"SET LOCAL ROLE {self.superuser}")

    def raise_role(self) -> None:
        """Have the session's own role be a superuser, as in most databases in which autogenerate is run, until the
        transaction is rolled back."""
        if self.superuser is None or self.scalar("SELECT current_setting('role')::text") != "none":
            return
        self.execute(f"SET LOCAL ROLE {self.superuser}")
        self.execute("ALTER ROLE SESSION_USER SUPERUSER")
        self.execute("SET LOCAL ROLE NONE")

    def has_left_rollback_only(self) -> bool:
        """Whether a script has ended the transaction, by a rollback that another session on the same connection did,
        say."""
        try:
            return self.transaction_id() != self._rollback_only_transaction
        except Exception:
            return self.has_committed  # an aborted transaction answers no query, and will be rolled back whole

    def check_rollback_only(self) -> None:
        """Raises CommitInRollbackOnly if a rollback-only transaction was ended."""
        if self.is_rollback_only and self.has_left_rollback_only():
            raise CommitInRollbackOnly()

    def refuse_commit(self) -> None:
        """Raises CommitInRollbackOnly in a rollback-only transaction, and RightsMissing in a step that is to be taken
        again."""
        if self.lacks_rights:
            raise RightsMissing()
        if self.is_rollback_only:
            raise CommitInRollbackOnly()

    def refuse_commit_in(self, statement: str) -> None:
        """Raises CommitInRollbackOnly if the statement would end a rollback-only transaction."""
        words = statement.upper().split(None, 3)[:3]
        # ROLLBACK TO a savepoint stays inside.
        if words and words[0].rstrip(";") in ("COMMIT", "END", "ROLLBACK", "ABORT") and "TO" not in words:
            self.refuse_commit()


def _literal(text: str) -> str:
    # Values come from PostgreSQL's own settings; standard_conforming_strings is on in every supported server.
    return "'" + str(text).replace("'", "''") + "'"
