"""Promises about rows: made at once, made for new rows, checked later, taken back."""

from tests.gate.hazards.case import Case, autocommit, body, sql

ORDERS = sql("CREATE TABLE orders (id integer PRIMARY KEY, total integer, number integer, customer_id integer)")
SHOP = sql(
    "CREATE TABLE customers (id integer PRIMARY KEY)",
    "CREATE TABLE orders (id integer PRIMARY KEY, total integer, customer_id integer)",
)
DROP_CHECK = "op.drop_constraint('ck_total', 'orders', type_='check')"
DROP_KEY = "op.drop_constraint('fk_customer', 'orders', type_='foreignkey')"

CASES = [
    # CHECK.
    Case(
        name="CHECK at once",
        before=ORDERS,
        upgrade="op.create_check_constraint('ck_total', 'orders', 'total > 0')",
        downgrade=DROP_CHECK,
        expected={"blocking-scan", "breaking-change", "populated-upgrade"},
        notices={"breaking-change"},
        because="Every row is put to it under ACCESS EXCLUSIVE, and one that does not meet it ends the upgrade.",
    ),
    Case(
        name="CHECK for new rows",
        before=ORDERS,
        upgrade="op.create_check_constraint('ck_total', 'orders', 'total > 0', postgresql_not_valid=True)",
        downgrade=DROP_CHECK,
        expected={"breaking-change", "not-validated"},
        notices={"breaking-change"},
        because="NOT VALID reads no row; new ones have to obey at once, and older ones were never checked.",
    ),
    Case(
        name="CHECK is validated",
        before=body(ORDERS, sql("ALTER TABLE orders ADD CONSTRAINT ck_total CHECK (total > 0) NOT VALID")),
        upgrade=sql("ALTER TABLE orders VALIDATE CONSTRAINT ck_total"),
        downgrade="pass",
        expected={"populated-upgrade"},
        notices={"populated-upgrade"},
        because="Neither readers nor writers wait; it fails at a row from before the CHECK that breaks it, and can be repeated.",
    ),
    Case(
        name="CHECK is validated after rows were corrected",
        before=body(
            ORDERS,
            sql("ALTER TABLE orders ADD CONSTRAINT ck_total CHECK (total > 0) NOT VALID"),
        ),
        upgrade=sql(
            "UPDATE orders SET total = 1 WHERE total <= 0",
            "ALTER TABLE orders VALIDATE CONSTRAINT ck_total",
        ),
        downgrade="pass",
        because="No row is left that breaks it.",
    ),
    Case(
        name="CHECK is made and validated in one transaction",
        before=ORDERS,
        upgrade=sql(
            "ALTER TABLE orders ADD CONSTRAINT ck_total CHECK (total > 0) NOT VALID",
            "ALTER TABLE orders VALIDATE CONSTRAINT ck_total",
        ),
        downgrade=DROP_CHECK,
        expected={"blocking-scan", "breaking-change", "populated-upgrade"},
        notices={"breaking-change"},
        because="VALIDATE needs little, but the ACCESS EXCLUSIVE of the statement before it is held until the commit.",
    ),
    Case(
        name="CHECK is made and validated in two transactions",
        before=ORDERS,
        upgrade=body(
            sql("ALTER TABLE orders DROP CONSTRAINT IF EXISTS ck_total"),
            sql("ALTER TABLE orders ADD CONSTRAINT ck_total CHECK (total > 0) NOT VALID"),
            autocommit("ALTER TABLE orders VALIDATE CONSTRAINT ck_total"),
        ),
        downgrade=DROP_CHECK,
        expected={"breaking-change", "populated-upgrade"},
        notices={"breaking-change"},
        because="The autocommit block ends the transaction with the strong lock before the rows are read.",
    ),
    Case(
        name="CHECK that allows more, at once",
        before=sql(
            "CREATE TABLE orders (id integer PRIMARY KEY, status text, CONSTRAINT ck_status CHECK (status IN ('new', 'paid')))"
        ),
        upgrade=body(
            "op.drop_constraint('ck_status', 'orders')",
            "op.create_check_constraint('ck_status', 'orders', \"status IN ('new', 'paid', 'sent')\")",
        ),
        downgrade=body(
            "op.drop_constraint('ck_status', 'orders')",
            "op.create_check_constraint('ck_status', 'orders', \"status IN ('new', 'paid')\")",
        ),
        expected={"blocking-scan"},
        because="PostgreSQL does not compare the two: every row is put to the new one under ACCESS EXCLUSIVE.",
    ),
    Case(
        name="CHECK that allows more, for new rows",
        before=sql(
            "CREATE TABLE orders (id integer PRIMARY KEY, status text, CONSTRAINT ck_status CHECK (status IN ('new', 'paid')))"
        ),
        upgrade=sql(
            "ALTER TABLE orders DROP CONSTRAINT ck_status",
            "ALTER TABLE orders ADD CONSTRAINT ck_status CHECK (status IN ('new', 'paid', 'sent')) NOT VALID",
        ),
        downgrade=sql(
            "ALTER TABLE orders DROP CONSTRAINT ck_status",
            "ALTER TABLE orders ADD CONSTRAINT ck_status CHECK (status IN ('new', 'paid'))",
        ),
        expected={"not-validated"},
        because="No row is read, and nothing is refused that was allowed. It is left unchecked.",
    ),
    Case(
        name="CHECK that allows less",
        before=sql(
            "CREATE TABLE orders (id integer PRIMARY KEY, status text, CONSTRAINT ck_status CHECK (status IN ('new', 'paid')))"
        ),
        upgrade=sql(
            "ALTER TABLE orders DROP CONSTRAINT ck_status",
            "ALTER TABLE orders ADD CONSTRAINT ck_status CHECK (status IN ('paid'))",
        ),
        downgrade=sql(
            "ALTER TABLE orders DROP CONSTRAINT ck_status",
            "ALTER TABLE orders ADD CONSTRAINT ck_status CHECK (status IN ('new', 'paid'))",
        ),
        expected={"blocking-scan", "breaking-change", "populated-upgrade"},
        because="Every row is put to the new one; what was allowed is refused now, in new rows and in those that are there.",
    ),
    Case(
        name="CHECK that allows less, once no row needs more",
        before=sql(
            "CREATE TABLE orders (id integer PRIMARY KEY, status text, CONSTRAINT ck_status CHECK (status IN ('new', 'paid')))"
        ),
        upgrade=sql(
            "DELETE FROM orders WHERE status = 'new'",
            "ALTER TABLE orders DROP CONSTRAINT ck_status",
            "ALTER TABLE orders ADD CONSTRAINT ck_status CHECK (status IN ('paid'))",
        ),
        downgrade=sql(
            "ALTER TABLE orders DROP CONSTRAINT ck_status",
            "ALTER TABLE orders ADD CONSTRAINT ck_status CHECK (status IN ('new', 'paid'))",
        ),
        expected={"blocking-scan", "breaking-change", "data-loss"},
        because="Every row is put to the new one, and none is left that it refuses.",
    ),
    Case(
        name="CHECK that allows less, for new rows",
        before=sql(
            "CREATE TABLE orders (id integer PRIMARY KEY, status text, CONSTRAINT ck_status CHECK (status IN ('new', 'paid')))"
        ),
        upgrade=sql(
            "ALTER TABLE orders DROP CONSTRAINT ck_status",
            "ALTER TABLE orders ADD CONSTRAINT ck_status CHECK (status IN ('paid')) NOT VALID",
        ),
        downgrade=sql(
            "ALTER TABLE orders DROP CONSTRAINT ck_status",
            "ALTER TABLE orders ADD CONSTRAINT ck_status CHECK (status IN ('new', 'paid'))",
        ),
        expected={"breaking-change", "not-validated"},
        because="NOT VALID reads no row: those that are there stay, whatever they hold.",
    ),
    Case(
        name="CHECK that allows another value in the place of one",
        before=sql(
            "CREATE TABLE orders (id integer PRIMARY KEY, status text, CONSTRAINT ck_status CHECK (status IN ('new', 'paid')))"
        ),
        upgrade=sql(
            "ALTER TABLE orders DROP CONSTRAINT ck_status",
            "UPDATE orders SET status = 'open' WHERE status = 'new'",
            "ALTER TABLE orders ADD CONSTRAINT ck_status CHECK (status IN ('open', 'paid'))",
        ),
        downgrade=sql(
            "ALTER TABLE orders DROP CONSTRAINT ck_status",
            "UPDATE orders SET status = 'new' WHERE status = 'open'",
            "ALTER TABLE orders ADD CONSTRAINT ck_status CHECK (status IN ('new', 'paid'))",
        ),
        expected={"blocking-scan", "breaking-change", "lock-pileup"},
        because="Rows are updated and read with ACCESS EXCLUSIVE held; each gets a value that the new one allows.",
    ),
    Case(
        name="CHECK that begins at a larger number",
        before=sql(
            "CREATE TABLE orders (id integer PRIMARY KEY, total integer CONSTRAINT ck_total CHECK (total >= 0))"
        ),
        upgrade=sql(
            "ALTER TABLE orders DROP CONSTRAINT ck_total",
            "ALTER TABLE orders ADD CONSTRAINT ck_total CHECK (total >= 10)",
        ),
        downgrade=sql(
            "ALTER TABLE orders DROP CONSTRAINT ck_total",
            "ALTER TABLE orders ADD CONSTRAINT ck_total CHECK (total >= 0)",
        ),
        expected={"blocking-scan", "breaking-change", "populated-upgrade"},
        because="A total of 0 was allowed, and one such row ends it.",
    ),
    Case(
        name="CHECK that begins at a smaller number, for new rows",
        before=sql(
            "CREATE TABLE orders (id integer PRIMARY KEY, total integer CONSTRAINT ck_total CHECK (total >= 10))"
        ),
        upgrade=body(
            sql(
                "ALTER TABLE orders DROP CONSTRAINT IF EXISTS ck_total",
                "ALTER TABLE orders ADD CONSTRAINT ck_total CHECK (total >= 0) NOT VALID",
            ),
            autocommit("ALTER TABLE orders VALIDATE CONSTRAINT ck_total"),
        ),
        downgrade=sql(
            "ALTER TABLE orders DROP CONSTRAINT ck_total",
            "ALTER TABLE orders ADD CONSTRAINT ck_total CHECK (total >= 10)",
        ),
        because="Whatever was allowed still is, and the rows are read when the strong lock is gone.",
    ),
    Case(
        name="CHECK that is not enforced",
        before=ORDERS,
        upgrade=sql("ALTER TABLE orders ADD CONSTRAINT ck_total CHECK (total > 0) NOT ENFORCED"),
        downgrade=DROP_CHECK,
        because="NOT ENFORCED is a note for the reader: no row is looked at, now or later.",
        since=18,
    ),
    # Foreign keys.
    Case(
        name="foreign key at once",
        before=SHOP,
        upgrade="op.create_foreign_key('fk_customer', 'orders', 'customers', ['customer_id'], ['id'])",
        downgrade=DROP_KEY,
        expected={"blocking-scan", "breaking-change", "populated-upgrade"},
        notices={"breaking-change"},
        because="Both tables are read with SHARE ROW EXCLUSIVE on them, so nobody writes to either.",
    ),
    Case(
        name="foreign key at once, with an index on it",
        before=body(SHOP, "op.create_index('ix_customer', 'orders', ['customer_id'])"),
        upgrade="op.create_foreign_key('fk_customer', 'orders', 'customers', ['customer_id'], ['id'])",
        downgrade=DROP_KEY,
        expected={"blocking-scan", "breaking-change", "populated-upgrade"},
        notices={"breaking-change"},
        because="An index may help to compare the two tables; all of it is read all the same, and nobody writes meanwhile.",
    ),
    Case(
        name="foreign key for new rows",
        before=SHOP,
        upgrade="op.create_foreign_key('fk_customer', 'orders', 'customers', ['customer_id'], ['id'], postgresql_not_valid=True)",
        downgrade=DROP_KEY,
        expected={"breaking-change", "not-validated"},
        notices={"breaking-change"},
        because="Both tables are locked for a moment and none is read; new rows have to obey at once.",
    ),
    Case(
        name="foreign key is validated",
        before=body(
            SHOP,
            sql(
                "ALTER TABLE orders ADD CONSTRAINT fk_customer FOREIGN KEY (customer_id) REFERENCES customers NOT VALID"
            ),
        ),
        upgrade=sql("ALTER TABLE orders VALIDATE CONSTRAINT fk_customer"),
        downgrade="pass",
        expected={"populated-upgrade"},
        notices={"populated-upgrade"},
        because="Neither readers nor writers wait; it fails at an order of no customer from before the key.",
    ),
    Case(
        name="foreign key to the table itself",
        before=sql("CREATE TABLE orders (id integer PRIMARY KEY, parent_id integer)"),
        upgrade="op.create_foreign_key('fk_parent', 'orders', 'orders', ['parent_id'], ['id'])",
        downgrade="op.drop_constraint('fk_parent', 'orders', type_='foreignkey')",
        expected={"blocking-scan", "breaking-change", "populated-upgrade"},
        notices={"breaking-change"},
        because="Every row is read and looked up, and nobody writes meanwhile.",
    ),
    Case(
        name="foreign key of a new table",
        before=sql("CREATE TABLE customers (id integer PRIMARY KEY)"),
        upgrade="""
            op.create_table(
                'orders',
                sa.Column('id', sa.Integer, primary_key=True),
                sa.Column('customer_id', sa.Integer, sa.ForeignKey('customers.id'), nullable=False),
            )
            op.create_index('ix_customer', 'orders', ['customer_id'])
        """,
        downgrade="op.drop_table('orders')",
        because="The new table is empty; customers is locked for a moment, for its trigger, and not read.",
    ),
    Case(
        name="foreign key to a new table",
        before=sql("CREATE TABLE orders (id integer PRIMARY KEY, total integer)"),
        upgrade=body(
            "op.create_table('customers', sa.Column('id', sa.Integer, primary_key=True))",
            sql("ALTER TABLE orders ADD COLUMN customer_id integer REFERENCES customers"),
        ),
        downgrade=body("op.drop_column('orders', 'customer_id')", "op.drop_table('customers')"),
        because="All rows have NULL in a column that has just come, so none is read.",
    ),
    Case(
        name="foreign key is dropped",
        before=body(SHOP, "op.create_foreign_key('fk_customer', 'orders', 'customers', ['customer_id'], ['id'])"),
        upgrade=DROP_KEY,
        downgrade="op.create_foreign_key('fk_customer', 'orders', 'customers', ['customer_id'], ['id'])",
        because="Two tables are locked by one statement, for a moment; no row is read.",
    ),
    # Keys.
    Case(
        name="unique constraint",
        before=ORDERS,
        upgrade="op.create_unique_constraint('uq_number', 'orders', ['number'])",
        downgrade="op.drop_constraint('uq_number', 'orders', type_='unique')",
        expected={"blocking-index", "breaking-change", "populated-upgrade"},
        notices={"breaking-change"},
        because="Its index is built under ACCESS EXCLUSIVE, and two equal rows end it.",
    ),
    Case(
        name="unique constraint from an index that is there",
        before=body(ORDERS, "op.create_index('uq_number', 'orders', ['number'], unique=True)"),
        upgrade=sql("ALTER TABLE orders ADD CONSTRAINT uq_number UNIQUE USING INDEX uq_number"),
        downgrade=body(
            "op.drop_constraint('uq_number', 'orders', type_='unique')",
            "op.create_index('uq_number', 'orders', ['number'], unique=True)",
        ),
        because="The index is taken over as it is, and it has refused duplicates before.",
    ),
    Case(
        name="unique constraint from an index that is renamed",
        before=body(ORDERS, "op.create_index('ix_number', 'orders', ['number'], unique=True)"),
        upgrade=sql("ALTER TABLE orders ADD CONSTRAINT uq_number UNIQUE USING INDEX ix_number"),
        downgrade=body(
            "op.drop_constraint('uq_number', 'orders', type_='unique')",
            "op.create_index('ix_number', 'orders', ['number'], unique=True)",
        ),
        because="The index is taken over as it is, under another name.",
    ),
    Case(
        name="unique constraint by way of an index",
        before=ORDERS,
        upgrade=body(
            autocommit(
                "DROP INDEX CONCURRENTLY IF EXISTS uq_number",
                "CREATE UNIQUE INDEX CONCURRENTLY uq_number ON orders (number)",
            ),
            sql("ALTER TABLE orders ADD CONSTRAINT uq_number UNIQUE USING INDEX uq_number"),
        ),
        downgrade="op.drop_constraint('uq_number', 'orders', type_='unique')",
        expected={"breaking-change", "populated-upgrade"},
        notices={"breaking-change", "populated-upgrade"},
        because="The build lets writers go on and the constraint takes the index over. Duplicates end it, and are refused from then on.",
    ),
    Case(
        name="primary key over a required column",
        before=sql("CREATE TABLE orders (number integer NOT NULL, total integer)"),
        upgrade="op.create_primary_key('pk_orders', 'orders', ['number'])",
        downgrade="op.drop_constraint('pk_orders', 'orders', type_='primary')",
        expected={"blocking-index", "breaking-change", "populated-upgrade"},
        notices={"breaking-change"},
        because="Its index is built under ACCESS EXCLUSIVE, and two equal rows end it.",
    ),
    Case(
        name="primary key from an index over a required column",
        before=sql(
            "CREATE TABLE orders (number integer NOT NULL, total integer)",
            "CREATE UNIQUE INDEX pk_orders ON orders (number)",
        ),
        upgrade=sql("ALTER TABLE orders ADD CONSTRAINT pk_orders PRIMARY KEY USING INDEX pk_orders"),
        downgrade=body(
            "op.drop_constraint('pk_orders', 'orders', type_='primary')",
            "op.create_index('pk_orders', 'orders', ['number'], unique=True)",
        ),
        because="The index is there and so is NOT NULL: nothing is left to be read.",
    ),
    Case(
        name="primary key from an index over a nullable column",
        before=sql(
            "CREATE TABLE orders (number integer, total integer)", "CREATE UNIQUE INDEX pk_orders ON orders (number)"
        ),
        upgrade=sql("ALTER TABLE orders ADD CONSTRAINT pk_orders PRIMARY KEY USING INDEX pk_orders"),
        downgrade=body(
            "op.drop_constraint('pk_orders', 'orders', type_='primary')",
            "op.alter_column('orders', 'number', nullable=True)",
            "op.create_index('pk_orders', 'orders', ['number'], unique=True)",
        ),
        expected={"blocking-scan", "breaking-change", "populated-upgrade"},
        notices={"breaking-change"},
        because="A primary key is NOT NULL, for which every row is read under ACCESS EXCLUSIVE.",
    ),
    Case(
        name="exclusion constraint",
        before=sql("CREATE TABLE bookings (id integer PRIMARY KEY, during tsrange)"),
        upgrade=sql("ALTER TABLE bookings ADD CONSTRAINT no_overlap EXCLUDE USING gist (during WITH &&)"),
        downgrade="op.drop_constraint('no_overlap', 'bookings')",
        expected={"blocking-index", "breaking-change", "populated-upgrade"},
        notices={"breaking-change"},
        because="Its index is built under ACCESS EXCLUSIVE, and no way leads around that: it takes no index that is there.",
    ),
    # What asks nothing of the rows.
    Case(
        name="CHECK is dropped",
        before=body(ORDERS, sql("ALTER TABLE orders ADD CONSTRAINT ck_total CHECK (total > 0)")),
        upgrade=DROP_CHECK,
        downgrade="op.create_check_constraint('ck_total', 'orders', 'total > 0')",
        because="What is allowed from now on asks nothing of the rows that are there.",
    ),
    Case(
        name="constraint is renamed",
        before=body(ORDERS, sql("ALTER TABLE orders ADD CONSTRAINT ck_total CHECK (total > 0)")),
        upgrade=sql("ALTER TABLE orders RENAME CONSTRAINT ck_total TO ck_orders_total"),
        downgrade=sql("ALTER TABLE orders RENAME CONSTRAINT ck_orders_total TO ck_total"),
        because="One row of the catalog is written; the promise is the same.",
    ),
    Case(
        name="foreign key is deferred",
        before=body(SHOP, "op.create_foreign_key('fk_customer', 'orders', 'customers', ['customer_id'], ['id'])"),
        upgrade=sql("ALTER TABLE orders ALTER CONSTRAINT fk_customer DEFERRABLE INITIALLY DEFERRED"),
        downgrade=sql("ALTER TABLE orders ALTER CONSTRAINT fk_customer NOT DEFERRABLE"),
        because="Only when it is checked changes: no row is read.",
    ),
]
