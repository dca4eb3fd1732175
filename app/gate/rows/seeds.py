"""Rows that the migrations themselves put in, and how those of two histories differ."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 spells its classes so

from app.gate.postgres.quoting import identifier
from app.gate.recording.model import Key, Snapshot
from app.gate.recording.names import full_name
from app.gate.recording.other_history import SeedDifference

MOST_ROWS: Final = 2000  # of a table that are looked at one by one; of a larger one, whether all are the same
SHOWN: Final = 5
_LONGEST: Final = 300  # characters of a row that is shown

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Seeds:
    """The rows of one table."""

    count: int
    digest: str | None  # of all rows in any order; None of an empty table
    rows: tuple[Row, ...] = ()  # all of them, or none where there are more than `MOST_ROWS`

    @property
    def is_whole(self) -> bool:
        return len(self.rows) == self.count


_EMPTY: Final = Seeds(0, None)


def read_seeds(connection: Connection, schema: Snapshot) -> dict[str, Seeds]:
    """The rows of each table of that schema that has any, by its name: "public.orders"."""
    tables = [key for key in schema.objects if key.kind == "table"]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('row_security', 'off', true), set_config('timezone', 'UTC', true),"
            " set_config('bytea_output', 'hex', true), set_config('intervalstyle', 'postgres', true),"
            " set_config('extra_float_digits', '1', true), set_config('lc_monetary', 'C', true)"
        )
        found = {}
        for key in tables:
            cursor.execute(_DIGEST.replace("{table}", _relation(key)))
            ((count, digest),) = cursor.fetchall()
            if count:
                rows = _read_rows(cursor, key) if count <= MOST_ROWS else ()
                found[full_name(key)] = Seeds(count, digest, rows)
        return found


_DIGEST = """SELECT count(*), md5(string_agg(each.digest, '' ORDER BY each.digest))
FROM (SELECT md5(to_jsonb(t.*)::text) AS digest FROM {table} AS t) AS each"""


def _relation(key: Key) -> str:
    return f"ONLY {identifier(key.schema)}.{identifier(key.name)}"


def _read_rows(cursor: Any, key: Key) -> tuple[Row, ...]:
    cursor.execute(f"SELECT to_jsonb(t.*)::text AS row FROM {_relation(key)} AS t ORDER BY 1")
    return tuple(json.loads(text) for (text,) in cursor)


def differing(there: Mapping[str, Seeds], here: Mapping[str, Seeds]) -> list[str]:
    """The tables whose rows differ."""
    names = sorted(there.keys() | here.keys())
    return [name for name in names if there.get(name, _EMPTY).digest != here.get(name, _EMPTY).digest]


def varying_columns(one: Mapping[str, Seeds], other: Mapping[str, Seeds]) -> dict[str, frozenset[str]]:
    """By table, the columns that have other values in another run of the same history."""
    found = {}
    for name in one.keys() & other.keys():
        columns = _columns_that_differ(one[name].rows, other[name].rows)
        if columns and one[name].count == other[name].count:
            found[name] = frozenset(columns)
    return found


def compare_seeds(
    there: Mapping[str, Seeds],
    here: Mapping[str, Seeds],
    *,
    ignored: Mapping[str, frozenset[str]],
    numbered: Mapping[str, frozenset[str]],
) -> Iterator[SeedDifference]:
    """The tables whose rows differ in other columns than those that are `ignored`. `numbered`: the columns whose values
    a sequence gives."""
    for name in differing(there, here):
        old, new = there.get(name, _EMPTY), here.get(name, _EMPTY)
        without = ignored.get(name, frozenset())
        if not (old.is_whole and new.is_whole):
            yield SeedDifference(name, count_there=old.count, count_here=new.count)
            continue
        before, after = _counted(old.rows, without), _counted(new.rows, without)
        if before == after:
            continue
        columns = [each for each in _columns_that_differ(old.rows, new.rows) if each not in without]
        are_alike = _counted(old.rows, without.union(columns)) == _counted(new.rows, without.union(columns))
        yield SeedDifference(
            name,
            only_there=_shown(before - after),
            only_here=_shown(after - before),
            count_there=old.count,
            count_here=new.count,
            columns=tuple(columns) if are_alike else (),
            is_numbering=are_alike and set(columns) <= numbered.get(name, frozenset()),
        )


def _columns_that_differ(some: Sequence[Row], others: Sequence[Row]) -> list[str]:
    """The columns that do not hold the same values, in any order."""
    columns = sorted({column for row in (*some, *others) for column in row})
    return [each for each in columns if _values(some, each) != _values(others, each)]


def _values(rows: Sequence[Row], column: str) -> Counter[str]:
    return Counter(_text(row.get(column)) for row in rows)


def _counted(rows: Sequence[Row], without: Iterable[str]) -> Counter[str]:
    left_out = set(without)
    return Counter(_text({name: value for name, value in row.items() if name not in left_out}) for row in rows)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _shown(rows: Counter[str]) -> tuple[str, ...]:
    return tuple(row if len(row) <= _LONGEST else f"{row[:_LONGEST]}…" for row in sorted(rows.elements())[:SHOWN])
