"""say what a run proves

The runs that are there stay untrusted and without a history, as do those that older code adds meanwhile.

Revision ID: a4c83e17f650
Revises: 6f20d9b3e815
Create Date: 2026-11-30 20:47:08+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = "a4c83e17f650"
down_revision = "6f20d9b3e815"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("run", sa.Column("trusted", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("run", sa.Column("history", sa.String(length=64), nullable=True))


def downgrade() -> None:
    op.drop_column("run", "history")
    op.drop_column("run", "trusted")
