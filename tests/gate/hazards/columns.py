"""Columns that come, go, change their name, or have to be filled from now on."""

from tests.gate.hazards.case import Case, body, sql

ORDERS = "op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True), sa.Column('note', sa.Text))"
DROP_EXTRA = "op.drop_column('orders', 'extra')"


def add(name: str, definition: str, because: str, *expected: str, before: str = ORDERS, since: int = 0) -> Case:
    """A column `extra` that is added to `orders`, as SQL or SQLAlchemy defines it."""
    is_sql = not definition.startswith("sa.")
    return Case(
        name=name,
        before=before,
        upgrade=sql(f"ALTER TABLE orders ADD COLUMN extra {definition}")
        if is_sql
        else f"op.add_column('orders', sa.Column('extra', {definition}))",
        downgrade=DROP_EXTRA,
        expected=set(expected),
        because=because,
        since=since,
    )


CASES = [
    Case(
        name="nullable column",
        before=ORDERS,
        upgrade="op.add_column('orders', sa.Column('extra', sa.Text))",
        downgrade=DROP_EXTRA,
        because="A column that is missing in a stored row reads as NULL.",
    ),
    Case(
        name="column with a constant default",
        before=ORDERS,
        upgrade="op.add_column('orders', sa.Column('extra', sa.Text, nullable=False, server_default='web'))",
        downgrade=DROP_EXTRA,
        because="The default is kept once in the catalog, and read from there for the older rows.",
    ),
    add(
        "column with the time of the upgrade",
        "sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()",
        "now() is one value for the whole transaction, worked out once.",
    ),
    add(
        "column with a time for each row",
        "sa.DateTime(timezone=True), nullable=False, server_default=sa.text('clock_timestamp()')",
        "clock_timestamp() is volatile: it is worked out for each row, and all rows are written.",
        "table-rewrite",
    ),
    Case(
        name="column with a random default",
        before=ORDERS,
        upgrade="op.add_column('orders', sa.Column('token', sa.Uuid, nullable=False, server_default=sa.text('gen_random_uuid()')))",
        downgrade="op.drop_column('orders', 'token')",
        expected={"table-rewrite"},
        because="gen_random_uuid() is volatile: each row gets a value of its own, so all rows are written.",
    ),
    Case(
        name="random default for new rows only",
        before=ORDERS,
        upgrade=body(
            "op.add_column('orders', sa.Column('token', sa.Uuid))",
            "op.alter_column('orders', 'token', server_default=sa.text('gen_random_uuid()'))",
        ),
        downgrade="op.drop_column('orders', 'token')",
        because="A default that is set on a column which is there touches no row.",
    ),
    Case(
        name="required column without a default",
        before=ORDERS,
        upgrade="op.add_column('orders', sa.Column('extra', sa.Text, nullable=False))",
        downgrade=DROP_EXTRA,
        expected={"breaking-change", "populated-upgrade"},
        because='With one row in the table it is \'column "extra" of relation "orders" contains null values\'.',
    ),
    add("serial column", "serial", "Each row draws a number from the sequence: all are written.", "table-rewrite"),
    add(
        "identity column",
        "sa.Integer, sa.Identity()",
        "Each row draws a number from the sequence: all are written.",
        "table-rewrite",
    ),
    add(
        "stored generated column",
        "sa.Integer, sa.Computed('length(note)', persisted=True)",
        "The value is worked out for each row and stored in it.",
        "table-rewrite",
    ),
    add(
        "virtual generated column",
        "integer GENERATED ALWAYS AS (length(note)) VIRTUAL",
        "The value is worked out when it is read, and not stored.",
        since=18,
    ),
    add(
        "column with a CHECK",
        "integer DEFAULT 1 CHECK (extra > 0)",
        "The default need not be written, but the CHECK is tried on every row under ACCESS EXCLUSIVE.",
        "blocking-scan",
    ),
    add(
        "column with a CHECK for new rows",
        "integer DEFAULT 1",
        "Without a CHECK there is nothing to be tried on the rows.",
    ),
    add(
        "column of a domain with a rule",
        "amount",
        "Even NULL is put to the domain's CHECK, which PostgreSQL does by writing all rows anew.",
        "table-rewrite",
        before=body(ORDERS, sql("CREATE DOMAIN amount AS integer CHECK (VALUE > 0)")),
    ),
    add(
        "column of a domain without a rule",
        "amount",
        "A domain without constraints is its base type by another name.",
        before=body(ORDERS, sql("CREATE DOMAIN amount AS integer")),
    ),
    add(
        "column that refers to another table",
        "integer REFERENCES customers",
        "All older rows have NULL in it, so PostgreSQL checks none of them.",
        before=body(ORDERS, sql("CREATE TABLE customers (id integer PRIMARY KEY)")),
    ),
    Case(
        name="column and foreign key one after the other",
        before=body(ORDERS, "op.create_table('customers', sa.Column('id', sa.Integer, primary_key=True))"),
        upgrade=body(
            "op.add_column('orders', sa.Column('customer_id', sa.Integer))",
            "op.create_foreign_key('fk_customer', 'orders', 'customers', ['customer_id'], ['id'])",
        ),
        downgrade="op.drop_column('orders', 'customer_id')",
        expected={"blocking-scan", "lock-pileup"},
        because="ADD CONSTRAINT does not know that the column is new: it reads the whole table, and waits for customers while orders is closed.",
    ),
    add(
        "unique column",
        "integer UNIQUE",
        "The index of the constraint is built under ACCESS EXCLUSIVE.",
        "blocking-index",
    ),
    Case(
        name="several columns at once",
        before=ORDERS,
        upgrade=sql(
            "ALTER TABLE orders ADD COLUMN a text, ADD COLUMN b integer DEFAULT 0, ADD COLUMN c boolean NOT NULL DEFAULT false"
        ),
        downgrade=sql("ALTER TABLE orders DROP COLUMN a, DROP COLUMN b, DROP COLUMN c"),
        because="None of the three asks anything of the rows.",
    ),
    Case(
        name="several columns one of which is serial",
        before=ORDERS,
        upgrade=sql(
            "ALTER TABLE orders ADD COLUMN a text, ADD COLUMN b serial, ADD COLUMN c boolean NOT NULL DEFAULT false"
        ),
        downgrade=sql("ALTER TABLE orders DROP COLUMN a, DROP COLUMN b, DROP COLUMN c"),
        expected={"table-rewrite"},
        because="One action that needs it makes the whole statement a rewrite.",
    ),
    Case(
        name="column only if it is missing",
        before=body(ORDERS, sql("ALTER TABLE orders ADD COLUMN extra uuid DEFAULT gen_random_uuid()")),
        upgrade=sql("ALTER TABLE orders ADD COLUMN IF NOT EXISTS extra uuid DEFAULT gen_random_uuid()"),
        downgrade="pass",
        because="The column is there, so nothing is done, volatile default or not.",
    ),
    # Columns that go or change their name.
    Case(
        name="dropped column",
        before=ORDERS,
        upgrade="op.drop_column('orders', 'note')",
        downgrade="op.add_column('orders', sa.Column('note', sa.Text))",
        expected={"breaking-change", "data-loss"},
        because="The column is gone from the catalog at once; its values cannot be read any more.",
    ),
    Case(
        name="renamed column",
        before=ORDERS,
        upgrade="op.alter_column('orders', 'note', new_column_name='remark')",
        downgrade="op.alter_column('orders', 'remark', new_column_name='note')",
        expected={"breaking-change"},
        because="A statement that names the old one is 'column \"note\" does not exist' from the commit on.",
    ),
    # NOT NULL.
    Case(
        name="column becomes required",
        before=ORDERS,
        upgrade="op.alter_column('orders', 'note', nullable=False)",
        downgrade="op.alter_column('orders', 'note', nullable=True)",
        expected={"blocking-scan", "breaking-change", "populated-upgrade"},
        notices={"breaking-change"},
        because="Every row is looked at under ACCESS EXCLUSIVE, and one NULL ends it.",
    ),
    Case(
        name="column becomes required after a CHECK",
        before=sql(
            "CREATE TABLE orders (id integer PRIMARY KEY, note text, CONSTRAINT note_is_there CHECK (note IS NOT NULL) NOT VALID)",
            "ALTER TABLE orders VALIDATE CONSTRAINT note_is_there",
        ),
        upgrade="op.alter_column('orders', 'note', nullable=False)",
        downgrade="op.alter_column('orders', 'note', nullable=True)",
        because="The CHECK proves it, so no row is read; and nobody could write NULL before.",
    ),
    Case(
        name="column becomes required in place of a CHECK",
        before=sql(
            "CREATE TABLE orders (id integer PRIMARY KEY, note text, CONSTRAINT note_is_there CHECK (note IS NOT NULL))"
        ),
        upgrade=body(
            "op.alter_column('orders', 'note', nullable=False)",
            "op.drop_constraint('note_is_there', 'orders')",
        ),
        downgrade=body(
            sql("ALTER TABLE orders ADD CONSTRAINT note_is_there CHECK (note IS NOT NULL)"),
            "op.alter_column('orders', 'note', nullable=True)",
        ),
        because="The CHECK proves it before it goes.",
    ),
    Case(
        name="column becomes required after a CHECK that is not valid",
        before=sql("CREATE TABLE orders (id integer PRIMARY KEY, note text)"),
        upgrade=sql(
            "ALTER TABLE orders ADD CONSTRAINT note_is_there CHECK (note IS NOT NULL) NOT VALID",
            "ALTER TABLE orders ALTER COLUMN note SET NOT NULL",
            "ALTER TABLE orders DROP CONSTRAINT note_is_there",
        ),
        downgrade="op.alter_column('orders', 'note', nullable=True)",
        expected={"blocking-scan", "breaking-change", "populated-upgrade"},
        notices={"breaking-change"},
        because="A CHECK that is NOT VALID proves nothing about older rows, so each is read all the same.",
    ),
    Case(
        name="column required by a constraint for new rows",
        before=ORDERS,
        upgrade=sql("ALTER TABLE orders ADD CONSTRAINT note_is_there NOT NULL note NOT VALID"),
        downgrade=sql("ALTER TABLE orders DROP CONSTRAINT note_is_there"),
        expected={"breaking-change", "not-validated"},
        notices={"breaking-change"},
        because="No row is read; new ones have to have it, and older ones were never checked.",
        since=18,
    ),
    Case(
        name="required column is validated",
        before=body(ORDERS, sql("ALTER TABLE orders ADD CONSTRAINT note_is_there NOT NULL note NOT VALID")),
        upgrade=sql("ALTER TABLE orders VALIDATE CONSTRAINT note_is_there"),
        downgrade="pass",
        because="The rows are read under SHARE UPDATE EXCLUSIVE, which keeps neither readers nor writers out.",
        since=18,
    ),
    Case(
        name="required column that was required",
        before=sql("CREATE TABLE orders (id integer PRIMARY KEY, note text NOT NULL)"),
        upgrade="op.alter_column('orders', 'note', nullable=False)",
        downgrade="pass",
        because="It is so already, and nothing is done.",
    ),
    # Defaults, identity, generated columns.
    Case(
        name="default is set",
        before=ORDERS,
        upgrade="op.alter_column('orders', 'note', server_default='none')",
        downgrade="op.alter_column('orders', 'note', server_default=None)",
        because="A default is for rows that come.",
    ),
    Case(
        name="default of a required column goes",
        before=sql("CREATE TABLE orders (id integer PRIMARY KEY, note text NOT NULL DEFAULT 'none')"),
        upgrade="op.alter_column('orders', 'note', server_default=None)",
        downgrade="op.alter_column('orders', 'note', server_default='none')",
        expected={"breaking-change"},
        because="An INSERT that leaves it out is 'null value in column \"note\" violates not-null constraint'.",
    ),
    Case(
        name="identity is added to a column",
        before=sql("CREATE TABLE orders (id integer PRIMARY KEY, note text)"),
        upgrade=sql("ALTER TABLE orders ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY"),
        downgrade=sql("ALTER TABLE orders ALTER COLUMN id DROP IDENTITY"),
        because="The rows have their numbers; only rows that come draw from the sequence.",
    ),
    Case(
        name="generated column gets another expression",
        before=body(
            ORDERS, sql("ALTER TABLE orders ADD COLUMN extra integer GENERATED ALWAYS AS (length(note)) STORED")
        ),
        upgrade=sql("ALTER TABLE orders ALTER COLUMN extra SET EXPRESSION AS (length(note) + 1)"),
        downgrade=sql("ALTER TABLE orders ALTER COLUMN extra SET EXPRESSION AS (length(note))"),
        expected={"breaking-change", "table-rewrite"},
        notices={"breaking-change"},
        because="Each value is worked out again and stored; what reads it gets another one.",
        since=17,
    ),
    # What only the planner or the storage of new values is told.
    Case(
        name="statistics target",
        before=ORDERS,
        upgrade=sql("ALTER TABLE orders ALTER COLUMN note SET STATISTICS 500"),
        downgrade=sql("ALTER TABLE orders ALTER COLUMN note SET STATISTICS -1"),
        because="It is for the next ANALYZE, and SHARE UPDATE EXCLUSIVE keeps nobody from writing.",
    ),
    Case(
        name="storage of large values",
        before=ORDERS,
        upgrade=sql("ALTER TABLE orders ALTER COLUMN note SET STORAGE EXTERNAL"),
        downgrade=sql("ALTER TABLE orders ALTER COLUMN note SET STORAGE EXTENDED"),
        because="It is for values that come; those that are there stay as they are.",
    ),
    Case(
        name="compression of large values",
        before=ORDERS,
        upgrade=sql("ALTER TABLE orders ALTER COLUMN note SET COMPRESSION pglz"),
        downgrade=sql("ALTER TABLE orders ALTER COLUMN note SET COMPRESSION default"),
        because="It is for values that come; those that are there stay as they are.",
    ),
    Case(
        name="comment on a column",
        before=ORDERS,
        upgrade="op.alter_column('orders', 'note', comment='what the customer said')",
        downgrade="op.alter_column('orders', 'note', comment=None)",
        because="COMMENT takes SHARE UPDATE EXCLUSIVE and writes one row of the catalog.",
    ),
]
