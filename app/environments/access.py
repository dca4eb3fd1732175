"""The environment in the path of a request, for a token that may use it."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Depends, Path
from sqlmodel import Session

from app.environments.errors import EnvironmentForbidden, EnvironmentNotFound
from app.environments.models import Environment
from app.projects.access import Caller, project_for
from app.projects.models import SLUG, Project, Scope
from app.projects.service import require_open
from app.projects.tokens import token_of
from app.workers import IsolationLevel

EnvironmentPath = Annotated[str, Path(description="The environment's name.", examples=["production"])]


def environment_for(scope: Scope, isolation_level: IsolationLevel = "READ COMMITTED") -> Any:
    """The environment in the path.

    `ask` raises ProjectNotFound, ScopeMissing, EnvironmentForbidden and EnvironmentNotFound, and ProjectArchived for
    everything but reading.
    """

    of_project = project_for(scope)

    async def caller(name: EnvironmentPath, project_caller: Caller[Project] = of_project) -> Caller[Environment]:
        def admit(session: Session) -> Environment:
            project = project_caller.admit(session)
            if scope is not Scope.READ:
                require_own(session, name)
                require_open(project)
            return get_environment(session, project, name)

        return Caller(project_caller.workers, admit, isolation_level)

    return Depends(caller)


def require_own(session: Session, name: str) -> None:
    """Raises EnvironmentForbidden if the token is for another environment."""
    own = token_of(session).environment
    if own not in (None, name):
        raise EnvironmentForbidden(own)


def get_environment(session: Session, project: Project, name: str) -> Environment:
    """Raises EnvironmentNotFound."""
    environment = session.get(Environment, (project.id, name)) if re.fullmatch(SLUG, name) else None
    if environment is None:
        raise EnvironmentNotFound(name)
    return environment
