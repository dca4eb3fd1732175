"""The whole labelled set."""

from tests.gate.hazards import (
    access,
    casts,
    columns,
    constraints,
    data,
    enums,
    indexes,
    lock_timeouts,
    partitions,
    promises,
    raw_sql,
    rows,
    tables,
    triggers,
    type_changes,
    updates,
    views,
)
from tests.gate.hazards.case import Case

THEMES: dict[str, list[Case]] = {
    theme.__name__.rpartition(".")[2]: theme.CASES
    for theme in (
        type_changes,
        columns,
        constraints,
        indexes,
        tables,
        enums,
        partitions,
        views,
        promises,
        data,
        raw_sql,
        rows,
        lock_timeouts,
        access,
        updates,
        triggers,
        casts,
    )
}
ALL_CASES = [case for cases in THEMES.values() for case in cases]
