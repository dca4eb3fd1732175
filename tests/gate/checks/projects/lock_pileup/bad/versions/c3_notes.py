"""add the note of an order, and fill the names of customers"""

import sqlalchemy as sa
from alembic import op

revision = "c3"
down_revision = "b2"


def upgrade():
    op.add_column("orders", sa.Column("note", sa.Text))
    op.execute("UPDATE customers SET name = 'nobody' WHERE name IS NULL")


def downgrade():
    op.drop_column("orders", "note")
