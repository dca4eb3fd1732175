"""add the note on a customer"""

import sqlalchemy as sa
from alembic import op

revision = "d4"
down_revision = "c3"


def upgrade():
    op.add_column("customers", sa.Column("note", sa.Text))


def downgrade():
    op.drop_column("customers", "note")
