"""call the note a remark"""

from alembic import op

revision = "c3"
down_revision = "b2"


def upgrade():
    op.alter_column("orders", "note", new_column_name="remark")


def downgrade():
    op.alter_column("orders", "remark", new_column_name="note")
