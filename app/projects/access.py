"""Who is asking, and what they may: the dependencies with which a route says which token it takes.

    async def read_run(caller: Annotated[Caller[Project], project_for(Scope.READ)], run_id: UUID) -> RunDetail:
        return await caller.ask(service.read_run, run_id)

A dependency reads the headers and the path, and nothing else. The token is looked up when the caller asks for
something, on the thread and in the transaction in which the answer is found: so one request is one transaction, and no
connection is held while a body is read or an answer is sent.

A project that the token may not know of is answered as one that is not there, before the scope is looked at.
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
from app.workers import Workers

Admitted = TypeVar("Admitted")
Answer = TypeVar("Answer")
Arguments = ParamSpec("Arguments")

bearer = HTTPBearer(
    scheme_name="token", description="A token of the project, or of the installation: `ovp_…`", auto_error=False
)


class Caller(Generic[Admitted]):
    """Whoever sent the request, by the token that was shown and not looked up yet."""

    def __init__(self, workers: Workers, admit: Callable[[Session], Admitted]) -> None:
        """`admit` looks the token up, and returns what it opens. It raises the refusals of its kind of caller."""
        self.workers = workers
        self.admit = admit

    def transact(
        self,
        verb: Callable[Concatenate[Session, Admitted, Arguments], Answer],
        *arguments: Arguments.args,
        **options: Arguments.kwargs,
    ) -> Answer:
        """What `verb(session, admitted, …)` returns, in a transaction that is committed. To be used on a thread."""
        with self.workers.transaction() as session:
            return verb(session, self.admit(session), *arguments, **options)

    async def ask(
        self,
        verb: Callable[Concatenate[Session, Admitted, Arguments], Answer],
        *arguments: Arguments.args,
        **options: Arguments.kwargs,
    ) -> Answer:
        """The same, on a thread."""
        return await self.workers.run(lambda: self.transact(verb, *arguments, **options))

    async def authenticate(self) -> None:
        """Refuse whoever may not ask, in a transaction that is over when this returns."""
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
ProjectSlug = Annotated[str, Path(description="Of the project.", examples=["shop"])]


async def anyone(workers: RequestWorkers, secret: RequestSecret) -> Caller[ApiToken]:
    """With any token of ours. Asking raises TokenUnknown."""
    return Caller(workers, lambda session: tokens.recognise(session, secret)[0])


async def instance_admin(workers: RequestWorkers, secret: RequestSecret) -> Caller[ApiToken]:
    """Asking raises TokenUnknown and InstanceAdminNeeded."""

    def admit(session: Session) -> ApiToken:
        token, _ = tokens.recognise(session, secret)
        require_instance_admin(token)
        return token

    return Caller(workers, admit)


def require_instance_admin(token: ApiToken) -> None:
    """Raises InstanceAdminNeeded."""
    if token.project_id is not None:  # the database holds that a token without a project is an administrator's
        raise InstanceAdminNeeded


def allows(token: ApiToken, scope: Scope) -> bool:
    return scope is Scope.READ or token.scope in (scope, Scope.ADMIN)


def project_for(scope: Scope) -> Any:
    """The project of the path, for a token with this scope. Asking raises ProjectNotFound and ScopeMissing."""

    async def caller(workers: RequestWorkers, secret: RequestSecret, slug: ProjectSlug) -> Caller[Project]:
        def admit(session: Session) -> Project:
            # No project has a name that is none, and PostgreSQL takes no NUL.
            token, project = tokens.recognise(session, secret, slug if re.fullmatch(SLUG, slug) else "")
            # Whether there is such a project is told to nobody who may not know of it.
            if project is None or token.project_id not in (None, project.id):
                raise ProjectNotFound(slug)
            if not allows(token, scope):
                raise ScopeMissing(scope, token.scope)
            return project

        return Caller(workers, admit)

    return Depends(caller)
