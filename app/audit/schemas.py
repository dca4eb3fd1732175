"""The answers of the routes for the audit."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class AuditEntryRead(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    recorded_at: datetime
    actor_id: UUID | None = Field(description="The token with which it was done; null for a command on the server.")
    actor: str = Field(description="The token's name at that time.", examples=["CI of the shop"])
    action: str = Field(examples=["token.issue"])
    subject: str = Field(description="What was changed.", examples=["CI of the shop"])
    details: dict[str, Any] = Field(examples=[{"scope": "report", "trusted": True}])
