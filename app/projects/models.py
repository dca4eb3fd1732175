"""The stored tables of projects and tokens."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, false
from sqlmodel import Field

from app.database import Table, labels_of, utcnow

SLUG = "^[a-z0-9]+(-[a-z0-9]+)*$"


class Scope(StrEnum):
    """What a token permits. Every other scope includes `read`."""

    READ = "read"
    REPORT = "report"
    DEPLOY = "deploy"
    ADMIN = "admin"


class Project(Table, table=True):
    """A repository whose migrations are verified, such as `shop`."""

    __table_args__ = (
        CheckConstraint(f"slug ~ '{SLUG}'", name="slug_is_a_path_segment"),
        CheckConstraint("length(trim(name)) > 0", name="name_is_not_blank"),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    slug: str = Field(unique=True, max_length=63)
    name: str = Field(max_length=200)
    repository: str | None = Field(default=None, max_length=500)  # its URL, for a link on the project's page
    created_at: datetime = Field(default_factory=utcnow)
    archived_at: datetime | None = None  # an archived project is read-only
    public_badge: bool = Field(default=False, sa_column_kwargs={"server_default": false()})  # is shown without a token
    # Its pages are shown to anyone.
    public: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    purged_at: datetime | None = None  # no request can see it any more; `overproof prune` deletes its rows


class ApiToken(Table, table=True):
    """The credential of a pipeline or a person. Only its digest is stored, which cannot be used to authenticate."""

    __table_args__ = (
        CheckConstraint("length(digest) = 32", name="digest_is_a_sha256"),
        CheckConstraint("project_id IS NOT NULL OR scope = 'admin'", name="only_an_admin_spans_projects"),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    # A token is deleted with its project. NULL: an administrator of the installation, with access to all projects.
    project_id: UUID | None = Field(default=None, foreign_key="project.id", ondelete="CASCADE", index=True)
    name: str = Field(max_length=200)
    scope: Scope = Field(sa_type=labels_of(Scope, "token_scope"))
    digest: bytes = Field(unique=True)
    hint: str = Field(max_length=8)  # the last characters of the secret, to identify the token
    created_at: datetime = Field(default_factory=utcnow)
    last_used_at: datetime | None = None  # to the minute: see tokens.note_use
    revoked_at: datetime | None = None
    # Its reports prove revisions: nothing but a protected branch has the secret.
    trusted: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    expires_at: datetime | None = None
    environment: str | None = Field(default=None, max_length=63)  # the only one to which it may deploy
