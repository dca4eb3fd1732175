"""What a change of the schema allows to whom: privileges, row security, policies, SECURITY DEFINER, owners."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from app.gate.checks.support.naming import noun
from app.gate.postgres.quoting import quote
from app.gate.recording.model import TABLE_KINDS, Change, Definition, Key, Snapshot, Step
from app.gate.recording.names import full_name, shorten, table_of
from app.gate.wording import listed

OWNER = "the owner"  # of the object, in the snapshot's privileges
PUBLIC = "PUBLIC"
FUNCTIONS = ("function", "procedure", "aggregate")
TYPES = ("enum", "domain", "composite type", "range type", "base type")
DEFAULTS = "default privileges"
_GRANTABLE = " with grant option"
# https://www.postgresql.org/docs/current/ddl-priv.html; without those that no application uses.
_ALL_OF_A_TABLE = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"})


class Turn(StrEnum):
    """What happened to someone's access."""

    LOST = "lost"
    TO_PUBLIC = "to-public"  # every role has it now
    WIDENED = "widened"
    ROW_SECURITY = "row-security"
    DEFINER = "definer"
    OWNER = "owner"


@dataclass(frozen=True)
class AccessChange:
    """One of them, of one object."""

    turn: Turn
    change: Change
    words: str  # "role reader has lost SELECT on table orders"
    subject: str
    code: str = ""  # the SQL that gives back what was lost


@dataclass(frozen=True)
class Schemas:
    """The schema before and after an upgrade, as far as its changes show it."""

    step: Step
    head: Snapshot | None
    unknown_tables: Collection[str]  # that no released code knows: made by another revision of the branch

    @cached_property
    def pairs(self) -> list[Change]:
        """The changes, an object that was dropped and made again in another form being one."""
        one_sided = [each for each in self.step.changes if each.before is None or each.after is None]
        places: dict[tuple[str, ...], list[Change]] = {}
        for change in one_sided:
            if (place := _place(change.key)) is not None:
                places.setdefault(place, []).append(change)
        replaced: dict[Key, Change] = {}
        for changes in places.values():
            gone = [each for each in changes if each.after is None]
            new = [each for each in changes if each.before is None]
            if len(gone) == len(new) == 1:
                replaced[gone[0].key] = replaced[new[0].key] = Change(new[0].key, gone[0].before, new[0].after)
        return list(
            {id(found): found for found in (replaced.get(each.key, each) for each in self.step.changes)}.values()
        )

    @cached_property
    def created(self) -> set[str]:
        return {full_name(each.key) for each in self.pairs if each.key.kind in TABLE_KINDS and each.before is None}

    @cached_property
    def dropped(self) -> set[str]:
        return {full_name(each.key) for each in self.pairs if each.key.kind in TABLE_KINDS and each.after is None}

    def is_new(self, change: Change) -> bool:
        """Whether no released code can have used it."""
        return change.before is None or table_of(change.key) in {*self.unknown_tables, *self.created}

    def has_row_security(self, table: str) -> bool:
        """Whether policies on that table have an effect: after the upgrade, or at head if that leaves it alone."""
        changed = {full_name(each.key): each.after for each in self.pairs if each.key.kind in TABLE_KINDS}
        definition = changed.get(table)
        if definition is None and self.head is not None:
            schema, _, name = table.partition(".")
            definition = self.head.objects.get(Key("table", schema, name))
        return definition is None or _is_on(definition)


def _place(key: Key) -> tuple[str, ...] | None:
    """What an object that replaces another has in common with it."""
    if key.kind in TABLE_KINDS:
        return ("relation", key.schema, key.name)
    if key.kind in FUNCTIONS:
        return ("routine", key.schema, key.name.partition("(")[0])
    return None


def access_changes(schemas: Schemas) -> Iterator[AccessChange]:
    """What the upgrade changed in who may do what."""
    for change in schemas.pairs:
        if change.after is None and change.key.kind not in ("policy", DEFAULTS):
            continue
        if change.key.kind == "policy":
            yield from _policy(schemas, change)
        elif change.key.kind == DEFAULTS:
            yield from _defaults(change)
        else:
            yield from _privileges(schemas, change)
            if change.key.kind in FUNCTIONS:
                yield from _function(schemas, change)
            elif not schemas.is_new(change):
                yield from _relation(schemas, change)
            if not schemas.is_new(change):
                yield from _owner(change)


