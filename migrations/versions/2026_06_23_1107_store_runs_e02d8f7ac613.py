"""store runs

Revision ID: e02d8f7ac613
Revises: b7e3095d41fa
Create Date: 2026-06-23 11:07:52+00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "e02d8f7ac613"
down_revision = "b7e3095d41fa"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TYPE run_verdict AS ENUM ('pass', 'fail', 'error')")
    op.create_table(
        "run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column(
            "verdict", postgresql.ENUM("pass", "fail", "error", name="run_verdict", create_type=False), nullable=False
        ),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("commit", sa.String(length=64), nullable=True),
        sa.Column("base", sa.String(length=255), nullable=True),
        sa.Column("heads", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("tool_version", sa.String(length=64), nullable=False),
        sa.Column("postgres", sa.String(length=64), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_ms", sa.Float(), nullable=False),
        sa.Column(
            "received_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("report", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("length(digest) = 32", name=op.f("ck_run_digest_is_a_sha256")),
        sa.CheckConstraint("duration_ms >= 0", name=op.f("ck_run_duration_is_not_negative")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_run_project_id_project"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        sa.UniqueConstraint("project_id", "digest", name=op.f("uq_run_project_id_digest")),
    )
    op.create_index("ix_run_project_id_received_at_id", "run", ["project_id", "received_at", "id"])


def downgrade() -> None:
    op.drop_table("run")
    op.execute("DROP TYPE run_verdict")
