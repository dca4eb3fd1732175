"""let a run's project lead its key

No foreign key refers to the ID alone any more, and the index of the new key is there already.

Revision ID: c86d05a1f93e
Revises: 17be63f8d0a9
Create Date: 2026-12-01 00:16:19+00:00
"""

from alembic import op

# overproof: allow breaking-change: the previous release names no key of a run in ON CONFLICT

revision = "c86d05a1f93e"
down_revision = "17be63f8d0a9"
branch_labels = None
depends_on = None

INDEX = "ix_run_project_id_id"
REFERRING = ("report", "run_check", "run_finding")


def upgrade() -> None:
    op.execute(f"ALTER TABLE run DROP CONSTRAINT pk_run, ADD CONSTRAINT pk_run PRIMARY KEY USING INDEX {INDEX}")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        # The foreign keys depend on the index of the key. Without them no run may be deleted: do not prune meanwhile.
        build(INDEX + "_new", ["id"])
        for table in REFERRING:
            op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS fk_{table}_project_id_run_id_run")
        op.execute(
            f"ALTER TABLE run DROP CONSTRAINT pk_run, ADD CONSTRAINT pk_run PRIMARY KEY USING INDEX {INDEX}_new"
        )
        build(INDEX, ["project_id", "id"])
        for table in REFERRING:
            name = f"fk_{table}_project_id_run_id_run"
            op.execute(
                f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY (project_id, run_id)"
                " REFERENCES run (project_id, id) ON DELETE CASCADE NOT VALID"
            )
            op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")


def build(index: str, columns: list[str]) -> None:
    # It waits for every transaction that is in progress, and no session waits for it, so it may take long.
    op.execute("SET lock_timeout = 0")
    op.drop_index(index, table_name="run", if_exists=True, postgresql_concurrently=True)
    op.create_index(index, "run", columns, unique=True, postgresql_concurrently=True)
    op.execute("SET lock_timeout = '5s'")  # as env.py has it, for what follows
