"""Whether a downgrade was omitted, in one place: `irreversible` reports it, and `round-trip` must then be silent."""

from __future__ import annotations

from enum import StrEnum

from app.gate.recording.model import Body, Change, Definition, Failure, Revision, RoundTrip, Statement, Step


class Omission(StrEnum):
    """How a revision is without a downgrade, on purpose or not."""

    MISSING = "missing"  # no function of that name
    EMPTY = "empty"  # it does nothing
    REFUSED = "refused"  # it raises on purpose


# What scripts raise on purpose. Anything else that a downgrade raises outside a statement (NameError, TypeError,
# SQLAlchemy's CompileError for a constraint without a name, …) is a mistake in a downgrade that was meant to work.
_DELIBERATE = frozenset({"NotImplementedError", "Exception", "RuntimeError", "CommandError", "SystemExit"})


def find_omission(revision: Revision, trip: RoundTrip) -> Omission | None:
    """How the downgrade of a revision that does something was omitted.

    None if there is a downgrade to judge, if there is nothing to undo, or if the upgrade itself did not run.
    """
    if trip.up is None or trip.up.failure is not None:
        return None
    omission = _omission(revision, trip.down)
    # An extension that remains does no harm, and may have existed before: CREATE EXTENSION IF NOT EXISTS.
    if omission is None or any(
        change.key.kind != "extension" and not is_validation(change) for change in trip.up.changes
    ):
        return omission
    if omission is Omission.EMPTY:
        # For a data migration an empty downgrade means that older code works with the new values.
        # It is an omission only if the rows that it leaves behind stop the next upgrade.
        return omission if trip.second_up is not None and trip.second_up.failure is not None else None
    return omission if any(_acts(statement) for statement in trip.up.statements) else None


def is_validation(change: Change) -> bool:
    """Whether a constraint that was NOT VALID is validated, and nothing else. There is nothing to undo: what it
    demands of new rows is as before."""
    before, after = change.before, change.after
    if before is None or after is None:
        return False
    was_open = before.get("validated") is False or str(before.get("not_null", "")).endswith("NOT VALID")
    return was_open and _without_validity(before) == _without_validity(after)


def _without_validity(definition: Definition) -> dict[str, object]:
    """Fields that do not say whether existing rows were checked."""
    rest = {name: value for name, value in definition.items() if name != "validated"}
    for name in ("definition", "not_null"):
        rest[name] = str(rest.get(name, "")).removesuffix("NOT VALID").rstrip()
    return rest


def is_refusal(failure: Failure) -> bool:
    """Whether the script raised the exception on purpose, rather than the database or by mistake."""
    name = failure.error.rpartition(".")[2]
    return name in _DELIBERATE or "irreversible" in name.lower()


def _omission(revision: Revision, down: Step | None) -> Omission | None:
    bodies = {Body.MISSING: Omission.MISSING, Body.EMPTY: Omission.EMPTY, Body.RAISES: Omission.REFUSED}
    if revision.downgrade_body in bodies:
        return bodies[revision.downgrade_body]
    if down is None:
        return None
    if down.failure is not None:
        return Omission.REFUSED if is_refusal(down.failure) else None
    # `print("not supported")` is a body, but does as much as `pass`. One that at least queried the database was meant
    # to work, and `round-trip` judges it.
    return Omission.EMPTY if not down.statements and not down.changes else None


def _acts(statement: Statement) -> bool:
    """Whether a statement may have done more than read."""
    word = statement.sql.lstrip(" \t\r\n(").split(maxsplit=1)
    return bool(statement.written) or (bool(word) and word[0].upper() not in {"SELECT", "SHOW", "SET", "EXPLAIN"})
