"""promise for new orders that they have a total"""

from alembic import op

revision = "d4"
down_revision = "c3"


# overproof: allow breaking-change: every release since 4.2 writes the total
def upgrade():
    op.execute("ALTER TABLE orders ADD CONSTRAINT orders_total_not_null CHECK (total IS NOT NULL) NOT VALID")


def downgrade():
    op.drop_constraint("orders_total_not_null", "orders", type_="check")
