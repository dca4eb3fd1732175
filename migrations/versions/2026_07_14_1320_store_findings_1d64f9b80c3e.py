"""store findings

Revision ID: 1d64f9b80c3e
Revises: 93ba5c20e7d4
Create Date: 2026-07-14 13:20:44+00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "1d64f9b80c3e"
down_revision = "93ba5c20e7d4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TYPE finding_severity AS ENUM ('error', 'warning', 'notice')")
    op.create_table(
        "run_finding",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("check", sa.String(length=63), nullable=False),
        sa.Column(
            "severity",
            postgresql.ENUM("error", "warning", "notice", name="finding_severity", create_type=False),
            nullable=False,
        ),
        sa.Column("revision", sa.String(length=255), nullable=True),
        sa.Column("object", sa.String(), nullable=True),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=True),
        sa.Column("help", sa.String(), nullable=True),
        sa.Column("path", sa.String(), nullable=True),
        sa.Column("line", sa.Integer(), nullable=True),
        sa.Column("fingerprint", sa.String(length=128), nullable=False),
        sa.Column("allowed", sa.String(), nullable=True),
        sa.CheckConstraint("line > 0", name=op.f("ck_run_finding_line_is_positive")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_finding_run_id_run"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "position", name=op.f("pk_run_finding")),
    )
    op.create_index("ix_run_finding_fingerprint", "run_finding", ["fingerprint"])


def downgrade() -> None:
    op.drop_table("run_finding")
    op.execute("DROP TYPE finding_severity")
