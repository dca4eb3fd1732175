"""What runs in production, by the models of the base: what they map, and which of their statements are refused now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.gate.recording.failure import Failure


@dataclass(frozen=True)
class ModelColumn:
    """A column, as a model has it."""

    type: str = ""  # "VARCHAR(20)"
    labels: tuple[str, ...] = ()  # of an enum
    is_optional: bool = False  # NULL where the code gives it no value


@dataclass(frozen=True)
class ModelTable:
    """A table, as the models map it."""

    name: str  # "public.orders"
    model: str  # the class: "shop.models.Order"; "" of a table without one
    columns: Mapping[str, ModelColumn] = field(default_factory=dict)
    keys: tuple[tuple[str, ...], ...] = ()  # unique ones


@dataclass(frozen=True)
class RefusedStatement:
    """A statement of a model that was accepted before, and is refused since a revision."""

    revision: str
    model: str
    table: str
    action: str  # "SELECT", "INSERT", "INSERT of the required columns", "UPDATE", "DELETE", "ON CONFLICT", "JOIN"
    columns: tuple[str, ...]  # that it is about
    sql: str
    failure: Failure


@dataclass(frozen=True)
class RecordedStatements:
    """Statements that production was sent, and those that only the new schema refuses."""

    count: int
    refused_before: int  # by the old schema already: they say nothing
    refused: tuple[RefusedStatement, ...] = ()


@dataclass(frozen=True)
class RunningCode:
    """The code of the base, and the outcome of its statements."""

    commit: str
    tables: tuple[ModelTable, ...] = ()  # of those that the branch does something with
    statements: int = 0  # how many were tried
    refused: tuple[RefusedStatement, ...] = ()
    # Of the branch's own models, on the schema before its revisions. None: these could not be asked.
    too_early: tuple[RefusedStatement, ...] | None = None
