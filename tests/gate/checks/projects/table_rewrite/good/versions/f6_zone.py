"""say it in any zone"""

from alembic import op

revision = "f6"
down_revision = "e5"


# overproof: allow breaking-change: the code has always written UTC, and reads both
def upgrade():
    op.execute("SET LOCAL TimeZone = 'UTC'")
    op.execute("ALTER TABLE orders ALTER COLUMN placed_at TYPE timestamp with time zone")


def downgrade():
    op.execute("SET LOCAL TimeZone = 'UTC'")
    op.execute("ALTER TABLE orders ALTER COLUMN placed_at TYPE timestamp without time zone")
