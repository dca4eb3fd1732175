"""The bodies of requests and answers for projects and tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from app.database import in_utc
from app.projects.models import SLUG, Scope

# No control characters (PostgreSQL stores no NUL, and a name is one line), and not only blanks.
NO_CONTROL = r"[^\u0000-\u001f\u007f-\u009f]"
LINE = rf"^{NO_CONTROL}*[^\s\u0000-\u001f\u007f-\u009f]{NO_CONTROL}*$"

Slug = Annotated[str, StringConstraints(pattern=SLUG, max_length=63)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=LINE)]
EnvironmentName = Annotated[str, StringConstraints(pattern=SLUG, max_length=63)]
Link = Annotated[str, StringConstraints(pattern=r"^https?://[^\s\u0000-\u001f\u007f-\u009f]+$", max_length=500)]


def no_default(schema: dict[str, Any]) -> None:
    del schema["default"]


class Body(BaseModel):
    """The body of a request. An unknown field is refused, since it is most often a misspelt one."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class ProjectCreate(Body):
    slug: Slug = Field(description="The project's name in URLs.", examples=["shop"])
    name: Name = Field(examples=["The shop"])
    repository: Link | None = Field(default=None, examples=["https://github.com/acme/shop"])


class ProjectChange(Body):
    """Omitted fields keep their values."""

    # They may be omitted, but not null, so null is not part of their types.
    slug: Slug = Field(  # type: ignore[assignment]
        default=None, description="Requests that use the old one get a 404.", json_schema_extra=no_default
    )
    name: Name = Field(  # type: ignore[assignment]
        default=None, examples=["The web shop"], json_schema_extra=no_default
    )
    repository: Link | None = None
    public_badge: bool = Field(  # type: ignore[assignment]
        default=None,
        strict=True,
        description="Whether `badge.svg` is shown without a token.",
        json_schema_extra=no_default,
    )
    public: bool = Field(  # type: ignore[assignment]
        default=None,
        strict=True,
        description="Whether anyone may read its pages.",
        json_schema_extra=no_default,
    )


class ProjectRead(Answer):
    id: UUID
    slug: str = Field(examples=["shop"])
    name: str = Field(examples=["The shop"])
    repository: str | None = Field(examples=["https://github.com/acme/shop"])
    created_at: datetime
    archived_at: datetime | None = Field(description="When it was archived; null if it is not.")
    public_badge: bool = Field(description="Whether `badge.svg` is shown without a token.")
    public: bool = Field(description="Whether anyone may read its pages.")


def implies(field: dict[str, Any], scopes: list[str]) -> dict[str, Any]:
    """In JSON Schema: a token with that field has one of these scopes."""
    return {
        "if": {"properties": field, "required": list(field)},
        "then": {"properties": {"scope": {"enum": scopes}}},
    }


class TokenCreate(Body):
    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                implies({"trusted": {"const": True}}, ["report", "admin"]),
                implies({"environment": {"type": "string"}}, ["deploy"]),
            ]
        }
    )

    name: Name = Field(description="Who or what uses it.", examples=["CI of the shop"])
    scope: Scope = Field(description="What it permits. Every scope includes `read`; `admin` includes all others.")
    trusted: bool = Field(
        default=False,
        description="Whether its reports prove revisions. Only for a token that nothing but a protected branch has.",
    )
    expires_at: Annotated[AwareDatetime, AfterValidator(in_utc)] | None = Field(
        default=None, examples=["2027-11-30T00:00:00Z"]
    )
    environment: EnvironmentName | None = Field(
        default=None, description="The only environment to which it may deploy.", examples=["staging"]
    )

    @model_validator(mode="after")
    def restrictions_fit_the_scope(self) -> Self:
        if self.trusted and self.scope not in (Scope.REPORT, Scope.ADMIN):
            raise ValueError("only a token with the scope report or admin can be trusted, since others post no reports")
        if self.environment is not None and self.scope is not Scope.DEPLOY:
            raise ValueError("only a token with the scope deploy can be for one environment")
        return self


class TokenRead(Answer):
    id: UUID
    name: str = Field(examples=["CI of the shop"])
    scope: Scope
    hint: str = Field(description="The last characters of the secret.", examples=["x4Qk"])
    created_at: datetime
    last_used_at: datetime | None = Field(description="To the minute.")
    revoked_at: datetime | None
    trusted: bool
    expires_at: datetime | None
    environment: str | None


class TokenIssued(TokenRead):
    token: str = Field(
        description="The secret. It is shown only once, and is not stored.",
        examples=["ovp_0aT3N2mPp7cQyXwEJkVv1RrS5uB8dFhGiLoKzAq9x4Qk"],
    )
