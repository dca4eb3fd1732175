"""How to do without a scan that verifies no constraint of the table's own: of a partition that is attached, of a column
that changes its type, of a domain."""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.gate.checks.support import ddl
from app.gate.checks.support.bounds import outside, within
from app.gate.checks.support.concurrently import TwoSteps, constrain
from app.gate.checks.support.locks import Transaction
from app.gate.checks.support.naming import columns_in
from app.gate.checks.support.schema import Schema, bounds_of, parent_of
from app.gate.checks.support.script import execute, shortened
from app.gate.postgres.quoting import name_of
from app.gate.recording.model import Key, Statement
from app.gate.wording import indented

_RETYPE = re.compile(
    r"\s*ALTER\s+TABLE\b.*?\bALTER\s+(?:COLUMN\s+)?(?P<column>\w+|\"[^\"]+\")\s+(?:SET\s+DATA\s+)?TYPE\b",
    re.IGNORECASE | re.DOTALL,
)
_ATTACH = re.compile(r"\bATTACH\s+PARTITION\b|\bPARTITION\s+OF\b", re.IGNORECASE)
_DOMAIN = re.compile(r"\s*ALTER\s+DOMAIN\b", re.IGNORECASE)


def advise_on_scan(transaction: Transaction, table: str, statements: Sequence[Statement]) -> str:
    """The advice, with code where there is a way without the scan."""
    first = statements[0]
    if _DOMAIN.match(first.sql):
        return _OF_A_DOMAIN
    if _ATTACH.search(first.sql):
        return _for_partition(transaction, first)
    if found := _RETYPE.match(first.sql):
        return _for_type(transaction, table, name_of(found["column"]), first)
    return _IN_GENERAL


_IN_GENERAL = (
    "Add it for new rows first (NOT VALID), and validate the existing rows in a later revision (VALIDATE CONSTRAINT)."
)
_OF_A_DOMAIN = (
    "PostgreSQL reads every table that uses the domain while it blocks writes to it, for VALIDATE CONSTRAINT too. Add the constraint "
    "NOT VALID, which checks new values and reads nothing, and leave it so: look for older values with a query. Or put the rule on the "
    "tables, as a CHECK that is added NOT VALID and validated in the next revision, which blocks no reads or writes."
)
_WITH_ITS_CHECKS = (
    "PostgreSQL verifies the CHECKs on a column again when its type changes. Drop them, change the type, and add them for new rows, in "
    "one revision"
)


def _in_two_revisions(first: str, steps: TwoSteps, then: str) -> str:
    now, later = "\n".join(steps.now), "\n".join(steps.later)
    return f"{first}:\n\n{indented(now)}\n\n{then}:\n\n{indented(later)}"


def _for_type(transaction: Transaction, table: str, column: str, statement: Statement) -> str:
    schema = transaction.schema_after
    checks = [
        (key, definition)
        for key, definition in schema.parts_of("constraint", table)
        if definition.get("type") == "check" and column in columns_in(definition)
    ]
    if not checks:
        return "Add a column of the new type, let the code write both columns, and drop the old one in a later release."
    now = [line for key, definition in checks for line in ddl.drop(schema.named(key), definition)]
    now.append(execute(statement.sql.strip().rstrip(";")))
    later: list[str] = []
    for key, definition in checks:
        steps = constrain(table, key.name, schema.unqualified(str(definition["definition"])), schema)
        now, later = now + steps.now, later + steps.later
    return _in_two_revisions(
        _WITH_ITS_CHECKS,
        TwoSteps(now, later),
        "Then validate the existing rows in the next one, which blocks no reads or writes",
    )


def _for_partition(transaction: Transaction, statement: Statement) -> str:
    """What is scanned is the new partition, and the default one, in which rows of the new one may be."""
    schema = transaction.schema_after
    now: list[str] = []
    validated: list[str] = []
    dropped: list[str] = []
    for table in (_scanned_part(each, schema) for each in statement.scans):
        condition = _condition(transaction, table, schema)
        if condition is None:
            return _PARTITION
        space, _, label = table.partition(".")
        name = shortened(f"ck_{label}_bounds", schema.names_on(table))
        steps = constrain(table, name, f"CHECK ({condition})", schema)
        now, validated = now + steps.now, validated + steps.later
        dropped += ddl.drop(schema.named(Key("constraint", space, name, label)), {"type": "check"})
    later = [*validated, execute(statement.sql.strip().rstrip(";")), *dropped]
    return _in_two_revisions(_BOUNDS, TwoSteps(now, later), _THEN_ATTACH)


def _scanned_part(table: str, schema: Schema) -> str:
    """The table with the rows that were read: of one that is locked as a whole, the default partition."""
    for each in schema.partitions(table):
        found = schema.definition_of(each)
        if found is not None and bounds_of(found[1]) == "DEFAULT":
            return each
    return table


def _condition(transaction: Transaction, table: str, schema: Schema) -> str | None:
    found = schema.definition_of(table)
    parent = parent_of(found[1]) if found else None
    above = schema.definition_of(parent) if parent else None
    if found is None or above is None:
        return None
    partition_by, bounds = str(above[1].get("partition_by")), bounds_of(found[1])
    if bounds != "DEFAULT":
        return within(partition_by, bounds)
    new = [bounds_of(each) for each in _new_partitions(transaction) if parent_of(each) == parent]
    new = [each for each in new if each != "DEFAULT"]
    return outside(partition_by, new[0]) if len(new) == 1 else None


def _new_partitions(transaction: Transaction) -> list[dict[str, object]]:
    """The definitions of the tables that became partitions in the revision."""
    return [
        dict(change.after)
        for change in transaction.step.changes
        if change.key.kind in ("table", "foreign table")
        and change.after is not None
        and change.after.get("partition_of")
        and not (change.before or {}).get("partition_of")
    ]


_BOUNDS = (
    "A CHECK proves what PostgreSQL would look for: that the rows of a new partition are within its bounds, and those of a default "
    "partition are not. Add it for new rows in a revision before this one, which is fast"
)
_THEN_ATTACH = "Then validate it in this one, which blocks no reads or writes, before the partition is attached"
_PARTITION = (
    "A CHECK that proves the bounds, added NOT VALID and validated in a revision before this one, takes the place of the scan: on the new "
    "partition that its rows are within its bounds, on a default partition that its rows are not."
)
