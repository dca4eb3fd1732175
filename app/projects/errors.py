"""What the projects and their tokens can refuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from app.errors import Conflict, Forbidden, NotFound, Unauthorized
from app.projects.models import Scope


class TokenMissing(Unauthorized):
    """The request shows no token."""

    def __init__(self) -> None:
        super().__init__("Show a token: Authorization: Bearer ovp_… An administrator of the project issues them.")


class TokenUnknown(Unauthorized):
    """The token is not one of ours, or was revoked."""

    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": 'Bearer error="invalid_token"'}

    def __init__(self) -> None:
        super().__init__("The token is unknown here, or was revoked. Ask an administrator of the project for another.")


class ScopeMissing(Forbidden):
    """The token is good, and not for this."""

    def __init__(self, needed: Scope, shown: Scope) -> None:
        super().__init__(f"This takes a token with the scope {needed.value!r}, and yours has {shown.value!r}.")


class InstanceAdminNeeded(Forbidden):
    """This concerns all projects, and the token belongs to one."""

    def __init__(self) -> None:
        super().__init__(
            "This takes an administrator's token of the whole installation: overproof token create --admin makes one."
        )


class ProjectNotFound(NotFound):
    """There is no such project, or the token may not know of it."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"There is no project {slug!r} that this token may see.")


class TokenNotFound(NotFound):
    """The project has no such token."""

    def __init__(self, token_id: object) -> None:
        super().__init__(f"The project has no token {token_id}.")


class SlugTaken(Conflict):
    """Another project has that slug."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"A project with the slug {slug!r} is there already.")


class ProjectArchived(Conflict):
    """The project is archived: it is read, and takes nothing new."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"The project {slug!r} is archived and takes nothing new. Restore it first.")
