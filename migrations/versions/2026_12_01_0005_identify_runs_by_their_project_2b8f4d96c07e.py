"""identify runs by their project

So that other tables can refer to a run and its project together. Built concurrently, as the other indexes of runs.

Revision ID: 2b8f4d96c07e
Revises: 93d1c6e05a7f
Create Date: 2026-12-01 00:05:12+00:00
"""

from alembic import op

# overproof: allow breaking-change: the ID alone is unique already

revision = "2b8f4d96c07e"
down_revision = "93d1c6e05a7f"
branch_labels = None
depends_on = None

NAME = "ix_run_project_id_id"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # It waits for every transaction that is in progress, and no session waits for it, so it may take long.
        op.execute("SET lock_timeout = 0")
        # A build that was cut short leaves an INVALID index, which the next try must not take for the real one.
        op.drop_index(NAME, table_name="run", if_exists=True, postgresql_concurrently=True)
        op.create_index(NAME, "run", ["project_id", "id"], unique=True, postgresql_concurrently=True)
        op.execute("SET lock_timeout = '5s'")  # as env.py has it, for the revisions that follow


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.drop_index(NAME, table_name="run", if_exists=True, postgresql_concurrently=True)
        op.execute("SET lock_timeout = '5s'")
