"""Labels of enums: added, renamed, taken out."""

from tests.gate.hazards.case import Case, autocommit, body, sql

MOODS = sql(
    "CREATE TYPE mood AS ENUM ('sad', 'happy')",
    "CREATE TABLE orders (id integer PRIMARY KEY, mood mood NOT NULL DEFAULT 'sad')",
)

WITHOUT_SAD = sql(
    "ALTER TYPE mood RENAME TO mood_old",
    "CREATE TYPE mood AS ENUM ('happy')",
    "ALTER TABLE orders ALTER COLUMN mood DROP DEFAULT",
    "ALTER TABLE orders ALTER COLUMN mood TYPE mood USING mood::text::mood",
    "ALTER TABLE orders ALTER COLUMN mood SET DEFAULT 'happy'",
    "DROP TYPE mood_old",
)
WITH_SAD = sql(
    "ALTER TYPE mood RENAME TO mood_new",
    "CREATE TYPE mood AS ENUM ('sad', 'happy')",
    "ALTER TABLE orders ALTER COLUMN mood DROP DEFAULT",
    "ALTER TABLE orders ALTER COLUMN mood TYPE mood USING mood::text::mood",
    "ALTER TABLE orders ALTER COLUMN mood SET DEFAULT 'sad'",
    "DROP TYPE mood_new",
)

CASES = [
    Case(
        name="label is added",
        before=MOODS,
        upgrade=sql("ALTER TYPE mood ADD VALUE 'calm'"),
        because="One row of the catalog is written; no table is touched.",
    ),
    Case(
        name="label is added in the middle",
        before=MOODS,
        upgrade=sql("ALTER TYPE mood ADD VALUE IF NOT EXISTS 'calm' BEFORE 'happy'"),
        because="Labels are sorted by a number that has room in between; no table is touched.",
    ),
    Case(
        name="label is added and used",
        before=MOODS,
        upgrade=body(
            autocommit("ALTER TYPE mood ADD VALUE IF NOT EXISTS 'calm'"),
            sql("ALTER TABLE orders ALTER COLUMN mood SET DEFAULT 'calm'"),
        ),
        downgrade=WITH_SAD,
        because="The block commits the label before it is used; a default is for rows that come.",
    ),
    Case(
        name="label is added and used, and cannot be added twice",
        before=MOODS,
        upgrade=body(
            autocommit("ALTER TYPE mood ADD VALUE 'calm'"),
            sql("ALTER TABLE orders ALTER COLUMN mood SET DEFAULT 'calm'"),
        ),
        downgrade=WITH_SAD,
        expected={"interrupted-upgrade"},
        because="Stopped after the block, the next try is 'enum label \"calm\" already exists'.",
    ),
    Case(
        name="label is renamed",
        before=MOODS,
        upgrade=sql("ALTER TYPE mood RENAME VALUE 'sad' TO 'gloomy'"),
        downgrade=sql("ALTER TYPE mood RENAME VALUE 'gloomy' TO 'sad'"),
        expected={"breaking-change"},
        because="No row is written, for they hold a number; but 'sad' is 'invalid input value for enum mood' from now on.",
    ),
    Case(
        name="label is taken out by a new type",
        before=MOODS,
        upgrade=WITHOUT_SAD,
        downgrade=WITH_SAD,
        expected={"table-rewrite", "breaking-change", "populated-upgrade"},
        because="Each value is looked up in the new type and written; 'sad' is 'invalid input value for enum mood'.",
    ),
    Case(
        name="label is taken out once no row has it",
        before=MOODS,
        upgrade=body(sql("DELETE FROM orders WHERE mood = 'sad'"), WITHOUT_SAD),
        downgrade=WITH_SAD,
        expected={"table-rewrite", "breaking-change", "data-loss"},
        because="Each value that is left is found in the new type, and written.",
    ),
    Case(
        name="label is taken out of an enum that no table uses",
        before=sql(
            "CREATE TYPE colour AS ENUM ('red', 'blue', 'green')", "CREATE TABLE orders (id integer PRIMARY KEY)"
        ),
        upgrade=sql("DROP TYPE colour", "CREATE TYPE colour AS ENUM ('red', 'blue')"),
        downgrade=sql("DROP TYPE colour", "CREATE TYPE colour AS ENUM ('red', 'blue', 'green')"),
        expected={"breaking-change"},
        because="No row can hold it; a statement that casts to it is 'invalid input value for enum colour'.",
    ),
    Case(
        name="label is added to an enum that no table uses, by a new type",
        before=sql("CREATE TYPE colour AS ENUM ('red', 'blue')", "CREATE TABLE orders (id integer PRIMARY KEY)"),
        upgrade=sql("DROP TYPE colour", "CREATE TYPE colour AS ENUM ('red', 'blue', 'green')"),
        downgrade=sql("DROP TYPE colour", "CREATE TYPE colour AS ENUM ('red', 'blue')"),
        because="No table has a column of it, and every label is there still.",
    ),
    Case(
        name="label is added by a new type",
        before=MOODS,
        upgrade=sql(
            "ALTER TYPE mood RENAME TO mood_old",
            "CREATE TYPE mood AS ENUM ('sad', 'calm', 'happy')",
            "ALTER TABLE orders ALTER COLUMN mood DROP DEFAULT",
            "ALTER TABLE orders ALTER COLUMN mood TYPE mood USING mood::text::mood",
            "ALTER TABLE orders ALTER COLUMN mood SET DEFAULT 'sad'",
            "DROP TYPE mood_old",
        ),
        expected={"table-rewrite"},
        because="All values are there in the new type too, and yet every row is written.",
    ),
    Case(
        name="enum is renamed",
        before=MOODS,
        upgrade=sql("ALTER TYPE mood RENAME TO order_mood"),
        downgrade=sql("ALTER TYPE order_mood RENAME TO mood"),
        expected={"breaking-change"},
        because="The column keeps its type under the new name, and what casts to the old one is 'type \"mood\" does not exist'.",
    ),
    Case(
        name="enum of a new table",
        before=MOODS,
        upgrade="op.create_table('lines', sa.Column('id', sa.Integer), sa.Column('colour', sa.Enum('red', 'blue', name='colour')))",
        downgrade=body("op.drop_table('lines')", sql("DROP TYPE colour")),
        because="Nobody knows the type or the table before the commit.",
    ),
    Case(
        name="enum column",
        before=body(MOODS, sql("CREATE TYPE colour AS ENUM ('red', 'blue')")),
        upgrade="op.add_column('orders', sa.Column('colour', sa.Enum('red', 'blue', name='colour', create_type=False)))",
        downgrade="op.drop_column('orders', 'colour')",
        because="A nullable column asks nothing of the rows.",
    ),
    Case(
        name="enum that nobody uses is dropped",
        before=sql("CREATE TYPE colour AS ENUM ('red', 'blue')"),
        upgrade=sql("DROP TYPE colour"),
        downgrade=sql("CREATE TYPE colour AS ENUM ('red', 'blue')"),
        expected={"breaking-change"},
        notices={"breaking-change"},
        because="No table has a column of it; a cast to it is 'type \"colour\" does not exist'.",
    ),
]
