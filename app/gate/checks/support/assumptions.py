"""What an upgrade assumes of the rows that are there, as SQL that gives those for which it does not hold.

The SQL is for the schema before the revision, so that it can be run on a live database where the revision is pending.
It only reads, and gives ten rows at most. Where the rule is about something that this schema does not have, such as a
column that the revision itself adds, there is none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.gate.checks.support.naming import tables_made_by
from app.gate.checks.support.row_advice import NO_LABEL, find_column_change
from app.gate.checks.support.row_place import Place, find_constraint
from app.gate.postgres import sqlstates
from app.gate.postgres.quoting import name_of, quote, quote_table, readable_literal
from app.gate.recording.model import Failure, Recording, RoundTrip
from app.gate.recording.names import full_name, table_of

_MOST = "LIMIT 10"


def find_assumption(recording: Recording, trip: RoundTrip, failure: Failure, place: Place) -> str | None:
    """A SELECT of the rows of the older schema over which the upgrade fails."""
    if place.table is None:
        return None
    older = _Older(trip, place.table)
    if older.table is None:
        return None
    state = failure.sqlstate or ""
    if state == sqlstates.NOT_NULL_VIOLATION:
        return _nulls(older, place)
    if state in (sqlstates.UNIQUE_VIOLATION, sqlstates.CHECK_VIOLATION, sqlstates.FOREIGN_KEY_VIOLATION):
        return _of_constraint(recording, trip, failure, older)
    if state.startswith("22"):
        return _of_type(recording, trip, failure, place, older)
    return None


class _Older:
    """A table and its columns by the names that they had before the revision."""

    def __init__(self, trip: RoundTrip, table: str) -> None:
        changes, renamed = (trip.up.changes, trip.up.renamed) if trip.up is not None else ((), ())
        former = {full_name(each.after): full_name(each.before) for each in renamed if each.after.kind == "table"}
        is_new = table in tables_made_by(trip)
        self.table = former.get(table) if is_new else table
        of_columns = [each for each in changes if each.key.kind == "column"]
        older = {each.key.name for each in of_columns if each.after is None and table_of(each.key) == self.table}
        new = (each.key.name for each in of_columns if each.before is None and table_of(each.key) == table)
        # All columns of a table that was renamed are new ones.
        self._columns = {name: name if name in older else None for name in new}
        for each in renamed:
            if each.after.kind == "column" and table_of(each.after) == table:
                self._columns[each.after.name] = each.before.name

    def column(self, name: str) -> str | None:
        """None if the revision adds it."""
        return self._columns.get(name, name)

    def has(self, names: Sequence[str]) -> bool:
        return all(self.column(name) is not None for name in names)

    def expression(self, text: str) -> str | None:
        """An expression with the older names. None if a column of it is new."""
        for name, former in self._columns.items():
            pattern = rf'(?<![\w"\'.]){re.escape(quote(name))}(?![\w"\'(])'
            if re.search(pattern, text):
                if former is None:
                    return None
                text = re.sub(pattern, lambda _, former=former: quote(former), text)  # type: ignore[misc]
        return text

    @property
    def sql(self) -> str:
        return quote_table(self.table or "")


def _nulls(older: _Older, place: Place) -> str | None:
    column = older.column(place.column) if place.column else None
    return f"SELECT * FROM {older.sql} WHERE {quote(column)} IS NULL {_MOST}" if column else None


def _of_constraint(recording: Recording, trip: RoundTrip, failure: Failure, older: _Older) -> str | None:
    found = find_constraint(trip, failure, recording.head)
    if found is None:
        return None
    _, definition = found
    text = str(definition.get("definition", ""))
    if failure.sqlstate == sqlstates.UNIQUE_VIOLATION:
        return _duplicates(failure, older, definition, text)
    if failure.sqlstate == sqlstates.CHECK_VIOLATION:
        condition = re.match(r"CHECK \((.*)\)(?: NO INHERIT| NOT VALID)*\Z", text, re.DOTALL)
        expression = older.expression(condition[1]) if condition else None
        return f"SELECT * FROM {older.sql} WHERE NOT {_in_parentheses(expression)} {_MOST}" if expression else None
    return _orphans(trip, older, text)


def _in_parentheses(expression: str) -> str:
    """The expression in parentheses, which it mostly has as PostgreSQL prints it."""
    depth, ends = 0, []
    for place, letter in enumerate(expression):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            ends.append(place)
    return expression if ends[:1] == [len(expression) - 1] else f"({expression})"


def _orphans(trip: RoundTrip, older: _Older, text: str) -> str | None:
    found = re.match(r"FOREIGN KEY \(([^()]*)\) REFERENCES (.+?)\s*\(([^()]*)\)", text)
    if found is None:
        return None
    schema_and_name = [name_of(part) for part in re.findall(r'"(?:[^"]|"")+"|\w+', found[2])]
    parent = _Older(trip, ".".join(schema_and_name if len(schema_and_name) == 2 else ["public", *schema_and_name]))
    ours = [older.column(name_of(name.strip())) for name in found[1].split(",")]
    theirs = [parent.column(name_of(name.strip())) for name in found[3].split(",")]
    if parent.table is None or None in ours or None in theirs:
        return None
    filled = " AND ".join(f"r.{quote(name)} IS NOT NULL" for name in ours if name)
    equal = " AND ".join(
        f"p.{quote(one)} = r.{quote(other)}" for one, other in zip(theirs, ours, strict=True) if one and other
    )
    return f"SELECT r.* FROM {older.sql} AS r WHERE {filled} AND NOT EXISTS (SELECT FROM {parent.sql} AS p WHERE {equal}) {_MOST}"


def _duplicates(failure: Failure, older: _Older, definition: dict[str, object], text: str) -> str | None:
    listed, predicate = _index_parts(text)
    columns = definition.get("columns")
    parts = list(map(quote, columns)) if isinstance(columns, (list, tuple)) and columns else _parts(listed)
    keys = [_assigned(failure, former) if (former := older.expression(part)) else None for part in parts]
    if not parts or None in keys:
        return None
    conditions = [] if "NULLS NOT DISTINCT" in text else [f"{key} IS NOT NULL" for key in keys]
    if predicate is not None:
        former = older.expression(predicate)
        if former is None:
            return None
        conditions.insert(0, former)
    numbers = ", ".join(str(number) for number in range(1, len(keys) + 1))
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    chosen = ", ".join(key for key in keys if key)
    return f"SELECT {chosen}, count(*) FROM {older.sql}{where} GROUP BY {numbers} HAVING count(*) > 1 {_MOST}"


def _index_parts(definition: str) -> tuple[str, str | None]:
    """What an index is on, `note, lower(email)`, and its predicate: `(status = 'active'::text)`."""
    found = re.search(r"USING \w+ \(", definition)
    depth = 1
    for place in range(found.end() if found else len(definition), len(definition)):
        depth += (definition[place] == "(") - (definition[place] == ")")
        if depth == 0 and found is not None:
            _, _, predicate = definition[place + 1 :].partition(" WHERE ")
            return definition[found.end() : place], predicate or None
    return "", None


def _assigned(failure: Failure, part: str) -> str | None:
    """What a column of the key becomes, where the statement that failed is an UPDATE of it. None if that is not a value
    of the row alone."""
    sql = failure.sql or ""
    update = re.match(
        r'\s*UPDATE\s+(?:ONLY\s+)?(?:[\w"]+\.)?[\w"]+\s+SET\s+([\w"]+)\s*=\s*(.+?)(?:\s+WHERE\s+(.+?))?\s*;?\s*\Z',
        sql.replace("%%", "%"),
        re.IGNORECASE | re.DOTALL,
    )
    if update is None:
        return part if not re.match(r"\s*(?:UPDATE|INSERT|MERGE|WITH|DO)\b", sql, re.IGNORECASE) else None
    if quote(name_of(update[1])) != part:
        return part
    if _depth_has_comma(update[2]) or re.search(r"\b(?:SELECT|FROM)\b|%\(|\$\d", sql, re.IGNORECASE):
        return None
    value, condition = update[2].strip(), update[3]
    changes = rf"{re.escape(update[1])}\s*(?:<>|!=|\bIS\s+DISTINCT\s+FROM\b)\s*{re.escape(value)}\Z"
    if condition is None or re.match(changes, condition, re.IGNORECASE):
        return value
    return f"CASE WHEN {condition} THEN {value} ELSE {part} END"


def _depth_has_comma(text: str) -> bool:
    return len(_parts(text)) > 1


def _parts(text: str) -> list[str]:
    """The members of a list that is separated by commas, without the order and the operator class of an index."""
    parts, depth, start = [], 0, 0
    for place, letter in enumerate(f"{text},"):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    plain = (re.sub(r"(?:\s+(?:ASC|DESC|NULLS (?:FIRST|LAST)))+\Z", "", part) for part in parts)
    return [re.sub(r"\s+\w+_ops\Z", "", part) for part in plain if part]


# Types.

_RANGES = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}


def _of_type(recording: Recording, trip: RoundTrip, failure: Failure, place: Place, older: _Older) -> str | None:
    """The values that the new type of a column does not hold."""
    change = find_column_change(trip, place.table or "", place.column)
    column = older.column(place.column) if place.column else None
    if change is None or change.before is None or column is None or not _is_plain(failure, column):
        return None
    type_, name = str((change.after or {}).get("type")), quote(column)
    condition = None
    if failure.sqlstate == sqlstates.STRING_DATA_RIGHT_TRUNCATION and (limit := re.search(r"\((\d+)\)\Z", type_)):
        condition = f"length({name}::text) > {limit[1]}"
    elif failure.sqlstate == sqlstates.NUMERIC_VALUE_OUT_OF_RANGE:
        condition = _out_of_range(name, type_)
    elif NO_LABEL.search(failure.message):
        labels = _labels(recording, trip, type_)
        condition = f"{name}::text NOT IN ({', '.join(map(readable_literal, labels))})" if labels else None
    else:
        condition = _not_valid(name, type_, recording.postgres)
    return f"SELECT * FROM {older.sql} WHERE {condition} {_MOST}" if condition else None


def _is_plain(failure: Failure, column: str) -> bool:
    """Whether the value is only cast: `USING note::integer`, or no USING at all."""
    found = re.search(r"\bUSING\b(.*)\Z", failure.sql or "", re.IGNORECASE | re.DOTALL)
    casts = rf'\A[\s(]*(?:CAST\s*\(\s*)?"?{re.escape(column)}"?\s*\)*\s*(?:(?:::|\bAS\b)\s*[\w" .()\[\],]+)*[\s);]*\Z'
    return found is None or re.match(casts, found[1], re.IGNORECASE) is not None


def _out_of_range(name: str, type_: str) -> str | None:
    if type_ in _RANGES:
        return f"{name} NOT BETWEEN {-_RANGES[type_]} AND {_RANGES[type_] - 1}"
    found = re.match(r"numeric\((\d+),(\d+)\)\Z", type_)
    return f"abs({name}) >= {10 ** max(0, int(found[1]) - int(found[2]))}" if found else None


def _not_valid(name: str, type_: str, postgres: str) -> str | None:
    major = int(re.match(r"\d*", postgres)[0] or 0)  # type: ignore[index]
    if major >= 16 and re.match(r"[a-z ]+(\(\d+(,\d+)?\))?(\[\])?\Z", type_):
        return f"NOT pg_input_is_valid({name}::text, {readable_literal(type_)})"
    if type_ in _RANGES:
        return f"{name}::text !~ '^\\s*[-+]?[0-9]+\\s*$'"
    return None


def _labels(recording: Recording, trip: RoundTrip, type_: str) -> list[str]:
    """The labels of that enum after the revision."""
    name = type_.replace('"', "").removeprefix("public.").rpartition(".")[2]
    changed = [(each.key, each.after) for each in (trip.up.changes if trip.up is not None else ())]
    known = recording.head.objects.items() if recording.head is not None else ()
    for key, definition in [*changed, *known]:
        if key.kind == "enum" and key.name == name and definition is not None:
            return list(definition.get("labels") or ())
    return []
