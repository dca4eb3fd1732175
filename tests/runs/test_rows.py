"""The rows in which a report is stored, with its texts cut: without a database."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from app.gate.report.verdict import Verdict
from app.revisions.recording import _by_content, _is_open_error, _kept, _revisions
from app.runs.models import Run
from app.runs.posted import PostedReport, read_report
from app.runs.recording import _checks, _findings
from tests.factories import finding, report, revision, sha256

RUN = Run(
    id=UUID(int=1),
    project_id=UUID(int=2),
    digest=b"",
    verdict=Verdict.PASS,
    tool_version="1",
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
    duration_ms=1.0,
)
IDS = {"run_id": str(UUID(int=1)), "project_id": str(UUID(int=2))}


def view(**parts: Any) -> PostedReport:
    return read_report([json.dumps(report(**parts)).encode()]).view


@pytest.mark.parametrize(
    ("name", "longest"),
    [
        ("message", 4_000),
        ("detail", 10_000),
        ("help", 10_000),
        ("object", 1_000),
        ("subject", 1_000),
        ("path", 1_000),
        ("allowed", 2_000),
    ],
)
def test_a_text_of_a_finding_is_cut_at_its_length(name: str, longest: int) -> None:
    fits, more = _findings(RUN, view(findings=[finding(**{name: "x" * (longest + over)}) for over in (0, 1)]))

    assert fits[name] == "x" * longest
    assert more[name] == "x" * (longest - 1) + "…"


def test_a_finding_is_a_row_with_its_place_in_the_report() -> None:
    whole = finding(revision="a1", object="o", subject="s", detail="d", help="h", path="p", line=7, allowed="a")

    rows = _findings(RUN, view(findings=[finding(), whole]))

    assert rows[1] == {**IDS, "position": 1, **whole}
    assert rows[0] == {**IDS, "position": 0, **dict.fromkeys(whole), **finding()}


def test_a_check_is_a_row_with_its_place_in_the_report() -> None:
    skipped = {"id": "model-drift", "outcome": "skipped", "reason": "x" * 2_001, "duration_ms": 1.5}

    rows = _checks(RUN, view(checks=[{"id": "upgrade", "outcome": "pass"}, skipped]))

    assert rows == [
        {**IDS, "position": 0, "check": "upgrade", "outcome": "pass", "reason": None, "duration_ms": 0.0},
        {
            **IDS,
            "position": 1,
            "check": "model-drift",
            "outcome": "skipped",
            "reason": "x" * 1_999 + "…",
            "duration_ms": 1.5,
        },
    ]


def test_a_revision_is_a_row_for_each_content_in_the_order_of_their_keys() -> None:
    revisions = [
        revision("b2", "a1", message="x" * 1_001, path="p" * 1_001),
        revision("a1", message="first", path="a.py"),
        revision("c3", "b2", sha256=None),
    ]
    reported = view(graph={"heads": ["b2"], "revisions": revisions}).reported_history()

    assert list(_by_content(reported)) == [("a1", sha256("a1")), ("b2", sha256("b2"))]
    assert list(_revisions(UUID(int=2), reported)) == [
        {
            "project_id": str(UUID(int=2)),
            "revision": "a1",
            "sha256": sha256("a1"),
            "down_revisions": [],
            "message": "first",
            "path": "a.py",
        },
        {
            "project_id": str(UUID(int=2)),
            "revision": "b2",
            "sha256": sha256("b2"),
            "down_revisions": ["a1"],
            "message": "x" * 999 + "…",
            "path": "p" * 999 + "…",
        },
    ]


def test_what_is_kept_of_a_finding_with_its_proof() -> None:
    (found,) = (
        dict(each)
        for each in view(findings=[finding(message="x" * 1_001, object="o" * 1_001, allowed="a" * 1_001)]).findings
    )

    assert _kept(found) == {
        "check": "round-trip",
        "severity": "error",
        "object": "o" * 999 + "…",
        "message": "x" * 999 + "…",
        "fingerprint": finding()["fingerprint"],
        "allowed": "a" * 999 + "…",
    }


@pytest.mark.parametrize(
    ("parts", "is_one"),
    [({}, True), ({"allowed": "Once."}, False), ({"severity": "warning"}, False), ({"allowed": ""}, False)],
)
def test_an_open_error_is_one_that_was_not_accepted(parts: dict[str, Any], is_one: bool) -> None:
    (found,) = view(findings=[finding(**parts)]).findings

    assert _is_open_error(dict(found)) is is_one
