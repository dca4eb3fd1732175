"""let reports expire

Older code, which stores a report with each run, answers 404 for an expired one.

Revision ID: b6d20f84a91e
Revises: 7e09c5d1b3f4
Create Date: 2026-11-30 21:20:03+00:00
"""

from alembic import op

revision = "b6d20f84a91e"
down_revision = "7e09c5d1b3f4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("run", "report", nullable=True)


def downgrade() -> None:
    # It fails if a report has expired since.
    op.alter_column("run", "report", nullable=False)
