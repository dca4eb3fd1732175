"""Projects and their tokens, as they are stored."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint
from sqlmodel import Field

from app.database import Table, labels_of, utcnow

SLUG = "^[a-z0-9]+(-[a-z0-9]+)*$"


class Scope(StrEnum):
    """What a token is for. `read` is part of every other."""

    READ = "read"
    REPORT = "report"
    DEPLOY = "deploy"
    ADMIN = "admin"


class Project(Table, table=True):
    """A repository whose migrations are gated, such as `shop`."""

    __table_args__ = (
        CheckConstraint(f"slug ~ '{SLUG}'", name="slug_is_a_path_segment"),
        CheckConstraint("length(trim(name)) > 0", name="name_is_not_blank"),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    slug: str = Field(unique=True, max_length=63)
    name: str = Field(max_length=200)
    repository: str | None = Field(default=None, max_length=500)  # where it lives, for a link on its page
    created_at: datetime = Field(default_factory=utcnow)
    archived_at: datetime | None = None  # an archived project is read, and takes no new runs


class ApiToken(Table, table=True):
    """What a pipeline shows to be let in. Only the digest is kept: whoever reads this table cannot use it."""

    __table_args__ = (
        CheckConstraint("length(digest) = 32", name="digest_is_a_sha256"),
        CheckConstraint("project_id IS NOT NULL OR scope = 'admin'", name="only_an_admin_spans_projects"),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    # A token means nothing without its project. NULL: the installation's own administrator, over all projects.
    project_id: UUID | None = Field(default=None, foreign_key="project.id", ondelete="CASCADE", index=True)
    name: str = Field(max_length=200)
    scope: Scope = Field(sa_type=labels_of(Scope, "token_scope"))
    digest: bytes = Field(unique=True)
    hint: str = Field(max_length=8)  # the last characters of the secret, to tell two tokens apart
    created_at: datetime = Field(default_factory=utcnow)
    last_used_at: datetime | None = None  # to the minute: see service.note_use
    revoked_at: datetime | None = None
