"""find findings in their project alone

The index on the fingerprint without the project was for code that is older than the previous release.

Revision ID: 6b7f1c94e20d
Revises: c86d05a1f93e
Create Date: 2026-12-01 00:17:50+00:00
"""

from alembic import op

revision = "6b7f1c94e20d"
down_revision = "c86d05a1f93e"
branch_labels = None
depends_on = None

NAME = "ix_run_finding_fingerprint"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.drop_index(NAME, table_name="run_finding", if_exists=True, postgresql_concurrently=True)
        op.execute("SET lock_timeout = '5s'")  # as env.py has it, for the revisions that follow


def downgrade() -> None:
    with op.get_context().autocommit_block():
        # It waits for every transaction that is in progress, and no session waits for it, so it may take long.
        op.execute("SET lock_timeout = 0")
        op.drop_index(NAME, table_name="run_finding", if_exists=True, postgresql_concurrently=True)
        op.create_index(NAME, "run_finding", ["fingerprint"], postgresql_concurrently=True)
        op.execute("SET lock_timeout = '5s'")
