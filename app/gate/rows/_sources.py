"""Where the values of a row come from: combinations of candidates for several columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from app.gate.rows._catalog import CheckConstraint


@dataclass(frozen=True)
class _Source:
    """Where the values of some columns come from: a SELECT of so many of them with a rank, the best being the lowest."""

    columns: tuple[str, ...]
    select: Callable[[int], str]
    is_key: bool = False  # a foreign key


def _bound_together(checks: Sequence[CheckConstraint], all_checks: Iterable[CheckConstraint]) -> list[CheckConstraint]:
    """The further CHECKs on the columns of these, and on the columns of those: where a < b, what holds for b bears upon a."""
    found = list(checks)
    left = [check for check in all_checks if check not in checks]
    columns = {name for check in checks for name in check.columns}
    while reached := [check for check in left if columns.intersection(check.columns)]:
        found += reached
        left = [check for check in left if check not in reached]
        columns.update(name for check in reached for name in check.columns)
    return found[len(checks) :]


def _together(sources: Sequence[_Source], checks: Iterable[CheckConstraint]) -> list[list[_Source]]:
    """Sources that share a column or a CHECK, side by side."""
    parts = [([source], set(source.columns)) for source in sources]
    for bond in (*(set(check.columns) for check in checks), *(set(source.columns) for source in sources)):
        meeting = [part for part in parts if part[1] & bond]
        if len(meeting) > 1:
            whole: tuple[list[_Source], set[str]] = ([], set())
            for members, columns in meeting:
                whole[0].extend(members)
                whole[1].update(columns)
            parts = [part for part in parts if not part[1] & bond] + [whole]
    # Sorting is stable, so foreign keys keep their order: the ones that must have a value come first.
    return [sorted(members, key=lambda source: not source.is_key) for members, _ in parts]


def kept_of(index: int, count: int, most: int) -> int:
    """How many combinations of one part are put together with those of the others: at most some thousands come of it in all."""
    if count > 11:
        return 2 if index < 11 else 1
    return max(2, min(most, int(2000 ** (1 / count))))
