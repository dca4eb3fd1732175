"""The project's metadata: what it would create, what autogenerate still sees, and what its filters hide from that."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any, Callable, Collection, Iterable, Iterator

from alembic.autogenerate import api
from sqlalchemy import MetaData
from sqlalchemy.dialects import postgresql

from . import creation as _creation
from . import unchanged as _unchanged
from .naming import full_name

if TYPE_CHECKING:
    from sqlalchemy import Table

    from . import protocol

    Filter = Callable[[Any, str, str], bool]


def metadatas(context: Any) -> list[MetaData]:
    """The metadata that `env.py` gave as `target_metadata`: none, one or several. Some give classes, which Alembic
    cannot use."""
    target = context.opts.get("target_metadata")
    if target is None:
        return []
    given = list(target) if isinstance(target, (list, tuple, set)) else [target]
    return [each for each in given if isinstance(each, MetaData)]


def _filter(context: Any) -> Filter:
    """A function that says whether autogenerate looks at an item of the metadata: (item, name, kind) -> bool."""
    try:
        autogenerate: Any = api.AutogenContext(context)
    except Exception:
        return lambda item, name, kind: True

    def is_included(item: Any, name: str, kind: str) -> bool:
        has_names = kind == "table" and hasattr(autogenerate, "run_name_filters")
        if has_names and not autogenerate.run_name_filters(name, kind, {"schema_name": item.schema}):
            return False
        return bool(autogenerate.run_object_filters(item, name, kind, False, None))

    return is_included


def hidden(context: Any) -> list[str]:
    """["public.orders", "public.orders.note"]: what `include_object` and `include_name` keep from autogenerate."""
    is_included = _filter(context)
    found: list[str] = []
    for metadata in metadatas(context):
        for table in metadata.tables.values():
            place = full_name(table.schema, table.name)
            if not is_included(table, table.name, "table"):
                found.append(place)
                continue
            found.extend(place + "." + name for item, name, kind in _parts(table) if not is_included(item, name, kind))
    return found


def entities() -> list[str]:
    """["public.touch", "public.orders.touched"]: functions, views, triggers and the like that are registered with
    alembic_utils. Autogenerate compares them, and no model creates them."""
    registry = getattr(sys.modules.get("alembic_utils.replaceable_entity"), "registry", None)
    found: list[str] = []
    for each in registry.entities() if registry is not None else ():
        name = str(each.signature).partition("(")[0].strip().replace('"', "")
        table = str(getattr(each, "on_entity", "") or "").replace('"', "")  # of a trigger or a policy
        if table and "." in table:
            found.append(table + "." + name)
        else:
            found.append(full_name(each.schema, *([table] if table else []), name))
    return found


def _parts(table: Table) -> Iterator[tuple[Any, str, str]]:
    """(item, name, kind) of what a table consists of, with Alembic's names of the kinds."""
    for column in table.columns:
        yield column, column.name, "column"
    for index in table.indexes:
        if index.name:
            yield index, str(index.name), "index"
    for constraint in table.constraints:
        kind = constraint.__visit_name__
        if kind in ("unique_constraint", "foreign_key_constraint") and constraint.name:
            yield constraint, str(constraint.name), kind


def create(context: Any) -> None:
    """Create the models' schemas and tables. Tables that the project hides from autogenerate are left out."""
    connection = context.connection
    for statement in _create_schemas(context):
        connection.exec_driver_sql(statement)
    for metadata, tables in _to_be_created(context):
        metadata.create_all(bind=connection, tables=None if len(tables) == len(metadata.tables) else tables)


def creation(context: Any) -> list[str] | None:
    """["CREATE TABLE …"]: the SQL of `create`; None if it takes more than SQL."""
    statements = _creation.statements(context, _to_be_created(context))
    return None if statements is None else [*_create_schemas(context), *statements]


def _create_schemas(context: Any) -> list[str]:
    quote = context.dialect.identifier_preparer.quote
    tables = [table for _, included in _to_be_created(context) for table in included]
    return [
        f"CREATE SCHEMA IF NOT EXISTS {quote(name)}" for name in sorted({each.schema for each in tables if each.schema})
    ]


def _to_be_created(context: Any) -> list[tuple[MetaData, list[Table]]]:
    is_included = _filter(context)
    found = []
    for metadata in metadatas(context):
        tables = [table for table in metadata.tables.values() if is_included(table, table.name, "table")]
        found.append((metadata, tables))
    return found


def fingerprints(context: Any) -> dict[str, tuple[str, list[str]]]:
    """{"public.orders": (fingerprint, [its enums])} of the models that can be identified by one. See `unchanged.py`."""
    return _unchanged.fingerprints(context, metadatas(context))


def tables(context: Any) -> set[str]:
    """{"public.orders"}: what the metadata holds."""
    return {
        full_name(table.schema, table.name)
        for metadata in metadatas(context)
        for table in list(metadata.tables.values())
    }


