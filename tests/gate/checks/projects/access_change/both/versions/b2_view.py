"""let those who monitor see the orders that are open"""

from alembic import op

revision = "b2"
down_revision = "a1"


def upgrade():
    op.execute("CREATE VIEW open_orders AS SELECT id FROM orders")
    op.execute("GRANT SELECT ON open_orders TO pg_monitor")


def downgrade():
    op.execute("DROP VIEW open_orders")
