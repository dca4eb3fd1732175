"""add notes"""

import sqlalchemy as sa
from alembic import op

revision = "c3"
down_revision = "b2"


def upgrade():
    op.add_column("orders", sa.Column("note", sa.Text))
    op.add_column("customers", sa.Column("note", sa.Text))


def downgrade():
    op.drop_column("customers", "note")
    op.drop_column("orders", "note")
