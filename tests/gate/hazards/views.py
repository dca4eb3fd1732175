"""Views, materialized or not."""

from tests.gate.hazards.case import Case, autocommit, body, sql

ORDERS = sql("CREATE TABLE orders (id integer PRIMARY KEY, total integer)")
TOTALS = sql("CREATE VIEW totals AS SELECT id, total FROM orders")
STORED = sql(
    "CREATE MATERIALIZED VIEW totals AS SELECT id, total FROM orders",
    "CREATE UNIQUE INDEX ix_totals ON totals (id)",
)

CASES = [
    Case(
        name="new view",
        before=ORDERS,
        upgrade=TOTALS,
        downgrade=sql("DROP VIEW totals"),
        because="A view is a query that is stored; nothing is read.",
    ),
    Case(
        name="view with one more column",
        before=body(ORDERS, TOTALS),
        upgrade=sql("CREATE OR REPLACE VIEW totals AS SELECT id, total, total * 2 AS twice FROM orders"),
        downgrade=body(sql("DROP VIEW totals"), TOTALS),
        because="The older columns stay as they were.",
    ),
    Case(
        name="view is dropped",
        before=body(ORDERS, TOTALS),
        upgrade=sql("DROP VIEW totals"),
        downgrade=TOTALS,
        expected={"breaking-change"},
        because="'relation \"totals\" does not exist' from the commit on.",
    ),
    Case(
        name="view with a column less",
        before=body(ORDERS, TOTALS),
        upgrade=sql("DROP VIEW totals", "CREATE VIEW totals AS SELECT id FROM orders"),
        downgrade=body(sql("DROP VIEW totals"), TOTALS),
        expected={"breaking-change"},
        because="'column \"total\" does not exist' for who reads it from the view.",
    ),
    Case(
        name="new materialized view",
        before=ORDERS,
        upgrade=STORED,
        downgrade=sql("DROP MATERIALIZED VIEW totals"),
        because="orders is read as by any SELECT, and nobody knows the view yet.",
    ),
    Case(
        name="materialized view is refreshed",
        before=body(ORDERS, STORED),
        upgrade=sql("REFRESH MATERIALIZED VIEW totals"),
        downgrade="pass",
        expected={"table-rewrite"},
        because="Its rows are written into new files under ACCESS EXCLUSIVE: nobody reads it meanwhile.",
    ),
    Case(
        name="materialized view is refreshed in an autocommit block",
        before=body(ORDERS, STORED),
        upgrade=autocommit("REFRESH MATERIALIZED VIEW totals"),
        downgrade="pass",
        expected={"table-rewrite"},
        because="Outside of a transaction it keeps readers out just as well.",
    ),
    Case(
        name="materialized view is refreshed CONCURRENTLY",
        before=body(ORDERS, STORED),
        upgrade=sql("REFRESH MATERIALIZED VIEW CONCURRENTLY totals"),
        downgrade="pass",
        because="EXCLUSIVE lets readers go on, and nobody writes to a materialized view.",
    ),
]
