"""store environments, and what is deployed to them

Revision ID: c07b41e95d38
Revises: 19fd5b70c2a6
Create Date: 2026-11-30 20:58:21+00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "c07b41e95d38"
down_revision = "19fd5b70c2a6"
branch_labels = None
depends_on = None

NOW = {"server_default": sa.text("clock_timestamp()"), "nullable": False}
STATUS = postgresql.ENUM("rolling", "live", "ended", name="deployment_status", create_type=False)


def of_environment(table: str) -> tuple[sa.Column, sa.Column, sa.ForeignKeyConstraint]:
    return (
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("environment", sa.String(length=63), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "environment"],
            ["environment.project_id", "environment.name"],
            name=f"fk_{table}_project_id_environment_environment",
            ondelete="CASCADE",
        ),
    )


def upgrade() -> None:
    op.create_table(
        "environment",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("policy", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), **NOW),
        sa.CheckConstraint(
            "name ~ '^[a-z0-9]+(-[a-z0-9]+)*$'", name=op.f("ck_environment_name_is_a_path_segment")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_environment_project_id_project"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("project_id", "name", name=op.f("pk_environment")),
    )
    op.execute("CREATE TYPE deployment_status AS ENUM ('rolling', 'live', 'ended')")
    op.create_table(
        "deployment",
        *of_environment("deployment"),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("commit", sa.String(length=64), nullable=True),
        sa.Column("history", sa.String(length=64), nullable=False),
        sa.Column("heads", sa.ARRAY(sa.String()), nullable=False),
        sa.Column("status", STATUS, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), **NOW),
        sa.Column("changed_at", sa.DateTime(timezone=True), **NOW),
        sa.PrimaryKeyConstraint("project_id", "environment", "id", name=op.f("pk_deployment")),
    )
    op.create_index(
        "ix_deployment_project_id_environment_created_at",
        "deployment",
        ["project_id", "environment", "created_at", "id"],
    )
    op.create_table(
        "environment_snapshot",
        *of_environment("environment_snapshot"),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("revisions", sa.ARRAY(sa.String()), nullable=True),
        sa.Column("postgres", sa.String(length=64), nullable=False),
        sa.Column("tables", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("objects", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), **NOW),
        sa.PrimaryKeyConstraint("project_id", "environment", "id", name=op.f("pk_environment_snapshot")),
    )
    op.create_index(
        "ix_environment_snapshot_project_id_environment_received_at",
        "environment_snapshot",
        ["project_id", "environment", "received_at", "id"],
    )


def downgrade() -> None:
    op.drop_table("environment_snapshot")
    op.drop_table("deployment")
    op.execute("DROP TYPE deployment_status")
    op.drop_table("environment")
