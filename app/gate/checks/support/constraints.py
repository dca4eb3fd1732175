"""What a constraint refuses, judging by its definition."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from app.gate.checks.support.naming import columns_in
from app.gate.postgres.quoting import name_of, quote
from app.gate.recording.model import Change, Definition, Key, Recording, Step
from app.gate.recording.names import table_of


@dataclass(frozen=True)
class UniqueKey:
    """What ON CONFLICT can name: two are equal if the same text in it means either."""

    columns: frozenset[str]
    expressions: str = ""  # of the whole key, if it is not on columns alone
    where: str = ""  # which rows are in a partial index
    text: str = field(default="", compare=False)  # for a sentence

    def serves(self, other: UniqueKey) -> bool:
        """Whether an ON CONFLICT that names the other one finds this. One of all rows serves for some of them too."""
        is_alike = (self.columns, self.expressions) == (other.columns, other.expressions)
        return is_alike and self.where in ("", other.where)


def unique_key(key: Key, definition: Definition) -> UniqueKey | None:
    """The unique key that a constraint or an index keeps, if ON CONFLICT can name it: it is valid, and not
    deferrable."""
    text = str(definition.get("definition", ""))
    if definition.get("valid") is False or definition.get("index_valid") is False:
        return None
    if key.kind == "constraint":
        columns = list(definition.get("columns") or ())
        is_key = definition.get("type") in ("unique", "primary key") and not _DEFERRABLE.search(text)
        return UniqueKey(frozenset(columns), text=", ".join(columns)) if is_key and columns else None
    found = _UNIQUE_INDEX.fullmatch(text) if key.kind == "index" and definition.get("unique") else None
    if found is None:
        return None
    where = found["where"] or ""
    if "(" in found["columns"]:
        return UniqueKey(frozenset(), found["columns"], where, found["columns"] + where)
    columns = [name_of(name) for name in _FIRST_NAMES.findall(found["columns"])]
    return UniqueKey(frozenset(columns), "", where, ", ".join(columns) + where)


_DEFERRABLE = re.compile(r"(?<!NOT )DEFERRABLE")
_UNIQUE_INDEX = re.compile(
    r"USING \w+ \((?P<columns>.*?)\)(?: INCLUDE \([^()]*\))?(?: NULLS NOT DISTINCT)?(?: WITH \([^()]*\))?(?P<where> WHERE .*)?",
    re.DOTALL,
)
_FIRST_NAMES = re.compile(r'(?:^|, )("(?:[^"]|"")+"|\w+)')


def involves_columns(new: set[str], change: Change) -> bool:
    """Whether at least one of its columns is new: code that does not know the column cannot violate the constraint.

    A unique key or a foreign key with one NULL column, or with the same default in every row, does restrict older code,
    but that is reported for the new column.
    """
    return bool(new & columns_in(change.after or {}))


def replaces_another(step: Step, change: Change) -> bool:
    """Whether a constraint that was dropped allowed the same or less; or a unique index was, which this one may have
    taken over."""
    for each in step.changes:
        if each.after is not None or each.before is None or table_of(each.key) != table_of(change.key):
            continue
        new, old = change.after or {}, each.before
        if each.key.kind == change.key.kind and (_allows_all_of(new, old) or has_narrower_bounds(new, old) is False):
            return True
        if (unique := _unique_columns(each.key, old)) and unique == _unique_columns(change.key, new):
            return True
        if (unique_before := unique_key(each.key, old)) and unique_before == unique_key(change.key, new):
            return True
    return False


def follows_from_a_unique_key(recording: Recording, step: Step, change: Change) -> bool:
    """Whether its columns contain those of another unique key, which was there before this revision and still is at
    head."""
    columns = _plainly_unique(change.key, change.after or {})
    since = recording.trips[[each.revision for each in recording.trips].index(step.revision) :]
    if not columns or recording.head is None or any(each.up is None or each.up.failure for each in since):
        return False
    touched = {each.key for trip in since if trip.up is not None for each in trip.up.changes}
    return any(
        key not in touched and bool(unique := _plainly_unique(key, definition)) and unique <= columns
        for key, definition in recording.head.objects.items()
        if table_of(key) == table_of(change.key)
    )


def literals(definition: Definition) -> set[str]:
    """The texts in a CHECK such as `status IN ('new', 'paid')`."""
    return set(re.findall(r"'(?:[^']|'')*'", str(definition.get("definition", ""))))


_BOUND = re.compile(r"(<=|>=|<|>) '?\(?(-?\d+(?:\.\d+)?)\)?'?((?:::[a-z ]+)?)")


def has_narrower_bounds(new: Definition, old: Definition) -> bool | None:
    """Whether the new one of two CHECKs that differ only in numbers allows less. None if they differ otherwise."""
    one, other = (str(each.get("definition", "")).removesuffix(" NOT VALID") for each in (new, old))
    is_alike = _BOUND.sub(r"\1", one) == _BOUND.sub(r"\1", other) and _BOUND.search(one)
    if not is_alike or re.search(r"\b(OR|NOT|CASE|IS)\b", one):
        return None
    return any(
        (float(now) > float(then)) if operator.startswith(">") else (float(now) < float(then))
        for (operator, now, _), (_, then, _) in zip(_BOUND.findall(one), _BOUND.findall(other), strict=True)
    )


def _unique_columns(key: Key, definition: Definition) -> list[str]:
    """The columns of a unique key over whole rows, whether it is a constraint or an index."""
    text = str(definition.get("definition", ""))
    if key.kind == "index" and definition.get("unique"):
        found = re.fullmatch(r"USING btree \(([\w\", ]+)\)", text)
        return [each.strip('" ') for each in found[1].split(",")] if found else []
    return list(definition.get("columns") or ()) if definition.get("type") in ("unique", "primary key") else []


def _plainly_unique(key: Key, definition: Definition) -> set[str]:
    """The columns of a unique key that is valid, not deferrable, and treats NULLs as distinct."""
    columns = _unique_columns(key, definition)
    listed_columns = f"({', '.join(map(quote, columns))})"
    texts = (f"USING btree {listed_columns}", f"UNIQUE {listed_columns}", f"PRIMARY KEY {listed_columns}")
    is_plain = definition.get("definition") in texts and {"valid", "index_valid"}.isdisjoint(definition)
    return set(columns) if is_plain else set()


def _allows_all_of(new: Definition, old: Definition) -> bool:
    """Whether two CHECKs differ only in their texts, and the new one has all texts of the old one."""

    def without_literals(definition: Definition) -> str:
        return re.sub(
            r"'(?:[^']|'')*'(::[\w ]+(\(\d+\))?)?(, )?",
            "",
            str(definition.get("definition", "")).removesuffix(" NOT VALID"),
        )

    return without_literals(new) == without_literals(old) and literals(old) <= literals(new)
