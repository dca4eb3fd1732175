"""find orders by their number"""

from alembic import op

revision = "c3"
down_revision = "b2"


def upgrade():
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_orders_number")
        op.create_index("ix_orders_number", "orders", ["number"], postgresql_concurrently=True)


def downgrade():
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_orders_number")
