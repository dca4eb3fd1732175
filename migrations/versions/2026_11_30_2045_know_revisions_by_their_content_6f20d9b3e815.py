"""know revisions by their content

Revision ID: 6f20d9b3e815
Revises: 8b16f2c94d07
Create Date: 2026-11-30 20:45:30+00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "6f20d9b3e815"
down_revision = "8b16f2c94d07"
branch_labels = None
depends_on = None

FIRST_SEEN = {"server_default": sa.text("clock_timestamp()"), "nullable": False}


def upgrade() -> None:
    op.create_table(
        "revision",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.String(length=255), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("down_revisions", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=True),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), **FIRST_SEEN),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_revision_project_id_project"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("project_id", "revision", "sha256", name=op.f("pk_revision")),
    )
    op.create_index(
        "ix_revision_project_id_first_seen_at", "revision", ["project_id", "first_seen_at", "revision", "sha256"]
    )
    op.create_table(
        "proof",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.String(length=255), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("schema_before", sa.String(length=64), nullable=False),
        sa.Column("trusted", sa.Boolean(), nullable=False),
        sa.Column("schema_after", sa.String(length=64), nullable=False),
        sa.Column("judged", sa.Boolean(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("findings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("proved_at", sa.DateTime(timezone=True), **FIRST_SEEN),
        sa.ForeignKeyConstraint(
            ["project_id", "revision", "sha256"],
            ["revision.project_id", "revision.revision", "revision.sha256"],
            name=op.f("fk_proof_project_id_revision_sha256_revision"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "project_id", "revision", "sha256", "schema_before", "trusted", name=op.f("pk_proof")
        ),
    )
    op.create_table(
        "history",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("heads", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("revisions", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "environments",
            sa.ARRAY(sa.String()),
            server_default=sa.text("'{}'::character varying[]"),
            nullable=False,
        ),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), **FIRST_SEEN),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_history_project_id_project"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("project_id", "digest", name=op.f("pk_history")),
    )
    op.create_table(
        "proved_schema",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("objects", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), **FIRST_SEEN),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_proved_schema_project_id_project"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("project_id", "digest", name=op.f("pk_proved_schema")),
    )


def downgrade() -> None:
    op.drop_table("proved_schema")
    op.drop_table("history")
    op.drop_table("proof")
    op.drop_table("revision")
