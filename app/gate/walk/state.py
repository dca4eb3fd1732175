"""One walk through one history, as it grows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from app.gate.recording.model import (
    Divergence,
    Drift,
    Evidence,
    Graph,
    Revision,
    RoundTrip,
    Snapshot,
    UnregisteredModel,
)
from app.gate.rows.trial import RowsTrial
from app.gate.snapshot.read import without
from app.gate.target.session import DriverSession
from app.gate.walk.unchanged import Models


@dataclass
class Walk:
    """One walk through one history, as it grows."""

    index: int  # which of the command's calls to Alembic it is
    hello: Mapping[str, Any]
    graph: Graph
    plan: list[str]
    evidence: frozenset[Evidence]  # what is recorded beyond it
    is_transactional: bool  # False where the connection commits each statement by itself
    has_metadata: bool
    current: tuple[str, ...] = ()  # where the database was before the walk: the base's revisions, with --base
    base: Divergence | None = None
    is_stamp: bool = (
        False  # the command only marks the database with a revision, as one does whose tables code has made
    )
    start: Snapshot | None = None
    trips: dict[str, RoundTrip] = field(default_factory=dict)
    unconfirmed: list[str] = field(default_factory=list)
    applied: set[str] = field(default_factory=set)
    blocked_by: dict[str, str] = field(
        default_factory=dict
    )  # revision that was not tried -> the one that failed below it
    head: Snapshot | None = None
    is_stop: bool = False  # a later walk goes on with the same history
    drift: tuple[Drift, ...] | None = None
    is_drift_stale: bool = False  # a script has changed the models' metadata, in the process that was asked
    hidden: tuple[str, ...] = ()
    late: tuple[str, ...] = ()  # tables of models that the command loads once Alembic is done: "public.orders"
    unregistered: tuple[UnregisteredModel, ...] | None = None
    not_observed: dict[str, str] = field(default_factory=dict)
    paths: Mapping[str, Path] = field(default_factory=dict)  # of the scripts, by revision
    unpopulated: dict[str, RowsTrial] = field(default_factory=dict)  # revisions that are still to be tried over rows
    known: Mapping[str, str] | None = None  # tables that were like their models at the base, and their fingerprints
    models: Models = field(default_factory=dict)
    unchanged: frozenset[str] = frozenset()  # tables that autogenerate need not compare (see `unchanged.py`)
    creation: Sequence[str] | None = None  # SQL that creates the models' tables, if SQL is enough
    refused: tuple[str, ...] = ()  # tables of which a filter of the project's left something out
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, revision: str, **changes: Any) -> None:
        """Write down more of that revision's trip. Others may be at it as well, for other fields."""
        with self._lock:
            self.trips[revision] = replace(self.trips[revision], **changes)

    @cached_property
    def revisions(self) -> dict[str, Revision]:
        """The scripts by their revision."""
        return {each.revision: each for each in self.graph.revisions}

    @property
    def history(self) -> tuple[Any, ...]:
        """What tells one history from another: where its scripts are, and where its revision is kept."""
        return tuple(self.hello[name] for name in ("script_location", "version_table", "version_table_schema"))

    def ask_drift(self, session: DriverSession, timeout_s: float, meanwhile: Callable[[], None] | None = None) -> None:
        """What autogenerate would still write, in the process of that session, which is at head."""
        answer = session.ask("drift", timeout_s, meanwhile, unchanged=sorted(self.unchanged))
        if failure := answer.get("failure"):
            self.not_observed["drift"] = f"autogenerate failed: {failure['message']}"
            return
        self.drift = tuple(Drift(each["operation"], each["object"], each["kind"]) for each in answer["operations"])
        self.hidden += tuple(answer["waived"])
        self.refused = tuple(answer["refused"])
        self.is_drift_stale = answer["is_stale"]

    def get_head(self) -> Snapshot:
        """The schema at head. Raises LookupError if the walk did not get there."""
        if self.head is None:
            raise LookupError("head was not reached")
        return self.head

    def without_version_table(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot less the table in which Alembic keeps the revision."""
        return without(snapshot, self._version_schema, self.hello["version_table"])

    @property
    def version_table(self) -> str:
        """ "public.alembic_version" """
        return f"{self._version_schema}.{self.hello['version_table']}"

    @property
    def _version_schema(self) -> str:
        return str(self.hello["version_table_schema"] or self.hello.get("default_schema") or "public")
