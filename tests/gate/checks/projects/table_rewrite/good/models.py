"""What the migrations make."""

import sqlalchemy as sa

metadata = sa.MetaData()
orders = sa.Table(
    "orders",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("total", sa.Integer),
    sa.Column("total_new", sa.BigInteger),
    sa.Column("placed_at", sa.DateTime(timezone=True)),
    sa.Column("token", sa.Uuid, server_default=sa.text("gen_random_uuid()")),
)
