"""A deployed database, by a snapshot of it: how large its tables are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from app.gate.report.verdict import SMALL_TABLE_ROWS


class TableSize(NamedTuple):
    rows: int | None  # None if they were never counted
    bytes: int | None


@dataclass(frozen=True)
class Deployed:
    """A deployed database, by a snapshot of it."""

    source: str  # "shop.json", "production"
    sizes: Mapping[str, TableSize]  # by table: "public.orders"
    revisions: frozenset[str] = frozenset()  # that it was at
    taken_at: str = ""
    small_table_rows: int = SMALL_TABLE_ROWS
    commit: str | None = None  # that is deployed there, if the record knows

    @property
    def has_sizes(self) -> bool:
        return any(each.rows is not None for each in self.sizes.values())


class Weight(StrEnum):
    LARGE = "large"
    SMALL = "small"
    NEW = "new"  # the deployed database does not have it
    UNKNOWN = "unknown"  # its rows were never counted


@dataclass(frozen=True)
class SizedTable:
    """A table that a finding is about, as it is in the deployed database."""

    table: str
    weight: Weight
    size: TableSize = field(default=TableSize(None, None))
