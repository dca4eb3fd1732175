"""What the models of the running code say of a break: whether they name what goes, and what PostgreSQL refuses them.

A break of something that models name (tables, columns, unique keys, enums) is one only where a statement of theirs is
refused, or where what they read or write changes without a refusal. A break of anything else stays what the catalog
shows, since raw SQL may name it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from app.gate.checks.breaks.foreign_keys import is_foreign_key
from app.gate.checks.breaks.upgrade import Break, Upgrade
from app.gate.checks.support.column_types import is_wider
from app.gate.checks.support.constraints import literals, unique_key
from app.gate.checks.support.naming import VIEW_KINDS, columns_in
from app.gate.postgres.quoting import unquoted
from app.gate.postgres.sqlstates import FEATURE_NOT_SUPPORTED, NOT_NULL_VIOLATION, RAISE_EXCEPTION
from app.gate.recording.model import TABLE_KINDS, Change, Key
from app.gate.recording.names import full_name, shorten, table_of
from app.gate.recording.running import ModelTable, RefusedStatement, RunningCode
from app.gate.report.verdict import Severity


def proved(upgrade: Upgrade, breaks: Iterable[Break]) -> Iterator[Break]:
    """The breaks that are left once the models were asked, and what else PostgreSQL refuses to these."""
    running = upgrade.recording.running
    if running is None:
        yield from breaks
        return
    judge = _Judge(upgrade, running)
    kept = [found for each in breaks if (found := judge.judge(each)) is not None]
    yield from kept
    yield from judge.unexplained(kept)


class _Judge:
    def __init__(self, upgrade: Upgrade, running: RunningCode) -> None:
        self._upgrade = upgrade
        self._tables = {each.name: each for each in running.tables}
        self._refused = [each for each in running.refused if each.revision == upgrade.step.revision]

    def judge(self, found: Break) -> Break | None:
        """The break with what proves it. None if the running code does not mind."""
        key, change = found.change.key, found.change
        if key.kind == "column":
            return self._column(found)
        if key.kind in TABLE_KINDS:
            return self._table(found)
        if key.kind in ("constraint", "index"):
            return self._constraint(found)
        if key.kind == "enum" and change.after is not None:
            return self._labels(found)
        if key.kind in ("enum", "domain", "composite type", "range type", "base type"):
            return self._with_refusal(found) or (None if self._has_columns_of(key) else found)
        if key.kind == "schema":
            return self._schema(found)
        return self._with_refusal(found) or found

    def unexplained(self, kept: Sequence[Break]) -> Iterator[Break]:
        """What PostgreSQL refuses for another reason than those, each table once."""
        seen: set[str] = set()
        for refused in self._refused:
            is_explained = any(_explains(each.change, refused) for each in kept)
            # Whether the code has an ON CONFLICT is not known: one counts where the revision drops the key.
            is_sent = refused.action != "ON CONFLICT" and not self._is_left_empty(refused)
            if is_sent and not is_explained and refused.table not in seen:
                seen.add(refused.table)
                schema, _, name = refused.table.partition(".")
                change = Change(Key("table", schema, name), {}, {})
                yield Break(change, _words(f"Table {shorten(refused.table)}", refused), refusal=refused)

    # By kind of object.

    def _column(self, found: Break) -> Break | None:
        change, table = found.change, self._table_of(found.change)
        if table is None:
            return found if self._is_view(table_of(change.key)) else None
        if change.before is not None and not change.before and not change.after:  # another one has its name
            return found if change.key.name in table.columns else None
        proof = self._refusal(change)
        if change.before is not None and change.key.name not in table.columns:
            if proof is not None and proof.failure.sqlstate == NOT_NULL_VIOLATION:
                return _with(found, proof)
            return None
        if proof is not None:
            return found if self._is_left_empty(proof) else _with(found, proof)
        return found if self._changes_silently(change, table) else None

    def _changes_silently(self, change: Change, table: ModelTable) -> bool:
        """Whether what the model reads or writes is changed, though PostgreSQL refuses nothing."""
        before, after = change.before, change.after
        if before is None or after is None:
            return False
        if before.get("type") != after.get("type"):
            own, new = _as_printed(table.columns[change.key.name].type), str(after.get("type"))
            return own != new and not _is_read_alike(own, new) and not self._is_enum(own, new)
        return bool(before.get("generated"))

    def _is_enum(self, own: str, new: str) -> bool:
        """Whether both are texts to the code: the labels of an enum, and what holds them."""
        enums = {
            name for key in self._upgrade.schema or {} if key.kind == "enum" for name in (key.name, full_name(key))
        }
        gone = {each.key.name for each in self._upgrade.step.changes if each.key.kind == "enum"}
        texts = _FAMILIES[0] | enums | gone
        return {re.sub(r"\(.*?\)", "", each) for each in (own, new)} <= texts

    def _table(self, found: Break) -> Break | None:
        change = found.change
        name = full_name(change.key)
        if name not in self._tables:
            return found if change.key.kind in VIEW_KINDS else None
        return found if change.after is not None else self._with_refusal(found)

    def _constraint(self, found: Break) -> Break | None:
        change, table = found.change, self._table_of(found.change)
        if is_foreign_key(change) and change.before is not None:
            return self._foreign_key(found)
        if table is None:
            return found if self._is_view(table_of(change.key)) else None
        if found.severity is not Severity.WARNING:
            return found
        if change.after is None or (change.before or {}).get("type") in ("unique", "primary key"):
            return self._with_refusal(found)
        return self._narrower(found, table)

    def _foreign_key(self, found: Break) -> Break | None:
        """One with other actions: the code that minds deletes rows of the table to which it refers."""
        definition = found.change.after or found.change.before or {}
        is_known = {table_of(found.change.key), unquoted(str(definition.get("references")))} & self._tables.keys()
        return (self._with_refusal(found) or found) if is_known else None

    def _narrower(self, found: Break, table: ModelTable) -> Break | None:
        """A CHECK that allows less: it depends on what the code writes, unless its model lists the values."""
        columns = columns_in(found.change.after or {}) & table.columns.keys()
        labels = [table.columns[name].labels for name in columns]
        lost = literals(found.change.before or {}) - literals(found.change.after or {})
        if labels and all(labels):
            is_written = any(repr(label) in lost or label in lost for each in labels for label in each)
            return found if is_written else None
        return replace(found, severity=Severity.NOTICE)

    def _labels(self, found: Break) -> Break | None:
        """An enum that loses labels."""
        change = found.change
        lost = set((change.before or {}).get("labels") or ()) - set((change.after or {}).get("labels") or ())
        columns = [table.columns[name] for table, name in self._columns_of(change.key)]
        return found if any(not each.labels or lost.intersection(each.labels) for each in columns) else None

    def _schema(self, found: Break) -> Break | None:
        name = found.change.key.name
        proof = next((each for each in self._refused if each.table.startswith(f"{name}.")), None)
        if proof is not None:
            return _with(found, proof)
        gone = [each.key for each in self._upgrade.step.changes if each.after is None and each.key.schema == name]
        models_name_all = all(each.table or each.kind in ("table", "sequence", "schema") for each in gone)
        return None if models_name_all else found

    # What is known of the models.

    def _table_of(self, change: Change) -> ModelTable | None:
        return self._tables.get(table_of(change.key))

    def _is_view(self, name: str) -> bool:
        schema = self._upgrade.schema_before or {}
        return any(full_name(key) == name for key in schema if key.kind in VIEW_KINDS)

    def _columns_of(self, type_: Key) -> Iterator[tuple[ModelTable, str]]:
        """The columns of a type that the models map."""
        names = (type_.name, f"{type_.schema}.{type_.name}")
        for key, definition in (self._upgrade.schema_before or {}).items():
            if key.kind == "column" and str(definition.get("type", "")).removesuffix("[]") in names:
                table = self._tables.get(table_of(key))
                if table is not None and key.name in table.columns:
                    yield table, key.name

    def _has_columns_of(self, type_: Key) -> bool:
        return any(True for _ in self._columns_of(type_))

    def _is_left_empty(self, refused: RefusedStatement) -> bool:
        """Whether it is refused for a column that the code may give a value, and need not."""
        table, failure = self._tables.get(refused.table), refused.failure
        column = table.columns.get(failure.column or "") if table is not None else None
        return failure.sqlstate == NOT_NULL_VIOLATION and column is not None and column.is_optional

    def _with_refusal(self, found: Break) -> Break | None:
        proof = self._refusal(found.change)
        return None if proof is None else _with(found, proof)

    def _refusal(self, change: Change) -> RefusedStatement | None:
        return next((each for each in self._refused if _explains(change, each)), None)


def _explains(change: Change, refused: RefusedStatement) -> bool:
    """Whether the change is why the statement is refused, by what both name."""
    failure, key = refused.failure, change.key
    if refused.action == "ON CONFLICT":
        lost = unique_key(key, change.before or {}) if table_of(key) == refused.table else None
        return lost is not None and lost.columns == set(refused.columns)
    is_own_column = (key.kind, table_of(key)) == ("column", refused.table) and key.name in refused.columns
    if is_own_column and refused.action == "UPDATE":  # else for another column, that is set with each change
        return True
    if key.kind in ("trigger", "rule") and table_of(key) == refused.table:
        return failure.sqlstate in (RAISE_EXCEPTION, FEATURE_NOT_SUPPORTED) or key.name in failure.message
    if failure.column is not None and failure.table is not None:
        return (key.kind, key.name, table_of(key)) == ("column", failure.column, failure.table)
    if failure.constraint is not None:
        return key.name == failure.constraint
    return re.search(rf"(?<!\w){re.escape(key.name)}(?!\w)", failure.message) is not None


def _with(found: Break, proof: RefusedStatement) -> Break:
    what = found.words.partition(": ")[0]
    return replace(found, words=_words(what, proof), severity=Severity.WARNING, refusal=proof)


_LONGEST_SQL = 300


def shown(refused: RefusedStatement) -> str:
    """The statement in one line, shortened where values make it long."""
    text = re.sub(r"'x{20,}'", "'xxx…'", " ".join(refused.sql.split()))
    return text if len(text) <= _LONGEST_SQL else f"{text[: _LONGEST_SQL - 1]}…"


def _words(what: str, proof: RefusedStatement) -> str:
    model = proof.model or f"the table {shorten(proof.table)}"
    return f"{what}: {proof.action} of {model} fails: {proof.failure.message}"


_PRINTED = (
    (r"^varchar", "character varying"),
    (r"^char\b", "character"),
    (r"^(float|double precision).*", "double precision"),
    (r"^decimal", "numeric"),
    (r"^(timestamp|time)(\(\d+\))?$", r"\1\2 without time zone"),
    (r"^serial$", "integer"),
    (r"^bigserial$", "bigint"),
    (r", ", ","),
)


_FAMILIES = (
    {"character varying", "character", "text", "citext", "name"},
    {"smallint", "integer", "bigint"},
    {"json", "jsonb"},
    {"real", "double precision"},
)


def _is_read_alike(own: str, new: str) -> bool:
    """Whether code of the type that the model has reads the same values from the other, as far as these fit."""
    if is_wider(own, new):
        return True
    names = [re.sub(r"\(.*?\)", "", each) for each in (own, new)]
    if names[0] == names[1] == "numeric":
        return _scale(own) <= _scale(new)
    return names[0] == names[1] or any(set(names) <= family for family in _FAMILIES)


def _scale(type_: str) -> float:
    found = re.search(r"\(\d+(?:,(-?\d+))?\)", type_)
    return float(found[1] or 0) if found else float("inf")


def _as_printed(type_: str) -> str:
    """A type of SQLAlchemy's as PostgreSQL prints it."""
    printed = type_.lower() if type_.isupper() or "(" in type_ else type_
    for pattern, replacement in _PRINTED:
        printed = re.sub(pattern, replacement, printed)
    return printed
