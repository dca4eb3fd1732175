"""Statements that change all rows of a table, and those that look like it; foreign keys without an index."""

from tests.gate.hazards.case import ADVISED, HAZARDS, Case, autocommit, body, sql

ORDERS = sql("CREATE TABLE orders (id integer PRIMARY KEY, total integer, note text, status text)")
NOTHING = sql("SELECT 'nothing to take back'")
ITEMS = body(ORDERS, sql("CREATE TABLE items (id integer PRIMARY KEY, order_id integer, place integer)"))
REFER = "op.create_foreign_key('fk_items_order', 'items', 'orders', ['order_id'], ['id'], postgresql_not_valid=True)"
VALIDATE = autocommit("ALTER TABLE items VALIDATE CONSTRAINT fk_items_order")
DROP_REFERENCE = "op.drop_constraint('fk_items_order', 'items', type_='foreignkey')"
NEW_ITEMS = "CREATE TABLE parts (id integer PRIMARY KEY, order_id integer REFERENCES orders)"
ALL = HAZARDS | ADVISED

CASES = [
    Case(
        name="update of all rows",
        before=ORDERS,
        upgrade=sql("UPDATE orders SET status = 'new'"),
        downgrade=NOTHING,
        expected={"bulk-update", "data-loss"},
        checks=ALL,
        because="Each row stays locked until the commit; and what was in status is gone.",
    ),
    Case(
        name="update of all rows without a value",
        before=body(ORDERS, sql("ALTER TABLE orders ADD COLUMN channel text CHECK (channel IS NULL)")),
        upgrade=sql("UPDATE orders SET channel = NULL WHERE channel IS NULL"),
        downgrade=NOTHING,
        expected={"bulk-update"},
        checks=ALL,
        because="The condition holds for every row, and PostgreSQL writes each again.",
    ),
    Case(
        name="update of all rows in a do block",
        before=ORDERS,
        upgrade=sql("DO $$ BEGIN UPDATE orders SET note = note; END $$"),
        downgrade=NOTHING,
        expected={"bulk-update"},
        checks=ALL,
        because="A DO block is one transaction, and PostgreSQL writes each row again.",
    ),
    Case(
        name="update of all rows one by one in a do block",
        before=ORDERS,
        upgrade=sql(
            """
            DO $$
            DECLARE one record;
            BEGIN
                FOR one IN SELECT id FROM orders LOOP
                    UPDATE orders SET note = note WHERE id = one.id;
                END LOOP;
            END $$
            """
        ),
        downgrade=NOTHING,
        expected={"bulk-update"},
        checks=ALL,
        because="All rows stay locked until the block ends.",
    ),
    Case(
        name="update of all rows in an autocommit block",
        before=ORDERS,
        upgrade=autocommit("UPDATE orders SET note = note"),
        downgrade=NOTHING,
        expected={"bulk-update"},
        checks=ALL,
        because="The statement is a transaction by itself, and no smaller for it.",
    ),
    Case(
        name="update of all partitions",
        before=sql(
            "CREATE TABLE events (id integer PRIMARY KEY, note text) PARTITION BY RANGE (id)",
            "CREATE TABLE events_low PARTITION OF events FOR VALUES FROM (MINVALUE) TO (10)",
            "CREATE TABLE events_high PARTITION OF events DEFAULT",
        ),
        upgrade=sql("UPDATE events SET note = note"),
        downgrade=NOTHING,
        expected={"bulk-update"},
        checks=ALL,
        because="The rows of all partitions are changed.",
    ),
    Case(
        name="update of the rows with one value",
        before=ORDERS,
        upgrade=sql("UPDATE orders SET note = note WHERE status = 'paid'"),
        downgrade=NOTHING,
        checks=ALL,
        because="Most rows have another one.",
    ),
    Case(
        name="update in batches by limit",
        before=ORDERS,
        upgrade="""
            with op.get_context().autocommit_block():
                after = -2147483648
                while after is not None:
                    changed = op.get_bind().execute(sa.text(
                        "UPDATE orders SET note = note WHERE id IN"
                        " (SELECT id FROM orders WHERE id > :after ORDER BY id LIMIT 1000) RETURNING id"
                    ), {"after": after}).scalars().all()
                    after = max(changed, default=None)
        """,
        downgrade=NOTHING,
        checks=ALL,
        because="Each batch is a transaction.",
    ),
    Case(
        name="insert of rows that another table has",
        before=body(ORDERS, sql("CREATE TABLE old_orders (id integer PRIMARY KEY)")),
        upgrade=sql("INSERT INTO old_orders SELECT id FROM orders ON CONFLICT DO NOTHING"),
        downgrade=sql("TRUNCATE old_orders"),
        checks=ALL - {"data-loss"},
        because="No row that was there is changed.",
    ),
    # Foreign keys.
    Case(
        name="foreign key without an index",
        before=ITEMS,
        upgrade=body(REFER, VALIDATE),
        downgrade=DROP_REFERENCE,
        expected={"unindexed-foreign-key"},
        checks=ADVISED,
        because="A DELETE from orders reads all of items.",
    ),
    Case(
        name="foreign key with an index",
        before=body(ITEMS, sql("CREATE INDEX ix_items_order ON items (order_id, place)")),
        upgrade=body(REFER, VALIDATE),
        downgrade=DROP_REFERENCE,
        checks=ADVISED,
        because="PostgreSQL finds the rows by the index.",
    ),
    Case(
        name="foreign key with an index of some rows",
        before=body(ITEMS, sql("CREATE INDEX ix_items_order ON items (order_id) WHERE place > 0")),
        upgrade=body(REFER, VALIDATE),
        downgrade=DROP_REFERENCE,
        expected={"unindexed-foreign-key"},
        checks=ADVISED,
        because="The index does not have all rows.",
    ),
    Case(
        name="foreign key with an index of the rows that have a value",
        before=body(ITEMS, sql("CREATE INDEX ix_items_order ON items (order_id) WHERE order_id IS NOT NULL")),
        upgrade=body(REFER, VALIDATE),
        downgrade=DROP_REFERENCE,
        checks=ADVISED,
        because="A row without a value refers to nothing.",
    ),
    Case(
        name="new table with a foreign key",
        before=ORDERS,
        upgrade=sql(NEW_ITEMS),
        downgrade=sql("DROP TABLE parts"),
        expected={"unindexed-foreign-key"},
        checks=ADVISED,
        because="PostgreSQL makes no index for the columns of a foreign key.",
    ),
    Case(
        name="new table with a foreign key and its index",
        before=ORDERS,
        upgrade=sql(NEW_ITEMS, "CREATE INDEX ON parts (order_id)"),
        downgrade=sql("DROP TABLE parts"),
        checks=ADVISED,
        because="The index is there.",
    ),
    Case(
        name="new table whose primary key begins with the foreign key",
        before=ORDERS,
        upgrade=sql(
            "CREATE TABLE parts (order_id integer REFERENCES orders, place integer, PRIMARY KEY (order_id, place))"
        ),
        downgrade=sql("DROP TABLE parts"),
        checks=ADVISED,
        because="The primary key's index leads with the column.",
    ),
]
