"""Reports as JSON, the way somebody would post them."""

from __future__ import annotations

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
