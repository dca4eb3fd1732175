"""store projects

Revision ID: 4c1f6a0b92de
Revises:
Create Date: 2026-06-02 09:14:37+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "4c1f6a0b92de"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "project",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'", name=op.f("ck_project_slug_is_a_path_segment")),
        sa.CheckConstraint("length(trim(name)) > 0", name=op.f("ck_project_name_is_not_blank")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project")),
        sa.UniqueConstraint("slug", name=op.f("uq_project_slug")),
    )


def downgrade() -> None:
    op.drop_table("project")
