"""What the migrations make."""

import sqlalchemy as sa

metadata = sa.MetaData()
orders = sa.Table(
    "orders",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("number", sa.Integer, index=True),
    sa.UniqueConstraint("number", name="uq_orders_number"),
)