# Privileges.


def _privileges(schemas: Schemas, change: Change) -> Iterator[AccessChange]:
    kind, after = change.key.kind, change.after or {}
    if schemas.is_new(change):
        yield from _unusual(schemas, change, after)
        return
    old, new = _rights(kind, change.before or {}), _rights(kind, after)
    for who in sorted(old.keys() | new.keys()):
        yield from _of_role(change, who, old.get(who, frozenset()), new.get(who, frozenset()))


def _of_role(change: Change, who: str, old: frozenset[str], new: frozenset[str]) -> Iterator[AccessChange]:
    lost, gained = old - new, new - old
    what = noun(change)
    if lost:
        rights = listed(sorted(lost), limit=8)
        sql = grant(change.key, lost, who)
        words = f"{_named(who)} has lost {rights} on {what}"
        yield AccessChange(
            Turn.LOST, change, words, f"{change.key.kind} {full_name(change.key)} {who} loses {rights}", sql
        )
    if gained and who != OWNER:
        rights = listed(sorted(gained), limit=8)
        turn = Turn.TO_PUBLIC if who == PUBLIC else Turn.WIDENED
        words = f"{_named(who)} now has {rights} on {what}"
        yield AccessChange(turn, change, words, f"{change.key.kind} {full_name(change.key)} {who} gains {rights}")


def _named(who: str) -> str:
    return {PUBLIC: "every role (PUBLIC)", OWNER: "its owner"}.get(who, f"role {who}")


def _unusual(schemas: Schemas, change: Change, after: Definition) -> Iterator[AccessChange]:
    """What a new object gives to every role, if that is not what PostgreSQL gives by default."""
    kind = change.key.kind
    rights = _rights(kind, after)[PUBLIC] - _by_default(kind) - _rights(kind, change.before or {})[PUBLIC]
    if kind == "schema":
        rights &= {"CREATE"}
    if rights:  # which is rare, and the default privileges are somewhere among all objects
        yield from _of_role(change, PUBLIC, frozenset(), rights - _by_default_privileges(schemas, change.key))


def _rights(kind: str, definition: Definition) -> dict[str, frozenset[str]]:
    """{"reader": {"SELECT"}}: the rights of each role. The grant option of a right is another one."""
    given: Mapping[str, str] = definition.get("privileges") or {}
    rights = {who: _split(text) for who, text in given.items()}
    rights.setdefault(PUBLIC, _by_default(kind))
    if kind in TABLE_KINDS:
        rights[OWNER] = rights.get(OWNER, _ALL_OF_A_TABLE) & _ALL_OF_A_TABLE
    else:
        rights.pop(OWNER, None)
    return rights


def _split(text: str) -> frozenset[str]:
    found: set[str] = set()
    for right in text.split(", ") if text != "nothing" else ():
        found.add(right.removesuffix(_GRANTABLE))
        if right.endswith(_GRANTABLE):
            found.add(f"GRANT {right.removesuffix(_GRANTABLE)}")
    return frozenset(found)


def _by_default(kind: str) -> frozenset[str]:
    """What PostgreSQL gives to every role on a new object."""
    return frozenset({"EXECUTE"} if kind in FUNCTIONS else {"USAGE"} if kind in TYPES else ())


_NEW_OBJECTS = {
    **dict.fromkeys(TABLE_KINDS, "tables"),
    **dict.fromkeys(FUNCTIONS, "functions"),
    **dict.fromkeys(TYPES, "types"),
    "sequence": "sequences",
    "schema": "schemas",
}


def _by_default_privileges(schemas: Schemas, key: Key) -> frozenset[str]:
    """What ALTER DEFAULT PRIVILEGES has given to every role on new objects of that kind."""
    rights: frozenset[str] = frozenset()
    for each, definition in (schemas.head.objects if schemas.head else {}).items():
        objects = each.name.rpartition(" by ")[0]
        if each.kind == DEFAULTS and each.schema in ("", key.schema) and objects == _NEW_OBJECTS.get(key.kind):
            rights |= _rights(DEFAULTS, definition)[PUBLIC]
    return rights


