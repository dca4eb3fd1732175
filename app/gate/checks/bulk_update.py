"""One statement changes all rows of a table that is in use.

Catches
    An UPDATE that changes at least nine of ten rows of an older table, as PostgreSQL counts them when the upgrade runs
    over rows: one without a WHERE, or with one that nearly every row satisfies, as `IS NULL` on a new column. Also in a
    DO block or a function, and by INSERT … ON CONFLICT or MERGE.

Why it hurts
    Each changed row stays locked until the transaction commits, and other sessions that change it wait. PostgreSQL
    keeps the old version of every row beside the new one, so the table may double in size, and replicas apply the whole
    change at once. If it is cancelled near the end, all of it was for nothing.

How to fix
    Change the rows in batches by the primary key, each in its own transaction::

        with op.get_context().autocommit_block():
            bind = op.get_bind()
            start = bind.scalar(sa.text("SELECT id FROM orders ORDER BY id LIMIT 1"))
            after = sa.text("SELECT id FROM orders WHERE id >= :start ORDER BY id OFFSET 5000 LIMIT 1")
            while start is not None:
                stop = bind.scalar(after, {"start": start})
                rows = "id >= :start" if stop is None else "id >= :start AND id < :stop"
                change = sa.text("UPDATE orders SET status = 'new' WHERE " + rows)
                bind.execute(change, {"start": start, "stop": stop})
                start = stop

    Where the new value is the same for all rows, no UPDATE is needed: a column that is added with a default has it in
    every row at once::

        op.add_column("orders", sa.Column("channel", sa.Text, nullable=False, server_default="web"))

    If the table is small, say so::

        # overproof: allow bulk-update: there are twelve of them

Stays quiet when
    The statement is limited to a batch: by LIMIT, by a range, by a list of keys, or by a loop that commits. The same
    revision or branch creates the table. No rows could be put in it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from app.gate.checks.base import Check, Finding
from app.gate.checks.support.locks import upgrades
from app.gate.checks.support.schema import Schema, SchemaHistory
from app.gate.checks.support.script import escape_colons, python
from app.gate.checks.support.statements import sql_of
from app.gate.checks.support.subjects import together
from app.gate.postgres.quoting import name_of, quote
from app.gate.recording.model import Evidence, Recording, RoundTrip, Statement, Step
from app.gate.recording.names import shorten
from app.gate.report.verdict import Severity
from app.gate.wording import indented

_FEWEST_ROWS = 4  # of which "all" means something
_SHARE = 0.9


def examine(recording: Recording) -> Iterator[Finding]:
    trips = {trip.revision: trip for trip in recording.trips}
    for revision, up, new_in_branch in upgrades(recording):
        over_rows, rows = _over_rows(trips[revision.revision])
        repeated = Counter(each.sql for each in over_rows.statements) if over_rows is not None else Counter[str]()
        found: dict[str, Statement] = {}
        for statement in over_rows.statements if over_rows is not None else ():
            if repeated[statement.sql] > 1 or _is_batch(statement.sql):
                continue
            for table, updated in statement.updated.items():
                total = rows.get(table, 0)
                if total >= _FEWEST_ROWS and updated >= _SHARE * total and table not in new_in_branch:
                    found.setdefault(table, statement)
        for table, statement in found.items():
            yield _finding(revision.revision, up, table, statement, recording)


def _over_rows(trip: RoundTrip) -> tuple[Step | None, Mapping[str, int]]:
    """The upgrade over rows that got to its end, and how many rows the tables had."""
    populated = trip.populated
    if populated is None:
        return None, {}
    step = populated.step if populated.step.failure is None else trip.second_up
    return None if step is None or step.failure is not None else step, populated.tables


_PARAMETER = r"(?:%\(\w+\)s|%s|\$\d+)"
# A part of the rows, however many there are. What a placeholder stands for is not known: a key, or the end of a batch.
_LIMITED = re.compile(
    r"\bLIMIT\b|\bFETCH\s+(?:FIRST|NEXT)\b|\bBETWEEN\b|\bctid\b|\bCOMMIT\b|\bIN\s*\(\s*(?:%|\$|'|-?\d)|=\s*ANY\b"
    rf"|\bWHERE\b.*[\w\"]\s*(?:=|<=?|>=?)\s*{_PARAMETER}|\bWHERE\b.*>=?\s*'?-?\d.*<=?\s*'?-?\d",
    re.IGNORECASE | re.DOTALL,
)


def _is_batch(sql: str) -> bool:
    return _LIMITED.search(sql) is not None


def _finding(revision: str, up: Step, table: str, statement: Statement, recording: Recording) -> Finding:
    line = next((each.line for each in up.statements if each.sql == statement.sql), statement.line)
    return Finding(
        f"One statement changes all rows of {shorten(table)}: they stay locked, and replicas lag behind, until it commits.",
        together([f"all rows of {shorten(table)}"]),
        revision=revision,
        object=table,
        detail=sql_of(statement),
        help=_advice(table, statement.sql, SchemaHistory.of(recording).at_head()),
        line=line,
    )


_UPDATE = re.compile(
    r"\A\s*UPDATE\s+(?P<only>ONLY\s+)?[\w.\"]+\s+SET\s+(?P<set>[^;]*?)(?:\s+WHERE\s+(?P<where>[^;]*?))?\s*;?\s*\Z",
    re.IGNORECASE | re.DOTALL,
)


def _advice(table: str, sql: str, schema: Schema) -> str:
    text = "Change the rows in batches by the primary key, each in its own transaction, outside of the revision's"
    key, update = _key_of(table, schema), _UPDATE.match(sql)
    if (
        key is None
        or update is None
        or "%" in sql
        or re.search(r"\bFROM\b|\bRETURNING\b", update["set"], re.IGNORECASE)
        or _sets(key, update["set"])
    ):
        return f"{text} (op.get_context().autocommit_block())."
    name, column = f"{'ONLY ' if update['only'] else ''}{schema.sql(table)}", quote(key)
    where = f"({' '.join(update['where'].split())}) AND " if update["where"] else ""
    change = python(f"UPDATE {name} SET {' '.join(update['set'].split())} WHERE {where}", is_sql=True)
    first = python(f"SELECT {column} FROM {name} ORDER BY {column} LIMIT 1", is_sql=True)
    following = python(
        escape_colons(f"SELECT {column} FROM {name} WHERE {column} >=")
        + f" :start ORDER BY {column} OFFSET 5000 LIMIT 1"
    )
    rest, part = python(f"{column} >= :start"), python(f"{column} >= :start AND {column} < :stop")
    code = f"""with op.get_context().autocommit_block():
    bind = op.get_bind()
    start = bind.scalar(sa.text({first}))
    after = sa.text({following})
    while start is not None:
        stop = bind.scalar(after, {{"start": start}})
        rows = {rest} if stop is None else {part}
        change = sa.text({change} + rows)
        bind.execute(change, {{"start": start, "stop": stop}})
        start = stop"""
    return f"{text}:\n\n{indented(code)}"


def _sets(column: str, text: str) -> bool:
    """Whether an UPDATE may change that column: a row that it moves into a later batch would be changed again."""
    return any(name_of(name) == column for name in re.findall(r'("(?:[^"]|"")+"|[\w$]+)\s*(?:=(?!=)|,|\)\s*=)', text))


def _key_of(table: str, schema: Schema) -> str | None:
    """The column of the table's primary key, if it has one of one column."""
    for _, definition in schema.parts_of("constraint", table):
        if definition.get("type") == "primary key":
            columns: Sequence[str] = definition.get("columns") or ()
            return columns[0] if len(columns) == 1 else None
    return None


CHECK = Check(
    id="bulk-update",
    severity=Severity.NOTICE,
    examine=examine,
    needs=frozenset({Evidence.LOCKS, Evidence.POPULATED}),
)
