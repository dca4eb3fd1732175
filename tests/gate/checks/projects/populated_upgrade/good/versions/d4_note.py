"""demand a note of every order"""

from alembic import op

revision = "d4"
down_revision = "c3"


# overproof: allow breaking-change: every release since 4.2 writes the note
# overproof: allow blocking-scan: there are a few hundred orders
def upgrade():
    op.execute("UPDATE orders SET note = '' WHERE note IS NULL")
    op.alter_column("orders", "note", nullable=False)


def downgrade():
    op.alter_column("orders", "note", nullable=True)
