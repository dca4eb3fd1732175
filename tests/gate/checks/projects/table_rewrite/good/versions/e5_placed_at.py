"""say when an order was placed"""

import sqlalchemy as sa
from alembic import op

revision = "e5"
down_revision = "d4"


def upgrade():
    op.add_column("orders", sa.Column("placed_at", sa.DateTime))


def downgrade():
    op.drop_column("orders", "placed_at")
