"""give each order a token; the older ones get theirs later"""

from alembic import op

revision = "d4"
down_revision = "c3"


def upgrade():
    op.execute("ALTER TABLE orders ADD COLUMN token uuid")
    op.execute("ALTER TABLE orders ALTER COLUMN token SET DEFAULT gen_random_uuid()")


def downgrade():
    op.drop_column("orders", "token")
