"""Decisions: gather the evidence, judge it, and store both. The transaction reads one moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import tuple_
from sqlmodel import Session, col, select

from app.audit import service as audit
from app.database import utcnow
from app.environments.deciding import Evidence, judge, pending_revisions
from app.environments.deployments import current_deployments
from app.environments.drift import Where, find_differences, is_blank, proved_schemas
from app.environments.errors import DecisionNotFound
from app.environments.models import Decision, Deployment, Environment
from app.environments.schemas import Basis, DecisionCreate, DecisionRead, DecisionSummary, Policy, SnapshotRead
from app.environments.snapshots import newest_snapshot, sizes_in
from app.environments.versions import KnownVersion, find_version
from app.environments.waivers import valid_waivers
from app.pagination import TIME_AND_ID, Page, decode_cursor, encode_cursor
from app.revisions import service as revisions
from app.revisions.schemas import ProvedFinding
from app.runs.models import RunFinding

KEY = tuple_(Decision.decided_at, Decision.id)
STORED = [name for name in DecisionSummary.model_fields if not name.startswith("void")]


def decide(session: Session, environment: Environment, asked: DecisionCreate) -> DecisionRead:
    version = find_version(session, environment.project_id, asked)
    basis = read_basis(session, environment, version.run_id if version else None)
    evidence = gather(session, environment, asked, version)
    judgement = judge(evidence)
    decision = Decision(
        project_id=environment.project_id,
        environment=environment.name,
        answer=judgement.answer,
        commit=asked.commit,
        heads=version.heads if version else sorted(asked.heads or []),
        reasons=[reason.model_dump(mode="json") for reason in judgement.reasons],
        pending=[each.model_dump(mode="json") for each in judgement.pending],
        basis=basis.model_dump(mode="json"),
        decided_by=audit.actor_of(session).name,
        decided_at=utcnow(),
    )
    if not asked.dry_run:
        session.add(decision)
    return _answer(decision, basis, is_stored=not asked.dry_run)


def read_basis(session: Session, environment: Environment, run_id: UUID | None) -> Basis:
    """What a decision rests on at this moment. The newest run of a version is no part of what makes it void."""
    snapshot = newest_snapshot(session, environment)
    return Basis(
        snapshot=snapshot.digest if snapshot else None,
        deployments=[f"{each.id} ({each.status})" for each in current_deployments(session, environment)],
        policy=Policy.model_validate(environment.policy),
        waivers=[each.id for each in valid_waivers(session, environment)],
        run_id=run_id,
    )


def gather(session: Session, environment: Environment, asked: DecisionCreate, version: KnownVersion | None) -> Evidence:
    project_id = environment.project_id
    snapshot, deployments = newest_snapshot(session, environment), current_deployments(session, environment)
    is_fresh = snapshot is not None and all(snapshot.received_at >= each.created_at for each in deployments)
    at = _revisions_of_database(snapshot if is_fresh else None, deployments)
    history = revisions.get_history(session, project_id, version.history).revisions if version else []
    pending = pending_revisions(history, at or ())
    where = Where(at or (), proved_schemas(session, environment, at or ()))
    can_drift = snapshot is not None and is_fresh and bool(where.proved)
    return Evidence(
        asked=asked,
        environment=environment.name,
        policy=Policy.model_validate(environment.policy),
        version=version,
        history=history,
        snapshot=snapshot,
        is_snapshot_fresh=is_fresh,
        at=at,
        deployed=_deployed_contents(session, deployments),
        where=where,
        differences=find_differences(session, environment, snapshot, where.proved) if snapshot and can_drift else [],
        is_blank=snapshot is not None and at == [] and is_blank(session, environment, snapshot),
        proofs=revisions.find_proofs(session, project_id, [(name, sha256) for name, sha256 in pending if sha256]),
        findings=_findings_of(session, project_id, version, [name for name, _ in pending]),
        waivers={each.fingerprint: each for each in valid_waivers(session, environment)},
        sizes=sizes_in(session, environment, snapshot) if snapshot else {},
    )


def _revisions_of_database(snapshot: SnapshotRead | None, deployments: Sequence[Deployment]) -> Sequence[str] | None:
    """By the snapshot, if it is newer than the deployments, else by the newest of these, which upgraded it."""
    if snapshot is not None and snapshot.revisions is not None:
        return snapshot.revisions
    return deployments[0].heads if deployments else None


def _deployed_contents(session: Session, deployments: Sequence[Deployment]) -> Mapping[str, str | None]:
    """Of the newest deployment."""
    if not deployments:
        return {}
    history = revisions.get_history(session, deployments[0].project_id, deployments[0].history)
    return {revision: sha256 for revision, sha256, _ in history.revisions}


def _findings_of(
    session: Session, project_id: UUID, version: KnownVersion | None, pending: Sequence[str]
) -> Mapping[str | None, list[dict[str, Any]]]:
    """Of the version's run: those about the whole history, and those about pending revisions."""
    found: dict[str | None, list[dict[str, Any]]] = defaultdict(list)
    if version is not None:
        query = select(RunFinding).where(
            RunFinding.run_id == version.run_id,
            RunFinding.project_id == project_id,
            col(RunFinding.revision).is_(None) | col(RunFinding.revision).in_(list(pending)),
        )
        for finding in session.exec(query.order_by(col(RunFinding.position)).limit(1_000)):
            found[finding.revision].append(ProvedFinding.model_validate(finding).model_dump())
    return found


def read_decision(session: Session, environment: Environment, decision_id: UUID) -> DecisionRead:
    """Raises DecisionNotFound."""
    decision = session.get(Decision, (environment.project_id, environment.name, decision_id))
    if decision is None:
        raise DecisionNotFound(decision_id)
    return _answer(decision, read_basis(session, environment, None))


def list_decisions(
    session: Session, environment: Environment, *, cursor: str | None, limit: int
) -> Page[DecisionSummary]:
    """The newest first, without the pending revisions, which may be many."""
    query = sa.select(*(getattr(Decision, name) for name in STORED)).where(
        col(Decision.project_id) == environment.project_id, col(Decision.environment) == environment.name
    )
    if cursor is not None:
        query = query.where(tuple_(*decode_cursor(cursor, TIME_AND_ID)) > KEY)
    rows = session.execute(
        query.order_by(col(Decision.decided_at).desc(), col(Decision.id).desc()).limit(limit + 1)
    ).all()
    basis = read_basis(session, environment, None)
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(
        items=[DecisionSummary(**row._mapping, **_validity(row.basis, basis)) for row in rows[:limit]],
        next_cursor=encode_cursor((last.decided_at.isoformat(), str(last.id))) if last else None,
    )


def _answer(decision: Decision, now: Basis, *, is_stored: bool = True) -> DecisionRead:
    values = decision.model_dump(exclude={"project_id", "environment", "id"})
    return DecisionRead(**values, id=decision.id if is_stored else None, **_validity(decision.basis, now))


def _validity(basis: Mapping[str, Any], now: Basis) -> dict[str, Any]:
    """Whether what a decision rests on has changed since."""
    then = Basis.model_validate(basis)
    parts = ("snapshot", "deployments", "policy", "waivers")
    changed = [part for part in parts if getattr(then, part) != getattr(now, part)]
    return {"void": bool(changed), "void_because": changed}
