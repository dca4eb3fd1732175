"""add the total of an order"""

import sqlalchemy as sa
from alembic import op

revision = "b2"
down_revision = "a1"


def upgrade():
    op.add_column("orders", sa.Column("total", sa.Integer))
    op.create_check_constraint("ck_orders_total", "orders", "total > 0")


def downgrade():
    op.drop_column("orders", "total")
