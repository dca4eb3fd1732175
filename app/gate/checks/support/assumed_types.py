"""Which values the new type of a column refuses, as a query."""

from __future__ import annotations

import re

from app.gate.checks.support import assumed_domains
from app.gate.checks.support.older import Older
from app.gate.checks.support.row_advice import find_column_change
from app.gate.checks.support.row_place import Place
from app.gate.checks.support.schema import SchemaHistory, unquoted
from app.gate.checks.support.sql_text import enclosed
from app.gate.postgres.quoting import name_of, readable_literal
from app.gate.recording.model import Definition, Failure, Key, Recording, RoundTrip
from app.gate.recording.names import table_of

_RANGES = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}
_FIRST_THAT_ASKS = 16  # with pg_input_is_valid: https://www.postgresql.org/docs/current/functions-info.html
_TEXTS = re.compile(r"(?:text|character varying|character|citext|name|\"char\")\b", re.IGNORECASE)
_NUMBERS = re.compile(r"(?:smallint|integer|bigint|numeric|real|double precision)\b")


def find_refused(recording: Recording, trip: RoundTrip, failure: Failure, place: Place, older: Older) -> str | None:
    """The rows with such values. None if the column has no new type, or more than a cast makes the new values."""
    change = find_column_change(trip, place.table or "", place.column)
    former = older.column(place.column) if place.column else None
    if change is None or change.after is None or place.column is None or former is None:
        return None
    before = change.before or _gone(trip, older, former)
    if before is None:
        return None
    old, new = str(before.get("type")), str(change.after.get("type"))
    is_alter = re.match(r"\s*ALTER\s+TABLE\b.*\bTYPE\b", failure.sql or "", re.IGNORECASE | re.DOTALL) is not None
    if old == new or not is_alter or not _is_plain(failure, former):
        return None
    value = older.value(place.column) or ""
    value = value if re.fullmatch(r'\w+|"(?:[^"]|"")+"', value) else enclosed(value)
    major = int(found[0]) if (found := re.match(r"\d+", recording.postgres)) else 0
    types = _Types(recording, trip, major)
    if (failure.sqlstate or "").startswith("23") and not types.is_domain(new):
        return None  # a rule of the table's
    condition = types.refuses(value, old, new)
    return older.query(condition) if condition else None


def _gone(trip: RoundTrip, older: Older, former: str) -> Definition | None:
    """The definition of a column that was renamed, by its older name."""
    for change in trip.up.changes if trip.up is not None else ():
        is_it = change.key.kind == "column" and change.key.name == former and table_of(change.key) == older.table
        if is_it and change.after is None:
            return change.before
    return None


_CAST = re.compile(
    r"::\s*((?:[\w.]+|\"(?:[^\"]|\"\")+\")(?:\s+(?:varying|precision|with(?:out)?|time|zone))*(?:\s*\([\d\s,]*\))?(?:\s*\[\s*\])*)",
    re.IGNORECASE,
)


def _is_plain(failure: Failure, column: str) -> bool:
    """Whether the value is only cast: `USING note::integer`, `USING note::text::mood`, or no USING at all."""
    found = re.search(r"\bUSING\b(.*)\Z", failure.sql or "", re.IGNORECASE | re.DOTALL)
    if found is None:
        return True
    text = re.sub(
        r"\bCAST\s*\(\s*(.+?)\s+AS\s+([^()]+(?:\([\d\s,]*\))?)\s*\)",
        r"\1::\2",
        found[1].strip(" ;\n"),
        flags=re.IGNORECASE | re.DOTALL,
    )
    while re.fullmatch(r"\(.*\)", text, re.DOTALL) and enclosed(text) == text:
        text = text[1:-1].strip()
    casts = [each.strip().lower() for each in _CAST.findall(text)]
    rest = _CAST.sub("", text).strip("() \n")
    is_column = re.fullmatch(r'\w+|"(?:[^"]|"")+"', rest) is not None and name_of(rest) == column
    return is_column and all(each in ("text", "varchar", "character varying") for each in casts[:-1])


