"""find the orders that follow one, which PostgreSQL does when that one is deleted"""

from alembic import op

revision = "f6"
down_revision = "e5"


def upgrade():
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_orders_first_id")
        op.create_index("ix_orders_first_id", "orders", ["first_id"], postgresql_concurrently=True)


def downgrade():
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_orders_first_id")
