"""What an upgrade assumes of the rows that are there, as SQL that gives those for which it does not hold.

The SQL is for the schema before the revision, so that it can be run on a live database where the revision is pending.
It only reads, and gives ten rows at most: those, and no others, over which the statement fails. What the revision's own
statements do to the rows before is part of it. Where no expression says what a rule is about, there is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from app.gate.checks.support import assumed_bounds, assumed_domains, assumed_types
from app.gate.checks.support.older import LIMIT, Older, UnknownRows
from app.gate.checks.support.row_place import Place, find_constraint
from app.gate.checks.support.schema import SchemaHistory, parent_of, unquoted
from app.gate.checks.support.sql_text import clauses, enclosed, in_parentheses, pieces, split_list
from app.gate.postgres import sqlstates
from app.gate.postgres.quoting import name_of, quote
from app.gate.recording.model import Definition, Failure, Key, Recording, RoundTrip
from app.gate.recording.names import table_of

_OF_CONSTRAINTS = (
    sqlstates.UNIQUE_VIOLATION,
    sqlstates.CHECK_VIOLATION,
    sqlstates.FOREIGN_KEY_VIOLATION,
    sqlstates.EXCLUSION_VIOLATION,
)


def find_assumption(recording: Recording, trip: RoundTrip, failure: Failure, place: Place) -> str | None:
    """A SELECT of the rows of the older schema over which the upgrade fails."""
    try:
        if (of_domain := assumed_domains.find_values(recording, trip, failure)) is not None:
            return of_domain
        if place.table is None:
            return None
        place, failure = _where_it_was_asked(recording, trip, failure, place)
        older = Older(trip, place.table or "", failure.sql, _counter(recording, trip))
        if older.table is None:
            return None
        return _find_rows(recording, trip, failure, place, older)
    except UnknownRows:
        return None


def _counter(recording: Recording, trip: RoundTrip) -> Callable[[str], int | None]:
    """How many columns a table had before the revision."""

    def count(table: str) -> int | None:
        schema = SchemaHistory.of(recording).before(trip.revision)
        return sum(key.kind == "column" and table_of(key) == table for key in schema.objects) or None

    return count


def _where_it_was_asked(recording: Recording, trip: RoundTrip, failure: Failure, place: Place) -> tuple[Place, Failure]:
    """The table that the statement changes, where PostgreSQL names one of its partitions or children."""
    objects = SchemaHistory.of(recording).after(trip.revision).objects
    changes = trip.up.changes if trip.up is not None else ()
    for parent in _ancestors(objects, place.table or ""):
        rules = [each for each in changes if table_of(each.key) == parent and each.after is not None]
        if not rules or not re.search(rf"(?<![\w$]){re.escape(parent.rpartition('.')[2])}(?![\w$])", failure.sql or ""):
            continue
        named = [each.key.name for each in rules if each.key.kind in ("constraint", "index") and each.before is None]
        constraint = failure.constraint
        if constraint is not None and constraint not in named:  # a partition's index has a name of its own
            constraint = named[0] if len(named) == 1 else None
        place = Place(parent, place.column)
        failure = replace(failure, table=parent, constraint=constraint)
    return place, failure


def _ancestors(objects: Mapping[Key, Definition], table: str) -> Iterator[str]:
    """Of a partition or a child, the nearest first."""
    schema, _, name = table.partition(".")
    definition = objects.get(Key("table", schema, name), {})
    above = [parent_of(definition), *map(unquoted, definition.get("inherits") or ())]
    for parent in filter(None, above):
        full = parent if "." in parent else f"public.{parent}"
        yield full
        yield from _ancestors(objects, full)


def _find_rows(recording: Recording, trip: RoundTrip, failure: Failure, place: Place, older: Older) -> str | None:
    state = failure.sqlstate or ""
    if state == sqlstates.NOT_NULL_VIOLATION:
        if (key := _new_primary_key(trip, failure, place)) is not None:
            return _duplicates(older, key, str(key.get("definition", "")))
        return assumed_types.find_refused(recording, trip, failure, place, older) or _nulls(older, place)
    if state == sqlstates.CHECK_VIOLATION and failure.constraint is None:
        return assumed_bounds.find_rows(SchemaHistory.of(recording).after(trip.revision), trip, failure, older)
    if state in _OF_CONSTRAINTS:
        refused = assumed_types.find_refused(recording, trip, failure, place, older)
        return refused or _of_constraint(recording, trip, failure, older)
    if state.startswith("22"):
        return assumed_types.find_refused(recording, trip, failure, place, older)
    return None


def _nulls(older: Older, place: Place) -> str | None:
    if place.column is None:
        return None
    if older.is_left_empty(place.column):
        return " ".join(f"SELECT * FROM {older.sql} {older.where([])} {LIMIT}".split())  # it is NULL in all of them
    value = older.value(place.column)
    return older.query(f"{_operand(value)} IS NULL") if value is not None else None


def _new_primary_key(trip: RoundTrip, failure: Failure, place: Place) -> Definition | None:
    """The primary key that the statement adds, if the column is of it: a NULL breaks it as duplicates do."""
    if not re.search(r"\bPRIMARY\s+KEY\b", failure.sql or "", re.IGNORECASE):
        return None
    for change in trip.up.changes if trip.up is not None else ():
        definition = change.after or {}
        is_new = change.before is None and definition.get("type") == "primary key"
        if is_new and table_of(change.key) == place.table and place.column in (definition.get("columns") or ()):
            return definition
    return None


def _operand(value: str) -> str:
    """What may stand before an operator: a name or a call as it is, another expression in parentheses."""
    call = re.match(r"[\w.]+(?=\()", value)
    arguments = in_parentheses(value, call.end()) if call else None
    is_call = call is not None and arguments is not None and call.end() + len(arguments) + 2 == len(value)
    return value if is_call or sum(1 for _ in pieces(value)) == 1 else enclosed(value)


def _of_constraint(recording: Recording, trip: RoundTrip, failure: Failure, older: Older) -> str | None:
    found = find_constraint(trip, failure, recording.head)
    if found is None:
        return None
    _, definition = found
    text = str(definition.get("definition", ""))
    if failure.sqlstate == sqlstates.UNIQUE_VIOLATION:
        return _duplicates(older, definition, text)
    if failure.sqlstate == sqlstates.CHECK_VIOLATION:
        condition = in_parentheses(text, text.index("(")) if text.startswith("CHECK (") else None
        expression = older.expression(condition) if condition else None
        return older.query(f"NOT {enclosed(expression)}") if expression else None
    if failure.sqlstate == sqlstates.EXCLUSION_VIOLATION:
        return _overlapping(older, text)
    return _orphans(trip, failure, older, text)


# Foreign keys.

_REFERENCES = re.compile(r"\s*REFERENCES (?P<parent>(?:\"(?:[^\"]|\"\")+\"|[^\s(\"])+)\s*(?=\()")


def _orphans(trip: RoundTrip, failure: Failure, older: Older, text: str) -> str | None:
    listed = in_parentheses(text, text.index("(")) if text.startswith("FOREIGN KEY (") else None
    found = _REFERENCES.match(text, len("FOREIGN KEY (") + len(listed) + 1) if listed is not None else None
    referred = in_parentheses(text, found.end()) if found is not None else None
    if listed is None or found is None or referred is None or re.search(r"\bPERIOD\b", listed):
        return None
    schema_and_name = [name_of(piece[0]) for piece in pieces(found["parent"]) if piece["name"]]
    parent = Older(
        trip, ".".join(schema_and_name[-2:] if len(schema_and_name) > 1 else ["public", *schema_and_name]), failure.sql
    )
    ours, rows = _key_values(older, [name_of(name) for name in split_list(listed)])
    keys = [name_of(name) for name in split_list(referred)]
    if parent.changes(keys) or parent.is_extended or not parent.has_places:
        raise UnknownRows(text)
    theirs = [parent.value(name, "p") for name in keys]
    if parent.table is None or None in ours or None in theirs:
        return None
    equal = " AND ".join(f"{one} = {other}" for one, other in zip(theirs, ours, strict=True))
    missing = f"NOT EXISTS (SELECT FROM {parent.called('p')} WHERE {equal})"
    filled = " AND ".join(f"{each} IS NOT NULL" for each in ours)
    condition = f"{filled} AND {missing}"
    if len(ours) > 1 and re.match(r"\s*MATCH FULL\b", text[found.end() + len(referred) + 2 :]):
        # Of a key that is NULL in part, no row is referred to: https://www.postgresql.org/docs/current/sql-createtable.html
        empty = " AND ".join(f"{each} IS NULL" for each in ours)
        condition = f"NOT ({empty}) AND {missing}"
    return f"SELECT r.* FROM {rows} WHERE {condition} {LIMIT}"


def _key_values(older: Older, names: Sequence[str]) -> tuple[list[str | None], str]:
    """The values of those columns, and the rows of `r` in which they are."""
    if not older.changes(names):
        return [older.value(name, "r") for name in names], older.called("r")
    values = [older.value(name) for name in names]
    chosen = ", ".join(f"{value} AS assumed_{number}" for number, value in enumerate(values, 1))
    rows = f"(SELECT *, {chosen} FROM {older.sql} {older.where([])})".replace(" )", ")")
    return [value and f"r.assumed_{number}" for number, value in enumerate(values, 1)], f"{rows} AS r"


# Keys.


def _duplicates(older: Older, definition: Definition, text: str) -> str | None:
    listed, after = _index_parts(text)
    columns = definition.get("columns")
    if re.search(r"\bWITHOUT OVERLAPS\b", text):
        return _overlapping(older, text)
    own = list(map(quote, columns)) if isinstance(columns, (list, tuple)) and columns else _keys(listed)
    keys = [_bare(former) if (former := older.expression(part)) else None for part in own]
    if not own or None in keys or older.is_extended:
        return None
    is_primary = definition.get("type") == "primary key"
    nulls_are_equal = is_primary or "NULLS NOT DISTINCT" in f"{text.partition('(')[0]} {after.partition(' WHERE ')[0]}"
    conditions = [] if nulls_are_equal else [f"{_operand(key)} IS NOT NULL" for key in keys if key]
    if (predicate := clauses(after, "WHERE").get("WHERE")) is not None:
        former = older.expression(predicate)
        if former is None:
            return None
        conditions.insert(0, former)
    where = older.where(conditions)
    or_null = "".join(f" OR {_operand(key)} IS NULL" for key in keys if key) if is_primary else ""
    chosen, numbers = ", ".join(key for key in keys if key), ", ".join(str(at) for at in range(1, len(keys) + 1))
    return (
        f"SELECT {chosen}, count(*) FROM {older.sql}{f' {where}' if where else ''} GROUP BY {numbers} HAVING count(*) > 1"
        f"{or_null} {LIMIT}"
    )


def _bare(expression: str) -> str:
    """Without the parentheses around the whole."""
    inner = in_parentheses(expression, 0) if expression.startswith("(") else None
    return inner if inner is not None and len(inner) + 2 == len(expression) else expression


def _index_parts(definition: str) -> tuple[str, str]:
    """What an index is on, `note, lower(email)`, and what follows: ` INCLUDE (total) WHERE (status = 'new'::text)`."""
    found = re.search(r"USING \w+ (?=\()", definition)
    start = found.end() if found else definition.find("(")
    listed = in_parentheses(definition, start) if start >= 0 else None
    return (listed, definition[start + len(listed) + 2 :]) if listed is not None else ("", "")


def _keys(listed: str) -> list[str]:
    """The columns and expressions of an index, without their order and operator class."""
    plain = (re.sub(r"(?:\s+(?:ASC|DESC|NULLS (?:FIRST|LAST)))+\Z", "", part) for part in split_list(listed))
    return [re.sub(r"(?<=\S)\s+(?:[\w\"]+\.)?\w+_ops(?:\s*\([^()]*\))?\Z", "", part) for part in plain if part]


_ELEMENT = re.compile(r"(?P<key>.+?)\s+WITH\s+(?P<operator>OPERATOR\(.+\)|[^\s\w\"]+)\Z", re.DOTALL)


def _overlapping(older: Older, text: str) -> str | None:
    """The rows that an EXCLUDE constraint, or a key WITHOUT OVERLAPS, refuses next to another one. In the columns of a
    query there can be no others that are called tableoid and ctid."""
    listed, after = _index_parts(text)
    chosen, pairs = [], []
    for number, (key, operator) in enumerate(_elements(listed), 1):
        former = older.expression(key)
        if former is None:
            return None
        chosen.append(f"{former} AS k{number}")
        pairs.append(f"one.k{number} {operator} other.k{number}")
    if not chosen or len(chosen) != len(split_list(listed)) or older.is_extended or not older.has_places:
        return None
    predicate = in_parentheses(after, found.end()) if (found := re.search(r"\bWHERE (?=\()", after)) else None
    former = older.expression(predicate) if predicate is not None else None
    if predicate is not None and former is None:
        return None
    where = older.where([enclosed(former)] if former else [])
    rows = f"(SELECT tableoid, ctid, {', '.join(chosen)} FROM {older.sql}{f' {where}' if where else ''})"
    return (
        f"SELECT one.* FROM {rows} AS one WHERE EXISTS (SELECT FROM {rows} AS other"
        f" WHERE (one.tableoid, one.ctid) <> (other.tableoid, other.ctid) AND {' AND '.join(pairs)}) {LIMIT}"
    )


def _elements(listed: str) -> list[tuple[str, str]]:
    """[("room", "="), ("during", "&&")] of `room WITH =, during WITH &&`, or of `room, during WITHOUT OVERLAPS`."""
    if re.search(r"\bWITHOUT OVERLAPS\Z", listed):
        *plain, last = split_list(listed)
        return [*((name, "=") for name in plain), (last.removesuffix("WITHOUT OVERLAPS").strip(), "&&")]
    found = [_ELEMENT.match(part) for part in split_list(listed)]
    return [(_keys(each["key"])[0], each["operator"]) for each in found if each is not None]
