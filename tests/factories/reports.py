"""Reports as JSON, the way somebody would post them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any


def report(**parts: Any) -> dict[str, Any]:
    """The least report there is, with the parts that a test names."""
    return {
        "format": "overproof-report/1",
        "verdict": "pass",
        "tool": {"name": "overproof", "version": "0.1.0"},
        "target": {"command": ["alembic", "upgrade", "head"]},
        "started_at": "2026-11-22T10:00:00Z",
        "duration_ms": 1234.5,
        **parts,
    }


def finding(**parts: Any) -> dict[str, Any]:
    return {
        "check": "round-trip",
        "severity": "error",
        "message": "The downgrade leaves an index behind.",
        "fingerprint": "0c9e6f5d2b7a4413",
        **parts,
    }


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def revision(name: str, *parents: str, script: str | None = None, **parts: Any) -> dict[str, Any]:
    """A revision that was applied: its schemas are named by its ancestors, if a test does not name them."""
    return {
        "revision": name,
        "down_revisions": list(parents),
        "sha256": sha256(script or name),
        "schema_digest_before": sha256(f"schema of {' '.join(parents)}"),
        "schema_digest": sha256(f"schema of {name}"),
        **parts,
    }


def proof(*revisions: dict[str, Any], findings: Sequence[dict[str, Any]] = (), **parts: Any) -> dict[str, Any]:
    """The report of a gate that judged this history, from the base to the head."""
    parents = {parent for each in revisions for parent in each["down_revisions"]}
    heads = [each["revision"] for each in revisions if each["revision"] not in parents]
    failed = [each for each in findings if each["severity"] == "error" and not each.get("allowed")]
    open_checks = {each["check"] for each in findings if not each.get("allowed")}
    upgrade = "fail" if "upgrade" in open_checks else "pass"
    return report(
        verdict="fail" if failed else "pass",
        graph={"heads": heads, "revisions": list(revisions)},
        checks=[{"id": "upgrade", "outcome": upgrade}],
        findings=list(findings),
        **parts,
    )


def snapshot(at: str | None, *, schema: str | None = None, **parts: Any) -> dict[str, Any]:
    """Of a database at that revision, with the schema that `revision` gives it if a test does not name another."""
    return {
        "format": "overproof-snapshot/1",
        "database": "shop",
        "postgres": "18.6",
        "taken_at": "2026-11-30T12:00:00Z",
        "revisions": {"public.alembic_version": [] if at is None else [at]},
        "digest": sha256(schema or f"schema of {at or ''}"),
        "objects": [],
        **parts,
    }
