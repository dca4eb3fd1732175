"""A table class that Alembic never sees, because nothing that env.py imports imports it.

Catches
    A class with a table, in a module of the project that nothing imports, that belongs to the metadata which env.py
    gives Alembic, but is not in it. The modules are parsed, and never imported: those in the packages of the models and
    of their base, and in packages next to them.

Why it hurts
    Autogenerate compares the database with the metadata. A table that is missing there is no difference: no migration
    is ever written for it, no check complains, and the first query in production fails. If a migration did create it,
    the next autogenerate writes one that drops it.

How to fix
    Import the module where the metadata is assembled, so that env.py has it too::

        import app.orders.models  # noqa: F401

Stays quiet when
    The class has a separate metadata (for another database), or is abstract. A table of its name is registered from
    elsewhere. It is in a test, an example or a migration, in a program (`if __name__ == "__main__"`), or in a module
    that imports what is not installed. Its base, its table's name or its schema cannot be known from the source.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.checks.support.subjects import together
from app.gate.recording.model import Evidence, Recording, UnregisteredModel
from app.gate.recording.names import shorten
from app.gate.report.verdict import Severity
from app.gate.wording import bulleted, counted, listed

_MODULES_ONE_BY_ONE = 5


def examine(recording: Recording) -> Iterator[Finding]:
    if not recording.has_metadata:
        raise CheckSkipped("env.py gives Alembic no target_metadata to compare with")
    if recording.unregistered is None:
        raise CheckSkipped(recording.not_observed.get("unregistered", "the project's modules were not searched"))
    by_module: dict[str, list[UnregisteredModel]] = {}
    for model in recording.unregistered:
        by_module.setdefault(model.module, []).append(model)
    dropped = {drift.object for drift in recording.drift or () if drift.operation.startswith("remove table ")}
    if len(by_module) > _MODULES_ONE_BY_ONE:
        yield _finding_of_all(by_module)
        return
    for module, models in sorted(by_module.items()):
        yield _finding(module, models, dropped)


def _finding_of_all(by_module: Mapping[str, Sequence[UnregisteredModel]]) -> Finding:
    """Where so many are missing, one place has forgotten them all."""
    modules = sorted(by_module)
    first = by_module[modules[0]][0]
    number = sum(map(len, by_module.values()))
    imports = "\n".join(f"    import {module}  # noqa: F401" for module in modules)
    return Finding(
        f"Neither env.py nor anything that it imports imports {counted(len(modules), 'module')} with models:"
        f" {listed(modules)}. So Alembic does not know {counted(number, 'table')}, and autogenerate would drop them, or will"
        " never create them.",
        together(modules),
        detail=bulleted(
            f"{module}: {', '.join(f'{model.name} (table {model.table})' for model in by_module[module])}"
            for module in modules
        ),
        help=f"Import them where the metadata is assembled, so that env.py has them too:\n\n{imports}",
        path=first.path,
        line=first.line,
    )


def _finding(module: str, models: list[UnregisteredModel], dropped: Collection[str]) -> Finding:
    names = listed([f"{model.name} (table {model.table})" for model in models])
    created = [model.table for model in models if full_table_name(model) in dropped]
    never_created = [model.table for model in models if full_table_name(model) not in dropped]
    what_follows = []
    if created:
        what_follows.append(
            f"would drop {listed(created)}" if never_created else f"would drop {'it' if len(created) == 1 else 'them'}"
        )
    if never_created:
        what_follows.append(
            f"will never create {listed(never_created)}"
            if created
            else f"will never create {'it' if len(never_created) == 1 else 'them'}"
        )
    return Finding(
        f"Neither env.py nor anything that it imports imports {module}, so Alembic does not know {names}: autogenerate "
        f"{' and '.join(what_follows)}.",
        together(f"table {shorten(full_table_name(model))}" for model in models),
        object=module,
        detail="\n".join(f"- {model.name}, table {model.table}, line {model.line or 1}" for model in models)
        if len(models) > 1
        else None,
        help=f"Import it where the metadata is assembled, so that env.py has it too:\n\n    import {module}  # noqa: F401",
        path=models[0].path,
        line=models[0].line,
    )


def full_table_name(model: UnregisteredModel) -> str:
    """`public.orders` where the model says `orders`."""
    return model.table if "." in model.table else f"public.{model.table}"


CHECK = Check(
    id="unregistered-models", severity=Severity.ERROR, examine=examine, needs=frozenset({Evidence.UNREGISTERED})
)