_OBJECT_WORDS = {
    **dict.fromkeys(TABLE_KINDS, "TABLE"),
    **dict.fromkeys(TYPES, "TYPE"),
    "sequence": "SEQUENCE",
    "function": "FUNCTION",
    "aggregate": "FUNCTION",
    "procedure": "PROCEDURE",
    "schema": "SCHEMA",
    "foreign server": "FOREIGN SERVER",
    "foreign data wrapper": "FOREIGN DATA WRAPPER",
}


def grant(key: Key, rights: Collection[str], who: str) -> str:
    """The GRANT that gives them, with every schema named; empty for a kind of object that has none."""
    plain = sorted(right for right in rights if not right.startswith("GRANT "))
    role = "CURRENT_USER" if who == OWNER else who
    if key.kind == "column":
        rights_on = ", ".join(f"{right} ({quote(key.name)})" for right in plain)
        place = f"TABLE {quote(key.schema)}.{quote(key.table)}"
    elif key.kind in FUNCTIONS:
        name, _, arguments = key.name.partition("(")
        rights_on, place = ", ".join(plain), f"{_OBJECT_WORDS[key.kind]} {quote(key.schema)}.{quote(name)}({arguments}"
    elif key.kind in _OBJECT_WORDS:
        name = f"{quote(key.schema)}.{quote(key.name)}" if key.schema else quote(key.name)
        rights_on, place = ", ".join(plain), f"{_OBJECT_WORDS[key.kind]} {name}"
    else:
        return ""
    return f"GRANT {rights_on} ON {place} TO {role}" if plain else ""


def _defaults(change: Change) -> Iterator[AccessChange]:
    """What later tables, functions and so on give to whom."""
    objects = change.key.name.rpartition(" by ")[0]
    where = f" in schema {change.key.schema}" if change.key.schema else ""
    old, new = _rights(DEFAULTS, change.before or {}), _rights(DEFAULTS, change.after or {})
    for who in sorted(old.keys() | new.keys()):
        lost = old.get(who, frozenset()) - new.get(who, frozenset())
        gained = new.get(who, frozenset()) - old.get(who, frozenset())
        subject = f"{DEFAULTS} {full_name(change.key)} {who}"
        if lost:
            words = (
                f"{_named(who)} no longer gets {listed(sorted(lost))} on {objects} that are created{where} from now on"
            )
            yield AccessChange(Turn.LOST, change, words, f"{subject} loses")
        if gained and who == PUBLIC and not gained <= _by_default(objects.removesuffix("s")) | {"USAGE"}:
            words = f"{_named(who)} gets {listed(sorted(gained))} on {objects} that are created{where} from now on"
            yield AccessChange(Turn.TO_PUBLIC, change, words, f"{subject} gains")


# Rows.


def _is_on(definition: Definition) -> bool:
    return str(definition.get("row_security") or "").startswith("enabled")


def _relation(schemas: Schemas, change: Change) -> Iterator[AccessChange]:
    before, after = change.before or {}, change.after or {}
    what, name = noun(change), full_name(change.key)
    was, now = _is_on(before), _is_on(after)
    words = ""
    if now and not was:
        rows = (
            "only the rows that policies allow"
            if _has_policies(schemas, change.key)
            else "no rows, as it has no policy"
        )
        whom = "all roles, its owner too," if _is_forced(after) else "all roles but its owner"
        words = f"row security is on for {what}: {whom} see and change {rows}"
    elif was and not now:
        words = f"row security is off for {what}: every role that may read it sees all rows"
    elif now and _is_forced(after) != _is_forced(before):
        words = (
            f"row security of {what} applies to its owner too"
            if _is_forced(after)
            else f"row security of {what} no longer applies to its owner"
        )
    elif _is_invoker(before) != _is_invoker(after):
        whose = "its user's" if _is_invoker(after) else "its owner's"
        words = f"{what} reads its tables with {whose} rights from now on (security_invoker)"
    if words:
        yield AccessChange(Turn.ROW_SECURITY, change, words, f"row-security {name}")


