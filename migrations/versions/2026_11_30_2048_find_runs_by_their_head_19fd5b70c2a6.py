"""find runs by their head

Built concurrently, as the other indexes of runs.

Revision ID: 19fd5b70c2a6
Revises: a4c83e17f650
Create Date: 2026-11-30 20:48:44+00:00
"""

from alembic import op

revision = "19fd5b70c2a6"
down_revision = "a4c83e17f650"
branch_labels = None
depends_on = None

NAME = "ix_run_project_id_head_sha_received_at"
COLUMNS = ["project_id", "head_sha", "received_at"]


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
