"""store changes

Revision ID: 7e09c5d1b3f4
Revises: e81d3a64c259
Create Date: 2026-11-30 21:12:37+00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "7e09c5d1b3f4"
down_revision = "e81d3a64c259"
branch_labels = None
depends_on = None

NOW = {"server_default": sa.text("clock_timestamp()"), "nullable": False}
STATE = postgresql.ENUM("open", "merged", "closed", name="change_state", create_type=False)


def upgrade() -> None:
    op.execute("CREATE TYPE change_state AS ENUM ('open', 'merged', 'closed')")
    op.create_table(
        "change",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("state", STATE, nullable=False),
        sa.Column("branch", sa.String(length=255), nullable=True),
        sa.Column("head_sha", sa.String(length=64), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), **NOW),
        sa.Column("seen_at", sa.DateTime(timezone=True), **NOW),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_change_project_id_project"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("project_id", "id", name=op.f("pk_change")),
    )
    op.create_index(
        "ix_change_project_id_state_opened_at_id", "change", ["project_id", "state", "opened_at", "id"]
    )
    op.create_table(
        "change_revision",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("change", sa.String(length=64), nullable=False),
        sa.Column("revision", sa.String(length=255), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("down_revisions", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("starts_branch", sa.Boolean(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), **NOW),
        sa.ForeignKeyConstraint(
            ["project_id", "change"],
            ["change.project_id", "change.id"],
            name=op.f("fk_change_revision_project_id_change_change"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "change", "revision", name=op.f("pk_change_revision")),
    )
    op.create_table(
        "protected_branch",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("branch", sa.String(length=255), nullable=False),
        sa.Column("heads", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("history", sa.String(length=64), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), **NOW),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_protected_branch_project_id_project"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("project_id", "branch", name=op.f("pk_protected_branch")),
    )


def downgrade() -> None:
    op.drop_table("protected_branch")
    op.drop_table("change_revision")
    op.drop_table("change")
    op.execute("DROP TYPE change_state")
