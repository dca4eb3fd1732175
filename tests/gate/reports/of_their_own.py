"""Reports that need a project of their own: another env.py or command, or an upgrade after which nothing can follow."""

from tests.gate.hazards.case import autocommit, body, sql
from tests.gate.projects import script
from tests.gate.reports.report import OfItsOwn

ASYNC = """
    import asyncio
    import os

    from alembic import context
    from sqlalchemy.ext.asyncio import async_engine_from_config

    from models import metadata


    def upgrade(connection):
        context.configure(connection=connection, target_metadata=metadata, compare_server_default=True)
        with context.begin_transaction():
            context.run_migrations()


    async def main():
        engine = async_engine_from_config({"sqlalchemy.url": os.environ["DATABASE_URL"]})
        async with engine.begin() as connection:
            await connection.run_sync(upgrade)
        await engine.dispose()


    asyncio.run(main())
"""
TENANT = """
    import os

    from alembic import context
    from sqlalchemy import create_engine, text

    from models import metadata

    tenant = context.get_x_argument(as_dictionary=True).get("tenant", "green")
    engine = create_engine(os.environ["DATABASE_URL"], connect_args={"options": f"-csearch_path={tenant},public"})
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {tenant}"))
    with engine.connect() as connection:
        context.configure(
            connection=connection, target_metadata=metadata, version_table="schema_version", version_table_schema=tenant
        )
        with context.begin_transaction():
            context.run_migrations()
"""
TWO_DATABASES = """
    import os

    from alembic import context
    from sqlalchemy import create_engine

    for name in ("stock", "sales"):
        engine = create_engine(os.environ["DATABASE_URL"], connect_args={"application_name": name})
        connection = engine.connect()
        context.configure(connection=connection, upgrade_token=f"up_{name}", downgrade_token=f"down_{name}")
        with context.begin_transaction():
            context.run_migrations(database=name)
"""
OF_BOTH = """
    revision = "first"
    down_revision = None

    from alembic import op


    def upgrade(database):
        op.execute(f"CREATE TABLE of_{database} (id int PRIMARY KEY)")


    def downgrade(database):
        op.execute(f"DROP TABLE of_{database}")
"""
OFFLINE_IS_BARE = """
    import os

    from alembic import context
    from sqlalchemy import create_engine

    if context.is_offline_mode():
        context.configure(dialect_name="postgresql")
        with context.begin_transaction():
            context.run_migrations()
    else:
        with create_engine(os.environ["DATABASE_URL"]).connect() as connection:
            context.configure(connection=connection)
            with context.begin_transaction():
                context.run_migrations()
"""
ASKS_FIRST = """
    import os

    from alembic import context
    from sqlalchemy import create_engine, text

    with create_engine(os.environ["DATABASE_URL"]).connect() as connection:
        if connection.scalar(text("SELECT current_setting('server_version_num')::int")) < 120000:
            raise SystemExit("too old")
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""


def _labelled(revision: str, down: object, up: str, back: str, label: str | None, depends_on: object = None) -> str:
    return script(revision, down, up, back, head=f"branch_labels = {label!r}\ndepends_on = {depends_on!r}")


REPORTS = [
    OfItsOwn(
        name="index of a partitioned table dropped concurrently",
        because="CONCURRENTLY is for the indexes of partitions; on that of the parent PostgreSQL refuses it.",
        before=sql(
            "CREATE TABLE clicks (day date NOT NULL, page text) PARTITION BY RANGE (day)",
            "CREATE TABLE clicks_all PARTITION OF clicks DEFAULT",
            "CREATE INDEX ix_clicks ON clicks (page)",
        ),
        revisions={
            "1": (
                """
                with op.get_context().autocommit_block():
                    op.drop_index('ix_clicks', 'clicks', postgresql_concurrently=True)
                """,
                "op.create_index('ix_clicks', 'clicks', ['page'])",
            )
        },
        must=(("upgrade", "1", ""),),
        help_has=(("upgrade", "without CONCURRENTLY"),),
        help_has_not=(("upgrade", "extension"),),
        status=1,
    ),
    OfItsOwn(
        name="question to the database before context configure",
        because="The question begins a transaction, and the first autocommit_block() stops with a bare AssertionError.",
        env=ASKS_FIRST,
        before=sql("CREATE TYPE mood AS ENUM ('sad')"),
        revisions={"1": (autocommit("ALTER TYPE mood ADD VALUE IF NOT EXISTS 'glad'"), "pass")},
        must=(("upgrade", "1", ""),),
        help_has=(("upgrade", r"context\.configure\("),),
        status=1,
    ),
    OfItsOwn(
        name="three histories that need each other",
        because="Nothing: `alembic upgrade heads` is what the documentation says; tools that go back by one get lost.",
        command=("upgrade", "heads"),
        files={
            "p1": _labelled(
                "p1", None, sql("CREATE TABLE people (id int PRIMARY KEY)"), sql("DROP TABLE people"), "people"
            ),
            "g1": _labelled(
                "g1", None, sql("CREATE TABLE goods (id int PRIMARY KEY)"), sql("DROP TABLE goods"), "goods"
            ),
            "s1": _labelled(
                "s1",
                None,
                sql(
                    "CREATE TABLE sales (buyer int REFERENCES people, what int REFERENCES goods, PRIMARY KEY (buyer, what))"
                ),
                sql("DROP TABLE sales"),
                "sales",
                ("people", "g1"),
            ),
            "p2": _labelled(
                "p2", "p1", sql("ALTER TABLE people ADD nick text"), sql("ALTER TABLE people DROP nick"), None, "g1"
            ),
            "both": _labelled("both", ("p2", "g1"), "pass", "pass", None),
        },
        must_not=("",),
        status=0,
    ),
    OfItsOwn(
        name="asynchronous project that loads its first rows",
        because="Nothing: it does what the documentation says of asyncio, of rows with ids, and of their sequence.",
        env=ASYNC,
        url="{url+asyncpg}",
        before=body(
            "lands = op.create_table('lands', sa.Column('id', sa.Integer, primary_key=True), sa.Column('code', sa.String(3)))",
            "op.bulk_insert(lands, [{'id': 10, 'code': 'fin'}, {'id': 11, 'code': 'isl'}])",
            sql("SELECT setval(pg_get_serial_sequence('lands', 'id'), (SELECT max(id) FROM lands))"),
        ),
        before_downgrade=sql("DROP TABLE lands"),
        revisions={
            "1": (
                """
                async def load(connection, codes):
                    for code in codes:
                        await connection.execute(sa.text('INSERT INTO lands (code) VALUES (:code)'), {'code': code})

                op.run_async(load, ['nor', 'dnk'])
                """,
                sql("DELETE FROM lands WHERE code IN ('nor', 'dnk')"),
            ),
            "2": (
                "op.add_column('lands', sa.Column('coast', sa.Boolean, nullable=False, server_default=sa.true()))",
                "op.drop_column('lands', 'coast')",
            ),
        },
        models="""
            sa.Table("lands", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("code", sa.String(3)),
                sa.Column("coast", sa.Boolean, nullable=False, server_default=sa.true()))
        """,
        must_not=(
            *("upgrade", "round-trip", "populated-upgrade", "data-loss", "schema-drift", "model-drift", "irreversible"),
            *("unregistered-models", "single-head", "table-rewrite", "blocking-scan", "lock-pileup", "breaking-change"),
        ),
    ),
    OfItsOwn(
        name="one command for two databases",
        because="Nothing: but both connections lead to one throwaway database, where they would wait for each other.",
        env=TWO_DATABASES,
        files={"first": OF_BOTH},
        status=2,
    ),
    OfItsOwn(
        name="version table in the schema of a tenant",
        because="Autogenerate takes Alembic's own table for a stray one; the revision that it writes would drop it.",
        env=TENANT,
        command=("-x", "tenant=red", "upgrade", "head"),
        before="op.create_table('notes', sa.Column('id', sa.Integer, primary_key=True))",
        models="""sa.Table("notes", metadata, sa.Column("id", sa.Integer, primary_key=True))""",
        must=(("model-drift", "", ""),),
        help_has_not=(("model-drift", "revision --autogenerate"),),
        status=1,
    ),
    OfItsOwn(
        name="percent signs in a function offline",
        because="The script of `--sql` says %% where the scripts say %: its function writes another text.",
        env=OFFLINE_IS_BARE,
        before=sql(
            "CREATE TABLE discounts (id int PRIMARY KEY, rate int)",
            "CREATE FUNCTION label(rate int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT format('%s %%', rate) $$",
            "ALTER TABLE discounts ADD CONSTRAINT low CHECK (rate % 5 = 0)",
        ),
        revisions={},
        must=(("offline-sql", "", ""),),
        help_has=(("offline-sql", "paramstyle"),),
        help_has_not=(("offline-sql", "decides in Python"),),
    ),
]
