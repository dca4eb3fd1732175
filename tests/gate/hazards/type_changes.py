"""Columns that take another type: some are only looked at with other eyes, others are written anew."""

from tests.gate.hazards.case import Case, body, sql

# As `op.alter_column` is told of them.
TYPES = {
    "smallint": "sa.SmallInteger",
    "integer": "sa.Integer",
    "numeric": "sa.Numeric",
    "numeric(10, 2)": "sa.Numeric(10, 2)",
    "numeric(12, 2)": "sa.Numeric(12, 2)",
    "numeric(12, 4)": "sa.Numeric(12, 4)",
    "text": "sa.Text",
    "varchar": "sa.String",
    "varchar(40)": "sa.String(40)",
    "char(20)": "sa.CHAR(20)",
    "text[]": "postgresql.ARRAY(sa.Text)",
    "bit varying(16)": "postgresql.BIT(16, varying=True)",
    "timestamp(0)": "postgresql.TIMESTAMP(precision=0)",
    "timestamp(6)": "postgresql.TIMESTAMP(precision=6)",
    "date": "sa.Date",
    "inet": "postgresql.INET",
    "cidr": "postgresql.CIDR",
    "jsonb": "postgresql.JSONB",
}


def retype(name: str, old: str, new: str, because: str, *expected: str, using: str = "", back: str = "") -> Case:
    """`orders.value` from one type to another."""
    given = f", postgresql_using={using!r}" if using else ""
    return Case(
        name=name,
        before=sql(f"CREATE TABLE orders (id integer PRIMARY KEY, value {old})"),
        upgrade=body(
            "from sqlalchemy.dialects import postgresql",
            f"op.alter_column('orders', 'value', type_={TYPES[new]}{given})",
        ),
        downgrade=sql(f"ALTER TABLE orders ALTER COLUMN value TYPE {old}{back and f' USING {back}'}"),
        expected=set(expected),
        because=because,
    )