def extent(context: Any) -> list[Any]:
    """What the metadata consists of, to see later whether a script has added to it: by reflection, say."""
    return [
        (key, id(table), [id(column) for column in table.columns], len(table.constraints), len(table.indexes))
        for metadata in metadatas(context)
        for key, table in sorted(metadata.tables.items())
    ]


def drift(context: Any, heads: tuple[str, ...], unchanged: Collection[str] = ()) -> protocol.Differences:
    """What `alembic revision --autogenerate` would write. Unchanged tables are not compared.

    `waived` is what a `process_revision_directives` of the project's took out again. `refused` names the tables of
    which the project's filters left something out.
    """
    with _unchanged.Filters(context, unchanged) as filters:
        operations, waived = _autogenerate(context, heads)
    return {"operations": operations, "waived": waived, "refused": sorted(filters.refused)}


def _autogenerate(context: Any, heads: tuple[str, ...]) -> tuple[list[protocol.Operation], list[str]]:
    """What autogenerate would write, and what a hook of the project's took out of it."""
    environment = context.environment_context
    config: Any = environment.config if environment is not None else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if context.script is None or "upgrade_token" not in context.opts:
            script = api.produce_migrations(context, context.opts["target_metadata"])
            return list(_operations([script])), []
        names = ("message", "head", "branch_label", "version_path", "rev_id", "depends_on")
        arguments: dict[str, Any] = {**dict.fromkeys(names), "autogenerate": True, "sql": False, "splice": False}
        revisions = api.RevisionContext(config, context.script, arguments)
        # Alembic's own commands leave these for a project's hook.
        context.opts.update(revision_context=revisions, template_args=revisions.template_args)
        hook = context.opts.get("process_revision_directives")
        found: list[protocol.Operation] = []

        def note_before_the_hook(migration_context: Any, revision: Any, directives: Any) -> None:
            found.extend(_operations(directives))
            if hook:
                hook(migration_context, revision, directives)

        context.opts["process_revision_directives"] = note_before_the_hook
        try:
            revisions.run_autogenerate(heads, context)
        finally:
            context.opts["process_revision_directives"] = hook
    left = list(_operations(revisions.generated_revisions))
    return left, [each["object"] for each in found if each not in left]


def _operations(scripts: Iterable[Any]) -> Iterator[protocol.Operation]:
    """The upgrade operations of the last autogenerated script. A hook may have taken all scripts away."""
    for script in list(scripts)[-1:]:
        for upgrade in script.upgrade_ops_list:
            for entry in upgrade.as_diffs():
                for diff in entry if isinstance(entry, list) else [entry]:
                    yield _describe(diff)


def _describe(diff: Any) -> protocol.Operation:
    """{"operation": "add column public.orders.note", "object": "public.orders.note", "kind": "add-column"} for one of
    Alembic's diff tuples."""
    kind = str(diff[0])
    words = kind.replace("_", " ").replace(" fk", " foreign key")
    if kind in ("add_column", "remove_column"):
        name = full_name(diff[1], diff[2], diff[3].name)
    elif kind.startswith("modify_") and len(diff) >= 7:
        name = full_name(diff[1], diff[2], diff[3])
        if kind == "modify_nullable":
            operation = f"make {name} {'nullable' if diff[6] else 'NOT NULL'}"
        else:
            operation = f"change the {words[len('modify ') :]} of {name}: {_short(diff[5])} -> {_short(diff[6])}"
        return {"operation": operation, "object": name, "kind": kind.replace("_", "-")}
    elif kind in ("add_table", "remove_table"):
        name = full_name(diff[1].schema, diff[1].name)
    else:
        name = _name_of(diff[1])
    return {"operation": f"{words} {name}", "object": name, "kind": kind.replace("_", "-")}


def _name_of(item: Any) -> str:
    """The name of a constraint or an index, and of one without a name the columns: "public.orders(note)"."""
    table: Any = getattr(item, "table", None)
    own = getattr(item, "name", None)
    if not hasattr(table, "schema"):  # an entity of alembic_utils may have the table's name
        return str(own or item)[:200]
    if own:
        return full_name(table.schema, table.name, own)
    columns = ", ".join(str(column.name) for column in getattr(item, "columns", ()))
    return f"{full_name(table.schema, table.name)}({columns})"


def _short(value: Any) -> str:
    if hasattr(value, "compile") and hasattr(value, "dialect_impl"):
        return _describe_type(value)
    text = getattr(value, "arg", value)
    return (
        str(getattr(text, "text", text) if not isinstance(value, str) else value)[:200] if value is not None else "none"
    )


def _describe_type(given: Any) -> str:
    """A column's type as PostgreSQL writes it: without the dialect, an Enum would be taken for the VARCHAR that it is
    elsewhere."""
    try:
        return str(given.compile(dialect=postgresql.dialect()))[:200]
    except Exception:  # such as an Enum without a name
        return str(given)[:200]
