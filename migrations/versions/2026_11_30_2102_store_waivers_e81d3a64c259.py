"""store waivers

Revision ID: e81d3a64c259
Revises: 52ae9d06f7b1
Create Date: 2026-11-30 21:02:19+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "e81d3a64c259"
down_revision = "52ae9d06f7b1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "waiver",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.String(length=128), nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=True),
        sa.Column("reason", sa.String(length=1000), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("length(trim(reason)) > 0", name=op.f("ck_waiver_reason_is_not_blank")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_waiver_project_id_project"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("project_id", "id", name=op.f("pk_waiver")),
    )
    op.create_index("ix_waiver_project_id_created_at_id", "waiver", ["project_id", "created_at", "id"])


def downgrade() -> None:
    op.drop_table("waiver")