CASES = [
    # Numbers.
    Case(
        name="integer to bigint",
        before="op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True), sa.Column('total', sa.Integer))",
        upgrade="op.alter_column('orders', 'total', type_=sa.BigInteger)",
        downgrade="op.alter_column('orders', 'total', type_=sa.Integer)",
        expected={"table-rewrite"},
        because="An int8 takes eight bytes where an int4 takes four, so every row is written anew.",
    ),
    retype(
        "smallint to integer",
        "smallint",
        "integer",
        "An int4 is larger than an int2: all rows are written.",
        "table-rewrite",
    ),
    Case(
        name="bigint to integer",
        before="op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True), sa.Column('total', sa.BigInteger))",
        upgrade="op.alter_column('orders', 'total', type_=sa.Integer)",
        downgrade="op.alter_column('orders', 'total', type_=sa.BigInteger)",
        expected={"table-rewrite", "breaking-change", "populated-upgrade"},
        because="All rows are written anew, and one value above 2147483647 is 'integer out of range'.",
    ),
    Case(
        name="primary key to bigint",
        before="op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True))",
        upgrade="op.alter_column('orders', 'id', type_=sa.BigInteger)",
        downgrade="op.alter_column('orders', 'id', type_=sa.Integer)",
        expected={"table-rewrite"},
        because="The table is written anew, and its primary key's index with it.",
    ),
    retype(
        "numeric with more digits",
        "numeric(10, 2)",
        "numeric(12, 2)",
        "The same scale and more digits hold every old value as it is stored: only the catalog changes.",
    ),
    retype(
        "numeric without a limit",
        "numeric(10, 2)",
        "numeric",
        "Every old value is as good without a limit: only the catalog changes.",
    ),
    retype(
        "numeric with a larger scale",
        "numeric(10, 2)",
        "numeric(12, 4)",
        "Values are stored with their scale, so another one is another value on disk: every row is written.",
        "table-rewrite",
    ),
    retype(
        "numeric with fewer digits",
        "numeric(12, 2)",
        "numeric(10, 2)",
        "Every value is put through numeric(10, 2) again: a rewrite, and 'numeric field overflow' where one does not fit.",
        "table-rewrite",
        "breaking-change",
        "populated-upgrade",
    ),
    retype(
        "numeric rounded",
        "numeric(12, 4)",
        "numeric(12, 2)",
        "Every value is rounded to two places and written; the digits that are cut off are gone.",
        "table-rewrite",
        "breaking-change",
        "data-loss",
    ),
    retype(
        "integer to text",
        "integer",
        "text",
        "Digits are stored in another way than a number: all rows are written.",
        "table-rewrite",
        "breaking-change",
        back="value::integer",
    ),
    retype("the same number again", "integer", "integer", "Nothing is left to be done.", using="value"),
    retype(
        "a number worked out anew",
        "integer",
        "integer",
        "With USING and an expression each value is worked out again and written, whatever the type.",
        "table-rewrite",
        using="value + 0",
    ),
    # Text.
    Case(
        name="varchar made longer",
        before="op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True), sa.Column('note', sa.String(20)))",
        upgrade="op.alter_column('orders', 'note', type_=sa.String(40))",
        downgrade="op.alter_column('orders', 'note', type_=sa.String(20))",
        because="What fits into twenty characters fits into forty: only the catalog changes.",
    ),
    Case(
        name="varchar made shorter",
        before="op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True), sa.Column('note', sa.String(20)))",
        upgrade="op.alter_column('orders', 'note', type_=sa.String(10))",
        downgrade="op.alter_column('orders', 'note', type_=sa.String(20))",
        expected={"table-rewrite", "breaking-change", "populated-upgrade"},
        because="Each value is measured and written again, and a longer one is 'value too long for type character varying(10)'.",
    ),
    Case(
        name="varchar to text",
        before="op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True), sa.Column('note', sa.String(20)))",
        upgrade="op.alter_column('orders', 'note', type_=sa.Text)",
        downgrade="op.alter_column('orders', 'note', type_=sa.String(20))",
        because="varchar and text are stored alike: only the catalog changes.",
    ),
    retype("varchar without a limit", "varchar(20)", "varchar", "A limit that goes asks nothing of the rows."),
    retype(
        "text to varchar",
        "text",
        "varchar(40)",
        "Each value has to be measured, which PostgreSQL does by writing all rows anew.",
        "table-rewrite",
        "breaking-change",
        "populated-upgrade",
    ),
    retype(
        "char made longer",
        "char(10)",
        "char(20)",
        "char is stored with its blanks, so each row is written.",
        "table-rewrite",
    ),
    retype(
        "char to text",
        "char(10)",
        "text",
        "The blanks at the end are cut off each value: every row is written.",
        "table-rewrite",
    ),
    Case(
        name="indexed varchar made longer",
        before=sql(
            "CREATE TABLE orders (id integer PRIMARY KEY, note varchar(20))", "CREATE INDEX ix_note ON orders (note)"
        ),
        upgrade="op.alter_column('orders', 'note', type_=sa.String(40))",
        downgrade="op.alter_column('orders', 'note', type_=sa.String(20))",
        because="The index stays as it is: its new entry in the catalog takes over the old files.",
    ),
    Case(
        name="unique varchar to text",
        before=sql("CREATE TABLE orders (id integer PRIMARY KEY, note varchar(20) UNIQUE)"),
        upgrade="op.alter_column('orders', 'note', type_=sa.Text)",
        downgrade="op.alter_column('orders', 'note', type_=sa.String(20))",
        because="text and varchar share their operators, so the index of the constraint is kept.",
    ),
    Case(
        name="another collation on an indexed column",
        before=sql("CREATE TABLE orders (id integer PRIMARY KEY, note text)", "CREATE INDEX ix_note ON orders (note)"),
        upgrade=sql('ALTER TABLE orders ALTER COLUMN note TYPE text COLLATE "C"'),
        downgrade=sql('ALTER TABLE orders ALTER COLUMN note TYPE text COLLATE "default"'),
        expected={"blocking-index"},
        because="The rows stay, but the index is sorted in another order now and built again, under ACCESS EXCLUSIVE.",
    ),
    Case(
        name="another collation without an index",
        before=sql("CREATE TABLE orders (id integer PRIMARY KEY, note text)"),
        upgrade=sql('ALTER TABLE orders ALTER COLUMN note TYPE text COLLATE "C"'),
        downgrade=sql('ALTER TABLE orders ALTER COLUMN note TYPE text COLLATE "default"'),
        because="How text is compared is not stored in the rows.",
    ),
    retype(
        "varchar array to text array",
        "varchar(20)[]",
        "text[]",
        "Arrays name the type of their elements inside of each value: all are written.",
        "table-rewrite",
    ),
    retype(
        "bit varying made longer", "bit varying(8)", "bit varying(16)", "What fits into eight bits fits into sixteen."
    ),
    # Times.
    Case(
        name="timestamp to timestamptz in UTC",
        before=sql("CREATE TABLE orders (id integer PRIMARY KEY, placed_at timestamp)"),
        upgrade=sql("SET LOCAL timezone = 'UTC'", "ALTER TABLE orders ALTER COLUMN placed_at TYPE timestamptz"),
        downgrade=sql("SET LOCAL timezone = 'UTC'", "ALTER TABLE orders ALTER COLUMN placed_at TYPE timestamp"),
        expected={"breaking-change"},
        because="Where the session's zone is UTC both are the same eight bytes, so nothing is written. Code gets other values all the same.",
    ),
    Case(
        name="timestamp to timestamptz elsewhere",
        before=sql("CREATE TABLE orders (id integer PRIMARY KEY, placed_at timestamp)"),
        upgrade=sql("SET LOCAL timezone = 'Asia/Tokyo'", "ALTER TABLE orders ALTER COLUMN placed_at TYPE timestamptz"),
        downgrade=sql("SET LOCAL timezone = 'Asia/Tokyo'", "ALTER TABLE orders ALTER COLUMN placed_at TYPE timestamp"),
        expected={"table-rewrite", "breaking-change", "data-loss"},
        because="Each time is moved by the offset of the session's zone, so every row is written, and is another instant in another session.",
    ),
    Case(
        name="timestamp to timestamptz with a zone named",
        before=sql("CREATE TABLE orders (id integer PRIMARY KEY, placed_at timestamp)"),
        upgrade=sql("ALTER TABLE orders ALTER COLUMN placed_at TYPE timestamptz USING placed_at AT TIME ZONE 'UTC'"),
        downgrade=sql("ALTER TABLE orders ALTER COLUMN placed_at TYPE timestamp USING placed_at AT TIME ZONE 'UTC'"),
        expected={"table-rewrite", "breaking-change"},
        because="USING gives an expression to be worked out for each row, even where it changes nothing.",
    ),
    retype(
        "timestamp with finer seconds",
        "timestamp(3)",
        "timestamp(6)",
        "What has three digits has six: only the catalog changes.",
    ),
    retype(
        "timestamp with coarser seconds",
        "timestamp(6)",
        "timestamp(0)",
        "Each time is rounded to the second and written.",
        "table-rewrite",
        "breaking-change",
        "data-loss",
    ),
    retype(
        "timestamp to date",
        "timestamp",
        "date",
        "Four bytes instead of eight, and the time of the day is gone.",
        "table-rewrite",
        "breaking-change",
        "data-loss",
    ),
    # Networks, documents.
    retype("cidr to inet", "cidr", "inet", "Every cidr is an inet, stored alike: only the catalog changes."),
    retype(
        "inet to cidr",
        "inet",
        "cidr",
        "Each address is turned into a network and written. The host's part of 10.1.2.3/16 is set to zero.",
        "table-rewrite",
        "breaking-change",
        "data-loss",
        using="value::cidr",
    ),
    Case(
        name="inet to cidr of single addresses",
        before=sql("CREATE TABLE orders (id integer PRIMARY KEY, value inet CHECK (masklen(value) = 32))"),
        upgrade=sql(
            "ALTER TABLE orders DROP CONSTRAINT orders_value_check", "ALTER TABLE orders ALTER COLUMN value TYPE cidr"
        ),
        downgrade=sql(
            "ALTER TABLE orders ALTER COLUMN value TYPE inet", "ALTER TABLE orders ADD CHECK (masklen(value) = 32)"
        ),
        expected={"table-rewrite", "breaking-change"},
        because="An address without a mask is a network of one: each is written, and none loses anything.",
    ),
    retype(
        "json to jsonb",
        "json",
        "jsonb",
        "jsonb is stored in parts, json as it was written: all rows are written.",
        "table-rewrite",
        using="value::jsonb",
    ),
    # Enums and domains.
    Case(
        name="enum to text",
        before=sql(
            "CREATE TYPE mood AS ENUM ('sad', 'happy')", "CREATE TABLE orders (id integer PRIMARY KEY, mood mood)"
        ),
        upgrade=sql("ALTER TABLE orders ALTER COLUMN mood TYPE text USING mood::text"),
        downgrade=sql("ALTER TABLE orders ALTER COLUMN mood TYPE mood USING mood::mood"),
        expected={"table-rewrite", "breaking-change"},
        because="An enum is stored as a number, and text as text: all rows are written.",
    ),
    Case(
        name="text to enum",
        before=sql(
            "CREATE TYPE mood AS ENUM ('sad', 'happy')", "CREATE TABLE orders (id integer PRIMARY KEY, mood text)"
        ),
        upgrade=sql("ALTER TABLE orders ALTER COLUMN mood TYPE mood USING mood::mood"),
        downgrade=sql("ALTER TABLE orders ALTER COLUMN mood TYPE text USING mood::text"),
        expected={"breaking-change", "table-rewrite", "populated-upgrade"},
        because="All rows are written, and a text that is no label is 'invalid input value for enum mood'.",
    ),
    Case(
        name="integer to a domain without a rule",
        before=sql("CREATE DOMAIN amount AS integer", "CREATE TABLE orders (id integer PRIMARY KEY, total integer)"),
        upgrade=sql("ALTER TABLE orders ALTER COLUMN total TYPE amount"),
        downgrade=sql("ALTER TABLE orders ALTER COLUMN total TYPE integer"),
        because="A domain without constraints is its base type by another name.",
    ),
    Case(
        name="integer to a domain with a rule",
        before=sql(
            "CREATE DOMAIN amount AS integer CHECK (VALUE > 0)",
            "CREATE TABLE orders (id integer PRIMARY KEY, total integer)",
        ),
        upgrade=sql("ALTER TABLE orders ALTER COLUMN total TYPE amount"),
        downgrade=sql("ALTER TABLE orders ALTER COLUMN total TYPE integer"),
        expected={"table-rewrite", "breaking-change"},
        because="Each value is put to the domain's CHECK, which PostgreSQL does by writing all rows anew.",
    ),
    Case(
        name="domain gets a rule",
        before=sql("CREATE DOMAIN amount AS integer", "CREATE TABLE orders (id integer PRIMARY KEY, total amount)"),
        upgrade=sql("ALTER DOMAIN amount ADD CONSTRAINT is_positive CHECK (VALUE > 0)"),
        downgrade=sql("ALTER DOMAIN amount DROP CONSTRAINT is_positive"),
        expected={"blocking-scan", "breaking-change", "populated-upgrade"},
        notices={"breaking-change"},
        because="Every table with a column of the domain is read under SHARE, so nobody writes to it meanwhile.",
    ),
    Case(
        name="domain gets a rule for new values",
        before=sql("CREATE DOMAIN amount AS integer", "CREATE TABLE orders (id integer PRIMARY KEY, total amount)"),
        upgrade=sql("ALTER DOMAIN amount ADD CONSTRAINT is_positive CHECK (VALUE > 0) NOT VALID"),
        downgrade=sql("ALTER DOMAIN amount DROP CONSTRAINT is_positive"),
        expected={"breaking-change", "not-validated"},
        notices={"breaking-change"},
        because="NOT VALID reads no table. New values have to obey at once, and older ones were never checked.",
    ),
    Case(
        name="domain loses a rule",
        before=sql(
            "CREATE DOMAIN amount AS integer CONSTRAINT is_positive CHECK (VALUE > 0)",
            "CREATE TABLE orders (id integer PRIMARY KEY, total amount)",
        ),
        upgrade=sql("ALTER DOMAIN amount DROP CONSTRAINT is_positive"),
        downgrade=sql("ALTER DOMAIN amount ADD CONSTRAINT is_positive CHECK (VALUE > 0)"),
        because="What is allowed from now on asks nothing of the rows that are there.",
    ),
    # What hangs on the column.
    Case(
        name="rewrite below a view",
        before=sql(
            "CREATE TABLE orders (id integer PRIMARY KEY, total integer)",
            "CREATE VIEW totals AS SELECT sum(total) AS total FROM orders",
        ),
        upgrade=sql(
            "DROP VIEW totals",
            "ALTER TABLE orders ALTER COLUMN total TYPE bigint",
            "CREATE VIEW totals AS SELECT sum(total)::bigint AS total FROM orders",
        ),
        downgrade=sql(
            "DROP VIEW totals",
            "ALTER TABLE orders ALTER COLUMN total TYPE integer",
            "CREATE VIEW totals AS SELECT sum(total) AS total FROM orders",
        ),
        expected={"table-rewrite"},
        because="A view in the way has to go and come back; the table below it is written anew as ever.",
    ),
    Case(
        name="rewrite of a table with TOAST",
        before=sql("CREATE TABLE documents (id integer PRIMARY KEY, body text, pages integer)"),
        upgrade=sql("ALTER TABLE documents ALTER COLUMN pages TYPE bigint"),
        downgrade=sql("ALTER TABLE documents ALTER COLUMN pages TYPE integer"),
        expected={"table-rewrite"},
        because="The large values that lie outside of the table (TOAST) are copied with it: it is one table to those who use it.",
    ),
    Case(
        name="longer varchar in a table with TOAST",
        before=sql("CREATE TABLE documents (id integer PRIMARY KEY, body text, title varchar(50))"),
        upgrade=sql("ALTER TABLE documents ALTER COLUMN title TYPE varchar(200)"),
        downgrade=sql("ALTER TABLE documents ALTER COLUMN title TYPE varchar(50)"),
        because="Only the catalog changes.",
    ),
]
