"""fill the names of customers"""

from alembic import op

revision = "d4"
down_revision = "c3"


def upgrade():
    op.execute("UPDATE customers SET name = 'nobody' WHERE name IS NULL")


def downgrade():
    pass
