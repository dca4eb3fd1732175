"""store decisions

Revision ID: 52ae9d06f7b1
Revises: c07b41e95d38
Create Date: 2026-11-30 21:01:45+00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "52ae9d06f7b1"
down_revision = "c07b41e95d38"
branch_labels = None
depends_on = None

NOW = {"server_default": sa.text("clock_timestamp()"), "nullable": False}
ANSWER = postgresql.ENUM("allow", "deny", "unknown", name="decision_answer", create_type=False)


def upgrade() -> None:
    op.execute("CREATE TYPE decision_answer AS ENUM ('allow', 'deny', 'unknown')")
    op.create_table(
        "decision",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("answer", ANSWER, nullable=False),
        sa.Column("commit", sa.String(length=64), nullable=True),
        sa.Column("heads", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("reasons", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("pending", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("basis", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("decided_by", sa.String(length=200), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), **NOW),
        sa.ForeignKeyConstraint(
            ["project_id", "environment"],
            ["environment.project_id", "environment.name"],
            name=op.f("fk_decision_project_id_environment_environment"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "environment", "id", name=op.f("pk_decision")),
    )
    op.create_index(
        "ix_decision_project_id_environment_decided_at",
        "decision",
        ["project_id", "environment", "decided_at", "id"],
    )


def downgrade() -> None:
    op.drop_table("decision")
    op.execute("DROP TYPE decision_answer")
