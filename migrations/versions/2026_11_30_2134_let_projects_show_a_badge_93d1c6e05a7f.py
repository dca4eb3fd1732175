"""let projects show a badge

Revision ID: 93d1c6e05a7f
Revises: 0e94c7d3a5b2
Create Date: 2026-11-30 21:34:26+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "93d1c6e05a7f"
down_revision = "0e94c7d3a5b2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("project", sa.Column("public_badge", sa.Boolean(), server_default=sa.text("false"), nullable=False))


def downgrade() -> None:
    op.drop_column("project", "public_badge")
