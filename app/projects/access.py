"""Authentication and authorization: the dependencies with which a route declares the token that it needs.

    async def read_run(caller: Annotated[Caller[Project], project_for(Scope.READ)], run_id: UUID) -> RunDetail:
        return await caller.ask(service.read_run, run_id)

A dependency reads the headers and the path, and nothing else. The token is looked up on the same thread and in the same
transaction as the answer: so one request is one transaction, and no connection is held while a body is read or an
answer is sent.

A project that the token has no access to is answered like one that does not exist, before the scope is checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Concatenate, Generic, ParamSpec, TypeVar

from fastapi import Depends, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlmodel import Session

from app.projects import tokens
from app.projects.errors import InstanceAdminNeeded, ProjectNotFound, ScopeMissing, TokenMissing
from app.projects.models import SLUG, ApiToken, Project, Scope
from app.workers import IsolationLevel, Workers

Admitted = TypeVar("Admitted")
Answer = TypeVar("Answer")
Arguments = ParamSpec("Arguments")

bearer = HTTPBearer(
    scheme_name="token", description="A token of the project or of an administrator: `ovp_…`", auto_error=False
)


class Caller(Generic[Admitted]):
    """The sender of the request, known by a token that has not been looked up yet."""

    def __init__(
        self,
        workers: Workers,
        admit: Callable[[Session], Admitted],
        isolation_level: IsolationLevel = "READ COMMITTED",
    ) -> None:
        """`admit` looks the token up, and returns what it gives access to. It raises the refusals.

        With "REPEATABLE READ" all that a verb reads is of one moment.
        """
        self.workers = workers
        self.admit = admit
        self.isolation_level = isolation_level

    def transact(
        self,
        verb: Callable[Concatenate[Session, Admitted, Arguments], Answer],
        *arguments: Arguments.args,
        **options: Arguments.kwargs,
    ) -> Answer:
        """Returns `verb(session, admitted, …)`, and commits its transaction. Call it on a thread."""
        with self.workers.transaction(self.isolation_level) as session:
            return verb(session, self.admit(session), *arguments, **options)

    async def ask(
        self,
        verb: Callable[Concatenate[Session, Admitted, Arguments], Answer],
        *arguments: Arguments.args,
        **options: Arguments.kwargs,
    ) -> Answer:
        """The same as `transact`, on a worker's thread."""
        return await self.workers.run(lambda: self.transact(verb, *arguments, **options))

    async def authenticate(self) -> None:
        """Raise the refusal if the caller has no access, in a transaction that has ended when this returns."""
        await self.ask(lambda session, admitted: None)


async def secret_of_request(shown: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> str:
    """Raises TokenMissing."""
    if shown is None or not shown.credentials:
        raise TokenMissing
    return shown.credentials


async def workers_of_request(request: Request) -> Workers:
    workers: Workers = request.app.state.workers
    return workers


RequestSecret = Annotated[str, Depends(secret_of_request)]
RequestWorkers = Annotated[Workers, Depends(workers_of_request)]
ProjectSlug = Annotated[str, Path(description="The project's slug.", examples=["shop"])]


async def anyone(workers: RequestWorkers, secret: RequestSecret) -> Caller[ApiToken]:
    """Any valid token. `ask` raises TokenUnknown."""
    return Caller(workers, lambda session: tokens.recognise(session, secret)[0])


async def instance_admin(workers: RequestWorkers, secret: RequestSecret) -> Caller[ApiToken]:
    """`ask` raises TokenUnknown and InstanceAdminNeeded."""

    def admit(session: Session) -> ApiToken:
        token, _ = tokens.recognise(session, secret)
        require_instance_admin(token)
        return token

    return Caller(workers, admit)


def require_instance_admin(token: ApiToken) -> None:
    """Raises InstanceAdminNeeded."""
    if token.project_id is not None:  # a CHECK constraint ensures that a token without a project has the scope `admin`
        raise InstanceAdminNeeded


def allows(token: ApiToken, scope: Scope) -> bool:
    return scope is Scope.READ or token.scope in (scope, Scope.ADMIN)


def project_for(scope: Scope) -> Any:
    """The project in the path, for a token with this scope. `ask` raises ProjectNotFound and ScopeMissing."""

    async def caller(workers: RequestWorkers, secret: RequestSecret, slug: ProjectSlug) -> Caller[Project]:
        def admit(session: Session) -> Project:
            # An invalid slug names no project, and PostgreSQL accepts no NUL character.
            token, project = tokens.recognise(session, secret, slug if re.fullmatch(SLUG, slug) else "")
            # Whether the project exists must not be visible to a token without access to it.
            if project is None or token.project_id not in (None, project.id):
                raise ProjectNotFound(slug)
            if not allows(token, scope):
                raise ScopeMissing(scope, token.scope)
            return project

        return Caller(workers, admit)

    return Depends(caller)
