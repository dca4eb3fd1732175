"""Which values a domain refuses, as a condition or as a query over every column of that domain."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from app.gate.checks.support.naming import tables_made_by
from app.gate.checks.support.older import LIMIT, Older
from app.gate.checks.support.schema import SchemaHistory, unquoted
from app.gate.checks.support.sql_text import enclosed, in_parentheses, replace_names
from app.gate.postgres.quoting import readable_literal
from app.gate.recording.model import Change, Definition, Failure, Key, Recording, RoundTrip
from app.gate.recording.names import full_name, table_of

_ALTER_DOMAIN = re.compile(r"\s*ALTER\s+DOMAIN\b", re.IGNORECASE)

Objects = Mapping[Key, Definition]


def find_values(recording: Recording, trip: RoundTrip, failure: Failure) -> str | None:
    """The values that a rule refuses which an ALTER DOMAIN adds. None if that is not what failed."""
    if not _ALTER_DOMAIN.match(failure.sql or ""):
        return None
    objects = SchemaHistory.of(recording).after(trip.revision).objects
    rules = list(_new_rules(trip, failure))
    if not rules:
        return None
    columns = [each for key, rule in rules for each in _refused_in(trip, failure, objects, key, rule)]
    if len(columns) == 1:
        older, _, condition = columns[0]
        return older.query(condition)
    queries = [
        f"SELECT {readable_literal(name)} AS place, {value}::text AS value FROM {older.sql} {older.where([condition])}"
        for older, (name, value), condition in columns
    ]
    return f"{' UNION ALL '.join(queries)} {LIMIT}" if queries else None


def _new_rules(trip: RoundTrip, failure: Failure) -> Iterator[tuple[Key, str | None]]:
    """(domain, its new CHECK, or None for NOT NULL), for the domain that the statement names."""
    words = set(re.findall(r'"(?:[^"]|"")+"|\w+', failure.sql or ""))
    names = {unquoted(word) for word in words}
    for change in trip.up.changes if trip.up is not None else ():
        domain = _domain_of(change)
        if domain is None or domain.name not in names or change.after is None:
            continue
        if change.key.kind == "domain constraint":
            if change.before is None and change.key.name in names | _generated(failure, domain):
                yield domain, check_of(change.after)
        elif _is_now_not_null(change) and re.search(r"\bSET\s+NOT\s+NULL\b", failure.sql or "", re.IGNORECASE):
            yield domain, None


def _is_now_not_null(change: Change) -> bool:
    return (change.before or {}).get("nullable") is True and (change.after or {}).get("nullable") is False


def _generated(failure: Failure, domain: Key) -> set[str]:
    """The name that PostgreSQL gives to a rule without one."""
    return set() if re.search(r"\bCONSTRAINT\b", failure.sql or "", re.IGNORECASE) else {f"{domain.name}_check"}


def _domain_of(change: Change) -> Key | None:
    key = change.key
    if key.kind == "domain":
        return key
    return Key("domain", key.schema, key.table) if key.kind == "domain constraint" else None


def _refused_in(
    trip: RoundTrip, failure: Failure, objects: Objects, domain: Key, rule: str | None
) -> Iterator[tuple[Older, tuple[str, str], str]]:
    """Each column of that domain, or of a domain over it: its table, its name and value, and the condition."""
    made = tables_made_by(trip)
    for key, definition in sorted(objects.items()):
        table = table_of(key)
        is_table = Key("table", key.schema, key.table) in objects and table not in made
        if key.kind != "column" or not is_table or domain not in _domains_of(objects, str(definition.get("type"))):
            continue
        older = Older(trip, table, failure.sql)
        value = older.value(key.name)
        if value is not None:
            yield older, (full_name(key), enclosed(value) if " " in value else value), _refuses(rule, value)


def _domains_of(objects: Objects, type_: str) -> list[Key]:
    """The domain of that name, and those below it."""
    found: list[Key] = []
    while (key := find_domain(objects, type_)) is not None and key not in found:
        found.append(key)
        type_ = str(objects[key].get("type"))
    return found


def find_domain(objects: Objects, type_: str) -> Key | None:
    schema, _, name = (f"public.{unquoted(type_)}" if "." not in unquoted(type_) else unquoted(type_)).partition(".")
    key = Key("domain", schema, name)
    return key if key in objects else None


def check_of(definition: Definition) -> str | None:
    text = str(definition.get("definition", ""))
    return in_parentheses(text, text.index("(")) if text.startswith("CHECK (") else None


def _refuses(rule: str | None, value: str) -> str:
    if rule is None:
        return f"{enclosed(value) if ' ' in value else value} IS NULL"
    return f"NOT {enclosed(replace_names(rule, {'value': value}))}"


def refused_by(objects: Objects, domain: Key, value: str) -> list[str]:
    """Conditions under which that domain, or one below it, refuses a value of its base type."""
    conditions = []
    for each in [domain, *_domains_of(objects, str(objects[domain].get("type")))]:
        if objects[each].get("nullable") is False:
            conditions.append(f"{value} IS NULL")
        for key, definition in sorted(objects.items()):
            is_rule = key.kind == "domain constraint" and (key.schema, key.table) == (each.schema, each.name)
            if is_rule and (rule := check_of(definition)) is not None:
                conditions.append(_refuses(rule, value))
    return conditions


def base_type(objects: Objects, domain: Key) -> str:
    below = _domains_of(objects, str(objects[domain].get("type")))
    return str(objects[below[-1] if below else domain].get("type"))
