"""What a step lost of the rows that were in tables before it.

A loss is a value that can no longer be found. So these are none:

- one of two rows that are equal in all columns, as long as the other one stays; where the table has got a unique key,
  also one of two that are equal in all but their primary key, for the key leaves no other choice;
- a value in another type, in a renamed column or table, or in any column, or JSON document, where it was not before;
- a NULL that got a value;
- other values, as long as different ones stay different: `'new'` to `'NEW'`, cents to euros, an integer key to a UUID;
- texts that became equal and had differed in case or blanks only;
- the time of the migration itself, which triggers write into columns such as `updated_at`;
- what a script of the history had inserted itself, if the caller says which rows these are.

And these are losses: rows that are gone, values that became NULL, text or the host's part of an address cut off, digits
or seconds rounded away, different values that became the same one, a time that became another instant when its column
changed type, columns and tables dropped with values in them. After a downgrade none of these exceptions hold: what was
there before the upgrade must be there again, unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from app.gate.recording.model import Loss, LossKind
from app.gate.rows._contents import Contents, RowOf, TableContents, Value
from app.gate.rows._equality import is_instant_kept, is_same, leaves_of, normal, what_happened

_MOST_COMPARED = 60  # rows without a counterpart, up to which each is compared with each


def losses(
    before: Contents, after: Contents, *, is_return: bool = False, with_new_key: Collection[str] = ()
) -> tuple[Loss, ...]:
    """What can no longer be found.

    `is_return`: `after` was read after an upgrade and its downgrade. `with_new_key`: the tables to which the upgrade
    adds a unique key.
    """
    return tuple(_Comparison(before, after, is_return, with_new_key).losses())


class _Comparison:
    """Two states of some tables, and where the later one has the values of the earlier."""

    def __init__(self, before: Contents, after: Contents, is_return: bool, with_new_key: Collection[str]) -> None:
        self._before = before
        self._after = after
        self._is_return = is_return
        self._with_new_key = with_new_key
        self._new_values = _new_values(before, after)
        self._values_elsewhere: dict[TableColumn | None, _ValueSets] = {}  # of all columns but one
        self._of_scripts = {
            id(row) for table in before.tables.values() if table.made is not None for row in table.rows[table.made :]
        }

    def losses(self) -> Iterator[Loss]:
        taken: set[str] = set()
        for name, table in self._before.tables.items():
            if name in self._after.unreadable or all(id(row) in self._of_scripts for row in table.rows):
                continue
            later = self._after.tables.get(name) or self._renamed(table, taken)
            if later is None:
                yield from self._of_dropped(table)
            else:
                taken.add(later.name)
                yield from self._of_kept(table, later)

    def _renamed(self, table: TableContents, taken: set[str]) -> TableContents | None:
        """The new table that holds these rows under another name."""
        for name, later in self._after.tables.items():
            if name in self._before.tables or name in taken or not later.rows:
                continue
            common = [column for column in table.types if column in later.types]
            if 2 * len(common) < len(table.types) or not common:
                continue
            pairs, unmatched = _pairs(table, later)
            same = sum(_is_alike(one, other, common, table, later) for one, other in pairs)
            if pairs and not unmatched and 2 * same >= len(pairs):
                return later
        return None

    # Whole tables and rows.

    def _of_dropped(self, table: TableContents) -> Iterator[Loss]:
        significant = [name for name in table.types if name not in table.generated and name not in table.key]
        lost = [name for name in significant or table.key if not self._is_elsewhere(_values(table.rows, name))]
        if lost:
            yield _loss(table, None, LossKind.TABLE_DROPPED, table.count, _shown_row(table, table.rows[0]))

    def _of_kept(self, table: TableContents, later: TableContents) -> Iterator[Loss]:
        pairs, unmatched = _pairs(table, later)
        gone = [row for row in unmatched if not self._has_moved(table, row) and id(row) not in self._of_scripts]
        spared = 0
        if gone and table.name in self._with_new_key:
            left = {_content(row, table) for row, _ in pairs}
            different = [row for row in gone if _content(row, table) not in left]
            gone, spared = different, len(gone) - len(different)
        count = max(table.count - later.count - spared, len(gone)) if gone and table.made is None else len(gone)
        if gone and (later.is_whole or later.count < table.count):
            yield _loss(table, None, LossKind.ROWS_DELETED, min(count, table.count), _shown_row(table, gone[0]))
        if not pairs:
            return
        successors = _successors(table, later, pairs)
        made = [pair for pair in pairs if id(pair[0]) not in self._of_scripts]
        for name in table.types:
            if name in table.generated:
                continue
            successor = successors.get(name)
            if successor is None:
                values = [row[name] for row, _ in made if row.get(name) is not None]
                if values and not self._is_elsewhere(_values((row for row, _ in made), name)):
                    yield _loss(table, name, LossKind.COLUMN_DROPPED, len(values), _shown(values[0]))
            else:
                yield from self._of_column(table, name, later, successor, pairs)

    def _has_moved(self, table: TableContents, row: RowOf) -> bool:
        significant = [name for name in table.types if name not in table.generated and name not in table.key]
        values = [value for name in significant if (value := row.get(name)) is not None]
        values = values or [value for name in table.key if (value := row.get(name)) is not None]
        return bool(values) and all(self._is_elsewhere([value]) for value in values)

    # Values.

    def _of_column(
        self,
        table: TableContents,
        name: str,
        later: TableContents,
        successor: str,
        pairs: Sequence[tuple[RowOf, RowOf]],
    ) -> Iterator[Loss]:
        types = (table.types[name], later.types[successor])
        by_kind: dict[LossKind, list[tuple[str, Value]]] = {}
        for row, other in pairs:
            old, new = row.get(name), other.get(successor)
            if (
                old is None
                or id(row) in self._of_scripts
                or (new is not None and is_same(old, new, *types))
                or self._is_now(new, types[1])
            ):
                continue
            by_kind.setdefault(what_happened(old, new, types), []).append((old, new))
        changed = by_kind.pop(LossKind.VALUES_CHANGED, [])
        if changed and not self._is_return and is_instant_kept(changed, types):
            merged = _merged(changed, [(row.get(name), other.get(successor)) for row, other in pairs])
            if merged:
                by_kind[LossKind.VALUES_MERGED] = merged
        elif changed:
            by_kind[LossKind.VALUES_CHANGED] = changed
        for kind, examples in by_kind.items():
            if not self._is_elsewhere([old for old, _ in examples], (later.name, successor)):
                old, new = examples[0]
                yield _loss(table, name, kind, len(examples), _shown(old), _shown(new))

    def _is_now(self, new: Value, type_: str) -> bool:
        return (
            new is not None and "time" in type_ and bool(self._after.now) and is_same(new, self._after.now, type_, _TZ)
        )

    # Other columns.

    def _is_elsewhere(self, values: Sequence[str], but_in: TableColumn | None = None) -> bool:
        """Whether all of the values are in columns where they were not before.

        After a downgrade that does not count.
        """
        if self._is_return:
            return False
        if but_in not in self._values_elsewhere:
            others = (values for column, values in self._new_values.items() if column != but_in)
            self._values_elsewhere[but_in] = _ValueSets(others)
        return self._values_elsewhere[but_in].hold(values)


TableColumn = tuple[str, str]  # ("public.orders", "total")

_TZ = "timestamp with time zone"


def _is_distinctive(value: str) -> bool:
    """Whether a value is unlikely to be found by chance: `note-1` and `2001-02-03`, unlike `true`, `7` and `new`."""
    return len(value) >= 5 or (len(value) >= 3 and bool(re.search(r"[^\W\d]", value)) and bool(re.search(r"\d", value)))


class _ValueSets:
    """The values of several columns."""

    def __init__(self, sets: Iterable[set[str]]) -> None:
        self._sets = list(sets)
        self._text = " ".join(value for each in self._sets for value in each)
        self._words = set(re.findall(r"\w+", self._text))

    def hold(self, values: Sequence[str]) -> bool:
        values = list(map(_trimmed, values))
        if all(map(_is_distinctive, values)):
            return all(map(self._holds_one, values))
        # `true` and `7` are found in many columns, so one column has to have all of them.
        return any(each.issuperset(values) for each in self._sets)

    def _holds_one(self, value: str) -> bool:
        if value in self._text:
            return True
        # A text that was taken apart: all of its words are there.
        parts = re.findall(r"\w+", value)
        return len(parts) > 1 and self._words.issuperset(parts)


def _new_values(before: Contents, after: Contents) -> dict[TableColumn, set[str]]:
    """For each column of the later state, the values that were not in it before."""
    found = {}
    for name, table in after.tables.items():
        earlier = before.tables.get(name)
        for column, type_ in table.types.items():
            values = _values_by_place(table, column, type_)
            known = _values_by_place(earlier, column, type_) if earlier is not None and column in earlier.types else {}
            for place, some in values.items():
                if left := some - known.get(place, set()):
                    found[name, place] = left
    return found


def _values_by_place(table: TableContents, column: str, type_: str) -> dict[str, set[str]]:
    """The column's values; where they are JSON, also those within the documents, by the names that lead to them."""
    texts = _values(table.rows, column)
    found = {column: set(texts)}
    for text in texts if type_ in ("json", "jsonb") else ():
        for path, value in leaves_of(text):
            found.setdefault(f"{column}.{path}", set()).add(_trimmed(value))
    return found


