"""How a trial takes the steps of a revision: in a transaction that is rolled back, or with commits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from app.gate.recording.model import Step
from app.gate.rows.connection import CommitRefused, RowConnection
from app.gate.rows.older_rules import OlderRule

T = TypeVar("T")
TakeStep = Callable[[], Step | CommitRefused]


class Steps(Protocol):
    """The steps of one revision on one database."""

    connection: RowConnection
    is_repeatable: bool  # another attempt can follow a failed one on the same database

    def fill(self, insert: Callable[[], bool]) -> bool:
        """Insert rows before an upgrade. False if the tables have none then."""

    def in_older_schema(self, action: Callable[[], T]) -> T:
        """Do something in the schema into which the rows go."""

    def upgrade(self) -> Step | CommitRefused: ...

    def downgrade(self) -> Step | CommitRefused | None:
        """None if it is not to be tried."""

    def take_back(self) -> bool:
        """After an upgrade that failed: undo it, and the rows. False if that is not possible."""

    def read(self, action: Callable[[], T]) -> T:
        """Read something between two steps."""

    def clear(self, statements: Sequence[str] | None) -> None:
        """Delete the rows after the downgrade. None: they cannot be distinguished from others."""


@dataclass
class RolledBack:
    """In one rollback-only transaction, which the caller begins and rolls back."""

    connection: RowConnection
    take_upgrade: TakeStep
    take_downgrade: TakeStep | None = None
    is_repeatable: bool = True
    older_rules: Sequence[OlderRule] = ()  # those that the downgrade has not brought back

    def fill(self, insert: Callable[[], bool]) -> bool:
        return self.connection.execute(["SAVEPOINT overproof_rows"]) is None and self.in_older_schema(insert)

    def in_older_schema(self, action: Callable[[], T]) -> T:
        if not self.older_rules:
            return action()
        self.connection.execute([rule.begin for rule in self.older_rules])
        try:
            return action()
        finally:
            self.connection.execute([rule.end for rule in self.older_rules])

    def upgrade(self) -> Step | CommitRefused:
        return self.take_upgrade()

    def downgrade(self) -> Step | CommitRefused | None:
        return self.take_downgrade() if self.take_downgrade is not None else None

    def take_back(self) -> bool:
        # It fails if the script has ended the transaction.
        return self.connection.execute(["ROLLBACK TO SAVEPOINT overproof_rows"]) is None

    def read(self, action: Callable[[], T]) -> T:
        return action()

    def clear(self, statements: Sequence[str] | None) -> None:
        """The rollback deletes them."""


class Transactions(Protocol):
    """The driver's transactions around what the gate itself does."""

    def begin_rollback_only(self) -> None: ...

    def commit(self) -> None: ...

    def roll_back(self) -> bool: ...


@dataclass
class Committed:
    """With commits, as users run them. A failed step leaves the database in another state."""

    connection: RowConnection
    transactions: Transactions
    take_upgrade: TakeStep
    take_downgrade: TakeStep | None = None
    is_repeatable: bool = False
    is_spoiled: bool = False  # the database is no longer as it was before the trial

    def in_older_schema(self, action: Callable[[], T]) -> T:
        return action()

    def fill(self, insert: Callable[[], bool]) -> bool:
        self.transactions.begin_rollback_only()
        is_filled = insert()
        self._end(is_filled)
        return is_filled

    def upgrade(self) -> Step | CommitRefused:
        self.is_spoiled = True  # until the downgrade and the deletion of the rows
        return self.take_upgrade()

    def downgrade(self) -> Step | CommitRefused | None:
        return self.take_downgrade() if self.take_downgrade is not None else None

    def take_back(self) -> bool:
        return False

    def read(self, action: Callable[[], T]) -> T:
        self.transactions.begin_rollback_only()
        try:
            return action()
        finally:
            self.transactions.roll_back()

    def clear(self, statements: Sequence[str] | None) -> None:
        if statements is None:
            return
        self.transactions.begin_rollback_only()
        is_cleared = self.connection.execute(statements) is None
        self._end(is_cleared)
        self.is_spoiled = not is_cleared

    def _end(self, is_done: bool) -> None:
        if is_done:
            self.transactions.commit()
        else:
            self.transactions.roll_back()


def passes_without_rows(steps: Steps) -> bool:
    """Whether an upgrade that failed over rows passes without them; to be taken back in any case.

    If not, it may fail over what the revision itself has put in, and its downgrade left.
    """
    if not steps.is_repeatable or not steps.take_back():
        return False
    taken = steps.upgrade()
    return isinstance(taken, Step) and taken.failure is None
