"""restrict tokens

Tokens that older code issues meanwhile are not trusted, never expire, and are for all environments.

Revision ID: 8b16f2c94d07
Revises: 3d7a51c08e42
Create Date: 2026-11-30 20:34:52+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "8b16f2c94d07"
down_revision = "3d7a51c08e42"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_token", sa.Column("trusted", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("api_token", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_token", sa.Column("environment", sa.String(length=63), nullable=True))


def downgrade() -> None:
    op.drop_column("api_token", "environment")
    op.drop_column("api_token", "expires_at")
    op.drop_column("api_token", "trusted")