def _trimmed(value: str) -> str:
    return value.rstrip()


def _values(rows: Iterable[RowOf], column: str) -> list[str]:
    return [_trimmed(value) for row in rows if (value := row.get(column)) is not None]


# Which row of the later state is which of the earlier.


def _content(row: RowOf, table: TableContents) -> tuple[Value, ...]:
    """What the row holds but for its primary key, and what is computed."""
    return tuple(row.get(name) for name in table.types if name not in table.key and name not in table.generated)


def _pairs(table: TableContents, later: TableContents) -> tuple[list[tuple[RowOf, RowOf]], list[RowOf]]:
    """Each row with its later state, and the rows that have none."""
    common = [name for name in table.types if name in later.types and name not in table.generated]
    if table.key and all(name in later.types for name in table.key):
        # Texts that differ in blanks at their end are different keys, unless a change of type has cut these off.
        by_text = {_values_of(row, table.key): row for row in later.rows}
        by_key = {_identity(row, table.key, later): row for row in later.rows}
        found = [
            (row, by_text.get(_values_of(row, table.key)) or by_key.get(_identity(row, table.key, table)))
            for row in table.rows
        ]
        pairs = [(row, other) for row, other in found if other is not None]
        if pairs or not later.rows:
            matched = {id(row) for row, _ in pairs}
            return pairs, [row for row in table.rows if id(row) not in matched]
    return _pairs_by_likeness(table, later, common)


