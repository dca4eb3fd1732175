"""What the migrations make."""

import sqlalchemy as sa

metadata = sa.MetaData()
orders = sa.Table(
    "orders",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("first_id", sa.ForeignKey("orders.id", name="fk_orders_first"), index=True),
    sa.CheckConstraint("total > 0", name="ck_orders_total"),
)
