"""Who may do what: privileges, row security, policies, rights of functions, owners; and what a superuser alone may do.

The roles are PostgreSQL's own, since roles are shared by all databases of a server.
"""

from tests.gate.hazards.case import Case, body, sql

ORDERS = sql("CREATE TABLE orders (id integer PRIMARY KEY, total integer, note text)")
VIEW = "CREATE VIEW open_orders AS SELECT id FROM orders"
VIEW_OF_APP = body(ORDERS, sql(VIEW, "GRANT SELECT ON open_orders TO pg_monitor"))
TOTAL = "CREATE FUNCTION count_orders() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM orders'"
GUARDED = body(
    ORDERS, sql("ALTER TABLE orders ENABLE ROW LEVEL SECURITY", "CREATE POLICY own ON orders USING (id > 0)")
)
GONE = {"access-change"}
SUPERUSER = {"upgrade"}

CASES = [
    # Privileges.
    Case(
        name="privilege taken away",
        before=body(ORDERS, sql("GRANT SELECT ON orders TO pg_monitor")),
        upgrade=sql("REVOKE SELECT ON orders FROM pg_monitor"),
        downgrade=sql("GRANT SELECT ON orders TO pg_monitor"),
        expected=GONE,
        because="The role gets permission denied as soon as this commits.",
    ),
    Case(
        name="view made again without its grants",
        before=VIEW_OF_APP,
        upgrade=sql("DROP VIEW open_orders", "CREATE VIEW open_orders AS SELECT id, total FROM orders"),
        downgrade=sql("DROP VIEW open_orders", VIEW, "GRANT SELECT ON open_orders TO pg_monitor"),
        expected=GONE,
        because="Grants belong to the view that was dropped.",
    ),
    Case(
        name="view made again with its grants",
        before=VIEW_OF_APP,
        upgrade=sql(
            "DROP VIEW open_orders",
            "CREATE VIEW open_orders AS SELECT id, total FROM orders",
            "GRANT SELECT ON open_orders TO pg_monitor",
        ),
        downgrade=sql("DROP VIEW open_orders", VIEW, "GRANT SELECT ON open_orders TO pg_monitor"),
        because="The role may what it could.",
    ),
    Case(
        name="view replaced in its place",
        before=VIEW_OF_APP,
        upgrade=sql("CREATE OR REPLACE VIEW open_orders AS SELECT id, total FROM orders"),
        downgrade=sql("DROP VIEW open_orders", VIEW, "GRANT SELECT ON open_orders TO pg_monitor"),
        because="CREATE OR REPLACE keeps the grants.",
    ),
    Case(
        name="materialized view in the place of a view",
        before=VIEW_OF_APP,
        upgrade=sql("DROP VIEW open_orders", "CREATE MATERIALIZED VIEW open_orders AS SELECT id FROM orders"),
        downgrade=sql("DROP MATERIALIZED VIEW open_orders", VIEW, "GRANT SELECT ON open_orders TO pg_monitor"),
        expected=GONE,
        because="It has the view's name, and not its grants.",
    ),
    Case(
        name="column that a role could read",
        before=body(ORDERS, sql("GRANT SELECT (note) ON orders TO pg_monitor")),
        upgrade=sql("REVOKE SELECT (note) ON orders FROM pg_monitor"),
        downgrade=sql("GRANT SELECT (note) ON orders TO pg_monitor"),
        expected=GONE,
        because="Columns have privileges of their own.",
    ),
    Case(
        name="function made again with another argument",
        before=body(
            ORDERS,
            sql(
                TOTAL,
                "REVOKE EXECUTE ON FUNCTION count_orders() FROM PUBLIC",
                "GRANT EXECUTE ON FUNCTION count_orders() TO pg_monitor",
            ),
        ),
        upgrade=sql(
            "DROP FUNCTION count_orders()", TOTAL.replace("count_orders()", "count_orders(lowest int DEFAULT 0)")
        ),
        downgrade=sql(
            "DROP FUNCTION count_orders(int)",
            TOTAL,
            "REVOKE EXECUTE ON FUNCTION count_orders() FROM PUBLIC",
            "GRANT EXECUTE ON FUNCTION count_orders() TO pg_monitor",
        ),
        expected=GONE,
        because="The new one is open to every role, as functions are at first, and has no grants.",
    ),
    Case(
        name="table for every role",
        before=ORDERS,
        upgrade=sql("GRANT SELECT ON orders TO PUBLIC"),
        downgrade=sql("REVOKE SELECT ON orders FROM PUBLIC"),
        expected=GONE,
        because="Each role of the server may read it, those of the future too.",
    ),
    Case(
        name="new table for every role",
        before=ORDERS,
        upgrade=sql("CREATE TABLE news (id integer)", "GRANT SELECT ON news TO PUBLIC"),
        downgrade=sql("DROP TABLE news"),
        expected=GONE,
        because="PostgreSQL gives nobody a new table.",
    ),
    Case(
        name="new table for one role",
        before=ORDERS,
        upgrade=sql("CREATE TABLE news (id integer)", "GRANT SELECT, INSERT ON news TO pg_monitor"),
        downgrade=sql("DROP TABLE news"),
        because="It is new, and the role is named.",
    ),
    Case(
        name="later tables for every role",
        before=ORDERS,
        upgrade=sql("ALTER DEFAULT PRIVILEGES IN SCHEMA later_tables_for_every_role GRANT SELECT ON TABLES TO PUBLIC"),
        downgrade=sql(
            "ALTER DEFAULT PRIVILEGES IN SCHEMA later_tables_for_every_role REVOKE SELECT ON TABLES FROM PUBLIC"
        ),
        expected=GONE,
        because="Each table that is created later can be read by every role.",
    ),
    Case(
        name="column with its privileges dropped and the table renamed",
        before=body(ORDERS, sql("CREATE TABLE drafts (id integer)", "GRANT SELECT ON drafts TO pg_monitor")),
        upgrade=sql("CREATE TABLE drafts_of_2026 (LIKE drafts)", "GRANT SELECT ON drafts_of_2026 TO pg_monitor"),
        downgrade=sql("DROP TABLE drafts_of_2026"),
        because="What was there is as it was.",
    ),
    # Row security.
    Case(
        name="row security switched on",
        before=ORDERS,
        upgrade=sql("ALTER TABLE orders ENABLE ROW LEVEL SECURITY"),
        downgrade=sql("ALTER TABLE orders DISABLE ROW LEVEL SECURITY"),
        expected=GONE,
        because="Without a policy, all roles but the owner see no rows.",
    ),
    Case(
        name="row security forced on the owner",
        before=GUARDED,
        upgrade=sql("ALTER TABLE orders FORCE ROW LEVEL SECURITY"),
        downgrade=sql("ALTER TABLE orders NO FORCE ROW LEVEL SECURITY"),
        expected=GONE,
        because="The owner, as which many applications connect, sees only what policies allow.",
    ),
    Case(
        name="row security switched off",
        before=GUARDED,
        upgrade=sql("ALTER TABLE orders DISABLE ROW LEVEL SECURITY"),
        downgrade=sql("ALTER TABLE orders ENABLE ROW LEVEL SECURITY"),
        expected=GONE,
        because="Every role that may read the table sees all rows.",
    ),
    Case(
        name="row security forced where it is off",
        before=ORDERS,
        upgrade=sql("ALTER TABLE orders FORCE ROW LEVEL SECURITY"),
        downgrade=sql("ALTER TABLE orders NO FORCE ROW LEVEL SECURITY"),
        because="Forcing has no effect as long as it is off.",
    ),
    Case(
        name="row security of a new table",
        before=ORDERS,
        upgrade=sql(
            "CREATE TABLE notes (id integer)",
            "ALTER TABLE notes ENABLE ROW LEVEL SECURITY",
            "CREATE POLICY own ON notes USING (id > 0)",
        ),
        downgrade=sql("DROP TABLE notes"),
        because="No session has seen the table before.",
    ),
    Case(
        name="policy dropped",
        before=GUARDED,
        upgrade=sql("DROP POLICY own ON orders"),
        downgrade=sql("CREATE POLICY own ON orders USING (id > 0)"),
        expected=GONE,
        because="The rows that it allowed are hidden.",
    ),
    Case(
        name="policy changed",
        before=GUARDED,
        upgrade=sql("ALTER POLICY own ON orders USING (true)"),
        downgrade=sql("ALTER POLICY own ON orders USING (id > 0)"),
        expected=GONE,
        because="It allows other rows.",
    ),
    Case(
        name="policy under another name",
        before=GUARDED,
        upgrade=sql("ALTER POLICY own ON orders RENAME TO of_the_tenant"),
        downgrade=sql("ALTER POLICY of_the_tenant ON orders RENAME TO own"),
        because="It allows the same rows.",
    ),
    Case(
        name="policy on a table without row security",
        before=ORDERS,
        upgrade=sql("CREATE POLICY own ON orders USING (id > 0)"),
        downgrade=sql("DROP POLICY own ON orders"),
        because="It has no effect as long as row security is off.",
    ),
    # Rights of functions and views.
    Case(
        name="function with its owner s rights from now on",
        before=body(ORDERS, sql(TOTAL)),
        upgrade=sql("ALTER FUNCTION count_orders() SECURITY DEFINER"),
        downgrade=sql("ALTER FUNCTION count_orders() SECURITY INVOKER"),
        expected=GONE,
        because="Its callers read what only its owner may.",
    ),
    Case(
        name="new function with its owner s rights and open to all",
        before=ORDERS,
        upgrade=sql(f"{TOTAL} SECURITY DEFINER"),
        downgrade=sql("DROP FUNCTION count_orders()"),
        expected=GONE,
        because="PostgreSQL lets every role run a new function.",
    ),
    Case(
        name="new function with its owner s rights and closed",
        before=ORDERS,
        upgrade=sql(
            f"{TOTAL.replace('FROM orders', 'FROM pg_class')} SECURITY DEFINER SET search_path = pg_catalog, pg_temp",
            "REVOKE EXECUTE ON FUNCTION count_orders() FROM PUBLIC",
        ),
        downgrade=sql("DROP FUNCTION count_orders()"),
        because="Its owner alone may run it.",
    ),
    Case(
        name="new trigger function with its owner s rights",
        before=ORDERS,
        upgrade=sql(
            "CREATE FUNCTION note_order() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN NEW; END'"
        ),
        downgrade=sql("DROP FUNCTION note_order()"),
        because="No role can call a trigger function.",
    ),
    Case(
        name="view with its reader s rights",
        before=VIEW_OF_APP,
        upgrade=sql("ALTER VIEW open_orders SET (security_invoker = true)"),
        downgrade=sql("ALTER VIEW open_orders RESET (security_invoker)"),
        expected=GONE,
        since=15,
        because="A role that may read the view and not the table gets permission denied.",
    ),
    # What a superuser alone may do.
    Case(
        name="triggers of foreign keys switched off",
        before=body(ORDERS, sql("CREATE TABLE items (id integer PRIMARY KEY REFERENCES orders)")),
        upgrade=sql("ALTER TABLE items DISABLE TRIGGER ALL"),
        downgrade=sql("ALTER TABLE items ENABLE TRIGGER ALL"),
        expected=SUPERUSER,
        because="They are the system's, and no user of a hosted database is a superuser.",
    ),
    Case(
        name="triggers of the table switched off and on",
        before=body(ORDERS, sql("CREATE TABLE items (id integer PRIMARY KEY REFERENCES orders)")),
        upgrade=sql("ALTER TABLE items DISABLE TRIGGER USER", "ALTER TABLE items ENABLE TRIGGER USER"),
        downgrade=sql("SELECT 1"),
        because="The owner of a table may do that with its own triggers.",
    ),
    Case(
        name="replication role of the session",
        before=ORDERS,
        upgrade=sql("SET LOCAL session_replication_role = replica", "SET LOCAL session_replication_role = origin"),
        downgrade=sql("SELECT 1"),
        expected=SUPERUSER,
        because="The setting is a superuser's.",
    ),
    Case(
        name="publication of a schema",
        before=ORDERS,
        upgrade=sql("CREATE PUBLICATION everything FOR TABLES IN SCHEMA publication_of_a_schema"),
        downgrade=sql("DROP PUBLICATION everything"),
        expected=SUPERUSER,
        since=15,
        because="It would publish the tables of other owners too.",
    ),
    Case(
        name="publication of one s own table",
        before=ORDERS,
        upgrade=sql("CREATE PUBLICATION of_orders FOR TABLE orders"),
        downgrade=sql("DROP PUBLICATION of_orders"),
        because="The owner of the database may create it, and the table's owner may add it.",
    ),
    Case(
        name="extension that hosted databases have",
        before=ORDERS,
        upgrade=sql("CREATE EXTENSION pg_visibility"),
        downgrade=sql("DROP EXTENSION pg_visibility"),
        because="Hosted databases let their users create it, though it is not trusted.",
    ),
    Case(
        name="extension that reads files of the server",
        before=ORDERS,
        upgrade=sql("CREATE EXTENSION file_fdw"),
        downgrade=sql("DROP EXTENSION file_fdw"),
        expected=SUPERUSER,
        because="Hosted databases do not let their users read the server's files.",
    ),
    Case(
        name="error that the script swallows",
        before=ORDERS,
        upgrade="""
            try:
                with op.get_bind().begin_nested():
                    op.execute("ALTER TABLE order_items ADD COLUMN note text")
            except sa.exc.ProgrammingError:
                pass
        """,
        downgrade=sql("SELECT 1"),
        expected={"upgrade"},
        because="The table is not there, the column is never added, and the revision counts as applied.",
    ),
    Case(
        name="error that postgresql itself passes over",
        before=ORDERS,
        upgrade=sql(
            "ALTER TABLE IF EXISTS order_items ADD COLUMN note text",
            "DO $$ BEGIN CREATE TABLE orders (id integer); EXCEPTION WHEN duplicate_table THEN NULL; END $$",
        ),
        downgrade=sql("SELECT 1"),
        because="No statement fails.",
    ),
]
