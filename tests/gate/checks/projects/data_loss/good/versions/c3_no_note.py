"""drop the note of an order, and keep a copy"""

import sqlalchemy as sa
from alembic import op

revision = "c3"
down_revision = "b2"


# overproof: allow breaking-change: no release has used the note since 4.2
def upgrade():
    op.execute("CREATE TABLE orders_note AS SELECT id, note FROM orders WHERE note IS NOT NULL")
    op.drop_column("orders", "note")


def downgrade():
    op.add_column("orders", sa.Column("note", sa.Text))
    op.execute("UPDATE orders SET note = n.note FROM orders_note AS n WHERE n.id = orders.id")
    op.drop_table("orders_note")