def _values_of(row: RowOf, key: Sequence[str]) -> tuple[Value, ...]:
    return tuple(row.get(name) for name in key)


def _identity(row: RowOf, key: Sequence[str], table: TableContents) -> tuple[object, ...]:
    return tuple(normal(row.get(name), table.types[name]) for name in key)


def _pairs_by_likeness(
    table: TableContents, later: TableContents, common: Sequence[str]
) -> tuple[list[tuple[RowOf, RowOf]], list[RowOf]]:
    left = list(later.rows)
    pairs: list[tuple[RowOf, RowOf]] = []
    alone: list[RowOf] = []
    by_content: dict[tuple[object, ...], list[RowOf]] = {}
    for row in left:
        by_content.setdefault(_identity(row, common, later), []).append(row)
    is_all = all(name in common or name in table.generated for name in table.types)
    for row in table.rows:
        equal = by_content.get(_identity(row, common, table))
        if equal:
            pairs.append((row, equal.pop()))
        elif equal is None or not is_all:
            alone.append(row)
    used = {id(other) for _, other in pairs}
    left = [row for row in left if id(row) not in used]
    if len(alone) > _MOST_COMPARED or len(left) > _MOST_COMPARED:
        return pairs, alone
    scores = sorted(
        (
            (-_likeness(row, other, common, table, later), -sum(row.get(n) == other.get(n) for n in common), one, two)
            for one, row in enumerate(alone)
            for two, other in enumerate(left)
        ),
    )
    ones: set[int] = set()
    twos: set[int] = set()
    for *_, one, two in scores:
        if one not in ones and two not in twos:
            ones.add(one)
            twos.add(two)
            pairs.append((alone[one], left[two]))
    return pairs, [row for one, row in enumerate(alone) if one not in ones]


def _likeness(row: RowOf, other: RowOf, common: Sequence[str], table: TableContents, later: TableContents) -> int:
    return sum(
        1
        for name in common
        if (old := row.get(name)) is not None
        and (new := other.get(name)) is not None
        and is_same(old, new, table.types[name], later.types[name])
    )


def _is_alike(row: RowOf, other: RowOf, common: Sequence[str], table: TableContents, later: TableContents) -> bool:
    filled = sum(row.get(name) is not None for name in common)
    return 2 * _likeness(row, other, common, table, later) >= filled


def _successors(table: TableContents, later: TableContents, pairs: Sequence[tuple[RowOf, RowOf]]) -> dict[str, str]:
    """Each column's name afterwards: its own, or that of a new column with the same values."""
    names = {name: name for name in table.types if name in later.types}
    new = [name for name in later.types if name not in table.types]
    for name in table.types:
        if name in names:
            continue
        for candidate in new:
            old_type, new_type = table.types[name], later.types[candidate]
            values = [(row.get(name), other.get(candidate)) for row, other in pairs if row.get(name) is not None]
            if values and all(
                new_value is not None and old is not None and is_same(old, new_value, old_type, new_type)
                for old, new_value in values
            ):
                names[name] = candidate
                new.remove(candidate)
                break
    return names


def _merged(changed: Sequence[tuple[str, Value]], all_values: Sequence[tuple[Value, Value]]) -> list[tuple[str, Value]]:
    """The changed values that are now equal to others that were different."""
    origins: dict[Value, set[str]] = {}
    for old, new in all_values:
        if old is not None:
            origins.setdefault(new, set()).add(old)
    return [(old, new) for old, new in changed if len({each.casefold().strip() for each in origins[new]}) > 1]


# The result.


def _loss(table: TableContents, column: str | None, kind: LossKind, count: int, old: Value, new: Value = None) -> Loss:
    return Loss(table.name, column, kind, count, table.count, old, new, table.key)


def _shown(value: Value) -> str | None:
    if value is None:
        return None
    return value if len(value) <= 60 else f"{value[:57]}..."


def _shown_row(table: TableContents, row: RowOf) -> str:
    """`id = 1001`, or its first columns where there is no primary key."""
    names = table.key or tuple(table.types)[:2]
    return ", ".join(f"{name} = {_shown(row.get(name)) if row.get(name) is not None else 'NULL'}" for name in names)
