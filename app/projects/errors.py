"""The refusals of projects and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from app.errors import Conflict, Forbidden, NotFound, Unauthorized
from app.projects.models import Scope


class TokenMissing(Unauthorized):
    """The request has no token."""

    def __init__(self) -> None:
        super().__init__("Send a token (Authorization: Bearer ovp_…). An administrator of the project can issue one.")


class TokenUnknown(Unauthorized):
    """The token does not exist, was revoked, or has expired."""

    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": 'Bearer error="invalid_token"'}

    def __init__(self) -> None:
        super().__init__(
            "The token is unknown, was revoked or has expired. Ask an administrator of the project for another one."
        )


class ScopeMissing(Forbidden):
    """The token is valid, but its scope does not permit this."""

    def __init__(self, needed: Scope, shown: Scope) -> None:
        super().__init__(f"This needs a token with the scope {needed.value!r}; yours has {shown.value!r}.")


class InstanceAdminNeeded(Forbidden):
    """The request concerns all projects, and the token belongs to one of them."""

    def __init__(self) -> None:
        super().__init__(
            "This needs an administrator's token for the whole installation: overproof token create --admin issues one."
        )


class ProjectNotFound(NotFound):
    """The project does not exist, or the token has no access to it."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"The project {slug!r} does not exist, or this token has no access to it.")


class TokenNotFound(NotFound):
    """The project has no such token."""

    def __init__(self, token_id: object) -> None:
        super().__init__(f"The project has no token {token_id}.")


class SlugTaken(Conflict):
    """Another project has that slug."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"A project with the slug {slug!r} already exists.")


class ProjectNotArchived(Conflict):
    """Only an archived project can be purged."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"The project {slug!r} is in use. Archive it before you purge it.")


class ProjectArchived(Conflict):
    """The project is archived: it can be read, but not written to."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"The project {slug!r} is archived and read-only. Restore it first.")
