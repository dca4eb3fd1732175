"""How long a strong lock is waited for. In the other themes a limit is set for all."""

from tests.gate.hazards.case import Case, autocommit, body, online, sql

ORDERS = "op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True), sa.Column('note', sa.Text))"
WITHOUT = online("SET lock_timeout = 0")
ADD = "op.add_column('orders', sa.Column('extra', sa.Text))"
DROP = "op.drop_column('orders', 'extra')"

CASES = [
    Case(
        name="no lock_timeout",
        before=ORDERS,
        upgrade=body(WITHOUT, ADD),
        downgrade=DROP,
        expected={"lock-timeout"},
        because="Behind a long query it waits for ever, and all that comes later waits behind it.",
    ),
    Case(
        name="lock_timeout by SET LOCAL",
        before=ORDERS,
        upgrade=body(WITHOUT, sql("SET LOCAL lock_timeout = '3s'"), ADD),
        downgrade=DROP,
        because="After three seconds it gives up, and those behind it go on.",
    ),
    Case(
        name="lock_timeout of minutes",
        before=ORDERS,
        upgrade=body(sql("SET LOCAL lock_timeout = '5min'"), ADD),
        downgrade=DROP,
        expected={"lock-timeout"},
        because="Five minutes long all queries on the table wait behind it.",
    ),
    Case(
        name="lock_timeout of half a minute",
        before=ORDERS,
        upgrade=body(WITHOUT, sql("SET LOCAL lock_timeout = 30000"), ADD),
        downgrade=DROP,
        because="It is a limit, if not a short one.",
    ),
    Case(
        name="lock_timeout by a function",
        before=ORDERS,
        upgrade=body(
            WITHOUT, "op.get_bind().execute(sa.text(\"SELECT set_config('lock_timeout', '3000', true)\"))", ADD
        ),
        downgrade=DROP,
        because="set_config() is SET by another name.",
    ),
    Case(
        name="lock_timeout too late",
        before=ORDERS,
        upgrade=body(WITHOUT, ADD, sql("SET LOCAL lock_timeout = '3s'")),
        downgrade=DROP,
        expected={"lock-timeout"},
        because="It counts for the statements that come after it.",
    ),
    Case(
        name="no lock_timeout and no lock",
        before=ORDERS,
        upgrade=body(WITHOUT, sql("UPDATE orders SET note = '' WHERE note IS NULL")),
        downgrade="pass",
        because="An UPDATE waits for rows only, and nobody waits behind it for the table.",
    ),
    Case(
        name="no lock_timeout in an autocommit block",
        before=ORDERS,
        upgrade=body(WITHOUT, autocommit("ALTER TABLE orders ADD COLUMN IF NOT EXISTS extra text")),
        downgrade=DROP,
        expected={"lock-timeout"},
        because="Outside of a transaction it waits for ever just as well.",
    ),
    Case(
        name="lock_timeout in an autocommit block",
        before=ORDERS,
        upgrade=body(
            WITHOUT,
            autocommit("SET lock_timeout = '3s'", "ALTER TABLE orders ADD COLUMN IF NOT EXISTS extra text"),
        ),
        downgrade=DROP,
        because="SET is for the session, whatever the transaction.",
    ),
    Case(
        name="SET LOCAL lock_timeout in an autocommit block",
        before=ORDERS,
        upgrade=body(
            WITHOUT,
            autocommit("SET LOCAL lock_timeout = '3s'", "ALTER TABLE orders ADD COLUMN IF NOT EXISTS extra text"),
        ),
        downgrade=DROP,
        expected={"lock-timeout"},
        because="SET LOCAL ends with the transaction, which outside of one is the SET itself.",
    ),
    Case(
        name="no lock_timeout on a new table",
        before=ORDERS,
        upgrade=body(
            WITHOUT,
            "op.create_table('lines', sa.Column('id', sa.Integer))",
            "op.add_column('lines', sa.Column('x', sa.Text))",
        ),
        downgrade="op.drop_table('lines')",
        because="Nobody can hold a lock on a table that is not there before the commit.",
    ),
]
