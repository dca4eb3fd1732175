"""archive projects

Revision ID: 5af07e3bd918
Revises: 1d64f9b80c3e
Create Date: 2026-08-18 10:03:29+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "5af07e3bd918"
down_revision = "1d64f9b80c3e"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("project", sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("project", "archived_at")
