"""create customers and orders"""

import sqlalchemy as sa
from alembic import op

revision = "3f1c6a0b92de"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "customers",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("email", sa.Text, nullable=False),
        sa.UniqueConstraint("email", name="customers_email_key"),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("customer_id", sa.Integer, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_orders_customer_id"),
    )


def downgrade() -> None:
    op.drop_table("orders")
    op.drop_table("customers")
