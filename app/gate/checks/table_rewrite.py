"""A table that is already in use is written anew, under a lock that nobody gets past.

Catches
    A statement after which an older table lies in new files: a column that takes another type, or is added with a default that must
    be worked out for each row; `VACUUM FULL`, `CLUSTER`, `SET LOGGED`. It is seen from what PostgreSQL did, so `varchar(10)` to
    `varchar(20)` is silent, and `integer` to `bigint` is not.

Why it hurts
    PostgreSQL copies every row and builds every index again, and holds ACCESS EXCLUSIVE all the while: each query on the table
    waits, and soon each connection of the application does. On a large table that is minutes or hours.

How to fix
    Give the new values a column of their own, fill it a few thousand rows at a time, and let the code move over::

        def upgrade() -> None:
            op.execute("ALTER TABLE orders ADD COLUMN IF NOT EXISTS total_new bigint")
            with op.get_context().autocommit_block():
                op.execute('''
                    DO $$ BEGIN
                        LOOP
                            UPDATE orders SET total_new = total WHERE ctid = ANY (ARRAY(
                                SELECT ctid FROM orders WHERE total_new IS NULL AND total IS NOT NULL LIMIT 5000));
                            EXIT WHEN NOT FOUND;
                            COMMIT;
                        END LOOP;
                    END $$
                ''')

    The block commits what is before it, hence IF NOT EXISTS: the revision can be run again if it is stopped half way.
    The release that writes both columns goes out before the one that reads the new one; the old one is dropped last.
    A default is set by itself, which touches no row, and the older rows are filled as above::

        op.execute("ALTER TABLE orders ADD COLUMN IF NOT EXISTS token uuid")
        op.execute("ALTER TABLE orders ALTER COLUMN token SET DEFAULT gen_random_uuid()")

Stays quiet when
    The same revision creates the table. PostgreSQL only changes the catalog (a longer varchar, a constant default). The table was emptied by
    TRUNCATE, which is data-loss's affair.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.gate.checks.base import Check, Finding
from app.gate.checks.hazards import Transaction, changes_by, moments, shown
from app.gate.checks.remedy import python, quote, quote_table
from app.gate.checks.words import indented, shorten
from app.gate.recording import Change, Recording, Statement
from app.gate.report import Severity


def examine(recording: Recording) -> Iterator[Finding]:
    for transaction, moment in moments(recording):
        statement = moment.statement
        for table in statement.rewrites:
            if not _empties(statement):
                yield _finding(transaction, statement, table)


def _empties(statement: Statement) -> bool:
    return re.search(r"\bTRUNCATE\b", statement.sql, re.IGNORECASE) is not None


def _finding(transaction: Transaction, statement: Statement, table: str) -> Finding:
    changes = [
        change
        for change in changes_by(transaction.step, statement, table)
        if change.key.kind == "column" and change.after
    ]
    retyped = next(
        (each for each in changes if each.before and each.before.get("type") != (each.after or {}).get("type")), None
    )
    added = next((each for each in changes if each.before is None), None)
    why, advice = "", _IN_GENERAL
    if retyped is not None:
        why, advice = _retyped(retyped, table)
    elif added is not None:
        why, advice = _added(added, table)
    elif re.search(r"\bREFRESH\s+MATERIALIZED\b", statement.sql, re.IGNORECASE):
        why, advice = " to refresh it", _refresh(table)
    return Finding(
        f"Reads and writes on {shorten(table)} wait until PostgreSQL has rewritten the whole of it{why}.",
        revision=transaction.revision.revision,
        object=table,
        detail=shown(statement),
        help=advice,
        line=statement.line,
    )


_IN_GENERAL = (
    "Do it in steps that each hold the lock for a moment only: make a new column or table, fill it in batches outside of the "
    "transaction (op.get_context().autocommit_block()), and let the code move over."
)


def _retyped(change: Change, table: str) -> tuple[str, str]:
    before, after = change.before or {}, change.after or {}
    old, new, new_type = quote(change.key.name), quote(f"{change.key.name}_new"), after["type"]
    add = f"op.execute({python(f'ALTER TABLE {quote_table(table)} ADD COLUMN IF NOT EXISTS {new} {new_type}')})"
    code = "\n".join([add, batches(table, new, f"{old}::{new_type}", f"{new} IS NULL AND {old} IS NOT NULL")])
    return (
        f", to turn {change.key.name} from {before['type']} into {new_type}",
        "Give the new values a column of their own, let the code write both, and drop the old one in a later release:\n\n"
        + indented(code),
    )


def _added(change: Change, table: str) -> tuple[str, str]:
    after = change.after or {}
    name, new_type, default = quote(change.key.name), after.get("type"), after.get("default")
    if default is None:  # identity, or a generated column, has to be worked out for each row whatever one does
        return f", to fill the new column {change.key.name}", _IN_GENERAL
    add = f"op.execute({python(f'ALTER TABLE {quote_table(table)} ADD COLUMN IF NOT EXISTS {name} {new_type}')})"
    alter = f"op.alter_column({python(change.key.table)}, {python(change.key.name)}, server_default=sa.text({python(default, is_sql=True)}))"
    code = "\n".join([add, alter, batches(table, name, str(default), f"{name} IS NULL")])
    return (
        f", for the default of {change.key.name} ({default}) is another for each row",
        "Add the column, then its default, which only new rows get, and fill the older ones in batches:\n\n"
        + indented(code),
    )


def batches(table: str, column: str, value: str, condition: str) -> str:
    """Code that fills a column a few thousand rows at a time. `column` and `value` are SQL."""
    name = quote_table(table)
    return f'''with op.get_context().autocommit_block():
    op.execute("""
        DO $$ BEGIN
            LOOP
                UPDATE {name} SET {column} = {value} WHERE ctid = ANY (ARRAY(
                    SELECT ctid FROM {name} WHERE {condition} LIMIT 5000));
                EXIT WHEN NOT FOUND;
                COMMIT;
            END LOOP;
        END $$
    """)'''


def _refresh(table: str) -> str:
    code = f"with op.get_context().autocommit_block():\n    op.execute({python(f'REFRESH MATERIALIZED VIEW CONCURRENTLY {quote_table(table)}')})"
    return f"With a unique index on it, readers need not wait:\n\n{indented(code)}"


CHECK = Check(id="table-rewrite", severity=Severity.ERROR, examine=examine)
