"""store what became of each check

Revision ID: 93ba5c20e7d4
Revises: e02d8f7ac613
Create Date: 2026-07-07 08:41:15+00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "93ba5c20e7d4"
down_revision = "e02d8f7ac613"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TYPE check_outcome AS ENUM ('pass', 'fail', 'warn', 'notice', 'skipped')")
    op.create_table(
        "run_check",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("check", sa.String(length=63), nullable=False),
        sa.Column(
            "outcome",
            postgresql.ENUM("pass", "fail", "warn", "notice", "skipped", name="check_outcome", create_type=False),
            nullable=False,
        ),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("duration_ms", sa.Float(), nullable=False),
        sa.CheckConstraint("duration_ms >= 0", name=op.f("ck_run_check_duration_is_not_negative")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_check_run_id_run"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "position", name=op.f("pk_run_check")),
    )


def downgrade() -> None:
    op.drop_table("run_check")
    op.execute("DROP TYPE check_outcome")