def _is_forced(definition: Definition) -> bool:
    return str(definition.get("row_security") or "").endswith("forced")


def _is_invoker(definition: Definition) -> bool:
    options: Sequence[str] = definition.get("options") or ()
    return any(re.fullmatch(r"security_invoker=(?:true|on|yes|1)", option) for option in options)


def _has_policies(schemas: Schemas, table: Key) -> bool:
    added = [each.key for each in schemas.step.changes if each.key.kind == "policy" and each.after is not None]
    there = [key for key in (schemas.head.objects if schemas.head else ()) if key.kind == "policy"]
    return any((key.schema, key.table) == (table.schema, table.name) for key in (*added, *there))


def _policy(schemas: Schemas, change: Change) -> Iterator[AccessChange]:
    table = table_of(change.key)
    if table in {*schemas.unknown_tables, *schemas.created, *schemas.dropped} or _is_renamed(schemas.step, change):
        return
    was_on = next((_is_on(each.before or {}) for each in schemas.pairs if full_name(each.key) == table), None)
    now_on = schemas.has_row_security(table)
    if not now_on or was_on is False:
        return  # without row security they have no effect, and where that comes or goes, it is what matters
    what = "is new" if change.before is None else "is gone" if change.after is None else "has changed"
    restrictive = (change.after or change.before or {}).get("restrictive")
    effect = {
        "is new": "fewer rows" if restrictive else "more rows",
        "is gone": "more rows" if restrictive else "fewer rows",
    }.get(what, "other rows")
    words = f"policy {change.key.name} on {shorten(table)} {what}: roles see or change {effect}"
    yield AccessChange(Turn.ROW_SECURITY, change, words, f"policy {full_name(change.key)}")


def _is_renamed(step: Step, change: Change) -> bool:
    """Whether the same policy is there under another name."""
    return any(
        other.key.kind == "policy"
        and table_of(other.key) == table_of(change.key)
        and (other.before is None, other.after is None) == (change.after is None, change.before is None)
        and (other.before or other.after) == (change.before or change.after)
        for other in step.changes
        if other is not change and (other.before is None or other.after is None)
    )


# Functions and owners.


def _function(schemas: Schemas, change: Change) -> Iterator[AccessChange]:
    before, after, what = change.before, change.after or {}, noun(change)
    subject = f"{change.key.kind} {full_name(change.key)}"
    if before is None:
        returns = str(after.get("returns"))
        if (
            after.get("security_definer")
            and returns not in ("trigger", "event_trigger")
            and _is_open(change.key.kind, after)
        ):
            words = f"every role (PUBLIC) may run {what} with the rights of its owner (SECURITY DEFINER)"
            yield AccessChange(Turn.DEFINER, change, words, f"{subject} definer")
        return
    if bool(before.get("security_definer")) != bool(after.get("security_definer")):
        whose = "its owner (SECURITY DEFINER)" if after.get("security_definer") else "its caller (SECURITY INVOKER)"
        yield AccessChange(
            Turn.DEFINER, change, f"{what} runs with the rights of {whose} from now on", f"{subject} definer"
        )
    if after.get("leakproof") and not before.get("leakproof"):
        words = f"{what} is LEAKPROOF from now on: it may see rows before row security has refused them"
        yield AccessChange(Turn.DEFINER, change, words, f"{subject} leakproof")


def _is_open(kind: str, definition: Definition) -> bool:
    return "EXECUTE" in _rights(kind, definition).get(PUBLIC, frozenset())


def _owner(change: Change) -> Iterator[AccessChange]:
    old, new = (change.before or {}).get("owner"), (change.after or {}).get("owner")
    if old == new or change.key.kind == "column":
        return
    words = f"{noun(change)} belongs to {new or 'the role that runs the migrations'} from now on"
    yield AccessChange(Turn.OWNER, change, words, f"{change.key.kind} {full_name(change.key)} owner")
