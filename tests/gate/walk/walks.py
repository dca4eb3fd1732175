"""Walks as they are while they are taken. What a test does not name is as uneventful as can be."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from app.gate.recording.model import ALL_EVIDENCE, Divergence, Graph, Revision, RoundTrip
from app.gate.walk.state import Arrival, Walk
from tests.gate.checks.builders import revision

HANDSHAKE = {
    "script_location": "migrations",
    "version_table": "alembic_version",
    "version_table_schema": None,
    "alembic": "1.20.1",
    "sqlalchemy": "2.1.9",
    "engine": None,
    "backend": "7",
    "dialect": "postgresql",
    "database": "throwaway",
    "as_sql": False,
}


def line_of(*names: str) -> list[Revision]:
    """Revisions, each after the one before it."""
    return [revision(name, below) for name, below in zip(names, (None, *names), strict=False)]


def arrival(
    *revisions: Revision,
    handshake: dict[str, Any] | None = None,
    problems: Iterable[Any] = (),
    heads: Iterable[str] | None = None,
    **fields: Any,
) -> Arrival:
    """At an empty database, which is to get all of those revisions."""
    parents = {parent for each in revisions for parent in each.down_revisions}
    found = tuple(each.revision for each in revisions if each.revision not in parents)
    known: dict[str, Any] = {
        "index": 0,
        "graph": Graph(tuple(revisions), found if heads is None else tuple(heads), problems=tuple(problems)),
        "plan": tuple(each.revision for each in revisions),
        "current": (),
        "is_transactional": True,
        "has_metadata": True,
        "is_stamp": False,
        "stamped": (),
        "base": None,
        "paths": {each.revision: Path(each.path) for each in revisions},
    }
    return Arrival(handshake=cast(Any, {**HANDSHAKE, **(handshake or {})}), **{**known, **fields})


def walk(*trips: RoundTrip, arrives: Arrival | None = None, **fields: Any) -> Walk:
    """A walk on which those trips were made, and applied where they did not fail."""
    if arrives is None:
        arrives = arrival(*line_of(*(each.revision for each in trips)))
    applied = {each.revision for each in trips if each.up is not None and each.up.failure is None}
    known: dict[str, Any] = {
        "evidence": ALL_EVIDENCE,
        "trips": {each.revision: each for each in trips},
        "applied": applied,
    }
    return Walk(arrives, **{**known, **fields})


def base(**fields: Any) -> Divergence:
    return Divergence("main", "c0ffee", **fields)
