"""Rows: backfills under a lock, beside it, in batches; several tables in one transaction; explicit locks."""

from tests.gate.hazards.case import Case, autocommit, body, sql

ORDERS = sql("CREATE TABLE orders (id integer PRIMARY KEY, status text, note text)")
SHOP = sql(
    "CREATE TABLE orders (id integer PRIMARY KEY, status text)",
    "CREATE TABLE customers (id integer PRIMARY KEY, name text)",
)
DROP_STATE = "op.drop_column('orders', 'state')"
BATCHES = """
    DO $$ BEGIN
        LOOP
            UPDATE orders SET status = 'new' WHERE ctid = ANY (ARRAY(SELECT ctid FROM orders WHERE status IS NULL LIMIT 1000));
            EXIT WHEN NOT FOUND;
            COMMIT;
        END LOOP;
    END $$
"""

CASES = [
    Case(
        name="table emptied and its column widened",
        before=sql("CREATE TABLE hours (id int PRIMARY KEY, tokens int)"),
        upgrade=sql(
            "TRUNCATE hours", "ALTER TABLE hours ALTER tokens TYPE bigint", "CREATE INDEX ix ON hours (tokens)"
        ),
        downgrade=sql("DROP INDEX ix", "ALTER TABLE hours ALTER tokens TYPE int"),
        expected={"data-loss"},
        because="There is nothing to rewrite and nothing to read; the rows are gone.",
    ),
    Case(
        name="table emptied and filled and its column widened",
        before=sql("CREATE TABLE hours (id int PRIMARY KEY, tokens int)"),
        upgrade=sql("TRUNCATE hours", "INSERT INTO hours VALUES (1, 1)", "ALTER TABLE hours ALTER tokens TYPE bigint"),
        downgrade=sql("ALTER TABLE hours ALTER tokens TYPE int"),
        expected={"data-loss", "table-rewrite"},
        because="What was put there is rewritten, and how much that is, is another matter.",
    ),
    # Backfills.
    Case(
        name="backfill under the lock of a new column",
        before=ORDERS,
        upgrade=body("op.add_column('orders', sa.Column('state', sa.Text))", sql("UPDATE orders SET state = 'new'")),
        downgrade=DROP_STATE,
        expected={"lock-pileup"},
        because="ADD COLUMN holds ACCESS EXCLUSIVE until the commit, so nobody reads orders while all rows are updated.",
    ),
    Case(
        name="backfill and NOT NULL",
        before=ORDERS,
        upgrade=body(
            "op.add_column('orders', sa.Column('state', sa.Text))",
            sql("UPDATE orders SET state = 'new'"),
            "op.alter_column('orders', 'state', nullable=False)",
        ),
        downgrade=DROP_STATE,
        expected={"lock-pileup", "blocking-scan", "breaking-change"},
        because="All rows are updated and then read again, with ACCESS EXCLUSIVE all the while; INSERTs have to name it from now on.",
    ),
    Case(
        name="backfill by itself",
        before=ORDERS,
        upgrade=sql("UPDATE orders SET status = 'new' WHERE status IS NULL"),
        downgrade="pass",
        because="ROW EXCLUSIVE: only who writes the same rows has to wait.",
    ),
    Case(
        name="backfill before the lock",
        before=ORDERS,
        upgrade=body(
            sql("UPDATE orders SET status = 'new' WHERE status IS NULL"),
            "op.add_column('orders', sa.Column('state', sa.Text))",
        ),
        downgrade=DROP_STATE,
        because="The strong lock comes when the rows are done, and goes with the commit.",
    ),
    Case(
        name="backfill in batches that commit",
        before=ORDERS,
        upgrade=autocommit(BATCHES),
        downgrade="pass",
        because="Each batch is a transaction of its own, under ROW EXCLUSIVE.",
    ),
    Case(
        name="column, then a backfill in batches",
        before=ORDERS,
        upgrade=body(
            sql("ALTER TABLE orders ADD COLUMN IF NOT EXISTS state text"),
            autocommit(BATCHES.replace("status", "state")),
        ),
        downgrade=DROP_STATE,
        because="The autocommit block ends the transaction with the lock before the first batch.",
    ),
    Case(
        name="backfill of another table under a lock",
        before=SHOP,
        upgrade=body(
            "op.add_column('orders', sa.Column('state', sa.Text))",
            sql("UPDATE customers SET name = 'nobody' WHERE name IS NULL"),
        ),
        downgrade=DROP_STATE,
        expected={"lock-pileup"},
        because="orders stays closed until all customers have been worked through.",
    ),
    Case(
        name="one row by its key under a lock",
        before=body(
            SHOP,
            sql(
                "INSERT INTO customers SELECT n, 'customer ' || n FROM generate_series(1, 5000) AS n",
                "ANALYZE customers",
            ),
        ),
        upgrade=body(
            "op.add_column('orders', sa.Column('state', sa.Text))",
            sql("UPDATE customers SET name = 'customer one' WHERE id = 100000"),
        ),
        downgrade=DROP_STATE,
        because="The row is found by the index, which takes a moment however large the table.",
    ),
    Case(
        name="new rows under a lock",
        before=SHOP,
        upgrade=body(
            "op.add_column('orders', sa.Column('state', sa.Text))",
            sql("INSERT INTO customers VALUES (-1, 'nobody'), (-2, 'somebody')"),
        ),
        downgrade=body(DROP_STATE, sql("DELETE FROM customers WHERE id < 0")),
        because="Two rows are added, and none is read.",
    ),
    Case(
        name="rows deleted under a lock",
        before=ORDERS,
        upgrade=body(
            "op.add_column('orders', sa.Column('state', sa.Text))", sql("DELETE FROM orders WHERE note IS NULL")
        ),
        downgrade=DROP_STATE,
        expected={"lock-pileup", "data-loss"},
        because="All rows are looked at with ACCESS EXCLUSIVE held, and some are gone.",
    ),
    Case(
        name="table is copied under a lock",
        before=ORDERS,
        upgrade=body(
            "op.add_column('orders', sa.Column('state', sa.Text))",
            sql("CREATE TABLE archive AS SELECT * FROM orders"),
        ),
        downgrade=body("op.drop_table('archive')", DROP_STATE),
        expected={"lock-pileup"},
        because="All rows are read, and ACCESS EXCLUSIVE is held meanwhile.",
    ),
    Case(
        name="values overwritten",
        before=ORDERS,
        upgrade=sql("UPDATE orders SET note = upper(note)"),
        downgrade="pass",
        expected={"data-loss"},
        because="Nobody waits but who wants the same rows; what they held before is gone.",
    ),
    # Several tables.
    Case(
        name="two tables in one transaction",
        before=SHOP,
        upgrade=body(
            "op.add_column('orders', sa.Column('state', sa.Text))",
            "op.add_column('customers', sa.Column('state', sa.Text))",
        ),
        downgrade=body("op.drop_column('customers', 'state')", DROP_STATE),
        because="Each takes a moment, and waits no longer than lock_timeout.",
    ),
    Case(
        name="two new tables that refer to older ones",
        before=SHOP,
        upgrade=sql(
            "CREATE TABLE lines (order_id integer REFERENCES orders)",
            "CREATE TABLE letters (customer_id integer REFERENCES customers)",
        ),
        downgrade=sql("DROP TABLE lines, letters"),
        because="A trigger is put on each older table, which takes a moment; no row is read.",
    ),
    Case(
        name="index while another table is locked",
        before=SHOP,
        upgrade=body(
            "op.add_column('orders', sa.Column('state', sa.Text))", "op.create_index('ix_state', 'customers', ['id'])"
        ),
        downgrade=body("op.drop_index('ix_state')", DROP_STATE),
        expected={"lock-pileup", "blocking-index"},
        because="orders stays closed until the index on customers is built.",
    ),
    Case(
        name="two changes of one table",
        before=SHOP,
        upgrade=body(
            "op.add_column('orders', sa.Column('state', sa.Text))",
            "op.alter_column('orders', 'status', server_default='new')",
        ),
        downgrade=body("op.alter_column('orders', 'status', server_default=None)", DROP_STATE),
        because="The second needs no lock that the first has not got.",
    ),
    Case(
        name="two tables in two transactions",
        before=SHOP,
        upgrade=autocommit(
            "ALTER TABLE orders ADD COLUMN IF NOT EXISTS state text",
            "ALTER TABLE customers ADD COLUMN IF NOT EXISTS state text",
        ),
        downgrade=body("op.drop_column('customers', 'state')", DROP_STATE),
        because="The first lock is gone before the second is asked for.",
    ),
    Case(
        name="an old table and a new one",
        before=SHOP,
        upgrade=body(
            "op.add_column('orders', sa.Column('state', sa.Text))",
            "op.create_table('states', sa.Column('name', sa.Text, primary_key=True))",
            "op.add_column('states', sa.Column('rank', sa.Integer))",
        ),
        downgrade=body("op.drop_table('states')", DROP_STATE),
        because="Nobody can be waiting for the new one.",
    ),
    Case(
        name="two transactions one of which cannot be repeated",
        before=SHOP,
        upgrade=autocommit("ALTER TABLE orders ADD COLUMN state text", "ALTER TABLE customers ADD COLUMN state text"),
        downgrade=body("op.drop_column('customers', 'state')", DROP_STATE),
        expected={"interrupted-upgrade"},
        because='Stopped after the first, the next try is \'column "state" of relation "orders" already exists\'.',
    ),
    # Explicit locks.
    Case(
        name="LOCK TABLE and a backfill",
        before=ORDERS,
        upgrade=sql(
            "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE", "UPDATE orders SET status = 'new' WHERE status IS NULL"
        ),
        downgrade="pass",
        expected={"lock-pileup"},
        because="Nobody reads orders while all rows are updated.",
    ),
    Case(
        name="LOCK TABLE that lets others write",
        before=ORDERS,
        upgrade=sql("LOCK TABLE orders IN ROW EXCLUSIVE MODE", "UPDATE orders SET status = 'new' WHERE status IS NULL"),
        downgrade="pass",
        because="ROW EXCLUSIVE is what every UPDATE takes.",
    ),
]
