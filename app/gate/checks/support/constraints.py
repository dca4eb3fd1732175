"""What a constraint refuses, judging by its definition."""

from __future__ import annotations

import re

from app.gate.checks.support.fix_code import quote
from app.gate.recording.model import Change, Definition, Key


def _is_column_of(change: Change, table: Key) -> bool:
    return change.key.kind == "column" and (change.key.schema, change.key.table) == (table.schema, table.name)


def _unique_columns(key: Key, definition: Definition) -> list[str]:
    """The columns of a unique key over whole rows, whether it is a constraint or an index."""
    text = str(definition.get("definition", ""))
    if key.kind == "index" and definition.get("unique"):
        found = re.fullmatch(r"USING btree \(([\w\", ]+)\)", text)
        return [each.strip('" ') for each in found[1].split(",")] if found else []
    return list(definition.get("columns") or ()) if definition.get("type") in ("unique", "primary key") else []


def _plainly_unique(key: Key, definition: Definition) -> set[str]:
    """The columns of a unique key that is valid, not deferrable, and lets as many NULLs be as there are."""
    columns = _unique_columns(key, definition)
    listed_columns = f"({', '.join(map(quote, columns))})"
    texts = (f"USING btree {listed_columns}", f"UNIQUE {listed_columns}", f"PRIMARY KEY {listed_columns}")
    is_plain = definition.get("definition") in texts and {"valid", "index_valid"}.isdisjoint(definition)
    return set(columns) if is_plain else set()


def _literals(definition: Definition) -> set[str]:
    """What a CHECK such as `status IN ('new', 'paid')` names."""
    return set(re.findall(r"'(?:[^']|'')*'", str(definition.get("definition", ""))))


def _says_no_more(new: Definition, old: Definition) -> bool:
    def without_literals(definition: Definition) -> str:
        return re.sub(
            r"'(?:[^']|'')*'(::[\w ]+(\(\d+\))?)?(, )?",
            "",
            str(definition.get("definition", "")).removesuffix(" NOT VALID"),
        )

    return without_literals(new) == without_literals(old) and _literals(old) <= _literals(new)


_BOUND = re.compile(r"(<=|>=|<|>) '?\(?(-?\d+(?:\.\d+)?)\)?'?((?:::[a-z ]+)?)")


def _has_closer_bounds(new: Definition, old: Definition) -> bool | None:
    """Whether of two CHECKs that differ in nothing but numbers the one allows less. None if they differ otherwise."""
    one, other = (str(each.get("definition", "")).removesuffix(" NOT VALID") for each in (new, old))
    is_alike = _BOUND.sub(r"\1", one) == _BOUND.sub(r"\1", other) and _BOUND.search(one)
    if not is_alike or re.search(r"\b(OR|NOT|CASE|IS)\b", one):
        return None
    return any(
        (float(now) > float(then)) if operator.startswith(">") else (float(now) < float(then))
        for (operator, now, _), (_, then, _) in zip(_BOUND.findall(one), _BOUND.findall(other), strict=True)
    )
