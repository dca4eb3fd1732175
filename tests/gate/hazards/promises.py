"""What older code relies on, beside tables and columns: keys, identities, triggers, replication, names."""

from tests.gate.hazards.case import Case, autocommit, body, sql

ORDERS = sql(
    "CREATE TABLE orders (id integer PRIMARY KEY, number integer NOT NULL, note text, CONSTRAINT uq_number UNIQUE (number))"
)
KEY_BACK = sql("ALTER TABLE orders ADD CONSTRAINT uq_number UNIQUE (number)")
PRIMARY_BACK = sql("ALTER TABLE orders ADD PRIMARY KEY (id)")
LINES = sql("CREATE TABLE lines (sku text NOT NULL)")
TOUCH = sql(
    "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := coalesce(NEW.note, ''''); RETURN NEW; END'",
    "CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch()",
)
TOUCH_BACK = sql("CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch()")


def publication(name: str, rest: str) -> str:
    return sql(f"CREATE PUBLICATION {name} FOR TABLE {rest}")


CASES = [
    # Keys, which ON CONFLICT names.
    Case(
        name="unique constraint is dropped",
        before=ORDERS,
        upgrade="op.drop_constraint('uq_number', 'orders')",
        downgrade=KEY_BACK,
        expected={"breaking-change"},
        because="ON CONFLICT (number) is 'there is no unique or exclusion constraint matching the ON CONFLICT specification'.",
    ),
    Case(
        name="unique constraint is dropped and an index on the same is left",
        before=body(ORDERS, sql("CREATE UNIQUE INDEX ux_number ON orders (number)")),
        upgrade="op.drop_constraint('uq_number', 'orders')",
        downgrade=KEY_BACK,
        because="ON CONFLICT (number) finds the index.",
    ),
    Case(
        name="unique constraint becomes deferrable",
        before=ORDERS,
        upgrade=sql(
            "ALTER TABLE orders DROP CONSTRAINT uq_number, ADD CONSTRAINT uq_number UNIQUE (number) DEFERRABLE"
        ),
        downgrade=sql("ALTER TABLE orders DROP CONSTRAINT uq_number, ADD CONSTRAINT uq_number UNIQUE (number)"),
        expected={"breaking-change", "blocking-index"},
        because="'ON CONFLICT does not support deferrable unique constraints/exclusion constraints as arbiters'; its index is built again.",
    ),
    Case(
        name="unique index is dropped CONCURRENTLY",
        before=body(ORDERS, sql("CREATE UNIQUE INDEX ux_note ON orders (lower(note)) WHERE number > 0")),
        upgrade=autocommit("DROP INDEX CONCURRENTLY ux_note"),
        downgrade=sql("CREATE UNIQUE INDEX ux_note ON orders (lower(note)) WHERE number > 0"),
        expected={"breaking-change"},
        because="Nobody waits; ON CONFLICT (lower(note)) WHERE number > 0 has no index any more.",
    ),
    Case(
        name="unique index is replaced by one in another order",
        before=body(ORDERS, sql("CREATE UNIQUE INDEX ux_old ON orders (number, note)")),
        upgrade=autocommit(
            "DROP INDEX CONCURRENTLY IF EXISTS ux_new",
            "CREATE UNIQUE INDEX CONCURRENTLY ux_new ON orders (note, number)",
            "DROP INDEX CONCURRENTLY IF EXISTS ux_old",
        ),
        downgrade=body(sql("CREATE UNIQUE INDEX ux_old ON orders (number, note)"), "op.drop_index('ux_new')"),
        because="ON CONFLICT (number, note) takes an index on both in any order.",
    ),
    Case(
        name="primary key is dropped",
        before=ORDERS,
        upgrade=sql("ALTER TABLE orders DROP CONSTRAINT orders_pkey"),
        downgrade=PRIMARY_BACK,
        expected={"breaking-change"},
        because="ON CONFLICT (id) fails, and two rows with one id are taken.",
    ),
    # Replication.
    Case(
        name="primary key of a published table is dropped",
        before=body(LINES, sql("ALTER TABLE lines ADD PRIMARY KEY (sku)"), publication("feed_1", "lines")),
        upgrade=sql("ALTER TABLE lines DROP CONSTRAINT lines_pkey"),
        downgrade=sql("ALTER TABLE lines ADD PRIMARY KEY (sku)"),
        expected={"breaking-change"},
        because="'cannot update table \"lines\" because it does not have a replica identity and publishes updates'.",
    ),
    Case(
        name="table without a key is published",
        before=LINES,
        upgrade=publication("feed_2", "lines"),
        downgrade=sql("DROP PUBLICATION feed_2"),
        expected={"breaking-change"},
        because="'cannot update table \"lines\" because it does not have a replica identity and publishes updates'.",
    ),
    Case(
        name="inserts into a table without a key are published",
        before=LINES,
        upgrade=publication("feed_3", "lines WITH (publish = 'insert')"),
        downgrade=sql("DROP PUBLICATION feed_3"),
        because="An INSERT needs no replica identity, and nothing else is published.",
    ),
    Case(
        name="table with a key is published",
        before=ORDERS,
        upgrade=publication("feed_4", "orders"),
        downgrade=sql("DROP PUBLICATION feed_4"),
        because="Its primary key is its replica identity.",
    ),
    Case(
        name="published table without any identity",
        before=body(ORDERS, publication("feed_5", "orders")),
        upgrade=sql("ALTER TABLE orders REPLICA IDENTITY NOTHING"),
        downgrade=sql("ALTER TABLE orders REPLICA IDENTITY DEFAULT"),
        expected={"breaking-change"},
        because="'cannot update table \"orders\" because it does not have a replica identity and publishes updates'.",
    ),
    Case(
        name="published table identified by an index",
        before=body(ORDERS, publication("feed_6", "orders")),
        upgrade=sql("ALTER TABLE orders REPLICA IDENTITY USING INDEX uq_number"),
        downgrade=sql("ALTER TABLE orders REPLICA IDENTITY DEFAULT"),
        because="A unique index on NOT NULL columns identifies a row as well.",
    ),
    Case(
        name="index that identifies a published table is dropped",
        before=body(
            ORDERS,
            sql(
                "CREATE UNIQUE INDEX ux_id ON orders (id)",
                "ALTER TABLE orders REPLICA IDENTITY USING INDEX ux_id",
            ),
            publication("feed_7", "orders"),
        ),
        upgrade=autocommit("DROP INDEX CONCURRENTLY ux_id"),
        downgrade=sql(
            "CREATE UNIQUE INDEX ux_id ON orders (id)", "ALTER TABLE orders REPLICA IDENTITY USING INDEX ux_id"
        ),
        expected={"breaking-change"},
        because="'cannot update table \"orders\" because it does not have a replica identity', though it has a primary key.",
    ),
    # Identity and generated columns.
    Case(
        name="identity becomes ALWAYS",
        before=sql("CREATE TABLE orders (id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, note text)"),
        upgrade=sql("ALTER TABLE orders ALTER COLUMN id SET GENERATED ALWAYS"),
        downgrade=sql("ALTER TABLE orders ALTER COLUMN id SET GENERATED BY DEFAULT"),
        expected={"breaking-change"},
        because="An INSERT with an id is 'cannot insert a non-DEFAULT value into column \"id\"'.",
    ),
    Case(
        name="identity becomes BY DEFAULT",
        before=sql("CREATE TABLE orders (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text)"),
        upgrade=sql("ALTER TABLE orders ALTER COLUMN id SET GENERATED BY DEFAULT"),
        downgrade=sql("ALTER TABLE orders ALTER COLUMN id SET GENERATED ALWAYS"),
        because="Who gave no id still gets one.",
    ),
    Case(
        name="DROP EXPRESSION",
        before=body(ORDERS, sql("ALTER TABLE orders ADD COLUMN twice integer GENERATED ALWAYS AS (number * 2) STORED")),
        upgrade=sql("ALTER TABLE orders ALTER COLUMN twice DROP EXPRESSION"),
        expected={"breaking-change"},
        because="Older code cannot have written the column, and does not know that it has to: new rows have NULL in it.",
    ),
    Case(
        name="DROP EXPRESSION of what a trigger computes from now on",
        before=body(ORDERS, sql("ALTER TABLE orders ADD COLUMN twice integer GENERATED ALWAYS AS (number * 2) STORED")),
        upgrade=sql(
            "ALTER TABLE orders ALTER COLUMN twice DROP EXPRESSION",
            "CREATE FUNCTION double() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.twice := NEW.number * 2; RETURN NEW; END'",
            "CREATE TRIGGER double BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION double()",
        ),
        because="The trigger writes what the expression did.",
    ),
    # Triggers.
    Case(
        name="trigger is dropped",
        before=body(ORDERS, TOUCH),
        upgrade=sql("DROP TRIGGER touch ON orders"),
        downgrade=TOUCH_BACK,
        expected={"breaking-change"},
        notices={"breaking-change"},
        because="No statement fails; what the trigger did is not done.",
    ),
    Case(
        name="trigger goes with its function",
        before=body(ORDERS, TOUCH),
        upgrade=sql("DROP FUNCTION touch() CASCADE"),
        downgrade=TOUCH,
        expected={"breaking-change"},
        because="'drop cascades to trigger touch on table orders', which the script does not name.",
    ),
    Case(
        name="trigger gets another name",
        before=body(ORDERS, TOUCH),
        upgrade=sql("ALTER TRIGGER touch ON orders RENAME TO touch_orders"),
        downgrade=sql("ALTER TRIGGER touch_orders ON orders RENAME TO touch"),
        because="It is the same trigger.",
    ),
    Case(
        name="trigger is replaced",
        before=body(ORDERS, TOUCH),
        upgrade=sql(
            "DROP TRIGGER touch ON orders",
            "CREATE TRIGGER touch_all BEFORE INSERT OR UPDATE OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION touch()",
        ),
        downgrade=body(sql("DROP TRIGGER touch_all ON orders"), TOUCH_BACK),
        because="The new one calls the same function.",
    ),
    Case(
        name="trigger is disabled while rows are changed",
        before=body(ORDERS, TOUCH),
        upgrade=sql(
            "ALTER TABLE orders DISABLE TRIGGER touch",
            "UPDATE orders SET note = '' WHERE id = 1",
            "ALTER TABLE orders ENABLE TRIGGER touch",
        ),
        downgrade="pass",
        because="The row is found by its key, and the trigger fires again from the commit on.",
    ),
    Case(
        name="trigger is disabled while rows are changed, and left so",
        before=body(ORDERS, TOUCH),
        upgrade=sql(
            "ALTER TABLE orders DISABLE TRIGGER touch",
            "UPDATE orders SET note = '' WHERE note IS NULL",
        ),
        downgrade=sql("ALTER TABLE orders ENABLE TRIGGER touch"),
        expected={"not-validated", "lock-pileup"},
        because="SHARE ROW EXCLUSIVE is held while all rows are read, and nobody fires the trigger again.",
    ),
    # Names.
    Case(
        name="sequence is dropped",
        before=sql("CREATE SEQUENCE numbers"),
        upgrade=sql("DROP SEQUENCE numbers"),
        downgrade=sql("CREATE SEQUENCE numbers"),
        expected={"breaking-change"},
        because="nextval('numbers') is 'relation \"numbers\" does not exist'.",
    ),
    Case(
        name="column leaves its domain",
        before=sql(
            "CREATE DOMAIN amount AS integer CHECK (VALUE > 0)",
            "CREATE TABLE orders (id integer PRIMARY KEY, total amount)",
        ),
        upgrade=sql("ALTER TABLE orders ALTER COLUMN total TYPE integer", "DROP DOMAIN amount"),
        because="The values stay in their rows, and all that was taken before is taken.",
    ),
    Case(
        name="composite type is renamed",
        before=sql("CREATE TYPE place AS (street text, town text)"),
        upgrade=sql("ALTER TYPE place RENAME TO address"),
        downgrade=sql("ALTER TYPE address RENAME TO place"),
        expected={"breaking-change"},
        because="A cast to it is 'type \"place\" does not exist'.",
    ),
    Case(
        name="extension is dropped",
        before=sql("CREATE EXTENSION fuzzystrmatch"),
        upgrade=sql("DROP EXTENSION fuzzystrmatch"),
        downgrade=sql("CREATE EXTENSION fuzzystrmatch"),
        expected={"breaking-change"},
        because="'function levenshtein(unknown, unknown) does not exist'.",
    ),
    Case(
        name="schema is renamed",
        before=sql("CREATE SCHEMA shop_of_old", "CREATE TABLE shop_of_old.orders (id integer PRIMARY KEY)"),
        upgrade=sql("ALTER SCHEMA shop_of_old RENAME TO shop_of_new"),
        downgrade=sql("ALTER SCHEMA shop_of_new RENAME TO shop_of_old"),
        expected={"breaking-change"},
        because="'relation \"shop_of_old.orders\" does not exist', for each table in it.",
    ),
    # Functions and views that stay.
    Case(
        name="function with another body",
        before=sql("CREATE FUNCTION price(a integer) RETURNS integer LANGUAGE sql AS 'SELECT a'"),
        upgrade=sql("CREATE OR REPLACE FUNCTION price(a integer) RETURNS integer LANGUAGE sql AS 'SELECT a + 1'"),
        downgrade=sql("CREATE OR REPLACE FUNCTION price(a integer) RETURNS integer LANGUAGE sql AS 'SELECT a'"),
        expected={"breaking-change"},
        notices={"breaking-change"},
        because="The call is the same, and its result another.",
    ),
    Case(
        name="function with one more argument that has a default",
        before=sql("CREATE FUNCTION price(a integer) RETURNS integer LANGUAGE sql AS 'SELECT a'"),
        upgrade=sql(
            "DROP FUNCTION price(integer)",
            "CREATE FUNCTION price(a integer, b integer DEFAULT 0) RETURNS integer LANGUAGE sql AS 'SELECT a + b'",
        ),
        downgrade=sql(
            "DROP FUNCTION price(integer, integer)",
            "CREATE FUNCTION price(a integer) RETURNS integer LANGUAGE sql AS 'SELECT a'",
        ),
        because="price(1) finds it.",
    ),
    Case(
        name="function returns another type",
        before=sql("CREATE FUNCTION price(a integer) RETURNS integer LANGUAGE sql AS 'SELECT a'"),
        upgrade=sql(
            "DROP FUNCTION price(integer)",
            "CREATE FUNCTION price(a integer) RETURNS text LANGUAGE sql AS 'SELECT a::text'",
        ),
        downgrade=sql(
            "DROP FUNCTION price(integer)",
            "CREATE FUNCTION price(a integer) RETURNS integer LANGUAGE sql AS 'SELECT a'",
        ),
        expected={"breaking-change"},
        because="'operator does not exist: text + integer'.",
    ),
    Case(
        name="view with fewer rows",
        before=body(ORDERS, sql("CREATE VIEW known AS SELECT id, note FROM orders")),
        upgrade=sql("CREATE OR REPLACE VIEW known AS SELECT id, note FROM orders WHERE note IS NOT NULL"),
        downgrade=sql("CREATE OR REPLACE VIEW known AS SELECT id, note FROM orders"),
        expected={"breaking-change"},
        notices={"breaking-change"},
        because="Its columns stay, and some rows are not returned any more.",
    ),
    Case(
        name="table below a view is renamed and takes its name back by a view",
        before=body(ORDERS, sql("CREATE VIEW known AS SELECT id, note FROM orders")),
        upgrade=sql("ALTER TABLE orders RENAME TO purchases", "CREATE VIEW orders AS SELECT * FROM purchases"),
        downgrade=sql("DROP VIEW orders", "ALTER TABLE purchases RENAME TO orders"),
        because="known follows the table by its oid, and older code reads and writes through the new view.",
    ),
    # Renames.
    Case(
        name="table is renamed and gets a foreign key",
        before=body(ORDERS, sql("CREATE TABLE visits (id integer PRIMARY KEY, order_id integer)")),
        upgrade=sql(
            "ALTER TABLE orders RENAME TO purchases",
            "ALTER TABLE visits RENAME COLUMN order_id TO purchase_id",
            "ALTER TABLE visits ADD FOREIGN KEY (purchase_id) REFERENCES purchases",
        ),
        downgrade=sql(
            "ALTER TABLE visits DROP CONSTRAINT visits_purchase_id_fkey",
            "ALTER TABLE visits RENAME COLUMN purchase_id TO order_id",
            "ALTER TABLE purchases RENAME TO orders",
        ),
        expected={"breaking-change", "blocking-scan", "lock-pileup", "populated-upgrade"},
        because="The old names are gone, and the key reads visits under locks on both; rows that obey it pass.",
    ),
    Case(
        name="column is renamed and gets a CHECK",
        before=ORDERS,
        upgrade=sql(
            "ALTER TABLE orders RENAME COLUMN number TO serial_number",
            "ALTER TABLE orders ADD CONSTRAINT ck_number CHECK (serial_number > 1000)",
        ),
        downgrade=sql(
            "ALTER TABLE orders DROP CONSTRAINT ck_number", "ALTER TABLE orders RENAME COLUMN serial_number TO number"
        ),
        expected={"breaking-change", "blocking-scan", "populated-upgrade"},
        because="'column \"number\" does not exist', and every row is put to the CHECK; those that obey it pass.",
    ),
    Case(
        name="columns exchange their names",
        before=sql("CREATE TABLE boxes (id integer PRIMARY KEY, height integer, width integer)"),
        upgrade=sql(
            "ALTER TABLE boxes RENAME height TO other",
            "ALTER TABLE boxes RENAME width TO height",
            "ALTER TABLE boxes RENAME other TO width",
        ),
        downgrade=sql(
            "ALTER TABLE boxes RENAME height TO other",
            "ALTER TABLE boxes RENAME width TO height",
            "ALTER TABLE boxes RENAME other TO width",
        ),
        expected={"breaking-change"},
        because="The catalog looks the same, and what is read as height was written as width.",
    ),
    Case(
        name="table that looks like a dropped one",
        before=sql("CREATE TABLE carts (id integer PRIMARY KEY)"),
        upgrade=sql("DROP TABLE carts", "CREATE TABLE baskets (id integer PRIMARY KEY)"),
        downgrade=sql("DROP TABLE baskets", "CREATE TABLE carts (id integer PRIMARY KEY)"),
        expected={"breaking-change", "data-loss"},
        because="baskets is another table, and empty.",
    ),
    # Inheritance and partitions.
    Case(
        name="child no longer inherits",
        before=body(ORDERS, sql("CREATE TABLE old_orders () INHERITS (orders)")),
        upgrade=sql("ALTER TABLE old_orders NO INHERIT orders"),
        downgrade=sql("ALTER TABLE old_orders INHERIT orders"),
        expected={"breaking-change"},
        because="SELECT … FROM orders does not return the rows of the child.",
    ),
    # What is as it should be.
    Case(
        name="index is dropped with its table",
        before=body(ORDERS, sql("CREATE INDEX ix_note ON orders (note)")),
        upgrade=body("op.drop_index('ix_note', 'orders')", "op.drop_table('orders')"),
        downgrade=body(ORDERS, sql("CREATE INDEX ix_note ON orders (note)")),
        expected={"breaking-change", "data-loss"},
        because="DROP TABLE takes the same lock, and the index with it.",
    ),
    Case(
        name="column becomes required once it is filled",
        before=ORDERS,
        upgrade=body(
            sql("UPDATE orders SET note = '' WHERE note IS NULL"), "op.alter_column('orders', 'note', nullable=False)"
        ),
        downgrade="op.alter_column('orders', 'note', nullable=True)",
        expected={"blocking-scan", "breaking-change"},
        notices={"breaking-change"},
        because="No row is left with NULL; whether older code writes one is not known.",
    ),
    Case(
        name="autovacuum is turned off",
        before=ORDERS,
        upgrade=sql("ALTER TABLE orders SET (autovacuum_enabled = false)"),
        downgrade=sql("ALTER TABLE orders RESET (autovacuum_enabled)"),
        expected={"not-validated"},
        because="Dead rows stay until somebody runs VACUUM.",
    ),
]
