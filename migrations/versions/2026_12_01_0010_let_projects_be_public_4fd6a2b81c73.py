"""let projects be public

Revision ID: 4fd6a2b81c73
Revises: 85e0b7f2a31c
Create Date: 2026-12-01 00:10:00
"""

import sqlalchemy as sa
from alembic import op

revision = "4fd6a2b81c73"
down_revision = "85e0b7f2a31c"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("project", sa.Column("public", sa.Boolean(), server_default=sa.text("false"), nullable=False))


def downgrade() -> None:
    op.drop_column("project", "public")
