"""add the total of an order, and the order that it follows"""

import sqlalchemy as sa
from alembic import op

revision = "b2"
down_revision = "a1"


def upgrade():
    op.add_column("orders", sa.Column("total", sa.Integer))
    op.add_column("orders", sa.Column("first_id", sa.Integer))
    op.create_check_constraint("ck_orders_total", "orders", "total > 0", postgresql_not_valid=True)
    op.create_foreign_key("fk_orders_first", "orders", "orders", ["first_id"], ["id"], postgresql_not_valid=True)


def downgrade():
    op.drop_column("orders", "first_id")
    op.drop_column("orders", "total")
