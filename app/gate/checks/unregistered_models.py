"""A table class that Alembic never sees, because nothing that env.py imports imports it.

Catches
    A class with a table, in a module of the project, that is not in the metadata that env.py gives Alembic, though it
    belongs to it.

Why it hurts
    Autogenerate compares the database with the metadata. A table that is not there is no difference: no migration is ever
    written for it, no check complains, and the first query in production fails. If a migration did create it, the next
    autogenerate writes one that drops it.

How to fix
    Import the module where the metadata is put together, so that env.py has it too::

        import app.orders.models  # noqa: F401

Stays quiet when
    The class has a metadata of its own (another database), or is abstract.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.gate.checks.base import Check, Finding, Skipped
from app.gate.checks.words import listed
from app.gate.recording import Recording, UnregisteredModel
from app.gate.report import Severity


def examine(recording: Recording) -> Iterator[Finding]:
    if not recording.has_metadata:
        raise Skipped("env.py gives Alembic no target_metadata to compare with")
    if recording.unregistered is None:
        raise Skipped(recording.missing.get("unregistered", "the project's modules were not looked through"))
    by_module: dict[str, list[UnregisteredModel]] = {}
    for model in recording.unregistered:
        by_module.setdefault(model.module, []).append(model)
    for module, models in sorted(by_module.items()):
        yield _finding(module, models)


def _finding(module: str, models: list[UnregisteredModel]) -> Finding:
    names = listed([f"{model.name} (table {model.table})" for model in models])
    return Finding(
        f"Nothing that env.py imports imports {module}: Alembic does not know {names}, and no migration will ever be written for "
        f"{'it' if len(models) == 1 else 'them'}.",
        object=module,
        detail="\n".join(f"- {model.name}, table {model.table}: {model.path}:{model.line or 1}" for model in models),
        help=f"Import it where the metadata is put together, so that env.py has it too:\n\n    import {module}  # noqa: F401",
        path=models[0].path,
        line=models[0].line,
    )


CHECK = Check(id="unregistered-models", severity=Severity.ERROR, examine=examine)
