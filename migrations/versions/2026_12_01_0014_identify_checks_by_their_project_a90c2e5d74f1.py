"""identify checks by their project

The project becomes part of the primary key and of the foreign key, so that the table can be distributed by it. Whatever
takes long is done without a lock that blocks anybody: the index is built concurrently, and the foreign key is validated
after it was added. It can be interrupted, and run again.

Revision ID: a90c2e5d74f1
Revises: e4f09a62b7d8
Create Date: 2026-12-01 00:14:45+00:00
"""

from alembic import op

# overproof: allow breaking-change: the previous release names no key in ON CONFLICT, and writes the project of the run

revision = "a90c2e5d74f1"
down_revision = "e4f09a62b7d8"
branch_labels = None
depends_on = None

TABLE = "run_check"
KEY = "pk_run_check"
OLD = "fk_run_check_run_id_run"
NEW = "fk_run_check_project_id_run_id_run"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        change_key(["project_id", "run_id", "position"])
        refer_to_run(NEW, "FOREIGN KEY (project_id, run_id) REFERENCES run (project_id, id)")
        op.execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT IF EXISTS {OLD}")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        change_key(["run_id", "position"])
        refer_to_run(OLD, "FOREIGN KEY (run_id) REFERENCES run (id)")
        op.execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT IF EXISTS {NEW}")


def change_key(columns: list[str]) -> None:
    index = f"{KEY}_new"
    # It waits for every transaction that is in progress, and no session waits for it, so it may take long.
    op.execute("SET lock_timeout = 0")
    op.drop_index(index, table_name=TABLE, if_exists=True, postgresql_concurrently=True)
    op.create_index(index, TABLE, columns, unique=True, postgresql_concurrently=True)
    op.execute("SET lock_timeout = '5s'")  # as env.py has it, for what follows
    op.execute(
        f"ALTER TABLE {TABLE} DROP CONSTRAINT {KEY}, ADD CONSTRAINT {KEY} PRIMARY KEY USING INDEX {index}"
    )


def refer_to_run(name: str, key: str) -> None:
    op.execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT IF EXISTS {name}")
    op.execute(f"ALTER TABLE {TABLE} ADD CONSTRAINT {name} {key} ON DELETE CASCADE NOT VALID")
    op.execute(f"ALTER TABLE {TABLE} VALIDATE CONSTRAINT {name}")
