"""Whole tables: made, dropped, renamed, emptied, moved, and what is set on them."""

from tests.gate.hazards.case import Case, autocommit, body, sql

ORDERS = "op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True), sa.Column('note', sa.Text))"

CASES = [
    # New tables.
    Case(
        name="new table with everything",
        before=sql("CREATE TABLE customers (id integer PRIMARY KEY, name text)"),
        upgrade="""
            op.create_table(
                'orders',
                sa.Column('id', sa.Integer, sa.Identity(), primary_key=True),
                sa.Column('number', sa.Integer, nullable=False),
                sa.Column('total', sa.Integer, nullable=False),
                sa.Column('customer_id', sa.Integer),
            )
            op.create_index('ix_number', 'orders', ['number'], unique=True)
            op.create_check_constraint('ck_total', 'orders', 'total > 0')
            op.create_foreign_key('fk_customer', 'orders', 'customers', ['customer_id'], ['id'])
            op.alter_column('orders', 'total', type_=sa.BigInteger)
            op.execute("INSERT INTO orders (number, total) VALUES (1, 2), (2, 3)")
            op.execute("UPDATE orders SET total = total + 1")
            op.alter_column('orders', 'customer_id', server_default='1')
        """,
        downgrade="op.drop_table('orders')",
        because="Nobody can be waiting for a table that is not there before the commit.",
    ),
    Case(
        name="new table from a query",
        before=ORDERS,
        upgrade=sql("CREATE TABLE notes AS SELECT note, count(*) AS n FROM orders GROUP BY note"),
        downgrade="op.drop_table('notes')",
        because="orders is read as by any SELECT.",
    ),
    Case(
        name="temporary table",
        before=ORDERS,
        upgrade=sql(
            "CREATE TEMPORARY TABLE work AS SELECT id FROM orders",
            "ALTER TABLE work ALTER COLUMN id TYPE bigint",
            "CREATE INDEX ix_work ON work (id)",
            "UPDATE work SET id = id + 1",
        ),
        downgrade="pass",
        because="A temporary table is this session's alone.",
    ),
    Case(
        name="new unlogged table",
        before=ORDERS,
        upgrade=sql("CREATE UNLOGGED TABLE cache (id integer PRIMARY KEY)", "ALTER TABLE cache SET LOGGED"),
        downgrade="op.drop_table('cache')",
        because="It is written anew, but nobody knows it yet.",
    ),
    Case(
        name="new table by the name of an old one",
        before=ORDERS,
        upgrade=body(
            "op.drop_table('orders')", "op.create_table('orders', sa.Column('id', sa.BigInteger, primary_key=True))"
        ),
        downgrade=body("op.drop_table('orders')", ORDERS),
        expected={"breaking-change", "data-loss"},
        because="It is another table; the rows of the old one are gone.",
    ),
    # Tables that go.
    Case(
        name="dropped table",
        before=ORDERS,
        upgrade="op.drop_table('orders')",
        downgrade=ORDERS,
        expected={"breaking-change", "data-loss"},
        because="'relation \"orders\" does not exist' from the commit on, and its rows are gone.",
    ),
    Case(
        name="renamed table",
        before=ORDERS,
        upgrade="op.rename_table('orders', 'purchases')",
        downgrade="op.rename_table('purchases', 'orders')",
        expected={"breaking-change"},
        because="A statement that names the old one is 'relation \"orders\" does not exist' from the commit on.",
    ),
    Case(
        name="renamed table with a view in its place",
        before=ORDERS,
        upgrade=body("op.rename_table('orders', 'purchases')", sql("CREATE VIEW orders AS SELECT * FROM purchases")),
        downgrade=body(sql("DROP VIEW orders"), "op.rename_table('purchases', 'orders')"),
        because="The view can be read and written as the table was.",
    ),
    Case(
        name="table in another schema",
        before=body(ORDERS, sql("CREATE SCHEMA IF NOT EXISTS attic")),
        upgrade=sql("ALTER TABLE orders SET SCHEMA attic"),
        expected={"breaking-change"},
        because="It is no longer found by its old name.",
    ),
    Case(
        name="emptied table",
        before=ORDERS,
        upgrade=sql("TRUNCATE orders"),
        downgrade="pass",
        expected={"data-loss"},
        because="TRUNCATE gives the table new, empty files: that takes a moment, and all rows are gone.",
    ),
    Case(
        name="deleted rows",
        before=ORDERS,
        upgrade=sql("DELETE FROM orders"),
        downgrade="pass",
        expected={"data-loss"},
        because="Nobody waits but who wants the same rows; but they are gone.",
    ),
    # What writes a table anew, and what only sounds like it.
    Case(
        name="VACUUM FULL",
        before=ORDERS,
        upgrade=autocommit("VACUUM FULL orders"),
        downgrade="pass",
        expected={"table-rewrite"},
        because="All rows are copied into new files under ACCESS EXCLUSIVE.",
    ),
    Case(
        name="VACUUM",
        before=ORDERS,
        upgrade=autocommit("VACUUM ANALYZE orders"),
        downgrade="pass",
        because="The files stay, and SHARE UPDATE EXCLUSIVE keeps neither readers nor writers out.",
    ),
    Case(
        name="ANALYZE",
        before=ORDERS,
        upgrade=sql("ANALYZE orders"),
        downgrade="pass",
        because="SHARE UPDATE EXCLUSIVE keeps neither readers nor writers out.",
    ),
    Case(
        name="CLUSTER",
        before=ORDERS,
        upgrade=sql("CLUSTER orders USING orders_pkey"),
        downgrade=sql("ALTER TABLE orders SET WITHOUT CLUSTER"),
        expected={"table-rewrite"},
        because="All rows are copied in the order of the index under ACCESS EXCLUSIVE.",
    ),
    Case(
        name="CLUSTER in an autocommit block",
        before=ORDERS,
        upgrade=autocommit("CLUSTER orders USING orders_pkey"),
        downgrade=sql("ALTER TABLE orders SET WITHOUT CLUSTER"),
        expected={"table-rewrite"},
        because="Outside of a transaction it locks out everybody just as well.",
    ),
    Case(
        name="CLUSTER of a table that was clustered before",
        before=body(ORDERS, sql("CLUSTER orders USING orders_pkey")),
        upgrade=sql("CLUSTER orders"),
        downgrade="pass",
        expected={"table-rewrite"},
        because="All rows are copied in the order of the index again, under ACCESS EXCLUSIVE.",
    ),
    Case(
        name="CLUSTER of a new table",
        before=ORDERS,
        upgrade=sql("CREATE TABLE lines (id integer PRIMARY KEY)", "CLUSTER lines USING lines_pkey"),
        downgrade="op.drop_table('lines')",
        because="Nobody can be waiting for a table that is not there before the commit.",
    ),
    Case(
        name="CLUSTER ON for the next time",
        before=ORDERS,
        upgrade=sql("ALTER TABLE orders CLUSTER ON orders_pkey"),
        downgrade=sql("ALTER TABLE orders SET WITHOUT CLUSTER"),
        because="It only marks the index, and no row moves.",
    ),
    Case(
        name="logged table becomes unlogged",
        before=ORDERS,
        upgrade=sql("ALTER TABLE orders SET UNLOGGED"),
        downgrade=sql("ALTER TABLE orders SET LOGGED"),
        expected={"table-rewrite"},
        because="All rows are copied into new files that are not logged.",
    ),
    Case(
        name="logged table stays logged",
        before=ORDERS,
        upgrade=sql("ALTER TABLE orders SET LOGGED"),
        downgrade="pass",
        because="It is so already, and nothing is copied.",
    ),
    Case(
        name="another access method",
        before=body(ORDERS, sql("CREATE ACCESS METHOD heap_of_our_own TYPE TABLE HANDLER heap_tableam_handler")),
        upgrade=sql("ALTER TABLE orders SET ACCESS METHOD heap_of_our_own"),
        downgrade=sql("ALTER TABLE orders SET ACCESS METHOD heap"),
        expected={"table-rewrite"},
        because="All rows are read by the one method and written by the other.",
        since=15,
    ),
    Case(
        name="the tablespace that it is in",
        before=ORDERS,
        upgrade=sql("ALTER TABLE orders SET TABLESPACE pg_default"),
        downgrade="pass",
        because="It is there already, and nothing is copied.",
    ),
    Case(
        name="another fill factor",
        before=ORDERS,
        upgrade=sql("ALTER TABLE orders SET (fillfactor = 70)"),
        downgrade=sql("ALTER TABLE orders RESET (fillfactor)"),
        because="It is for pages that come; those that are there stay as they are.",
    ),
    Case(
        name="own settings for autovacuum",
        before=ORDERS,
        upgrade=sql("ALTER TABLE orders SET (autovacuum_vacuum_scale_factor = 0.01)"),
        downgrade=sql("ALTER TABLE orders RESET (autovacuum_vacuum_scale_factor)"),
        because="SHARE UPDATE EXCLUSIVE, and one row of the catalog is written.",
    ),
    Case(
        name="larger sequence",
        before=sql("CREATE TABLE orders (id serial PRIMARY KEY)"),
        upgrade=sql("ALTER SEQUENCE orders_id_seq AS bigint"),
        downgrade=sql("ALTER SEQUENCE orders_id_seq AS integer"),
        because="A sequence is one row, and the table is not touched.",
    ),
    # Triggers, policies, privileges.
    Case(
        name="trigger",
        before=body(ORDERS, sql("CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")),
        upgrade=sql("CREATE TRIGGER touch BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch()"),
        downgrade=sql("DROP TRIGGER touch ON orders"),
        because="SHARE ROW EXCLUSIVE for a moment; no row is read.",
    ),
    Case(
        name="trigger is switched off",
        before=body(
            ORDERS,
            sql("CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"),
            sql("CREATE TRIGGER touch BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch()"),
        ),
        upgrade=sql("ALTER TABLE orders DISABLE TRIGGER touch"),
        downgrade=sql("ALTER TABLE orders ENABLE TRIGGER touch"),
        expected={"not-validated"},
        because="SHARE ROW EXCLUSIVE for a moment; no row is read, and none passes through the trigger any more.",
    ),
    Case(
        name="policy",
        before=ORDERS,
        upgrade=sql("CREATE POLICY everybody ON orders USING (true)"),
        downgrade=sql("DROP POLICY everybody ON orders"),
        because="ACCESS EXCLUSIVE for a moment; no row is read.",
    ),
    Case(
        name="privilege",
        before=ORDERS,
        upgrade=sql("GRANT SELECT ON orders TO CURRENT_USER"),
        downgrade=sql("SELECT 'the owner keeps what it has'"),
        because="GRANT writes one row of the catalog, and takes no lock that others mind.",
    ),
    Case(
        name="comment on a table",
        before=ORDERS,
        upgrade=sql("COMMENT ON TABLE orders IS 'what was bought'"),
        downgrade=sql("COMMENT ON TABLE orders IS NULL"),
        because="SHARE UPDATE EXCLUSIVE, and one row of the catalog is written.",
    ),
    Case(
        name="replica identity",
        before=ORDERS,
        upgrade=sql("ALTER TABLE orders REPLICA IDENTITY FULL"),
        downgrade=sql("ALTER TABLE orders REPLICA IDENTITY DEFAULT"),
        expected={"breaking-change"},
        notices={"breaking-change"},
        because="One row of the catalog is written; each UPDATE and DELETE writes the whole old row to the WAL from now on.",
    ),
    # Inheritance.
    Case(
        name="rewrite of a table that others inherit from",
        before=sql(
            "CREATE TABLE events (id integer, size integer)",
            "CREATE TABLE clicks (x integer) INHERITS (events)",
        ),
        upgrade=sql("ALTER TABLE events ALTER COLUMN size TYPE bigint"),
        downgrade=sql("ALTER TABLE events ALTER COLUMN size TYPE integer"),
        expected={"table-rewrite"},
        because="The tables that inherit the column are written anew with it.",
    ),
    Case(
        name="column of a table that others inherit from",
        before=sql(
            "CREATE TABLE events (id integer, size integer)",
            "CREATE TABLE clicks (x integer) INHERITS (events)",
        ),
        upgrade=sql("ALTER TABLE events ADD COLUMN y integer"),
        downgrade=sql("ALTER TABLE events DROP COLUMN y"),
        because="One statement locks the whole family for a moment.",
    ),
    Case(
        name="table begins to inherit",
        before=sql("CREATE TABLE events (id integer, size integer)", "CREATE TABLE clicks (id integer, size integer)"),
        upgrade=sql("ALTER TABLE clicks INHERIT events"),
        downgrade=sql("ALTER TABLE clicks NO INHERIT events"),
        because="Columns are compared in the catalog; no row is read.",
    ),
]
