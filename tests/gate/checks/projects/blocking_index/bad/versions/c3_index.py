"""find orders by their number"""

from alembic import op

revision = "c3"
down_revision = "b2"


def upgrade():
    op.create_index("ix_orders_number", "orders", ["number"])


def downgrade():
    op.drop_index("ix_orders_number", table_name="orders")
