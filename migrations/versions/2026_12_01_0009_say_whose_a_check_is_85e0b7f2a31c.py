"""say whose a check is

The checks that are there stay without a project, as do those that older code adds meanwhile.

Revision ID: 85e0b7f2a31c
Revises: d47a1ce05b93
Create Date: 2026-12-01 00:09:03+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "85e0b7f2a31c"
down_revision = "d47a1ce05b93"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("run_check", sa.Column("project_id", sa.Uuid(), nullable=True))


def downgrade() -> None:
    op.drop_column("run_check", "project_id")
