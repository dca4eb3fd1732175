"""note when orders were placed"""

import sqlalchemy as sa
from alembic import op

revision = "c51e80f2d96a"
down_revision = "7b39e1f5a0c4"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("orders", sa.Column("placed_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("orders", "placed_at")
