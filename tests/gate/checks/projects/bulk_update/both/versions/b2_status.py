"""add the status of an order"""

import sqlalchemy as sa
from alembic import op

revision = "b2"
down_revision = "a1"


def upgrade():
    op.add_column("orders", sa.Column("status", sa.Text))


def downgrade():
    op.drop_column("orders", "status")
