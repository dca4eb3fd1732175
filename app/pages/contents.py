"""What each page shows. Every function reads in the one transaction of its request."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlmodel import Session

from app.audit import service as audit
from app.changes import service as changes
from app.changes.models import ChangeState
from app.database import utcnow
from app.environments import decisions, deployments, drift, snapshots, waivers
from app.environments import service as environments
from app.environments.models import Environment
from app.environments.schemas import DecisionCreate, WaiverRead
from app.gate.report.model import FindingEntry, GraphEntry, Report, TargetEntry, Tool
from app.gate.report.verdict import Severity, Verdict
from app.gate.reporters.html.graph import revision_graph
from app.gate.reporters.html.view import run_view
from app.pages.access import EnvironmentVisit, Reader, Visit
from app.projects import service as projects
from app.projects import tokens
from app.projects.models import Scope
from app.runs import service as runs
from app.runs.errors import ReportExpired
from app.runs.schemas import RunDetail

STRIP = 60  # runs in the strip of verdicts
SOME = 20
FINDINGS = 100  # of one page
MOST_FINDINGS = 5_000  # read of a run whose report has expired

Context = dict[str, Any]


def list_of_projects(session: Session, reader: Reader, *, search: str, cursor: str | None) -> Context:
    found = projects.list_projects(
        session, reader.token, archived=None, cursor=cursor, limit=SOME * 5, search=search or None
    )
    return {"reader": reader, "page": found, "search": search}


def project(session: Session, visit: Visit) -> Context:
    """The newest runs, open changes with their forks, and all environments beside each other."""
    found = projects_environments(session, visit)
    newest = runs.list_runs(session, visit.project, limit=STRIP).items
    return {
        **of(visit),
        "runs": newest,
        "environments": found,
        "changes": changes.list_changes(session, visit.project, state=ChangeState.OPEN, cursor=None, limit=SOME),
        "forks": changes.list_forks(session, visit.project.id),
    }


def of(visit: Visit | EnvironmentVisit) -> Context:
    return {
        "reader": visit.reader,
        "project": visit.project,
        "may_administer": visit.reader.may(Scope.ADMIN, visit.project),
    }


def projects_environments(session: Session, visit: Visit) -> list[Context]:
    """Each with what stands there, its newest snapshot and its newest decision."""
    found = environments.list_environments(session, visit.project, cursor=None, limit=SOME).items
    return [_standing(session, session.get_one(Environment, (visit.project.id, each.name))) for each in found]


def _standing(session: Session, environment: Environment) -> Context:
    newest = decisions.list_decisions(session, environment, cursor=None, limit=1).items
    return {
        "name": environment.name,
        "deployments": deployments.current_deployments(session, environment),
        "snapshot": snapshots.newest_snapshot(session, environment),
        "decision": newest[0] if newest else None,
    }


def list_of_runs(
    session: Session, visit: Visit, *, verdict: Verdict | None, commit: str | None, cursor: str | None
) -> Context:
    found = runs.list_runs(session, visit.project, verdict=verdict, commit=commit, cursor=cursor, limit=SOME * 2)
    return {**of(visit), "page": found, "verdict": verdict, "commit": commit, "verdicts": list(Verdict)}


def run(session: Session, visit: Visit, run_id: UUID, *, first: int, severity: Severity | None, search: str) -> Context:
    """One page of the findings of a run, and what its revisions do."""
    detail = runs.read_run(session, visit.project, run_id)
    report = read_report(session, visit, run_id) or report_without_details(session, visit, detail)
    selected = [each for each in report.open_findings if _is_selected(each, severity, search)]
    return {
        **of(visit),
        "detail": detail,
        "run": run_view(
            report, selected[first : first + FINDINGS], deployments.places_of_revisions(session, visit.project.id)
        ),
        "first": first,
        "shown": min(FINDINGS, max(0, len(selected) - first)),
        "selected": len(selected),
        "per_page": FINDINGS,
        "severity": severity,
        "search": search,
        "severities": list(Severity),
        "waived": {each.fingerprint: each for each in _valid(waivers_of(session, visit))},
    }


def _is_selected(finding: FindingEntry, severity: Severity | None, search: str) -> bool:
    if severity is not None and finding.severity is not severity:
        return False
    words = " ".join(filter(None, (finding.check, finding.object, finding.revision, finding.path, finding.message)))
    return search.casefold() in words.casefold()


def read_report(session: Session, visit: Visit, run_id: UUID) -> Report | None:
    """None if it has expired, or is one of another tool that only looks like one of the gate."""
    try:
        return Report.model_validate_json(gzip.decompress(runs.read_report(session, visit.project, run_id)))
    except (ReportExpired, ValidationError):
        return None


def report_without_details(session: Session, visit: Visit, detail: RunDetail) -> Report:
    """What is left of a report that has expired."""
    found = runs.list_findings(session, visit.project, detail.id, cursor=None, limit=MOST_FINDINGS).items
    return Report(
        verdict=detail.verdict,
        reason=detail.reason,
        tool=Tool(name="overproof", version=detail.tool_version),
        target=TargetEntry(command=[], commit=detail.commit, base=detail.base),
        postgres=detail.postgres,
        started_at=detail.started_at,
        duration_ms=detail.duration_ms,
        graph=GraphEntry(heads=detail.heads),
        findings=[FindingEntry(**{**each.model_dump(), "subject": each.subject or ""}) for each in found],
        not_covered=["The report of this run has expired: what its revisions did is no longer known."],
    )


def waivers_of(session: Session, visit: Visit) -> Sequence[WaiverRead]:
    return waivers.list_waivers(session, visit.project, cursor=None, limit=200).items


def _valid(found: Sequence[WaiverRead]) -> list[WaiverRead]:
    return [each for each in found if each.revoked_at is None and each.ends_at > utcnow()]


def graph(session: Session, visit: Visit) -> Context:
    """The history of the newest run that still has its report."""
    newest = runs.list_runs(session, visit.project, limit=SOME).items
    for each in newest:
        report = read_report(session, visit, each.id)
        if report is not None and report.graph.revisions:
            return {
                **of(visit),
                "of": each,
                "graph": revision_graph(report.graph, deployments.places_of_revisions(session, visit.project.id)),
            }
    return {**of(visit), "of": None, "graph": None}


def environment(session: Session, visit: EnvironmentVisit) -> Context:
    """What stands there, what would be decided for the newest proved version, and how the database differs."""
    place = visit.environment
    newest = runs.list_runs(session, visit.project, limit=SOME).items
    candidate = next((each for each in newest if each.commit and each.change is None), None)
    asked = DecisionCreate(commit=candidate.commit, dry_run=True) if candidate else None
    return {
        **of(visit),
        "environment": place,
        "candidate": candidate,
        "decision": decisions.decide(session, place, asked) if asked else None,
        "drift": drift.read_drift(session, place),
        "deployments": deployments.list_deployments(session, place, cursor=None, limit=SOME).items,
        "decisions": decisions.list_decisions(session, place, cursor=None, limit=SOME).items,
    }


def list_of_waivers(session: Session, visit: Visit, *, cursor: str | None) -> Context:
    found = waivers.list_waivers(session, visit.project, cursor=cursor, limit=SOME * 2)
    return {**of(visit), "page": found, "valid": {each.id for each in _valid(found.items)}}


def list_of_audit(session: Session, visit: Visit, *, cursor: str | None) -> Context:
    return {**of(visit), "page": audit.list_entries(session, visit.project.id, cursor=cursor, limit=SOME * 2)}


def list_of_tokens(session: Session, visit: Visit, *, cursor: str | None) -> Context:
    return {**of(visit), "page": tokens.list_tokens(session, visit.project, cursor=cursor, limit=SOME * 2)}
