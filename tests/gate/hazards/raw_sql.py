"""The same by other ways than `op`: several statements in a string, loops, sessions, cursors, functions, DO blocks."""

from tests.gate.hazards.case import Case, autocommit, body, sql

SHOP = sql(
    "CREATE TABLE orders (id integer PRIMARY KEY, total integer, note varchar(20))",
    "CREATE TABLE customers (id integer PRIMARY KEY, name text)",
)
TOTAL_BACK = "op.alter_column('orders', 'total', type_=sa.Integer)"
NOTE_BACK = "op.alter_column('orders', 'note', type_=sa.String(20))"
DROP_STATE = "op.drop_column('orders', 'state')"
DROP_BOTH = body("op.drop_column('customers', 'state')", DROP_STATE)
WIDEN = """
    CREATE FUNCTION widen(place text, field text) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %I TYPE bigint', place, field);
    END $$
"""

CASES = [
    # Several statements in one string.
    Case(
        name="rewrite in the middle of a string",
        before=SHOP,
        upgrade=sql(
            "COMMENT ON TABLE orders IS 'x'; ALTER TABLE orders ALTER COLUMN total TYPE bigint; COMMENT ON TABLE orders IS NULL;"
        ),
        downgrade=TOTAL_BACK,
        expected={"table-rewrite"},
        because="A string of statements does what they do one by one.",
    ),
    Case(
        name="harmless statements in a string",
        before=SHOP,
        upgrade=sql("SELECT 1; ALTER TABLE orders ALTER COLUMN note TYPE varchar(40); SELECT 2;"),
        downgrade=NOTE_BACK,
        because="A string of statements does what they do one by one.",
    ),
    Case(
        name="two tables in one string",
        before=SHOP,
        upgrade=sql("ALTER TABLE orders ADD COLUMN state text; ALTER TABLE customers ADD COLUMN state text;"),
        downgrade=DROP_BOTH,
        because="Each table is closed for a moment, and waits no longer than lock_timeout.",
    ),
    Case(
        name="backfill in the string that adds the column",
        before=SHOP,
        upgrade=sql("ALTER TABLE orders ADD COLUMN state text; UPDATE orders SET state = 'new';"),
        downgrade=DROP_STATE,
        expected={"lock-pileup"},
        because="ADD COLUMN holds ACCESS EXCLUSIVE while the second statement of the string updates all rows.",
    ),
    Case(
        name="words of danger in a comment",
        before=SHOP,
        upgrade=sql(
            """
            -- ALTER TABLE orders ALTER COLUMN total TYPE bigint; TRUNCATE orders; CREATE INDEX ix ON orders (total);
            COMMENT ON TABLE orders IS 'do not DROP TABLE orders; VACUUM FULL'
            """
        ),
        downgrade=sql("COMMENT ON TABLE orders IS NULL"),
        because="What stands in a comment or in a string is not done.",
    ),
    # Loops in Python.
    Case(
        name="loop over tables that the database names",
        before=SHOP,
        upgrade="""
            for table in sorted(sa.inspect(op.get_bind()).get_table_names()):
                op.add_column(table, sa.Column('state', sa.Text))
        """,
        downgrade=DROP_BOTH,
        because="Each table is closed for a moment, and waits no longer than lock_timeout.",
    ),
    Case(
        name="loop over columns that the database names",
        before=SHOP,
        upgrade="""
            for column in sa.inspect(op.get_bind()).get_columns('orders'):
                if isinstance(column['type'], sa.String):
                    op.alter_column('orders', column['name'], type_=sa.Text)
        """,
        downgrade=NOTE_BACK,
        because="What is found is a varchar, which becomes text without a word to the rows.",
    ),
    Case(
        name="statement put together at run time",
        before=SHOP,
        upgrade="""
            kind = op.get_bind().scalar(sa.text("SELECT 'big' || 'int'"))
            op.execute(f'ALTER TABLE orders ALTER COLUMN total TYPE {kind}')
        """,
        downgrade=TOTAL_BACK,
        expected={"table-rewrite"},
        because="What is sent in the end is bigint.",
    ),
    # SQLAlchemy.
    Case(
        name="backfill by SQLAlchemy Core",
        before=SHOP,
        upgrade="""
            op.add_column('orders', sa.Column('state', sa.Text))
            orders = sa.table('orders', sa.column('state', sa.Text))
            op.get_bind().execute(orders.update().values(state='new'))
        """,
        downgrade=DROP_STATE,
        expected={"lock-pileup"},
        because="It is an UPDATE of all rows, with ACCESS EXCLUSIVE held.",
    ),
    Case(
        name="rows by SQLAlchemy Core",
        before=SHOP,
        upgrade="""
            customers = sa.table('customers', sa.column('id', sa.Integer), sa.column('name', sa.Text))
            op.add_column('orders', sa.Column('state', sa.Text))
            op.bulk_insert(customers, [{'id': -1, 'name': 'nobody'}, {'id': -2, 'name': 'somebody'}])
        """,
        downgrade=body(DROP_STATE, sql("DELETE FROM customers WHERE id < 0")),
        because="Two rows are added, and none is read.",
    ),
    Case(
        name="backfill by an ORM session",
        before=SHOP,
        upgrade="""
            from sqlalchemy import orm

            class Order(orm.declarative_base()):
                __tablename__ = 'orders'
                id = sa.Column(sa.Integer, primary_key=True)
                state = sa.Column(sa.Text)

            op.add_column('orders', sa.Column('state', sa.Text))
            session = orm.Session(bind=op.get_bind())
            for order in session.query(Order):
                order.state = 'new'
            session.flush()
        """,
        downgrade=DROP_STATE,
        expected={"lock-pileup"},
        because="The session reads all rows with ACCESS EXCLUSIVE held, and writes each.",
    ),
    Case(
        name="reading by an ORM session",
        before=SHOP,
        upgrade="""
            from sqlalchemy import orm

            session = orm.Session(bind=op.get_bind())
            if session.execute(sa.text('SELECT count(*) FROM orders')).scalar() >= 0:
                op.add_column('orders', sa.Column('state', sa.Text))
        """,
        downgrade=DROP_STATE,
        because="The rows are counted before the lock is taken.",
    ),
    Case(
        name="rewrite by a bare cursor",
        before=SHOP,
        upgrade="""
            cursor = op.get_bind().connection.cursor()
            cursor.execute('ALTER TABLE orders ALTER COLUMN total TYPE bigint')
        """,
        downgrade=TOTAL_BACK,
        expected={"table-rewrite"},
        because="PostgreSQL does not know by which way a statement came.",
    ),
    Case(
        name="longer varchar by a bare cursor",
        before=SHOP,
        upgrade="""
            cursor = op.get_bind().connection.cursor()
            cursor.execute('ALTER TABLE orders ALTER COLUMN note TYPE varchar(40)')
        """,
        downgrade=NOTE_BACK,
        because="PostgreSQL does not know by which way a statement came.",
    ),
    Case(
        name="index by a bare cursor, then a query",
        before=SHOP,
        upgrade="""
            op.get_bind().connection.cursor().execute('CREATE INDEX ix_total ON orders (total)')
            op.execute('SELECT 1')
        """,
        downgrade="op.drop_index('ix_total')",
        expected={"blocking-index"},
        because="The index is built under SHARE.",
    ),
    # Functions, procedures, DO blocks.
    Case(
        name="rewrite in a DO block",
        before=SHOP,
        upgrade=sql("DO $$ BEGIN EXECUTE 'ALTER TABLE orders ALTER COLUMN total TYPE ' || 'bigint'; END $$"),
        downgrade=TOTAL_BACK,
        expected={"table-rewrite"},
        because="A DO block does what its statements do.",
    ),
    Case(
        name="longer varchar in a DO block",
        before=SHOP,
        upgrade=sql("DO $$ BEGIN EXECUTE 'ALTER TABLE orders ALTER COLUMN note TYPE ' || 'varchar(40)'; END $$"),
        downgrade=NOTE_BACK,
        because="A DO block does what its statements do.",
    ),
    Case(
        name="index in a DO block",
        before=SHOP,
        upgrade=sql(
            "DO $$ BEGIN IF to_regclass('ix_total') IS NULL THEN CREATE INDEX ix_total ON orders (total); END IF; END $$"
        ),
        downgrade="op.drop_index('ix_total')",
        expected={"blocking-index"},
        because="The index is not there, so it is built under SHARE.",
    ),
    Case(
        name="index in a DO block that finds it there",
        before=body(SHOP, "op.create_index('ix_total', 'orders', ['total'])"),
        upgrade=sql(
            "DO $$ BEGIN IF to_regclass('ix_total') IS NULL THEN CREATE INDEX ix_total ON orders (total); END IF; END $$"
        ),
        downgrade="pass",
        because="The index is there, so nothing is done.",
    ),
    Case(
        name="CHECK in a DO block",
        before=SHOP,
        upgrade=sql("DO $$ BEGIN ALTER TABLE orders ADD CONSTRAINT ck_total CHECK (total > 0); END $$"),
        downgrade="op.drop_constraint('ck_total', 'orders')",
        expected={"blocking-scan", "breaking-change", "populated-upgrade"},
        notices={"breaking-change"},
        because="Every row is put to it under ACCESS EXCLUSIVE.",
    ),
    Case(
        name="loop over tables in a DO block",
        before=SHOP,
        upgrade=sql(
            """
            DO $$ DECLARE place text; BEGIN
                FOREACH place IN ARRAY ARRAY['orders', 'customers'] LOOP
                    EXECUTE format('ALTER TABLE %I ADD COLUMN state text', place);
                END LOOP;
            END $$
            """
        ),
        downgrade=DROP_BOTH,
        because="Each table is closed for a moment, and waits no longer than lock_timeout.",
    ),
    Case(
        name="backfill in the DO block that adds the column",
        before=SHOP,
        upgrade=sql("DO $$ BEGIN ALTER TABLE orders ADD COLUMN state text; UPDATE orders SET state = 'new'; END $$"),
        downgrade=DROP_STATE,
        expected={"lock-pileup"},
        because="All rows are updated with ACCESS EXCLUSIVE held.",
    ),
    Case(
        name="backfill in a DO block",
        before=SHOP,
        upgrade=sql("DO $$ BEGIN UPDATE orders SET total = 0 WHERE total IS NULL; END $$"),
        downgrade="pass",
        because="ROW EXCLUSIVE: only who writes the same rows has to wait.",
    ),
    Case(
        name="rewrite in a function",
        before=body(SHOP, sql(WIDEN)),
        upgrade=sql("SELECT widen('orders', 'total')"),
        downgrade=TOTAL_BACK,
        expected={"table-rewrite"},
        because="A function does what its statements do.",
    ),
    Case(
        name="function that is made and not called",
        before=SHOP,
        upgrade=sql(WIDEN),
        downgrade=sql("DROP FUNCTION widen(text, text)"),
        because="Its body is stored as text.",
    ),
    Case(
        name="function is dropped",
        before=body(SHOP, sql(WIDEN)),
        upgrade=sql("DROP FUNCTION widen(text, text)"),
        downgrade=sql(WIDEN),
        expected={"breaking-change"},
        because="Who calls it is told 'function widen(unknown, unknown) does not exist'.",
    ),
    Case(
        name="procedure that commits batch by batch",
        before=body(
            SHOP,
            sql(
                """
                CREATE PROCEDURE fill() LANGUAGE plpgsql AS $$ BEGIN
                    LOOP
                        UPDATE orders SET total = 0 WHERE ctid = ANY (ARRAY(SELECT ctid FROM orders WHERE total IS NULL LIMIT 1000));
                        EXIT WHEN NOT FOUND;
                        COMMIT;
                    END LOOP;
                END $$
                """
            ),
        ),
        upgrade=autocommit("CALL fill()"),
        downgrade="pass",
        because="Each batch is a transaction of its own, under ROW EXCLUSIVE.",
    ),
    Case(
        name="procedure that writes a table anew",
        before=body(
            SHOP,
            sql(
                "CREATE PROCEDURE grow() LANGUAGE plpgsql AS $$ BEGIN ALTER TABLE orders ALTER COLUMN total TYPE bigint; COMMIT; END $$"
            ),
        ),
        upgrade=autocommit("CALL grow()"),
        downgrade=TOTAL_BACK,
        expected={"table-rewrite"},
        because="That it commits in the end does not help those who wait until then.",
    ),
    Case(
        name="table emptied in a function",
        before=body(SHOP, sql("CREATE FUNCTION clear() RETURNS void LANGUAGE sql AS 'TRUNCATE orders'")),
        upgrade=sql("SELECT clear()"),
        downgrade="pass",
        expected={"data-loss"},
        because="TRUNCATE gives the table new, empty files: that takes a moment, and all rows are gone.",
    ),
    Case(
        name="table emptied in a DO block",
        before=SHOP,
        upgrade=sql("DO $$ BEGIN EXECUTE format('TRUNCATE %I', 'orders'); END $$"),
        downgrade="pass",
        expected={"data-loss"},
        because="TRUNCATE gives the table new, empty files: that takes a moment, and all rows are gone.",
    ),
    Case(
        name="table emptied in a procedure that commits",
        before=body(
            SHOP,
            sql(
                "ALTER TABLE orders ADD COLUMN body text",
                "CREATE PROCEDURE clear() LANGUAGE plpgsql AS $$ BEGIN TRUNCATE orders; COMMIT; END $$",
            ),
        ),
        upgrade=autocommit("CALL clear()"),
        downgrade="pass",
        expected={"data-loss"},
        because="No row is copied into the new files; all are gone.",
    ),
    Case(
        name="table of the same revision emptied in a function",
        before=body(
            SHOP,
            sql(
                """
                CREATE FUNCTION clear(place regclass) RETURNS void LANGUAGE plpgsql AS $$
                BEGIN EXECUTE format('TRUNCATE %s', place); END $$
                """
            ),
        ),
        upgrade=sql(
            "CREATE TABLE work AS SELECT id FROM orders", "SELECT clear('work')", "SELECT count(*) FROM orders"
        ),
        downgrade="op.drop_table('work')",
        because="Nobody knows the table yet, or has rows in it.",
    ),
    Case(
        name="function that would empty a table is not called",
        before=body(SHOP, sql("CREATE FUNCTION clear() RETURNS void LANGUAGE sql AS 'TRUNCATE orders'")),
        upgrade=sql("DO $$ BEGIN IF to_regclass('purchases') IS NOT NULL THEN PERFORM clear(); END IF; END $$"),
        downgrade="pass",
        because="There is no table of that name, so nothing is done.",
    ),
    # Commits by the script itself.
    Case(
        name="two tables with a commit in between",
        before=SHOP,
        upgrade=body(
            sql("ALTER TABLE orders ADD COLUMN IF NOT EXISTS state text"),
            "op.get_bind().commit()",
            sql("ALTER TABLE customers ADD COLUMN IF NOT EXISTS state text"),
        ),
        downgrade=DROP_BOTH,
        because="The first lock is gone before the second is asked for.",
    ),
    Case(
        name="two tables with COMMIT in between",
        before=SHOP,
        upgrade=sql(
            "ALTER TABLE orders ADD COLUMN IF NOT EXISTS state text",
            "COMMIT",
            "ALTER TABLE customers ADD COLUMN IF NOT EXISTS state text",
        ),
        downgrade=DROP_BOTH,
        because="The first lock is gone before the second is asked for.",
    ),
    Case(
        name="rewrite after COMMIT",
        before=SHOP,
        upgrade=sql("COMMIT", "ALTER TABLE orders ALTER COLUMN total TYPE bigint"),
        downgrade=TOTAL_BACK,
        expected={"table-rewrite"},
        because="Outside of a transaction it locks out everybody just as well.",
    ),
    Case(
        name="CHECK in an autocommit block",
        before=SHOP,
        upgrade=autocommit("ALTER TABLE orders ADD CONSTRAINT ck_total CHECK (total > 0)"),
        downgrade="op.drop_constraint('ck_total', 'orders')",
        expected={"blocking-scan", "breaking-change", "populated-upgrade"},
        notices={"breaking-change"},
        because="Outside of a transaction it locks out everybody just as well.",
    ),
    Case(
        name="CHECK validated in an autocommit block",
        before=body(SHOP, sql("ALTER TABLE orders ADD CONSTRAINT ck_total CHECK (total > 0) NOT VALID")),
        upgrade=autocommit("ALTER TABLE orders VALIDATE CONSTRAINT ck_total"),
        downgrade="pass",
        because="SHARE UPDATE EXCLUSIVE keeps neither readers nor writers out.",
    ),
    Case(
        name="backfill in an autocommit block",
        before=SHOP,
        upgrade=autocommit("UPDATE orders SET total = 0 WHERE total IS NULL"),
        downgrade="pass",
        because="ROW EXCLUSIVE: only who writes the same rows has to wait.",
    ),
]
