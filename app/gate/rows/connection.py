"""The migration's connection, for rows: a refused query is an answer and no fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.gate.errors import GateError
from app.gate.recording.model import Failure


class Ask(Protocol):
    """Runs a SELECT that gives one text, on the migration's connection, after statements that go before it.

    If anything is refused, nothing has happened. Raises AskFailed.
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
    """The migration's own connection, inside the transaction that is held."""

    ask: Ask
    execute: Callable[[Sequence[str]], Failure | None]
    load: Callable[[str], Failure | None]  # runs a whole SQL script
