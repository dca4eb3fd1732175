"""say what a finding is about

The findings that are there stay without a subject, as do those that older code adds meanwhile.

Revision ID: d20ab7ea9c26
Revises: 8d02c7e4f6a3
Create Date: 2026-11-30 06:59:12+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = 'd20ab7ea9c26'
down_revision = '8d02c7e4f6a3'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('run_finding', sa.Column('subject', sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column('run_finding', 'subject')
