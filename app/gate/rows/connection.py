"""The migration's connection, for rows: a query that PostgreSQL refuses is a result, not a fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.gate.errors import GateError
from app.gate.recording.model import Failure


class Ask(Protocol):
    """Runs a SELECT that returns one text, on the migration's connection, after the statements in `before`.

    If PostgreSQL refuses one, all are rolled back. Raises QueryRefused.
    """

    def __call__(self, sql: str, *before: str) -> str: ...


class QueryRefused(GateError):
    """PostgreSQL refused a query."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(frozen=True)
class CommitRefused:
    """In place of a step: its script wants to commit, in a transaction that is to be rolled back."""


@dataclass(frozen=True)
class RowConnection:
    """The migration's own connection, inside the rollback-only transaction."""

    ask: Ask
    execute: Callable[[Sequence[str]], Failure | None]
    load: Callable[[str], Failure | None]  # runs a whole SQL script
