"""store reports apart

The reports that are there stay where they are, as do those that older code adds meanwhile, until they expire.

Revision ID: d47a1ce05b93
Revises: 2b8f4d96c07e
Create Date: 2026-12-01 00:07:40+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "d47a1ce05b93"
down_revision = "2b8f4d96c07e"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "report",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column(
            "stored_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "run_id"],
            ["run.project_id", "run.id"],
            name=op.f("fk_report_project_id_run_id_run"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "run_id", name=op.f("pk_report")),
    )
    op.create_index("ix_report_project_id_stored_at", "report", ["project_id", "stored_at"])


def downgrade() -> None:
    op.drop_table("report")
