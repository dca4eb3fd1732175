"""Indexes that are built, rebuilt and dropped, beside the traffic or in its way."""

from tests.gate.hazards.case import Case, autocommit, body, sql

ORDERS = "op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True), sa.Column('note', sa.Text))"
INDEXED = body(ORDERS, "op.create_index('ix_note', 'orders', ['note'])")
DROP = "op.drop_index('ix_note')"
CREATE = "op.create_index('ix_note', 'orders', ['note'])"

CASES = [
    Case(
        name="index",
        before=ORDERS,
        upgrade=CREATE,
        downgrade=DROP,
        expected={"blocking-index"},
        because="CREATE INDEX holds SHARE while it reads the table: nobody writes.",
    ),
    Case(
        name="index CONCURRENTLY",
        before=ORDERS,
        upgrade="""
            with op.get_context().autocommit_block():
                op.drop_index('ix_note', if_exists=True, postgresql_concurrently=True)
                op.create_index('ix_note', 'orders', ['note'], postgresql_concurrently=True)
        """,
        downgrade="""
            with op.get_context().autocommit_block():
                op.drop_index('ix_note', postgresql_concurrently=True)
        """,
        because="SHARE UPDATE EXCLUSIVE keeps neither readers nor writers out, and what a cancelled build left goes first.",
    ),
    Case(
        name="index CONCURRENTLY that cannot be built twice",
        before=ORDERS,
        upgrade="""
            with op.get_context().autocommit_block():
                op.create_index('ix_note', 'orders', ['note'], postgresql_concurrently=True)
        """,
        downgrade=DROP,
        expected={"interrupted-upgrade"},
        because="Cancelled in the middle, it leaves an INVALID index, and the next try is 'relation \"ix_note\" already exists'.",
    ),
    Case(
        name="index CONCURRENTLY IF NOT EXISTS",
        before=ORDERS,
        upgrade=autocommit("CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_note ON orders (note)"),
        downgrade=DROP,
        expected={"interrupted-upgrade"},
        because="The next try finds the INVALID index of a cancelled build by its name, and leaves it as it is.",
    ),
    Case(
        name="index CONCURRENTLY without a name",
        before=ORDERS,
        upgrade=autocommit("CREATE INDEX CONCURRENTLY ON orders (note)"),
        downgrade=sql("DROP INDEX orders_note_idx"),
        expected={"interrupted-upgrade"},
        because="The next try builds orders_note_idx1 beside the INVALID orders_note_idx of a cancelled one.",
    ),
    Case(
        name="unique index CONCURRENTLY",
        before=ORDERS,
        upgrade=autocommit("CREATE UNIQUE INDEX CONCURRENTLY ix_note ON orders (note)"),
        downgrade=DROP,
        expected={"breaking-change", "populated-upgrade", "interrupted-upgrade"},
        notices={"breaking-change", "interrupted-upgrade", "populated-upgrade"},
        because="Two equal rows end it; what it leaves has to be dropped by whoever removes them.",
    ),
    Case(
        name="index in an autocommit block but not CONCURRENTLY",
        before=ORDERS,
        upgrade="""
            with op.get_context().autocommit_block():
                op.create_index('ix_note', 'orders', ['note'])
        """,
        downgrade=DROP,
        expected={"blocking-index"},
        because="Outside of a transaction it locks out writers just as well.",
    ),
    Case(
        name="partial index on an expression",
        before=ORDERS,
        upgrade=sql("CREATE INDEX ix_note ON orders (lower(note)) WHERE note IS NOT NULL"),
        downgrade=DROP,
        expected={"blocking-index"},
        because="However few rows are in it, all have to be looked at.",
    ),
    Case(
        name="unique index",
        before=ORDERS,
        upgrade="op.create_index('ix_note', 'orders', ['note'], unique=True)",
        downgrade=DROP,
        expected={"blocking-index", "breaking-change", "populated-upgrade"},
        notices={"breaking-change"},
        because="Built under SHARE; two equal rows end it, and are refused from then on.",
    ),
    Case(
        name="index on a new table",
        before=ORDERS,
        upgrade="""
            op.create_table('lines', sa.Column('id', sa.Integer, primary_key=True), sa.Column('sku', sa.Text, index=True))
            op.create_index('ix_sku', 'lines', ['id', 'sku'], unique=True)
        """,
        downgrade="op.drop_table('lines')",
        because="Nobody can be waiting for a table that is not there before the commit.",
    ),
    Case(
        name="unique index over a value in JSON",
        before=sql("CREATE TABLE orders (id serial PRIMARY KEY, data jsonb)"),
        upgrade="""op.create_index('uq_mail', 'orders', [sa.text("lower(data->'buyer'->>'mail')")], unique=True)""",
        downgrade="op.drop_index('uq_mail', 'orders')",
        expected={"blocking-index", "populated-upgrade", "breaking-change"},
        notices={"breaking-change"},
        because="Two documents may name one buyer.",
    ),
    Case(
        name="index over a value in JSON that only finds rows",
        before=sql("CREATE TABLE orders (id serial PRIMARY KEY, data jsonb)"),
        upgrade=autocommit(
            "DROP INDEX CONCURRENTLY IF EXISTS ix_mail",
            "CREATE INDEX CONCURRENTLY ix_mail ON orders ((data->>'mail'))",
        ),
        downgrade="op.drop_index('ix_mail', 'orders')",
        because="Equal values are no trouble, and writes go on.",
    ),
    Case(
        name="index that is there already",
        before=INDEXED,
        upgrade="op.create_index('ix_note', 'orders', ['note'], if_not_exists=True)",
        downgrade="pass",
        because="IF NOT EXISTS looks up the name and does nothing more.",
    ),
    Case(
        name="index is dropped",
        before=INDEXED,
        upgrade=DROP,
        downgrade=CREATE,
        expected={"blocking-index"},
        because="DROP INDEX takes ACCESS EXCLUSIVE on the table: it waits for every query on it, and every later one waits for it.",
    ),
    Case(
        name="index is dropped CONCURRENTLY",
        before=INDEXED,
        upgrade="""
            with op.get_context().autocommit_block():
                op.drop_index('ix_note', postgresql_concurrently=True)
        """,
        downgrade=CREATE,
        because="SHARE UPDATE EXCLUSIVE keeps neither readers nor writers out.",
    ),
    Case(
        name="index is dropped in an autocommit block but not CONCURRENTLY",
        before=INDEXED,
        upgrade=autocommit("DROP INDEX ix_note"),
        downgrade=CREATE,
        expected={"blocking-index"},
        because="Outside of a transaction it takes ACCESS EXCLUSIVE just as well.",
    ),
    Case(
        name="index is replaced beside the traffic",
        before=INDEXED,
        upgrade=autocommit(
            "DROP INDEX CONCURRENTLY IF EXISTS ix_note_id",
            "CREATE INDEX CONCURRENTLY ix_note_id ON orders (note, id)",
            "DROP INDEX CONCURRENTLY IF EXISTS ix_note",
        ),
        downgrade=body(CREATE, "op.drop_index('ix_note_id')"),
        because="Neither the build nor the drop keeps anybody out.",
    ),
    Case(
        name="column and its index CONCURRENTLY",
        before=ORDERS,
        upgrade=body(
            "op.add_column('orders', sa.Column('total', sa.Integer))",
            autocommit("CREATE INDEX CONCURRENTLY ix_total ON orders (total)"),
        ),
        downgrade="op.drop_column('orders', 'total')",
        expected={"interrupted-upgrade"},
        because='Stopped during the build, the next try is \'column "total" of relation "orders" already exists\'.',
    ),
    Case(
        name="index is renamed",
        before=INDEXED,
        upgrade=sql("ALTER INDEX ix_note RENAME TO ix_orders_note"),
        downgrade=sql("ALTER INDEX ix_orders_note RENAME TO ix_note"),
        because="SHARE UPDATE EXCLUSIVE on the index, and one row of the catalog is written.",
    ),
    Case(
        name="index with another fill factor",
        before=INDEXED,
        upgrade=sql("ALTER INDEX ix_note SET (fillfactor = 70)"),
        downgrade=sql("ALTER INDEX ix_note RESET (fillfactor)"),
        because="It is for pages that come; those that are there stay as they are.",
    ),
    Case(
        name="REINDEX of an index",
        before=INDEXED,
        upgrade=sql("REINDEX INDEX ix_note"),
        downgrade="pass",
        expected={"blocking-index"},
        because="SHARE on the table, so nobody writes, and ACCESS EXCLUSIVE on the index.",
    ),
    Case(
        name="REINDEX of a table",
        before=INDEXED,
        upgrade=sql("REINDEX TABLE orders"),
        downgrade="pass",
        expected={"blocking-index"},
        because="SHARE on the table while all of its indexes are rebuilt.",
    ),
    Case(
        name="REINDEX in an autocommit block but not CONCURRENTLY",
        before=INDEXED,
        upgrade=autocommit("REINDEX TABLE orders"),
        downgrade="pass",
        expected={"blocking-index"},
        because="Outside of a transaction it locks out writers just as well.",
    ),
    Case(
        name="REINDEX CONCURRENTLY",
        before=INDEXED,
        upgrade=autocommit("REINDEX INDEX CONCURRENTLY ix_note"),
        downgrade="pass",
        expected={"interrupted-upgrade"},
        notices={"interrupted-upgrade"},
        because="Nobody waits; cancelled in the middle, it leaves the INVALID ix_note_ccnew beside ix_note, which still serves.",
    ),
    Case(
        name="REINDEX of a table CONCURRENTLY",
        before=INDEXED,
        upgrade=autocommit("REINDEX TABLE CONCURRENTLY orders"),
        downgrade="pass",
        expected={"interrupted-upgrade"},
        notices={"interrupted-upgrade"},
        because="Nobody waits; cancelled in the middle, it leaves INVALID copies beside the indexes, which still serve.",
    ),
    Case(
        name="REINDEX of a schema",
        before=INDEXED,
        upgrade=autocommit("REINDEX SCHEMA reindex_of_a_schema"),
        downgrade="pass",
        expected={"blocking-index"},
        because="One table after the other has SHARE on it while its indexes are rebuilt.",
    ),
    Case(
        name="REINDEX of a schema CONCURRENTLY",
        before=INDEXED,
        upgrade=autocommit("REINDEX SCHEMA CONCURRENTLY reindex_of_a_schema_concurrently"),
        downgrade="pass",
        expected={"interrupted-upgrade"},
        notices={"interrupted-upgrade"},
        because="SHARE UPDATE EXCLUSIVE on one table after the other keeps neither readers nor writers out.",
    ),
    Case(
        name="extended statistics",
        before=ORDERS,
        upgrade=sql("CREATE STATISTICS st_orders ON id, note FROM orders"),
        downgrade=sql("DROP STATISTICS st_orders"),
        because="SHARE UPDATE EXCLUSIVE, and nothing is read before the next ANALYZE.",
    ),
    Case(
        name="index on a materialized view",
        before=body(
            ORDERS, sql("CREATE MATERIALIZED VIEW notes AS SELECT note, count(*) AS n FROM orders GROUP BY note")
        ),
        upgrade=sql("CREATE INDEX ix_notes ON notes (note)"),
        downgrade=sql("DROP INDEX ix_notes"),
        because="SHARE lets readers go on, and nobody writes to a materialized view.",
    ),
]
