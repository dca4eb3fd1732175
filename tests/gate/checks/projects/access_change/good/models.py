"""What the migrations make."""

import sqlalchemy as sa

metadata = sa.MetaData()
orders = sa.Table("orders", metadata, sa.Column("id", sa.Integer, primary_key=True))
sa.event.listen(metadata, "after_create", sa.DDL("CREATE VIEW open_orders AS SELECT id, id / 10 AS shelf FROM orders"))
sa.event.listen(metadata, "after_create", sa.DDL("GRANT SELECT ON open_orders TO pg_monitor"))
