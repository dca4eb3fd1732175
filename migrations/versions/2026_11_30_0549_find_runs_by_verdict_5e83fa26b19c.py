"""find runs by verdict

Built concurrently: runs are posted at all hours, and an ordinary build would hold them up until it ends.

Revision ID: 5e83fa26b19c
Revises: c41b70e9d825
Create Date: 2026-11-30 05:49:05+00:00
"""

from alembic import op

revision = "5e83fa26b19c"
down_revision = "c41b70e9d825"
branch_labels = None
depends_on = None

NAME = "ix_run_project_id_verdict_received_at_id"
COLUMNS = ["project_id", "verdict", "received_at", "id"]


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # It waits for every transaction that is in progress, and no session waits for it, so it may take long.
        op.execute("SET lock_timeout = 0")
        # A build that was cut short leaves an INVALID index, which the next try must not take for the real one.
        op.drop_index(NAME, table_name="run", if_exists=True, postgresql_concurrently=True)
        op.create_index(NAME, "run", COLUMNS, postgresql_concurrently=True)
        op.execute("SET lock_timeout = '5s'")  # as env.py has it, for the revisions that follow


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.drop_index(NAME, table_name="run", if_exists=True, postgresql_concurrently=True)
        op.execute("SET lock_timeout = '5s'")
