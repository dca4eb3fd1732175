"""check the older orders, and let the column say it"""

from alembic import op

revision = "e5"
down_revision = "d4"


def upgrade():
    op.execute("ALTER TABLE orders VALIDATE CONSTRAINT orders_total_not_null")
    op.alter_column("orders", "total", nullable=False)
    op.drop_constraint("orders_total_not_null", "orders", type_="check")


def downgrade():
    op.alter_column("orders", "total", nullable=True)
    op.execute("ALTER TABLE orders ADD CONSTRAINT orders_total_not_null CHECK (total IS NOT NULL) NOT VALID")