class _Types:
    """The types after a revision."""

    def __init__(self, recording: Recording, trip: RoundTrip, major: int) -> None:
        self._history = SchemaHistory.of(recording)
        self._objects = self._history.after(trip.revision).objects
        self._made = {each.key for each in (trip.up.changes if trip.up is not None else ()) if each.before is None}
        self._major = major

    def is_domain(self, type_: str) -> bool:
        return assumed_domains.find_domain(self._objects, type_) is not None

    def refuses(self, value: str, old: str, new: str) -> str | None:
        """The condition under which a value of the older type is none of the new one."""
        domain = assumed_domains.find_domain(self._objects, new)
        if domain is not None:
            return self._domain_refuses(value, old, domain)
        if limit := re.fullmatch(r"character(?: varying)?\((\d+)\)", new):
            # Blanks beyond the limit are cut off, as the standard wants: https://www.postgresql.org/docs/current/datatype-character.html
            return f"length(rtrim({value}::text, ' ')) > {limit[1]}"
        if (labels := self._labels(new)) is not None:
            return f"{value}::text NOT IN ({', '.join(map(readable_literal, labels))})" if labels else None
        if _NUMBERS.match(old):
            return _number_refuses(value, old, new)
        if _TEXTS.match(old):
            return self._text_refuses(value, new)
        return None

    def _domain_refuses(self, value: str, old: str, domain: Key) -> str | None:
        base = assumed_domains.base_type(self._objects, domain)
        as_base = value if old == base else f"{value}::{base}"
        own = " OR ".join(assumed_domains.refused_by(self._objects, domain, as_base))
        none_of_base = None if old == base else self.refuses(value, old, base)
        if none_of_base is None:
            return own or None
        return f"CASE WHEN {none_of_base} THEN true ELSE {own} END" if own else none_of_base

    def _labels(self, type_: str) -> list[str] | None:
        """Of that enum; None if it is none."""
        name = unquoted(type_)
        schema, _, own = name.rpartition(".")
        found = self._objects.get(Key("enum", schema or "public", own))
        return None if found is None else list(found.get("labels") or ())

    def _text_refuses(self, value: str, new: str) -> str | None:
        if not re.match(r"[a-z ]+(\(\d+(,-?\d+)?\))?( [a-z ]+)?(\[\])*\Z", new):
            return None  # a type of the project's, which may be as new
        if self._major >= _FIRST_THAT_ASKS:
            return f"NOT pg_input_is_valid({value}::text, {readable_literal(new)})"
        if new in _RANGES:
            return _case(
                rf"{value}::text !~ '^\s*[-+]?[0-9]+\s*$'", _number_refuses(f"{value}::text::numeric", "numeric", new)
            )
        if new == "numeric" or new.startswith("numeric("):
            return _case(f"{value}::text !~* '{_NUMERIC}'", _number_refuses(f"{value}::text::numeric", "numeric", new))
        return next((f"{value}::text {test}" for type_, test in _TESTS.items() if type_ == new), None)


_NUMERIC = r"^\s*([-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[-+]?[0-9]+)?|nan|[-+]?inf(inity)?)\s*$"
_TESTS = {
    "boolean": r"!~* '^\s*(t|tr|tru|true|f|fa|fal|fals|false|y|ye|yes|n|no|on|of|off|1|0)\s*$'",
    "uuid": r"!~* '^(([0-9a-f]{4}-?){7}[0-9a-f]{4}|\{([0-9a-f]{4}-?){7}[0-9a-f]{4}\})$'",
}


def _case(condition: str, otherwise: str | None) -> str:
    """The second is asked only where the first does not hold."""
    return f"CASE WHEN {condition} THEN true ELSE {otherwise} END" if otherwise else condition


def _number_refuses(value: str, old: str, new: str) -> str | None:
    if new in _RANGES:
        # A fraction is rounded first.
        rounded = (
            value if old in _RANGES else f"round({value}::double precision)" if old == "real" else f"round({value})"
        )
        return f"{rounded} NOT BETWEEN {-_RANGES[new]} AND {_RANGES[new] - 1}"
    found = re.fullmatch(r"numeric\((\d+),(-?\d+)\)", new)
    if found is None:
        return None
    rounded = f"round({value if old.startswith('numeric') else f'{value}::numeric'}, {found[2]})"
    limit = 10 ** max(0, int(found[1]) - int(found[2]))
    return f"{rounded} <> 'NaN' AND abs({rounded}) >= {limit}"
