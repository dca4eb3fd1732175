"""correct the older orders, and check them, too"""

from alembic import op

revision = "c3"
down_revision = "b2"


def upgrade():
    op.execute("UPDATE orders SET total = 1 WHERE total <= 0")
    op.execute("ALTER TABLE orders VALIDATE CONSTRAINT ck_orders_total")


def downgrade():
    op.drop_constraint("ck_orders_total", "orders", type_="check")
    op.create_check_constraint("ck_orders_total", "orders", "total > 0", postgresql_not_valid=True)
