"""Where the values of a row come from: candidates for each column, and the combinations that the CHECKs allow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from app.gate.postgres.quoting import identifier
from app.gate.rows._candidates import find_candidates
from app.gate.rows._catalog import CatalogTable, CheckConstraint, Column
from app.gate.rows._shapes import Row
from app.gate.rows._values import NoValue, Want

RANK = "overproof_rank"
IS_NULL = "overproof_null"
_COMBINATIONS = 900  # of candidates, tried for one CHECK
_MOST_CANDIDATES = 60  # of one column


@dataclass(frozen=True)
class Source:
    """Values for some columns: a SELECT of at most so many of them, with a rank, of which the lowest is the best."""

    columns: tuple[str, ...]
    select: Callable[[int], str]
    is_key: bool = False  # a foreign key


def candidates_of(
    column: Column, row: Row, wanted: Want, checks: Sequence[CheckConstraint], all_checks: Iterable[CheckConstraint]
) -> Source:
    """Candidates for a column on which `checks` bear, directly or through the other columns in them. Raises NoValue."""
    expressions = [*(check.expression for check in checks), *column.type.domain_checks]
    around = [check.expression for check in _bound_together(checks, all_checks)]
    try:
        candidates = find_candidates(column.type, column.modifier, wanted, expressions, around)
    except NoValue:
        if not column.may_be_null:
            raise
        candidates = []
    nulls = [f"NULL::{column.type.base.sql}"] if column.may_be_null else []

    def select(most: int) -> str:
        # The last place is kept for NULL.
        chosen = candidates[: max(1, min(most, _MOST_CANDIDATES) - len(nulls))]
        chosen = [*nulls, *chosen] if row.is_sparse else [*chosen, *nulls]
        rows = ", ".join(f"({each}, {rank})" for rank, each in enumerate(chosen))
        return f"SELECT * FROM (VALUES {rows}) AS v ({identifier(column.name)}, {RANK})"

    return Source((column.name,), select)


def _bound_together(checks: Sequence[CheckConstraint], all_checks: Iterable[CheckConstraint]) -> list[CheckConstraint]:
    """The further CHECKs on the columns of these, and on the columns of those: where a < b, a CHECK on b concerns a."""
    found = list(checks)
    left = [check for check in all_checks if check not in checks]
    columns = {name for check in checks for name in check.columns}
    while reached := [check for check in left if columns.intersection(check.columns)]:
        found += reached
        left = [check for check in left if check not in reached]
        columns.update(name for check in reached for name in check.columns)
    return found[len(checks) :]


def group_sources(sources: Sequence[Source], checks: Iterable[CheckConstraint]) -> list[list[Source]]:
    """The sources, in groups: those that share a column or a CHECK are in one."""
    parts = [([source], set(source.columns)) for source in sources]
    for bond in (*(set(check.columns) for check in checks), *(set(source.columns) for source in sources)):
        meeting = [part for part in parts if part[1] & bond]
        if len(meeting) > 1:
            whole: tuple[list[Source], set[str]] = ([], set())
            for members, columns in meeting:
                whole[0].extend(members)
                whole[1].update(columns)
            parts = [part for part in parts if not part[1] & bond] + [whole]
    # Foreign keys keep their order: the ones that must have a value come first.
    in_order = sorted(sources, key=lambda source: not source.is_key)
    return [sorted(members, key=in_order.index) for members, _ in parts]


def combinations_of(
    table: CatalogTable, group: Sequence[Source], checks: Iterable[CheckConstraint], limit: int, *, is_blind: bool
) -> str:
    """A SELECT of the best combinations of a group's values; unless blind, of those for which no CHECK is false."""
    owners: dict[str, int] = {}
    equalities = []
    for index, source in enumerate(group):
        for name in source.columns:
            if name in owners:
                quoted = identifier(name)
                equal = f"s{owners[name]}.{quoted} = s{index}.{quoted}"
                equalities.append(f"({equal} OR s{index}.{IS_NULL})" if source.is_key else equal)
            else:
                owners[name] = index
    columns = [f"s{index}.{identifier(name)} AS {identifier(name)}" for name, index in owners.items()]
    ranks = [f"s{index}.{RANK} AS overproof_{index}" for index in range(len(group))]
    total = " + ".join(f"s{index}.{RANK}" for index in range(len(group)))
    most = _most_of_each(len(group))
    tables = [f"({source.select(most)}) AS s{index}" for index, source in enumerate(group)]
    inner = f"SELECT {', '.join([*columns, *ranks, f'{total} AS {RANK}'])} FROM {', '.join(tables)}"
    inner += _where(equalities)
    conditions = [] if is_blind else _conditions(table, owners, checks)
    order = ", ".join([RANK, *(f"overproof_{index}" for index in range(len(group)))])
    return f"SELECT * FROM ({inner}) AS s{_where(conditions)} ORDER BY {order} LIMIT {limit}"


def _conditions(table: CatalogTable, columns: Iterable[str], checks: Iterable[CheckConstraint]) -> list[str]:
    names = list(columns)
    conditions = [f"(({check.expression}) IS NOT FALSE)" for check in checks if {*names} & {*check.columns}]
    for name in names:
        value = f"(SELECT s.{identifier(name)} AS value) AS d"
        conditions += [
            f"((SELECT {expression} FROM {value}) IS NOT FALSE)"
            for expression in table.get_column(name).type.domain_checks
        ]
    return conditions


def _where(conditions: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _most_of_each(count: int) -> int:
    """How many candidates of each source can be tried together with those of the others."""
    return 1 if count > 11 else max(2, int(_COMBINATIONS ** (1 / count)))


def kept_of(index: int, count: int, most: int) -> int:
    """How many combinations of one group are combined with those of the others: a few thousand in all, at most."""
    return max(2, min(most, int(2000 ** (1 / count)))) if index < 11 else 1
