"""The stored table of the audit."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import DDL, Column, Index, event, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from app.database import Table


class AuditEntry(Table, table=True):
    """One change. Entries are only ever added: a trigger refuses everything else."""

    __table_args__ = (
        # The order of the list of entries, and the key of its cursor.
        Index("ix_audit_entry_project_id_recorded_at_id", "project_id", "recorded_at", "id"),
    )

    # Not a foreign key, since the entry outlives the project. All zeros: the whole installation.
    project_id: UUID = Field(primary_key=True)
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    recorded_at: datetime = Field(sa_column_kwargs={"server_default": func.clock_timestamp()}, default=None)
    actor_id: UUID | None = None  # the token's ID; NULL: a command on the server
    actor: str = Field(max_length=200)  # the token's name at that time
    action: str = Field(max_length=63)  # "token.issue"
    subject: str = Field(max_length=255)  # what was changed, by its name or ID
    details: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))


# With the table, so that the schema of the models is that of the migrations.
for statement in (
    """CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN RAISE EXCEPTION '%% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END$$""",
    "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_entry FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON audit_entry EXECUTE FUNCTION refuse_change()",
):
    event.listen(AuditEntry.__table__, "after_create", DDL(statement))  # type: ignore[attr-defined]
