"""The answers of the routes for changes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.changes.models import ChangeState

ChangeId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]*$", max_length=64)]


class Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class AddedRevision(Answer):
    revision: str = Field(examples=["7b39e1f5a0c4"])
    down_revisions: list[str] = Field(examples=[["4c1f6a0b92de"]])
    first_seen_at: datetime


class ChangeRead(Answer):
    id: str = Field(description="The number of the pull request.", examples=["42"])
    state: ChangeState
    branch: str | None
    head_sha: str | None
    opened_at: datetime = Field(description="When the first report about it was posted.")
    seen_at: datetime
    revisions: list[AddedRevision] = Field(description="Those that it adds, parents before children.")


class Contender(BaseModel):
    """A change that adds a revision on the parent of a fork."""

    change: str = Field(examples=["42"])
    branch: str | None
    revision: str = Field(description="Its revision on the parent.")


class Fork(BaseModel):
    """Several revisions on one parent: only one of them can stay there."""

    parent: str | None = Field(description="Null: they begin the history.")
    first: Contender | None = Field(
        description="The one that stays; null if it is merged already, and the parent is no head any more."
    )
    must_rebase: list[Contender] = Field(description="In the order in which they were seen.")
    onto: str = Field(description="The revision onto which the others must be rebased.")
    command: str = Field(examples=["overproof rebase origin/main"])
    sentence: str = Field(
        examples=["2 open pull requests add a revision on 4c1f6a0b92de: 41 was first, so 42 must be rebased after it."]
    )
