"""give orders a number, and find them by it"""

import sqlalchemy as sa
from alembic import op

revision = "b2"
down_revision = "a1"


def upgrade():
    op.add_column("orders", sa.Column("number", sa.Integer))
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_orders_number")
        op.create_index("ix_orders_number", "orders", ["number"], postgresql_concurrently=True)


def downgrade():
    op.drop_column("orders", "number")
