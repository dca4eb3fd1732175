"""fill in the notes"""

import sqlalchemy as sa
from alembic import op

revision = "c3"
down_revision = "b2"


def upgrade():
    for order in op.get_bind().execute(sa.text("SELECT id FROM orders WHERE note IS NULL")).fetchall():
        op.execute(f"UPDATE orders SET note = 'none' WHERE id = {order.id}")


def downgrade():
    pass
