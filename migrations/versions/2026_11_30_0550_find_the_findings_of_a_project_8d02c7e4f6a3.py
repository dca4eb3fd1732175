"""find the findings of a project

Built concurrently, as the index before it. The index on the fingerprint alone stays for older code.

Revision ID: 8d02c7e4f6a3
Revises: 5e83fa26b19c
Create Date: 2026-11-30 05:50:31+00:00
"""

from alembic import op

revision = "8d02c7e4f6a3"
down_revision = "5e83fa26b19c"
branch_labels = None
depends_on = None

NAME = "ix_run_finding_project_id_fingerprint_run_id"
COLUMNS = ["project_id", "fingerprint", "run_id"]


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # It waits for every transaction that is in progress, and no session waits for it, so it may take long.
        op.execute("SET lock_timeout = 0")
        # A build that was cut short leaves an INVALID index, which the next try must not take for the real one.
        op.drop_index(NAME, table_name="run_finding", if_exists=True, postgresql_concurrently=True)
        op.create_index(NAME, "run_finding", COLUMNS, postgresql_concurrently=True)
        op.execute("SET lock_timeout = '5s'")  # as env.py has it, for the revisions that follow


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.drop_index(NAME, table_name="run_finding", if_exists=True, postgresql_concurrently=True)
        op.execute("SET lock_timeout = '5s'")
