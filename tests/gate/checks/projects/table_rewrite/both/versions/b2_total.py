"""add the total of an order"""

import sqlalchemy as sa
from alembic import op

revision = "b2"
down_revision = "a1"


def upgrade():
    op.add_column("orders", sa.Column("total", sa.Integer))


def downgrade():
    op.drop_column("orders", "total")
