"""keep totals in cents"""

import sqlalchemy as sa
from alembic import op

revision = "a90d4c7e13b8"
down_revision = "7b39e1f5a0c4"


def upgrade() -> None:
    op.alter_column("orders", "total", type_=sa.BigInteger)
    op.execute("UPDATE orders SET total = total * 100")
    op.create_index("ix_orders_total", "orders", ["total"])


def downgrade() -> None:
    op.drop_index("ix_orders_total", "orders")
    op.execute("UPDATE orders SET total = total / 100")
    op.alter_column("orders", "total", type_=sa.Integer)
