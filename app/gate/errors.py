"""The exceptions that cross from one room of the gate to another."""

from __future__ import annotations


class ServerUnavailable(Exception):
    """There is no PostgreSQL to work on. The message is one line for people, and never holds a password."""


class CannotVerify(Exception):
    """Nothing can be said of the migrations. One line for people: what happened, and what to do. Exit status 2."""


class Spoiled(Exception):
    """The database is not what the walk left it as. `next_index` is where the walk goes on with a new one."""

    def __init__(self, next_index: int) -> None:
        super().__init__(next_index)
        self.next_index = next_index


class NeverArrived(CannotVerify):
    """The command ended before it reached Alembic."""
