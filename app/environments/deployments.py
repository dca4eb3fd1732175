"""Which versions of the code are deployed to an environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import bindparam, func, tuple_, update
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.audit import service as audit
from app.environments.errors import DeploymentDiffers, DeploymentEnded
from app.environments.models import Deployment, DeploymentStatus, Environment
from app.environments.schemas import DeploymentId, DeploymentPut, DeploymentRead
from app.environments.versions import get_version
from app.pagination import Page, decode_cursor, encode_cursor, time_and
from app.revisions import service as revisions

KEY = tuple_(Deployment.created_at, Deployment.id)
CURSOR = time_and(DeploymentId)
HEADS_OF_PROJECT = (
    select(Deployment.environment, Deployment.heads)
    .where(col(Deployment.project_id) == bindparam("project_id"), col(Deployment.status) != DeploymentStatus.ENDED)
    .order_by(col(Deployment.environment))
)


def put_deployment(
    session: Session, environment: Environment, deployment_id: str, put: DeploymentPut
) -> tuple[DeploymentRead, bool]:
    """The deployment, and whether it is new. Raises VersionUnknown, DeploymentDiffers and DeploymentEnded."""
    # Locked, so that two that become live at once do not end each other.
    session.refresh(environment, with_for_update=True)
    project_id, name = environment.project_id, environment.name
    deployment = session.get(Deployment, (project_id, name, deployment_id))
    is_new = deployment is None
    if deployment is None:
        version = get_version(session, project_id, put)
        deployment = Deployment(
            project_id=project_id,
            environment=name,
            id=deployment_id,
            commit=put.commit,
            history=version.history,
            heads=version.heads,
            status=put.status,
        )
        session.add(deployment)
    else:
        _require_same(deployment, put)
        if deployment.status is put.status:
            return DeploymentRead.model_validate(deployment), False
        deployment.status = put.status
        deployment.changed_at = func.clock_timestamp()  # type: ignore[assignment]
    session.flush()
    if put.status is DeploymentStatus.LIVE:
        _end_others(session, deployment)
    _note_histories(session, environment)
    session.refresh(deployment)
    audit.note(session, project_id, f"deployment.{put.status}", f"{name}: {deployment_id}", heads=deployment.heads)
    return DeploymentRead.model_validate(deployment), is_new


def _require_same(deployment: Deployment, put: DeploymentPut) -> None:
    is_same = deployment.commit == put.commit and (put.heads is None or sorted(put.heads) == deployment.heads)
    if not is_same:
        raise DeploymentDiffers(deployment.id)
    if deployment.status is DeploymentStatus.ENDED and put.status is not DeploymentStatus.ENDED:
        raise DeploymentEnded(deployment.id)


def _end_others(session: Session, deployment: Deployment) -> None:
    session.execute(
        update(Deployment)
        .where(
            col(Deployment.project_id) == deployment.project_id,
            col(Deployment.environment) == deployment.environment,
            col(Deployment.id) != deployment.id,
            col(Deployment.status) != DeploymentStatus.ENDED,
        )
        .values(status=DeploymentStatus.ENDED, changed_at=func.clock_timestamp())
    )


def _note_histories(session: Session, environment: Environment) -> None:
    histories = {each.history for each in current_deployments(session, environment)}
    revisions.note_environment(session, environment.project_id, environment.name, histories)


def current_deployments(session: Session, environment: Environment) -> Sequence[Deployment]:
    """Those that have not ended, the newest first. While a deployment rolls there are several."""
    return session.exec(
        _deployments_of(environment).where(Deployment.status != DeploymentStatus.ENDED).order_by(KEY.desc())
    ).all()


def places_of_revisions(session: Session, project_id: UUID) -> Mapping[str, Sequence[str]]:
    """The environments in which each head is deployed, {"7b39e1f5a0c4": ["production"]}."""
    places: dict[str, list[str]] = {}
    for environment, heads in session.execute(HEADS_OF_PROJECT, {"project_id": project_id}):
        for head in heads:
            if environment not in places.setdefault(head, []):
                places[head].append(environment)
    return places


def _deployments_of(environment: Environment) -> SelectOfScalar[Deployment]:
    return select(Deployment).where(
        Deployment.project_id == environment.project_id, Deployment.environment == environment.name
    )


def list_deployments(
    session: Session, environment: Environment, *, cursor: str | None, limit: int
) -> Page[DeploymentRead]:
    """The newest first."""
    query = _deployments_of(environment)
    if cursor is not None:
        query = query.where(tuple_(*decode_cursor(cursor, CURSOR)) > KEY)
    rows = session.exec(query.order_by(*(each.desc() for each in KEY.clauses)).limit(limit + 1)).all()
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(
        items=[DeploymentRead.model_validate(row) for row in rows[:limit]],
        next_cursor=encode_cursor((last.created_at.isoformat(), last.id)) if last else None,
    )
