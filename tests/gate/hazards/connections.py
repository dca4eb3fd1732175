"""The other ways in which an env.py may connect: other drivers, an async engine, one that commits each statement."""

from __future__ import annotations

from tests.gate.hazards.case import Case, body, sql
from tests.gate.hazards.cases import ALL_CASES
from tests.gate.hazards.project import Way

_ASYNC = """
    import asyncio
    import os

    from alembic import context
    from sqlalchemy import pool
    from sqlalchemy.ext.asyncio import create_async_engine


    def run(connection):
        context.configure(connection=connection, version_table_schema="public", transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()


    async def run_async():
        engine = create_async_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool, connect_args=CONNECT_ARGS)
        async with engine.connect() as connection:
            await connection.run_sync(run)
        await engine.dispose()


    if not context.is_offline_mode():
        asyncio.run(run_async())
"""
_SYNC = """
    import os

    from alembic import context
    from sqlalchemy import create_engine, pool

    if not context.is_offline_mode():
        engine = create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool, connect_args=CONNECT_ARGS, isolation_level=ISOLATION)
        with engine.connect() as connection:
            context.configure(connection=connection, version_table_schema="public", transaction_per_migration=True)
            with context.begin_transaction():
                context.run_migrations()
"""
_BY_LIBPQ = '{"options": "-c lock_timeout=5s"}'
_BY_ASYNCPG = '{"server_settings": {"lock_timeout": "5s"}}'


def _sync(driver: str, isolation: str = "READ COMMITTED") -> Way:
    text = _SYNC.replace("CONNECT_ARGS", _BY_LIBPQ).replace("ISOLATION", repr(isolation))
    return Way(f"{{url+{driver}}}", text)


def _async(driver: str, arguments: str) -> Way:
    return Way(f"{{url+{driver}}}", _ASYNC.replace("CONNECT_ARGS", arguments))


DRIVERS = {
    "psycopg 3, async": _async("psycopg", _BY_LIBPQ),
    "asyncpg, async": _async("asyncpg", _BY_ASYNCPG),
}
COMMITTING = {"psycopg2": _sync("psycopg2", "AUTOCOMMIT"), "psycopg 3": _sync("psycopg", "AUTOCOMMIT")}

# Judged alike by whichever driver they come: those that commit in the middle, and a few that do not.
_ANYHOW = (
    "index CONCURRENTLY",
    "index CONCURRENTLY that cannot be built twice",
    "index is dropped in an autocommit block but not CONCURRENTLY",
    "column and its index CONCURRENTLY",
    "VACUUM FULL",
    "CHECK is made and validated in two transactions",
    "backfill in batches that commit",
    "rows deleted under a lock",
    "procedure that writes a table anew",
    "no lock_timeout in an autocommit block",
    "lock_timeout in an autocommit block",
    "integer to bigint",
    "varchar made longer",
)
BY_ANY_DRIVER = [case for case in ALL_CASES if case.name in _ANYHOW]

_SHOP = sql(
    "CREATE TABLE orders (id integer PRIMARY KEY, total integer, note varchar(20))",
    "CREATE TABLE customers (id integer PRIMARY KEY, name text)",
)
_DROP_STATE = "op.drop_column('orders', 'state')"

# Where the connection itself commits each statement, a lock is gone before the next one is asked for, and what was done stays done.
# No rows are tried there. None of these has an autocommit block: after one, Alembic gives the connection another isolation level.
EACH_BY_ITSELF = [
    Case(
        name="column",
        before=_SHOP,
        upgrade="op.add_column('orders', sa.Column('state', sa.Text))",
        downgrade=_DROP_STATE,
        because="One statement, of which all is done or nothing.",
    ),
    Case(
        name="two tables that can be done again",
        before=_SHOP,
        upgrade=sql(
            "ALTER TABLE orders ADD COLUMN IF NOT EXISTS state text",
            "ALTER TABLE customers ADD COLUMN IF NOT EXISTS state text",
        ),
        downgrade=body("op.drop_column('customers', 'state')", _DROP_STATE),
        because="The first lock is gone before the second is asked for.",
    ),
    Case(
        name="two tables",
        before=_SHOP,
        upgrade=body(
            "op.add_column('orders', sa.Column('state', sa.Text))",
            "op.add_column('customers', sa.Column('state', sa.Text))",
        ),
        downgrade=body("op.drop_column('customers', 'state')", _DROP_STATE),
        expected={"interrupted-upgrade"},
        because='Stopped after the first, the next try is \'column "state" of relation "orders" already exists\'.',
    ),
    Case(
        name="rewrite",
        before=_SHOP,
        upgrade="op.alter_column('orders', 'total', type_=sa.BigInteger)",
        downgrade="op.alter_column('orders', 'total', type_=sa.Integer)",
        expected={"table-rewrite"},
        because="The statement locks out everybody until it is done.",
    ),
    Case(
        name="longer varchar",
        before=_SHOP,
        upgrade="op.alter_column('orders', 'note', type_=sa.String(40))",
        downgrade="op.alter_column('orders', 'note', type_=sa.String(20))",
        because="Only the catalog changes.",
    ),
    Case(
        name="index",
        before=_SHOP,
        upgrade="op.create_index('ix_total', 'orders', ['total'])",
        downgrade="op.drop_index('ix_total')",
        expected={"blocking-index"},
        because="The statement locks out writers until it is done.",
    ),
    Case(
        name="index CONCURRENTLY without a block",
        before=_SHOP,
        upgrade="op.create_index('ix_total', 'orders', ['total'], postgresql_concurrently=True)",
        downgrade="op.drop_index('ix_total', postgresql_concurrently=True)",
        expected={"interrupted-upgrade"},
        because="There is no transaction that it would have to leave; cancelled, it leaves an INVALID index in its own way.",
    ),
    Case(
        name="CHECK",
        before=_SHOP,
        upgrade="op.create_check_constraint('ck_total', 'orders', 'total > 0')",
        downgrade="op.drop_constraint('ck_total', 'orders', type_='check')",
        expected={"blocking-scan", "breaking-change"},
        notices={"breaking-change"},
        because="Every row is put to it under ACCESS EXCLUSIVE.",
    ),
    Case(
        name="CHECK that is validated by itself",
        before=_SHOP,
        upgrade=sql(
            "ALTER TABLE orders DROP CONSTRAINT IF EXISTS ck_total",
            "ALTER TABLE orders ADD CONSTRAINT ck_total CHECK (total > 0) NOT VALID",
            "ALTER TABLE orders VALIDATE CONSTRAINT ck_total",
        ),
        downgrade="op.drop_constraint('ck_total', 'orders', type_='check')",
        expected={"breaking-change"},
        notices={"breaking-change"},
        because="The strong lock of the second statement is gone before the third reads the rows.",
    ),
    Case(
        name="backfill after the lock",
        before=_SHOP,
        upgrade=sql(
            "ALTER TABLE orders ADD COLUMN IF NOT EXISTS state text",
            "UPDATE orders SET state = 'new' WHERE state IS NULL",
        ),
        downgrade=_DROP_STATE,
        because="The strong lock is gone before the rows are updated.",
    ),
    Case(
        name="SET LOCAL lock_timeout",
        before=_SHOP,
        upgrade=sql(
            "SET lock_timeout = 0",
            "SET LOCAL lock_timeout = '3s'",
            "ALTER TABLE orders ADD COLUMN IF NOT EXISTS state text",
        ),
        downgrade=_DROP_STATE,
        expected={"lock-timeout"},
        because="SET LOCAL ends with the transaction, which is the SET itself.",
    ),
]
