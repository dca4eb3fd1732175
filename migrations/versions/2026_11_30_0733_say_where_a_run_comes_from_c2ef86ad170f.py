"""say where a run comes from

The runs that are there stay without a context, as do those that older code adds meanwhile.

Revision ID: c2ef86ad170f
Revises: d20ab7ea9c26
Create Date: 2026-11-30 07:33:13+00:00
"""

import sqlalchemy as sa
from alembic import op

revision = 'c2ef86ad170f'
down_revision = 'd20ab7ea9c26'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('run', sa.Column('head_sha', sa.String(length=64), nullable=True))
    op.add_column('run', sa.Column('branch', sa.String(length=255), nullable=True))
    op.add_column('run', sa.Column('change', sa.String(length=64), nullable=True))
    op.add_column('run', sa.Column('base_sha', sa.String(length=64), nullable=True))
    op.add_column('run', sa.Column('ci_url', sa.String(length=500), nullable=True))


def downgrade() -> None:
    op.drop_column('run', 'ci_url')
    op.drop_column('run', 'base_sha')
    op.drop_column('run', 'change')
    op.drop_column('run', 'branch')
    op.drop_column('run', 'head_sha')
