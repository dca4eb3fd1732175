"""Projects and tokens."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from factory.declarations import LazyAttribute, LazyFunction, Sequence, Trait

from app.projects.models import ApiToken, Project, Scope
from app.projects.tokens import PREFIX, digest_of
from tests.factories.base import StoredFactory


class ProjectFactory(StoredFactory):
    class Meta:
        model = Project

    slug = Sequence(lambda n: f"project-{n}")
    name = LazyAttribute(lambda project: project.slug.title())

    class Params:
        archived = Trait(archived_at=datetime(2026, 11, 1, tzinfo=UTC))


class ApiTokenFactory(StoredFactory):
    """`ApiTokenFactory(secret="ovp_…")` is known by that secret. Without a project: an administrator of everything."""

    class Meta:
        model = ApiToken
        exclude = ("secret", "project")

    secret = LazyFunction(lambda: PREFIX + secrets.token_urlsafe(32))
    project: Any = None
    project_id = LazyAttribute(lambda token: token.project and token.project.id)
    name = "a token"
    scope = Scope.ADMIN
    digest = LazyAttribute(lambda token: digest_of(token.secret))
    hint = LazyAttribute(lambda token: token.secret[-4:])

    class Params:
        revoked = Trait(revoked_at=datetime(2026, 11, 1, tzinfo=UTC))


def bearer(project: Project | None = None, scope: str = "admin", **restrictions: Any) -> dict[str, str]:
    """The headers of somebody with a new token. Without a project: of an administrator of the installation."""
    secret = PREFIX + secrets.token_urlsafe(32)
    ApiTokenFactory(secret=secret, project=project, scope=Scope(scope), **restrictions)
    return {"Authorization": f"Bearer {secret}"}
