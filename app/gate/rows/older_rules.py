"""Rules that hold while rows are inserted, and not before or after that.

Those of the older schema that a downgrade did not bring back: rows that break them are none that users have. And, the
other way about, those that a revision validates: rows from before a NOT VALID constraint may break it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.gate.postgres.quoting import identifier, literal
from app.gate.recording.model import Change

# A trigger that waits for the end of the transaction would keep the rule from being taken away again.
_DEFERRABLE = re.compile(r"(?:\s+DEFERRABLE)?(?:\s+INITIALLY DEFERRED)?$")


@dataclass(frozen=True)
class OlderRule:
    """What brings one rule back, or takes it away, while rows are inserted, and what undoes that. Where it cannot be
    brought back, because what it needs is gone too, nothing happens."""

    begin: str
    end: str


def find_older_rules(left_behind: Iterable[Change]) -> list[OlderRule]:
    """The rules about rows that are gone: constraints, unique indexes and NOT NULL."""
    return [
        OlderRule(_if_possible(begin), _if_possible(end))
        for number, change in enumerate(left_behind)
        if change.before is not None
        for begin, end in _statements(change, identifier(f"overproof_rule_{number}"))
    ]


def find_validated_rules(changes: Iterable[Change]) -> list[OlderRule]:
    """The constraints that the changes validate, to be taken away."""
    return [
        OlderRule(
            _if_possible(f"{table} DROP CONSTRAINT {identifier(change.key.name)}"),
            _if_possible(f"{table} ADD CONSTRAINT {identifier(change.key.name)} {change.before.get('definition')}"),
        )
        for change in changes
        if change.key.kind == "constraint" and change.before is not None and change.after is not None
        if change.before.get("validated") is False and change.after.get("validated") is not False
        for table in [f"ALTER TABLE {identifier(change.key.schema)}.{identifier(change.key.table)}"]
    ]


def _statements(change: Change, name: str) -> Iterator[tuple[str, str]]:
    before, after = change.before or {}, change.after
    table = f"{identifier(change.key.schema)}.{identifier(change.key.table)}" if change.key.table else ""
    definition = before.get("definition")
    if change.key.kind == "constraint" and before.get("validated") is not False and _is_lost(change, "type"):
        rule = _DEFERRABLE.sub("", str(definition))
        yield f"ALTER TABLE {table} ADD CONSTRAINT {name} {rule}", f"ALTER TABLE {table} DROP CONSTRAINT {name}"
    if change.key.kind == "index" and before.get("unique") and _is_lost(change, "unique"):
        index = f"{identifier(change.key.schema)}.{name}"
        yield f"CREATE UNIQUE INDEX {name} ON {table} {definition}", f"DROP INDEX {index}"
    if change.key.kind == "column" and after is not None and after.get("nullable") and not before.get("nullable"):
        column = f"ALTER TABLE {table} ALTER COLUMN {identifier(change.key.name)}"
        yield f"{column} SET NOT NULL", f"{column} DROP NOT NULL"


def _is_lost(change: Change, field: str) -> bool:
    """Whether the rule is not there any more, or is another one: not only its comment, say."""
    before, after = change.before or {}, change.after
    return after is None or any(before.get(name) != after.get(name) for name in (field, "definition"))


def _if_possible(statement: str) -> str:
    return f"DO {literal(f'BEGIN {statement}; EXCEPTION WHEN OTHERS THEN NULL; END')}"
