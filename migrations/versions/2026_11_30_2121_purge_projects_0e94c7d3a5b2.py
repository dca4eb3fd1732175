"""purge projects

Older code still shows a project that is being purged, under another slug, to administrators of the installation.

Revision ID: 0e94c7d3a5b2
Revises: b6d20f84a91e
Create Date: 2026-11-30 21:21:40+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "0e94c7d3a5b2"
down_revision = "b6d20f84a91e"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("project", sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("project", "purged_at")
