"""A table that is already in use is rewritten, under a lock that blocks reads and writes.

Catches
    A statement after which an older table is stored in new files: a column that changes its type, or is added with a
    default that must be computed for each row; `VACUUM FULL`, `CLUSTER`, `SET LOGGED`. What counts is what PostgreSQL
    did: `varchar(10)` to `varchar(20)` rewrites nothing, `integer` to `bigint` does.

Why it hurts
    PostgreSQL copies every row and rebuilds every index, and holds ACCESS EXCLUSIVE all the time: each query on the
    table waits, and soon every connection of the application does. On a large table that takes minutes or hours.

How to fix
    Add a column for the new values, fill it in batches of a few thousand rows, and let the code move to it::

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

    The block commits what was done before it, hence IF NOT EXISTS: the revision can be run again if it is stopped half
    way. Release the code that writes both columns before the code that reads the new one, and drop the old column last.
    Set a default separately, which rewrites no row, and fill the existing rows in batches::

        op.execute("ALTER TABLE orders ADD COLUMN IF NOT EXISTS token uuid")
        op.execute("ALTER TABLE orders ALTER COLUMN token SET DEFAULT gen_random_uuid()")

    A timestamp without time zone becomes one with a time zone without a rewrite if the session's time zone is UTC, and
    the values are meant as UTC::

        op.execute("SET LOCAL TimeZone = 'UTC'")
        op.execute("ALTER TABLE orders ALTER COLUMN placed_at TYPE timestamp with time zone")

Stays quiet when
    The same revision creates the table. PostgreSQL changes only the catalog (a longer varchar, a constant default).
    TRUNCATE emptied the table, which data-loss reports. A timestamp gains or loses its time zone in a session whose
    time zone is UTC, as it is on the throwaway server unless the project sets another: if production has another one,
    the table is rewritten and the values shift. breaking-change reports that until the script names the time zone as
    above.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.gate.checks.base import Check, Finding
from app.gate.checks.support.fix_code import escape_colons, python
from app.gate.checks.support.locks import Transaction, by_table, transactions
from app.gate.checks.support.statements import changes_by, mentions, sql_of
from app.gate.checks.support.subjects import together
from app.gate.postgres.quoting import quote, quote_table
from app.gate.recording.model import Change, Evidence, Recording, Statement
from app.gate.recording.names import shorten
from app.gate.report.verdict import Severity
from app.gate.wording import indented, listed


@dataclass(frozen=True)
class Cause:
    """Why a table was rewritten, and how to avoid it."""

    subject: str  # "type of total"
    why: str  # "to change total from integer to bigint"
    advice: str
    code: str


def examine(recording: Recording) -> Iterator[Finding]:
    for transaction in transactions(recording):
        rewrites = [
            (table, held)
            for held in transaction.held_locks
            for table in held.statement.rewrites
            if not _empties(held.statement)
        ]
        for table, found in by_table(rewrites):
            yield _finding(transaction, table, [held.statement for held in found])


def _empties(statement: Statement) -> bool:
    return re.search(r"\bTRUNCATE\b", statement.sql, re.IGNORECASE) is not None


def _finding(transaction: Transaction, table: str, statements: Sequence[Statement]) -> Finding:
    every = [cause for statement in statements for cause in _causes(transaction, statement, table)]
    causes = list({cause.why: cause for cause in every}.values())
    times = f" {len(statements)} times" if len(statements) > 1 else ""
    why = f", {listed([cause.why for cause in causes], limit=2)}" if causes else ""
    return Finding(
        f"Reads and writes on {shorten(table)} wait until PostgreSQL has rewritten the whole table{times}{why}.",
        together(cause.subject for cause in causes) or "rewrite",
        revision=transaction.revision.revision,
        object=table,
        detail="\n".join(map(sql_of, statements)),
        help=_advice(causes),
        line=statements[0].line,
    )


def _advice(causes: Sequence[Cause]) -> str:
    if not causes:
        return _IN_GENERAL
    lines = [line for cause in causes if cause.advice == causes[0].advice for line in cause.code.splitlines()]
    code = "\n".join(line for index, line in enumerate(lines) if "SET LOCAL" not in line or line not in lines[:index])
    return f"{causes[0].advice}:\n\n{indented(code)}" if code else causes[0].advice


_IN_GENERAL = (
    "Do it in steps that each hold the lock only briefly: add a new column or table, fill it in batches outside the "
    "transaction (op.get_context().autocommit_block()), and let the code move to it."
)
_TIMES = {"timestamp without time zone", "timestamp with time zone"}


def _causes(transaction: Transaction, statement: Statement, table: str) -> Iterator[Cause]:
    if re.search(r"\bREFRESH\s+MATERIALIZED\b", statement.sql, re.IGNORECASE):
        refresh = f"op.execute({python(f'REFRESH MATERIALIZED VIEW CONCURRENTLY {quote_table(table)}')})"
        code = f"with op.get_context().autocommit_block():\n    {refresh}"
        yield Cause("refresh", "to refresh it", "With a unique index on it, reads do not wait", code)
    for change in changes_by(transaction.step, statement, table):
        if change.key.kind != "column" or change.after is None:
            continue
        if change.before is None:
            yield _added(change, table)
        elif change.before.get("type") != change.after.get("type") and _is_retyped_by(transaction, statement, change):
            yield _retyped(change, table, str(change.before.get("type")), str(change.after.get("type")), statement.sql)


def _is_retyped_by(transaction: Transaction, statement: Statement, change: Change) -> bool:
    """Whether it is the statement that alters the column, and not one whose USING reads the column."""
    name = re.escape(change.key.name)
    alters = re.compile(rf'\bALTER\s+(?:COLUMN\s+)?"?{name}"?\s+(?:SET\s+DATA\s+)?TYPE\b', re.IGNORECASE)
    altering = [
        each for each in transaction.step.statements if mentions(each, change.key.table) and alters.search(each.sql)
    ]
    return statement in altering or not altering


def _retyped(change: Change, table: str, old_type: str, new_type: str, sql: str) -> Cause:
    why = f"to change {change.key.name} from {old_type} to {new_type}"
    subject = f"type of {change.key.name}"
    old, new, alter = quote(change.key.name), quote(f"{change.key.name}_new"), f"ALTER TABLE {quote_table(table)}"
    if {old_type, new_type} == _TIMES:
        # https://www.postgresql.org/docs/12/release-12.html: no rewrite "if the session time zone is UTC".
        utc = "op.execute(\"SET LOCAL TimeZone = 'UTC'\")"
        code = f"{utc}\nop.execute({python(f'{alter} ALTER COLUMN {old} TYPE {new_type}')})"
        return Cause(
            subject,
            why,
            "If the existing values are meant as UTC, PostgreSQL needs no rewrite in that time zone and without USING",
            code,
        )
    advice = "Add a column for the new values, let the code write both columns, and drop the old one in a later release"
    value = f"{old}::{new_type}"
    if re.search(r"\bUSING\b", sql, re.IGNORECASE):
        using = _USING.fullmatch(sql)
        if using is None:
            return Cause(subject, why, advice, "")  # one of several, and only a parser could find out which
        value = using[1]
    collation = f" COLLATE {change.after['collation']}" if change.after and change.after.get("collation") else ""
    add = f"op.execute({python(f'{alter} ADD COLUMN IF NOT EXISTS {new} {new_type}{collation}')})"
    fill = batches(table, new, value, f"{new} IS NULL AND ({value}) IS NOT NULL")  # otherwise the loop would not end
    return Cause(subject, why, advice, f"{add}\n{fill}")


# A statement of one action alone.
_USING = re.compile(
    r"\s*ALTER\s+TABLE\b(?:(?!\b(?:USING|ADD|DROP)\b).)*?\bTYPE\b(?:(?!\bUSING\b).)*\bUSING\s+((?:(?!\b(?:ALTER|ADD|DROP)\b).)*?)\s*;?\s*",
    re.IGNORECASE | re.DOTALL,
)


def _added(change: Change, table: str) -> Cause:
    after = change.after or {}
    name, default, subject = quote(change.key.name), after.get("default"), f"new column {change.key.name}"
    if default is None:  # identity, or a generated column, must be computed for each row in any case
        return Cause(subject, f"to fill the new column {change.key.name}", _IN_GENERAL, "")
    column = f"{name} {after.get('type')}"
    add = f"op.execute({python(f'ALTER TABLE {quote_table(table)} ADD COLUMN IF NOT EXISTS {column}')})"
    schema = "" if change.key.schema == "public" else f", schema={python(change.key.schema)}"
    names = f"{python(change.key.table)}, {python(change.key.name)}"
    alter = f"op.alter_column({names}, server_default=sa.text({python(default, is_sql=True)}){schema})"
    return Cause(
        subject,
        f"because the default of {change.key.name} ({default}) differs for each row",
        "Add the column, then its default, which only new rows get, and fill the existing rows in batches",
        "\n".join([add, alter, batches(table, name, str(default), f"{name} IS NULL")]),
    )


def batches(table: str, column: str, value: str, condition: str) -> str:
    """Code that fills a column a few thousand rows at a time. `column`, `value` and `condition` are SQL."""
    name = quote_table(table)
    # Both stand in a string.
    value, condition = (escape_colons(each).replace("\\", "\\\\") for each in (value, condition))
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


CHECK = Check(id="table-rewrite", severity=Severity.ERROR, examine=examine, needs=frozenset({Evidence.LOCKS}))
