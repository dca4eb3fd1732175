"""What each page shows. Every function reads in the one transaction of its request."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlmodel import Session

from app.audit import service as audit
from app.changes import service as changes
from app.changes.models import ChangeState
from app.environments import decisions, deployments, drift, snapshots, waivers
from app.environments import service as environments
from app.environments.models import Environment
from app.environments.schemas import DecisionCreate
from app.gate.report.model import GraphEntry
from app.gate.report.verdict import Verdict
from app.gate.reporters.html.graph import revision_graph
from app.pages.access import EnvironmentVisit, Reader, Visit
from app.pages.stored_report import read_graph
from app.projects import service as projects
from app.projects import tokens
from app.projects.models import Scope
from app.runs import service as runs
from app.runs.errors import ReportExpired

STRIP = 60  # runs in the strip of verdicts
SOME = 20

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
    session: Session,
    visit: Visit,
    *,
    verdict: Verdict | None,
    commit: str | None,
    fingerprint: str | None,
    cursor: str | None,
) -> Context:
    filters = {"verdict": verdict, "commit": commit, "fingerprint": fingerprint}
    found = runs.list_runs(session, visit.project, **filters, cursor=cursor, limit=SOME * 2)  # type: ignore[arg-type]
    return {**of(visit), **filters, "page": found, "verdicts": list(Verdict)}


def graph(session: Session, visit: Visit) -> Context:
    """The history of the newest run that still has its report."""
    for each in runs.list_runs(session, visit.project, limit=SOME).items:
        found = _graph_of_run(session, visit, each.id)
        if found is not None and found.revisions:
            places = deployments.places_of_revisions(session, visit.project.id)
            return {**of(visit), "of": each, "graph": revision_graph(found, places)}
    return {**of(visit), "of": None, "graph": None}


def _graph_of_run(session: Session, visit: Visit, run_id: UUID) -> GraphEntry | None:
    try:
        return read_graph(runs.read_report(session, visit.project, run_id))
    except ReportExpired:
        return None


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
    return {**of(visit), "page": found, "valid": {each.id for each in found.items if waivers.is_valid(each)}}


def list_of_audit(session: Session, visit: Visit, *, cursor: str | None) -> Context:
    return {**of(visit), "page": audit.list_entries(session, visit.project.id, cursor=cursor, limit=SOME * 2)}


def list_of_tokens(session: Session, visit: Visit, *, cursor: str | None) -> Context:
    return {**of(visit), "page": tokens.list_tokens(session, visit.project, cursor=cursor, limit=SOME * 2)}
