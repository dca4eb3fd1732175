"""What the page of a run shows: one page of its findings, and what the revisions do that these are about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlmodel import Session

from app.environments import deployments, waivers
from app.gate.report.model import CheckEntry, FindingEntry, GraphEntry, Report, TargetEntry, Tool
from app.gate.report.verdict import Severity
from app.gate.reporters.html.view import view_of_part
from app.pages.access import Visit
from app.pages.contents import Context, of
from app.pages.stored_report import read_part
from app.runs import service as runs
from app.runs.errors import ReportExpired
from app.runs.schemas import RunRead
from app.runs.service import Selection

FINDINGS = 50  # of one page, as the API has it


def run(session: Session, visit: Visit, run_id: UUID, *, first: int, severity: Severity | None, search: str) -> Context:
    project = visit.project
    summary = runs.read_summary(session, project, run_id)
    found = runs.select_findings(
        session, project, run_id, severity=severity, search=search, first=first, limit=FINDINGS
    )
    part = _part_of_report(session, visit, summary, found.positions)
    counts = _by_severity(summary)
    places = deployments.places_of_revisions(session, project.id)
    return {
        **of(visit),
        **_filter(found, first, severity, search),
        "detail": summary,
        "run": view_of_part(part, counts, found.accepted_total, places),
        "waived": waivers.waivers_of(session, project.id, {each.fingerprint for each in part.open_findings}),
    }


def _by_severity(run: RunRead) -> Mapping[Severity, int]:
    return {Severity(name): number for name, number in run.finding_counts}


def _filter(found: Selection, first: int, severity: Severity | None, search: str) -> dict[str, Any]:
    return {
        "first": first,
        "shown": found.shown,
        "selected": found.open_total,
        "per_page": FINDINGS,
        "severity": severity,
        "search": search,
        "severities": list(Severity),
    }


def _part_of_report(session: Session, visit: Visit, run: RunRead, positions: list[int]) -> Report:
    try:
        part = read_part(runs.read_report(session, visit.project, run.id), positions)
    except ReportExpired:
        part = None
    return part if part is not None else _without_details(session, visit, run, positions)


def _without_details(session: Session, visit: Visit, run: RunRead, positions: list[int]) -> Report:
    """What is left of a report that has expired."""
    findings = runs.findings_at(session, visit.project, run.id, positions)
    checks = runs.read_run(session, visit.project, run.id).checks
    return Report(
        verdict=run.verdict,
        reason=run.reason,
        tool=Tool(name="overproof", version=run.tool_version),
        target=TargetEntry(command=[], commit=run.commit, base=run.base),
        postgres=run.postgres,
        started_at=run.started_at,
        duration_ms=run.duration_ms,
        graph=GraphEntry(heads=run.heads),
        checks=[CheckEntry(id=each.check, outcome=each.outcome, reason=each.reason) for each in checks],
        findings=[FindingEntry(**{**each.model_dump(), "subject": each.subject or ""}) for each in findings],
        not_covered=["The report of this run has expired: what its revisions did is no longer known."],
    )
