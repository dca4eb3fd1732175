"""say whose every check is

The previous release stores the project with each check. Those of older code get theirs here, run by run, in short
transactions, so that the service works on meanwhile. It can be interrupted, and run again.

Revision ID: 5c13d8e7a640
Revises: 4fd6a2b81c73
Create Date: 2026-12-01 00:11:30+00:00
"""

from alembic import op

# overproof: allow data-loss: no release has ever written the project of another run

revision = "5c13d8e7a640"
down_revision = "4fd6a2b81c73"
branch_labels = None
depends_on = None

FILL_IN = """
DO $$
DECLARE
    one record;
    done integer := 0;
BEGIN
    FOR one IN SELECT id, project_id FROM run LOOP
        UPDATE run_check SET project_id = one.project_id
        WHERE run_id = one.id AND project_id IS DISTINCT FROM one.project_id;
        done := done + 1;
        IF done % 100 = 0 THEN
            COMMIT;
        END IF;
    END LOOP;
END
$$
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE run_check DROP CONSTRAINT IF EXISTS has_project")
        op.execute("ALTER TABLE run_check ADD CONSTRAINT has_project CHECK (project_id IS NOT NULL) NOT VALID")
        op.execute(FILL_IN)
        # It reads the table without blocking it; SET NOT NULL alone would read it while all others wait.
        op.execute("ALTER TABLE run_check VALIDATE CONSTRAINT has_project")
        op.execute("ALTER TABLE run_check ALTER COLUMN project_id SET NOT NULL")
        op.execute("ALTER TABLE run_check DROP CONSTRAINT has_project")


def downgrade() -> None:
    op.alter_column("run_check", "project_id", nullable=True)
