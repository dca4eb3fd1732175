"""say where a project's repository is

Revision ID: c8812d4e60b7
Revises: 5af07e3bd918
Create Date: 2026-09-01 07:26:10+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "c8812d4e60b7"
down_revision = "5af07e3bd918"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("project", sa.Column("repository", sa.String(length=500), nullable=True))


def downgrade() -> None:
    op.drop_column("project", "repository")
