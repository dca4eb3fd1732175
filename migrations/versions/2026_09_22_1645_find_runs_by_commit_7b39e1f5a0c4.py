"""find runs by commit

Built concurrently: runs are posted at all hours, and an ordinary build would hold them up until it ends.

Revision ID: 7b39e1f5a0c4
Revises: c8812d4e60b7
Create Date: 2026-09-22 16:45:03+00:00
"""

from alembic import op

revision = "7b39e1f5a0c4"
down_revision = "c8812d4e60b7"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # It waits for every transaction that is under way, and no session waits for it: so it may take its time.
        op.execute("SET lock_timeout = 0")
        # A build that was cut short leaves an INVALID index, which the next try must not take for the real one.
        op.drop_index("ix_run_project_id_commit", table_name="run", if_exists=True, postgresql_concurrently=True)
        op.create_index("ix_run_project_id_commit", "run", ["project_id", "commit"], postgresql_concurrently=True)
        op.execute("SET lock_timeout = '5s'")  # as env.py has it, for the revisions that follow


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.drop_index("ix_run_project_id_commit", table_name="run", if_exists=True, postgresql_concurrently=True)
        op.execute("SET lock_timeout = '5s'")
