"""add the channel of an order"""

import sqlalchemy as sa
from alembic import op

revision = "c3"
down_revision = "b2"


def upgrade():
    op.add_column("orders", sa.Column("channel", sa.Text(), nullable=False, server_default="web"))


def downgrade():
    op.drop_column("orders", "channel")
