"""A table as it was before a revision: names, and what the revision's own statements do to its rows first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from app.gate.checks.support.column_order import CountColumns, filled_columns
from app.gate.checks.support.joined_updates import columns_in, is_changed_by, joined_value, requalified
from app.gate.checks.support.naming import tables_made_by
from app.gate.checks.support.sql_text import clauses, enclosed, names_in, replace_names, split_list
from app.gate.checks.support.statements import without_comments
from app.gate.postgres.quoting import IDENTIFIER, name_of, quote, quote_table
from app.gate.recording.model import Definition, RoundTrip
from app.gate.recording.names import full_name, table_of

_PLACE = rf"(?:ONLY\s+)?(?:(?P<schema>{IDENTIFIER})\s*\.\s*)?(?P<table>{IDENTIFIER})"
_PLACE_OF_NEW = _PLACE.replace("<schema>", "<new_schema>").replace("<table>", "<new_table>")
_CHANGES_ROWS = re.compile(
    rf"\s*(?:UPDATE|INSERT\s+INTO|MERGE\s+INTO|DELETE\s+FROM|TRUNCATE(?:\s+TABLE)?)\s+{_PLACE}", re.IGNORECASE
)
_UPDATE = re.compile(rf"\s*UPDATE\s+{_PLACE}(?:\s+(?:AS\s+)?(?!SET\b)(?P<alias>{IDENTIFIER}))?\s+SET\b", re.IGNORECASE)
_DELETE = re.compile(rf"\s*DELETE\s+FROM\s+{_PLACE}\s*(?:WHERE\b|;|\Z)", re.IGNORECASE)
_SOURCE = re.compile(
    rf"(?P<start>\s*(?:INSERT\s+INTO\s+{_PLACE}\s*(?:\((?P<columns>[^()]*)\))?|CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_PLACE_OF_NEW}\s+AS)\s*)"
    r"(?=\(?\s*(?:SELECT|WITH)\b)",
    re.IGNORECASE,
)
_ASSIGNMENT = re.compile(rf"\s*(?P<column>{IDENTIFIER})\s*=\s*(?P<value>.+)\Z", re.DOTALL)
_NEW_TYPE = re.compile(
    rf"\bALTER\s+(?:COLUMN\s+)?(?!TABLE\b)(?P<column>{IDENTIFIER})\s+(?:SET\s+DATA\s+)?TYPE\b", re.IGNORECASE
)
_PARAMETER = re.compile(r"%\(|%s|\$\d|(?<!:):[a-zA-Z_]")


class UnknownRows(Exception):
    """What the rows hold when the rule is checked cannot be said of the rows from before the revision."""


class Older:
    """A table and its columns, as a query on the schema before the revision has to name them.

    Raises UnknownRows where the statements before `until` do to the rows what no expression says.
    """

    def __init__(
        self, trip: RoundTrip, table: str, until: str | None = None, count_columns: CountColumns = lambda table: None
    ) -> None:
        """`count_columns` says how many a table had before the revision."""
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
        self._values: dict[str, str] = {}  # of columns that an UPDATE has changed, by their older names
        self._new_values: dict[str, str] = {}  # of columns that the revision adds
        self._defaults = {each.key.name for each in of_columns if _has_default(each.after)}
        self._deleted: list[str] = []
        self._types = {
            each.key.name: str(each.after["type"])
            for each in of_columns
            if each.before and each.after and each.before.get("type") != each.after.get("type")
        }
        self._source: tuple[str, str] | None = None  # of a new table: the query that fills it, and its columns
        self.is_extended = False  # the revision inserts rows
        statements = [*_before(trip, until), *([without_comments(until)] if until else [])]
        if self.table is None:
            statements = self._take_source(table, statements, count_columns)
        self._earlier: list[str] = []
        for sql in statements:
            self._note(sql, {table, self.table or table}, is_last=sql is statements[-1] and until is not None)
            self._earlier.append(sql)

    def column(self, name: str) -> str | None:
        """None if the revision adds it."""
        return self._columns.get(name, name)

    def value(self, name: str, alias: str = "") -> str | None:
        """What the column holds, as an expression; None if the revision adds it."""
        former = self.column(name)
        if former is None:
            return self._new_values.get(name) if not alias else None
        if former in self._values:
            if alias:
                raise UnknownRows(name)
            return self._values[former]
        return f"{alias}.{quote(former)}" if alias else quote(former)

    def expression(self, text: str) -> str | None:
        """An expression in the older names. None if a column in it is new."""
        used = names_in(text)
        new = {name for name, former in self._columns.items() if former is None and name in used}
        if not new <= self._new_values.keys():
            return None
        replaced = {name: quote(former) for name, former in self._columns.items() if former is not None}
        replaced |= {name: enclosed(self._new_values[name]) for name in new}
        replaced |= {
            name: enclosed(self._values[former])
            for name in used
            if (former := self.column(name)) is not None and former in self._values
        }
        return replace_names(text, replaced) if replaced else text

    def query(self, condition: str, what: str = "*", *, rest: str = "") -> str:
        """The rows that meet the condition and are still there."""
        return f"SELECT {what} FROM {self.sql} {self.where([condition])}{rest} {LIMIT}"

    def where(self, conditions: Iterable[str]) -> str:
        kept = [each for each in (*conditions, *self._deleted) if each]
        return f"WHERE {' AND '.join(kept)}" if kept else ""

    def changes(self, names: Iterable[str]) -> bool:
        """Whether the revision deletes rows first, or changes what those columns hold."""
        changed = self._values.keys() | self._new_values.keys()
        return bool(self._deleted) or any({name, self.column(name)} & changed for name in names)

    def is_left_empty(self, name: str) -> bool:
        """Whether the revision adds that column, and puts nothing into it."""
        return self.column(name) is None and name not in self._new_values and name not in self._defaults

    @property
    def sql(self) -> str:
        return self.called("")

    def called(self, alias: str) -> str:
        """The table in FROM, by another name."""
        if self._source is None:
            return quote_table(self.table or "") + (f" AS {alias}" if alias else "")
        query, columns = self._source
        return f"{query} AS {alias or quote((self.table or '').partition('.')[2])}{columns}"

    @property
    def has_places(self) -> bool:
        """Whether its rows are those of a table, which have a ctid."""
        return self._source is None

    def _take_source(self, table: str, statements: list[str], count_columns: CountColumns) -> list[str]:
        """Where one query fills a new table, its rows are those of the query. Returns the other statements."""
        sources = [(sql, found) for sql in statements if (found := _SOURCE.match(sql)) and table in _tables_of(found)]
        if len(sources) != 1:
            return statements
        ((filling, found),) = sources
        query, listed = filling[found.end("start") :].rstrip("; \n").replace("%%", "%"), found["columns"]
        if _PARAMETER.search(query) or re.search(
            r"\bON\s+CONFLICT\b|\bRETURNING\b|\bWITH\s+(?:NO\s+)?DATA\b", query, re.IGNORECASE
        ):
            return statements
        if listed is None and not found["new_table"]:
            filled = filled_columns(table, query, statements[: statements.index(filling)], count_columns)
            if filled is None:
                return statements
            listed = ", ".join(map(quote, filled))
        self.table, self._source = table, (f"({query})", f" ({listed})" if listed else "")
        names = [name_of(each) for each in split_list(listed or "")]
        self._columns = {name: name if not names or name in names else None for name in self._columns}
        return [sql for sql in statements if sql is not filling]

    def _note(self, sql: str, tables: set[str], *, is_last: bool = False) -> None:
        """What a statement of the revision does to the rows: an earlier one, or the one that fails."""
        if is_last and not _CHANGES_ROWS.match(sql):
            return
        if re.match(r"\s*ALTER\s+TABLE\b", sql, re.IGNORECASE) and any(_is_named(sql, each) for each in tables):
            self._note_types(sql)
            return
        place = _CHANGES_ROWS.match(sql)
        if place is None:
            if re.match(r"\s*(?:DO|WITH|CALL|EXECUTE)\b", sql, re.IGNORECASE) and any(
                _is_named(sql, each) for each in tables
            ):
                raise UnknownRows(sql)
            return
        if not _tables_of(place) & tables:
            return
        if _PARAMETER.search(sql.replace("%%", "%")):
            raise UnknownRows(sql)
        sql = sql.replace("%%", "%").rstrip("; \n")
        if _DELETE.match(sql):
            self._note_deletion(clauses(sql, "WHERE", "RETURNING").get("WHERE"))
        elif (update := _UPDATE.match(sql)) is not None:
            names = {name_of(name) for name in (update["table"], update["alias"]) if name}
            self._note_update(clauses(sql, "SET", "FROM", "WHERE", "RETURNING"), names)
        elif is_last or not re.match(r"\s*INSERT\b", sql, re.IGNORECASE):
            raise UnknownRows(sql)
        else:
            self.is_extended = True

    def _note_types(self, sql: str) -> None:
        """The values of a column whose type has changed are those that its cast gives."""
        for found in _NEW_TYPE.finditer(sql):
            name = name_of(found["column"])
            column, type_ = self.column(name), self._types.get(name)
            if column is None or type_ is None or re.search(r"\bUSING\b", sql, re.IGNORECASE):
                raise UnknownRows(sql)
            self._values[column] = f"{_operand(self._values.get(column, quote(column)))}::{type_}"

    def _note_deletion(self, condition: str | None) -> None:
        if condition is None:
            raise UnknownRows("all rows")
        former = self.expression(condition)
        if former is None:
            raise UnknownRows(condition)
        self._deleted.append(f"{enclosed(former)} IS NOT TRUE")

    def _note_update(self, parts: dict[str, str], names: set[str]) -> None:
        """`names`: those of the table in the statement."""
        is_joined, condition = "FROM" in parts, parts.get("WHERE", "")
        if is_joined and (not condition or is_changed_by(self._earlier, parts["FROM"])):
            raise UnknownRows(str(parts))
        qualifier = quote((self.table or "").partition(".")[2]) if is_joined else ""
        former = self._in_update(condition, names, qualifier) if condition else None
        values, new_values = dict(self._values), dict(self._new_values)
        for assignment in split_list(parts.get("SET", "")):
            found = _ASSIGNMENT.match(assignment)
            if found is None:
                raise UnknownRows(assignment)
            name, value = name_of(found["column"]), self._in_update(found["value"], names, qualifier)
            column = self.column(name)
            if column is None and name in self._defaults:
                raise UnknownRows(assignment)
            if column is None:
                now = self._new_values.get(name, "NULL")
            else:
                now = self._values.get(column, quote(column))
            if is_joined:
                changed = joined_value(value, parts["FROM"], former or "", now)
            elif former is None or _makes_no_difference(former, now, value):
                changed = value
            else:
                changed = f"CASE WHEN {former} THEN {value} ELSE {now} END"
            (new_values if column is None else values)[name if column is None else column] = changed
        self._values, self._new_values = values, new_values

    def _in_update(self, text: str, names: set[str], qualifier: str) -> str:
        """An expression of an UPDATE in the older names. With a qualifier, columns of other tables may be in it."""
        text = requalified(text, names, qualifier)
        if not qualifier:
            former = self.expression(text)
        else:
            of_ours = columns_in(text, qualifier)
            is_as_before = all(self.column(name) == name and name not in self._values for name in of_ours)
            former = text if is_as_before else None
        if former is None:
            raise UnknownRows(text)
        return former


def _operand(value: str) -> str:
    return value if re.fullmatch(IDENTIFIER, value) else enclosed(value)


def _makes_no_difference(condition: str, now: str, value: str) -> bool:
    """Whether the value is what the column holds already, where the condition does not hold: `a <> lower(a)`."""
    found = re.match(
        rf"{re.escape(now)}\s*(?P<operator><>|!=|\bIS\s+DISTINCT\s+FROM\b)\s*(?P<value>.+)\Z",
        condition,
        re.IGNORECASE | re.DOTALL,
    )
    if found is None or found["value"].strip() != value.strip():
        return False
    # A NULL is not changed, and of the column alone such functions make NULL again.
    is_strict = (
        re.match(r"(?:lower|upper|initcap|b?trim|[lr]trim|abs|round|replace)\s*\(", value, re.IGNORECASE) is not None
    )
    return "DISTINCT" in found["operator"].upper() or (is_strict and names_in(value) == {name_of(now)})


def _has_default(definition: Definition | None) -> bool:
    return any((definition or {}).get(name) for name in ("default", "generated", "identity"))


def _before(trip: RoundTrip, until: str | None) -> Iterator[str]:
    """The statements of the revision before that one."""
    statements: Sequence[str] = [each.sql for each in (trip.up.statements if trip.up is not None else ())]
    if until is None or until not in statements:
        return
    for sql in statements[: statements.index(until)]:
        yield without_comments(sql)


def _tables_of(place: re.Match[str]) -> set[str]:
    parts = place.groupdict()
    schema, table = parts.get("schema") or parts.get("new_schema"), parts["table"] or parts.get("new_table") or ""
    return {f"{name_of(schema) if schema else 'public'}.{name_of(table)}"}


def _is_named(sql: str, table: str) -> bool:
    return re.search(rf"\b{re.escape(table.rpartition('.')[2])}\b", sql) is not None


LIMIT = "LIMIT 10"
