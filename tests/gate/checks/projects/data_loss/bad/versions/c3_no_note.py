"""drop the note of an order"""

import sqlalchemy as sa
from alembic import op

revision = "c3"
down_revision = "b2"


# overproof: allow breaking-change: no release has used the note since 4.2
def upgrade():
    op.drop_column("orders", "note")


def downgrade():
    op.add_column("orders", sa.Column("note", sa.Text))
