"""say whose a finding is

The findings that are there stay without a project, as do those that older code adds meanwhile: they are found by their
run.

Revision ID: c41b70e9d825
Revises: 29aaae3a2d29
Create Date: 2026-11-30 05:46:40+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "c41b70e9d825"
down_revision = "29aaae3a2d29"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("run_finding", sa.Column("project_id", sa.Uuid(), nullable=True))


def downgrade() -> None:
    op.drop_column("run_finding", "project_id")
