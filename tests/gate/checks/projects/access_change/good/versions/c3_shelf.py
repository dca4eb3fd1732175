"""show the shelf of an order, in the view that is there"""

from alembic import op

revision = "c3"
down_revision = "b2"


def upgrade():
    op.execute("CREATE OR REPLACE VIEW open_orders AS SELECT id, id / 10 AS shelf FROM orders")


def downgrade():
    op.execute("DROP VIEW open_orders")
    op.execute("CREATE VIEW open_orders AS SELECT id FROM orders")
    op.execute("GRANT SELECT ON open_orders TO pg_monitor")
