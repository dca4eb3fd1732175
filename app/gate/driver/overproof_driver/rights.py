"""The rights with which the statements of a step run.

Migrations run as the ordinary role that owns the database, as on a hosted server, where no user is a superuser. What
PostgreSQL refuses to it is noted, and repeated with a superuser's rights, so that the walk continues.

A statement that fails ends its transaction, and a savepoint before each statement would cost every history something.
So a step begins without; once PostgreSQL has refused a statement of it, it is rolled back and taken again, carefully:
each statement under a savepoint.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Callable

from .errors import DatabaseError, sqlstate

if TYPE_CHECKING:
    from .transactions import MigrationConnection

_INSUFFICIENT_PRIVILEGE = "42501"
# Under a savepoint of ours, these would do something else.
_STEERS_TRANSACTIONS = re.compile(
    r"\A(BEGIN|START|END|ABORT)\b|\b(COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b|\APREPARE\s+TRANSACTION\b", re.IGNORECASE
)
# The roles that own something which the session's role could not change.
_FOREIGN_OWNERS = """
SELECT quote_ident(pg_get_userbyid(o.owner))::text FROM (
    SELECT c.relowner AS owner FROM pg_class c WHERE c.oid >= 16384 UNION SELECT n.nspowner FROM pg_namespace n
    UNION SELECT p.proowner FROM pg_proc p WHERE p.oid >= 16384 UNION SELECT t.typowner FROM pg_type t WHERE t.oid >= 16384
) o WHERE o.owner >= 16384 AND NOT pg_has_role(session_user, o.owner, 'USAGE')
"""


class Rights:
    """Whose rights the statements of a step have, and which of them needed a superuser's."""

    def __init__(self, connection: MigrationConnection) -> None:
        self._connection = connection
        self._refused_before: set[tuple[str, str]] = set()  # steps, each a revision and a direction
        self._step = ("", "")
        self.refused: list[DatabaseError] = []  # in the step under way

    @property
    def is_careful(self) -> bool:
        """Whether a statement inside of a transaction is to be run by `run_carefully`."""
        return self.can_be_lent and (self._step in self._refused_before or self._connection.has_committed)

    @property
    def can_be_lent(self) -> bool:
        return self._connection.superuser is not None

    def begin_step(self, revision: str, direction: str) -> None:
        self._step = (revision, direction)
        self._begin_try()

    def _begin_try(self) -> None:
        self._connection.lacks_rights = False
        self.refused = []

    def take_again(self) -> None:
        """Begin the step again, carefully."""
        self._refused_before.add(self._step)
        self._begin_try()

    def note_error(self, error: BaseException | None) -> None:
        """Have a step that lacks rights taken again. Once something of it is committed, that is not possible."""
        if is_refusal(error) and self.can_be_lent and not self.is_careful:
            self._connection.lacks_rights = True

    def run_carefully(
        self, run: Callable[[], None], statement: str, noted: Callable[[Exception], DatabaseError]
    ) -> bool:
        """Run a statement inside of a transaction, and once more with a superuser's rights if it lacks rights.

        False if it cannot be run that way.
        """
        if _STEERS_TRANSACTIONS.search(statement):
            return False
        self._connection.execute("SAVEPOINT overproof_statement")
        try:
            run()
        except Exception as error:
            if not is_refusal(error):
                raise
            self._connection.execute("ROLLBACK TO SAVEPOINT overproof_statement")
            self.repeat(run, noted(error))
        self._connection.execute("RELEASE SAVEPOINT overproof_statement")
        return True

    def repeat(self, run: Callable[[], None], refused: DatabaseError, *, in_transaction: bool = True) -> None:
        """Run what was refused with a superuser's rights, unless the script itself has chosen a role."""
        connection, scope = self._connection, "LOCAL " if in_transaction else ""
        if connection.scalar("SELECT current_setting('role')::text") != "none":
            run()
            return
        connection.execute(f"SET {scope}ROLE {connection.superuser}")
        try:
            run()
            self._join_owners()
        except Exception:
            if not in_transaction:
                connection.execute("RESET ROLE")
            raise
        connection.execute(f"SET {scope}ROLE NONE")
        self.refused.append(refused)

    def _join_owners(self) -> None:
        """Make the ordinary role a member of those to which it could not have given what they own now."""
        # From PostgreSQL 16 on, the creator of a role is a member of it, but does not inherit its rights.
        options = " WITH INHERIT TRUE, SET TRUE" if self._connection.server_version >= 160000 else ""
        for (owner,) in self._connection.rows(_FOREIGN_OWNERS):
            self._connection.execute(f"GRANT {owner} TO SESSION_USER{options}")


def is_refusal(error: BaseException | None) -> bool:
    """Whether PostgreSQL refused a statement for want of rights."""
    return sqlstate(error) == _INSUFFICIENT_PRIVILEGE
