"""fill in the notes"""

from alembic import op

revision = "c3"
down_revision = "b2"


def upgrade():
    op.execute("UPDATE orders SET note = 'none' WHERE note IS NULL")


def downgrade():
    pass
