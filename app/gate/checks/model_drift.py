"""Autogenerate would still write something: the models and the migrations differ.

Catches
    Everything that `alembic revision --autogenerate` would put into a new script, at head, with the settings of the
    project's own env.py.

Why it hurts
    Code that uses the new column works on the developer's database, which was created from the models, and fails on
    every database that was migrated. And the next person who runs autogenerate finds the forgotten change in an
    unrelated script.

How to fix
    Let Alembic write the missing revision, and review it::

        alembic revision --autogenerate -m "add the note of an order"

    If the database is right and the model is not, change the model. If autogenerate wants to drop what is not the
    project's (a table of another program or of an extension), hide it from autogenerate in env.py::

        def include_object(object, name, type_, reflected, compare_to):
            return not (type_ == "table" and reflected and compare_to is None)

        context.configure(..., include_object=include_object)

Stays quiet when
    env.py gives Alembic no metadata, or the walk did not reach head: there is nothing to compare. schema-drift reports
    what autogenerate cannot see, and unregistered-models the table of a model that was not imported.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.checks.support.script import python
from app.gate.checks.support.subjects import together
from app.gate.checks.unregistered_models import full_table_name
from app.gate.recording.model import Drift, Evidence, Recording
from app.gate.recording.names import shorten
from app.gate.report.verdict import Severity
from app.gate.wording import counted, indented, listed


def examine(recording: Recording) -> Iterator[Finding]:
    if not recording.has_metadata:
        raise CheckSkipped("env.py gives Alembic no target_metadata to compare with")
    if recording.drift is None:
        raise CheckSkipped(recording.not_observed.get("drift", "autogenerate was not run"))
    # Autogenerate would drop the tables of models that it does not see. unregistered-models reports the cause.
    unseen = {full_table_name(model) for model in recording.unregistered or ()}
    by_table: dict[str, list[Drift]] = {}
    for drift in recording.drift:
        if table_of(drift.object) in unseen:
            continue
        by_table.setdefault(table_of(drift.object), []).append(drift)
    for table, drifts in sorted(by_table.items()):
        yield _finding(table, drifts)


def table_of(name: str) -> str:
    """`public.orders` for `public.orders.note`, and for itself."""
    return ".".join(name.partition("(")[0].split(".")[:2])


def _finding(table: str, drifts: list[Drift]) -> Finding:
    operations = [drift.operation for drift in drifts]
    if len(operations) == 1:
        what = f"autogenerate would still {operations[0]}"
    else:
        what = f"autogenerate would still write {counted(len(operations), 'operation')}: {listed(operations, limit=2)}"
    return Finding(
        f"The models and the migrations differ on {shorten(table)}: {what}.",
        together(f"{drift.kind} {shorten(drift.object)}" for drift in drifts),
        object=table,
        detail="\n".join(f"- {operation}" for operation in operations) if len(operations) > 1 else None,
        help=_help(table, drifts),
    )


def _help(table: str, drifts: list[Drift]) -> str:
    if any(drift.kind == "remove-table" for drift in drifts):
        return _without_a_model(table)
    command = f'alembic revision --autogenerate -m "bring {shorten(table)} up to its model"'
    dropped = [drift.object.rpartition(".")[2] for drift in drifts if drift.kind == "remove-column"]
    warning = f" It drops {listed(dropped)}, with the values in it." if dropped else ""
    return f"If the models are right, let Alembic write the missing revision.{warning}\n\n    {command}"


def _without_a_model(table: str) -> str:
    """What autogenerate would write is what does the harm, so it is not advised."""
    name = python(table.rpartition(".")[2])
    hidden = f"""def include_object(object, name, type_, reflected, compare_to):
    return not (type_ == "table" and name == {name})

context.configure(..., include_object=include_object)"""
    return (
        f"No model of {shorten(table)} exists, and the revision that autogenerate would write drops the table, with all rows in it. If the "
        "project uses it, add its model, or import the module that has it. If it is not the project's (Alembic's own version table, one "
        f"of an extension or of another program), hide it from autogenerate in env.py:\n\n{indented(hidden)}"
    )


CHECK = Check(id="model-drift", severity=Severity.ERROR, examine=examine, needs=frozenset({Evidence.DRIFT}))
