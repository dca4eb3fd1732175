"""The migrations make another schema than the models do, where autogenerate does not look.

Catches
    What differs in `pg_catalog` between a database that was migrated and one that the models create: a CHECK that is missing or
    says something else, an enum with other labels, a server default, identity, the predicate of a partial index, an exclusion
    constraint. An error where the models have it and the migrations do not, or define it otherwise; a warning
    where only the migrations have it, such as a trigger.

Why it hurts
    Tests usually run on tables that the models create. They then test a schema that production has not got: the CHECK that turned the
    bad row away in the test is not there, the label that the code writes does not exist.

How to fix
    Bring the migrations up to the models with a new revision; autogenerate will not write this one::

        def upgrade() -> None:
            op.create_check_constraint("ck_orders_total", "orders", "total >= 0")

        def downgrade() -> None:
            op.drop_constraint("ck_orders_total", "orders", type_="check")

    Where the migrations are right, give the model what it lacks::

        total: Mapped[int] = mapped_column(server_default="0")

Stays quiet when
    Autogenerate sees it too: model-drift reports that. Autogenerate does not report a table or a column that is on one side only:
    then env.py hides it on purpose. The models cannot be created by themselves, or there are none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.gate.checks.base import Check, Finding, Skipped
from app.gate.checks.words import TABLE_KINDS, counted, failure_reason, full_name, listed, noun, principal, shorten
from app.gate.recording import Change, Recording, Snapshot
from app.gate.report import Severity
from app.gate.snapshot import difference


@dataclass(frozen=True)
class Difference:
    """One object on which the migrations and the models disagree."""

    owner: str  # what it is told under: its table, or itself
    what: str  # "check constraint ck_total on orders"
    words: str
    severity: Severity


def examine(recording: Recording) -> Iterator[Finding]:
    head, models = _snapshots(recording)
    changes = [change for change in principal(difference(head, models)) if not _is_told_elsewhere(change, recording)]
    by_place: dict[tuple[str, Severity], list[Difference]] = {}
    for found in map(_difference, changes):
        by_place.setdefault((found.owner, found.severity), []).append(found)
    for (owner, severity), differences in sorted(by_place.items(), key=lambda item: item[0]):
        yield _finding(owner, severity, differences)


def _snapshots(recording: Recording) -> tuple[Snapshot, Snapshot]:
    if not recording.has_metadata:
        raise Skipped("env.py gives Alembic no target_metadata to compare with")
    if recording.head is None:
        raise Skipped(recording.missing.get("head", "the history was not walked to its head"))
    if recording.model_failure is not None:
        raise Skipped(f"the models cannot be created by themselves: {failure_reason(recording.model_failure)}")
    if recording.models is None:
        raise Skipped(recording.missing.get("models", "the models were not created"))
    return recording.head, recording.models


def _is_told_elsewhere(change: Change, recording: Recording) -> bool:
    """Whether autogenerate judges this object: it reports it, or was told to overlook it."""
    key = change.key
    table = f"{key.schema}.{key.table}" if key.table else full_name(key)
    if table in recording.hidden or full_name(key) in recording.hidden:
        return True
    if key.kind == "extension":
        return True  # models have no way to ask for one
    if recording.drift is None:
        return False
    is_one_sided = change.before is None or change.after is None
    if is_one_sided and (key.kind in TABLE_KINDS or key.kind == "column"):
        return True
    return full_name(key) in {drift.object for drift in recording.drift}


def _difference(change: Change) -> Difference:
    key, what = change.key, noun(change.key)
    owner = f"{key.schema}.{key.table}" if key.table else full_name(key)
    if change.before is None:
        return Difference(owner, what, f"{what} is in the models, and no migration makes it", Severity.ERROR)
    if change.after is None:
        return Difference(owner, what, f"{what} is in the migrations only", Severity.WARNING)
    differing = [
        name for name in sorted({*change.before, *change.after}) if change.before.get(name) != change.after.get(name)
    ]
    words = "; ".join(
        f"{name} is {change.before.get(name)!r} after the migrations, and {change.after.get(name)!r} in the models"
        for name in differing
    )
    return Difference(owner, what, f"{what}: {words}", Severity.ERROR)


def _finding(owner: str, severity: Severity, differences: list[Difference]) -> Finding:
    if len(differences) == 1:
        message = f"The migrations and the models differ: {differences[0].words}."
    else:
        names = listed([each.what for each in differences], limit=2)
        message = f"The migrations and the models differ on {shorten(owner)} in {counted(len(differences), 'place')}: {names}."
    return Finding(
        message,
        object=owner,
        detail="\n".join(f"- {each.words}" for each in differences),
        help="Write a revision that brings the migrations up to the models (autogenerate does not see this), or change the model.",
        severity=severity,
    )


CHECK = Check(id="schema-drift", severity=Severity.ERROR, examine=examine)
