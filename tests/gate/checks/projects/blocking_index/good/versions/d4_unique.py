"""no two orders have one number"""

from alembic import op

revision = "d4"
down_revision = "c3"


# overproof: allow breaking-change, populated-upgrade: the numbers come from a sequence
def upgrade():
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS uq_orders_number")
        op.create_index("uq_orders_number", "orders", ["number"], unique=True, postgresql_concurrently=True)
    op.execute("ALTER TABLE orders ADD CONSTRAINT uq_orders_number UNIQUE USING INDEX uq_orders_number")


def downgrade():
    op.drop_constraint("uq_orders_number", "orders", type_="unique")
