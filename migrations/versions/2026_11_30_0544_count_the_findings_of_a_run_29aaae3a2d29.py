"""count the findings of a run

The runs that are there stay without a number, as do those that older code adds meanwhile: theirs are counted when they
are asked for.

Revision ID: 29aaae3a2d29
Revises: 7b39e1f5a0c4
Create Date: 2026-11-30 05:44:12+00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "29aaae3a2d29"
down_revision = "7b39e1f5a0c4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "run",
        sa.Column("finding_counts", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    )


def downgrade() -> None:
    op.drop_column("run", "finding_counts")
