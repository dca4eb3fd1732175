"""correct the older orders, and check them, too"""

from alembic import op

revision = "c3"
down_revision = "b2"


def upgrade():
    op.execute("UPDATE orders SET total = 1 WHERE total <= 0")
    op.execute(
        "UPDATE orders SET first_id = NULL WHERE NOT EXISTS (SELECT FROM orders AS o WHERE o.id = orders.first_id)"
    )
    op.execute("ALTER TABLE orders VALIDATE CONSTRAINT ck_orders_total")
    op.execute("ALTER TABLE orders VALIDATE CONSTRAINT fk_orders_first")


def downgrade():
    op.drop_constraint("fk_orders_first", "orders", type_="foreignkey")
    op.drop_constraint("ck_orders_total", "orders", type_="check")
    op.create_check_constraint("ck_orders_total", "orders", "total > 0", postgresql_not_valid=True)
    op.create_foreign_key("fk_orders_first", "orders", "orders", ["first_id"], ["id"], postgresql_not_valid=True)
