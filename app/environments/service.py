"""Create environments, change their policies, and list them."""

from __future__ import annotations

from pydantic import TypeAdapter
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from app.audit import service as audit
from app.conventions import VersionOutdated, require_version
from app.environments.models import Environment
from app.environments.schemas import EnvironmentName, EnvironmentRead, Policy
from app.pagination import Page, decode_cursor, encode_cursor
from app.projects.models import Project
from app.projects.service import require_open


def put_environment(
    session: Session, project: Project, name: str, policy: Policy, if_match: str | None
) -> tuple[EnvironmentRead, bool]:
    """The environment with that policy, and whether it is new. Raises ProjectArchived and VersionOutdated."""
    require_open(project)
    values = policy.model_dump(mode="json")
    if if_match is None:  # which demands that there is one
        new = insert(Environment).values(project_id=project.id, name=name, policy=values)
        if session.execute(new.on_conflict_do_nothing().returning(Environment.name)).first() is not None:  # type: ignore[call-overload]
            audit.note(session, project.id, "environment.create", name, policy=values)
            return EnvironmentRead.model_validate(session.get(Environment, (project.id, name))), True
    environment = session.get(Environment, (project.id, name), with_for_update=True)
    return _change_policy(session, environment, values, name, if_match), False


def _change_policy(
    session: Session, environment: Environment | None, values: dict[str, object], name: str, if_match: str | None
) -> EnvironmentRead:
    if environment is None:
        raise VersionOutdated
    require_version(EnvironmentRead.model_validate(environment), if_match)
    before = environment.policy
    if before != values:
        environment.policy = values
        audit.note(session, environment.project_id, "environment.policy", name, before=before, after=values)
    return EnvironmentRead.model_validate(environment)


def list_environments(session: Session, project: Project, *, cursor: str | None, limit: int) -> Page[EnvironmentRead]:
    """Sorted by name."""
    query = select(Environment).where(Environment.project_id == project.id)
    if cursor is not None:
        query = query.where(col(Environment.name) > decode_cursor(cursor, TypeAdapter(EnvironmentName)))
    rows = session.exec(query.order_by(col(Environment.name)).limit(limit + 1)).all()
    return Page(
        items=[EnvironmentRead.model_validate(row) for row in rows[:limit]],
        next_cursor=encode_cursor(rows[limit - 1].name) if len(rows) > limit else None,
    )
