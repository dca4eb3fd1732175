"""The project's own metadata: what it would create, what autogenerate still sees, what it never got to see."""

import ast
import importlib
import os
import sys
import warnings

from alembic.autogenerate import api
from sqlalchemy import MetaData
from sqlalchemy.dialects import postgresql

from . import settled as looks


def metadatas(context):
    """The metadata that `env.py` gave as `target_metadata`: none, one or several. Some give classes, with which Alembic can do nothing."""
    target = context.opts.get("target_metadata")
    if target is None:
        return []
    given = list(target) if isinstance(target, (list, tuple, set)) else [target]
    return [each for each in given if isinstance(each, MetaData)]


def _filter(context):
    """A function that says whether autogenerate looks at an item of the metadata: (item, name, kind) -> bool."""
    try:
        autogenerate = api.AutogenContext(context)
    except Exception:
        return lambda item, name, kind: True

    def is_included(item, name, kind):
        has_names = kind == "table" and hasattr(autogenerate, "run_name_filters")
        if has_names and not autogenerate.run_name_filters(name, kind, {"schema_name": item.schema}):
            return False
        return bool(autogenerate.run_object_filters(item, name, kind, False, None))

    return is_included


def hidden(context):
    """["public.orders", "public.orders.note"]: what `include_object` and `include_name` keep from autogenerate."""
    is_included = _filter(context)
    found = []
    for metadata in metadatas(context):
        for table in metadata.tables.values():
            place = _name(table.schema, table.name)
            if not is_included(table, table.name, "table"):
                found.append(place)
                continue
            found.extend(place + "." + name for item, name, kind in _parts(table) if not is_included(item, name, kind))
    return found


def _parts(table):
    """(item, name, kind) of what a table consists of, by Alembic's words for the kinds."""
    for column in table.columns:
        yield column, column.name, "column"
    for index in table.indexes:
        if index.name:
            yield index, str(index.name), "index"
    for constraint in table.constraints:
        kind = constraint.__visit_name__
        if kind in ("unique_constraint", "foreign_key_constraint") and constraint.name:
            yield constraint, str(constraint.name), kind


def create(context):
    """Create the models' schemas and tables. Tables that autogenerate is told to leave alone are left out."""
    connection = context.connection
    for statement in _create_schemas(context):
        connection.exec_driver_sql(statement)
    for metadata, tables in _to_be_created(context):
        metadata.create_all(bind=connection, tables=None if len(tables) == len(metadata.tables) else tables)


def creation(context, settled, told):
    """["CREATE TABLE …"]: the SQL of `create`, less the settled tables; None if it takes more than SQL. See `settled.statements`."""
    statements = looks.statements(context, _to_be_created(context, settled), told, _name)
    return None if statements is None else [*_create_schemas(context), *statements]


def _create_schemas(context):
    quote = context.dialect.identifier_preparer.quote
    tables = [table for _, included in _to_be_created(context) for table in included]
    return [
        f"CREATE SCHEMA IF NOT EXISTS {quote(name)}" for name in sorted({each.schema for each in tables if each.schema})
    ]


def _to_be_created(context, settled=()):
    """[(metadata, [table, …])]"""
    is_included = _filter(context)
    found = []
    for metadata in metadatas(context):
        tables = [table for table in metadata.tables.values() if is_included(table, table.name, "table")]
        found.append((metadata, looks.not_settled(tables, settled, _name) if settled else tables))
    return found


def fingerprints(context):
    """{"public.orders": [fingerprint, [its enums]]} of the models that can be told by one. See `settled.py`."""
    return looks.fingerprints(context, metadatas(context), _name)


def tables(context):
    """{"public.orders"}: what the metadata holds."""
    return {
        _name(table.schema, table.name) for metadata in metadatas(context) for table in list(metadata.tables.values())
    }


def extent(context):
    """What the metadata consists of, to tell later whether a script has added to it: by reflection, say."""
    return [
        (key, id(table), [id(column) for column in table.columns], len(table.constraints), len(table.indexes))
        for metadata in metadatas(context)
        for key, table in sorted(metadata.tables.items())
    ]


def drift(context, heads, settled=()):
    """What `alembic revision --autogenerate` would write: {"operations": [{"operation": words, "object": name}], "waived": [name]}.

    Waived is what a `process_revision_directives` of the project's took out again. `refused` names the tables of which the project's
    filters left something out. Settled tables are not looked at.
    """
    with looks.Filters(context, settled, _name) as filters:
        return dict(_drift(context, heads), refused=sorted(filters.refused))


def _drift(context, heads):
    environment = context.environment_context
    config = environment.config if environment is not None else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if context.script is None or "upgrade_token" not in context.opts:
            script = api.produce_migrations(context, context.opts["target_metadata"])
            return {"operations": list(_operations([script])), "waived": []}
        names = ("message", "head", "branch_label", "version_path", "rev_id", "depends_on")
        arguments = dict(dict.fromkeys(names), autogenerate=True, sql=False, splice=False)
        revisions = api.RevisionContext(config, context.script, arguments)
        # Alembic's own commands leave these for a project's hook.
        context.opts.update(revision_context=revisions, template_args=revisions.template_args)
        hook = context.opts.get("process_revision_directives")
        found = []

        def look_before_the_hook(migration_context, revision, directives):
            found.extend(_operations(directives))
            if hook:
                hook(migration_context, revision, directives)

        context.opts["process_revision_directives"] = look_before_the_hook
        try:
            revisions.run_autogenerate(heads, context)
        finally:
            context.opts["process_revision_directives"] = hook
    left = list(_operations(revisions.generated_revisions))
    return {"operations": left, "waived": [each["object"] for each in found if each not in left]}


def _operations(scripts):
    """The upgrade operations of autogenerated scripts, in words. A hook may have taken all scripts away."""
    for script in scripts[-1:]:
        for upgrade in script.upgrade_ops_list:
            for entry in upgrade.as_diffs():
                for diff in entry if isinstance(entry, list) else [entry]:
                    yield _in_words(diff)


def _in_words(diff):
    """{"operation": "add column public.orders.note", "object": "public.orders.note", "kind": "add-column"} for one of Alembic's diff tuples."""
    kind = str(diff[0])
    words = kind.replace("_", " ").replace(" fk", " foreign key")
    if kind in ("add_column", "remove_column"):
        name = _name(diff[1], diff[2], diff[3].name)
    elif kind.startswith("modify_") and len(diff) >= 7:
        name = _name(diff[1], diff[2], diff[3])
        if kind == "modify_nullable":
            operation = f"make {name} {'nullable' if diff[6] else 'NOT NULL'}"
        else:
            operation = f"change the {words[len('modify ') :]} of {name}: {_short(diff[5])} -> {_short(diff[6])}"
        return {"operation": operation, "object": name, "kind": kind.replace("_", "-")}
    elif kind in ("add_table", "remove_table"):
        name = _name(diff[1].schema, diff[1].name)
    else:
        item = diff[1]
        table = getattr(item, "table", None)
        own = getattr(item, "name", None)
        if table is None:
            name = str(own or item)[:200]
        elif own:
            name = _name(table.schema, table.name, own)
        else:
            columns = ", ".join(str(column.name) for column in getattr(item, "columns", ()))
            name = f"{_name(table.schema, table.name)}({columns})"
    return {"operation": f"{words} {name}", "object": name, "kind": kind.replace("_", "-")}


def _name(schema, *parts):
    return ".".join([schema or "public"] + [str(part) for part in parts])


def _short(value):
    if hasattr(value, "compile") and hasattr(value, "dialect_impl"):
        return _type_in_words(value)
    text = getattr(value, "arg", value)
    return (
        str(getattr(text, "text", text) if not isinstance(value, str) else value)[:200] if value is not None else "none"
    )


def _type_in_words(given):
    """A column's type as PostgreSQL writes it: by itself, an Enum would be taken for the VARCHAR that it is elsewhere."""
    try:
        return given.compile(dialect=postgresql.dialect())[:200]
    except Exception:  # such as an Enum without a name
        return str(given)[:200]


def unregistered(context):
    """Table classes beside the known models, in files that `env.py` did not import, whose tables land in the same metadata.

    Only files whose text defines a table are imported, after everything else is done, and only what then appears in the
    metadata counts: a class on another base, in a test or an example, is none of Alembic's business.
    """
    known = metadatas(context)
    if not known:
        return []
    found = []
    before = {id(metadata): set(metadata.tables) for metadata in known}
    for module, path in sorted(_candidates(known)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                importlib.import_module(module)
        except BaseException:  # a module that cannot be imported here, or that exits, proves nothing
            if isinstance(sys.exc_info()[1], KeyboardInterrupt):
                raise
        for metadata in known:
            new = sorted(set(metadata.tables) - before[id(metadata)])
            found.extend(dict(_defining_class(metadata.tables[key], module, path), table=key) for key in new)
            before[id(metadata)] = set(metadata.tables)
    return found


def _candidates(known):
    """(module, path) of each file in the models' packages that defines a table and was not imported."""
    packages = set()
    for base in _mapped_classes(known):
        packages.add(base.__module__.split(".")[0])
    loaded = {
        os.path.realpath(module.__file__) for module in list(sys.modules.values()) if getattr(module, "__file__", None)
    }
    for package in sorted(packages):
        module = sys.modules.get(package)
        for top in getattr(module, "__path__", ()):
            for directory, names, files in os.walk(top):
                names[:] = sorted(
                    name for name in names if name.isidentifier() and name not in ("tests", "test", "testing")
                )
                for file in sorted(files):
                    path = os.path.join(directory, file)
                    if not file.endswith(".py") or os.path.realpath(path) in loaded:
                        continue
                    if _table_classes(path):
                        inner = os.path.relpath(path, top)[: -len(".py")].split(os.sep)
                        inner = inner[:-1] if inner[-1] == "__init__" else inner
                        yield ".".join([package, *inner]), path


def _mapped_classes(known):
    """Classes that are mapped to the tables of that metadata."""
    from sqlalchemy.orm import mapperlib

    known_tables = {id(table) for metadata in known for table in metadata.tables.values()}
    registries = mapperlib._all_registries() if hasattr(mapperlib, "_all_registries") else ()
    for registry in list(registries):
        for manager in list(registry._managers):
            # None of a class that is mapped only once others are: AbstractConcreteBase.
            mapper = manager.__dict__.get("mapper")
            if mapper is not None and id(mapper.local_table) in known_tables:
                yield mapper.class_


def _table_classes(path):
    """{class name: line} of the classes that look like tables, told from the text alone."""
    try:
        with open(path, "rb") as file:
            text = file.read(2000000)
        if b"__tablename__" not in text and b"table=True" not in text.replace(b" ", b"") and b"Table(" not in text:
            return {}
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return {}
    classes = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            has_keyword = any(
                keyword.arg == "table" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True
                for keyword in node.keywords
            )
            has_name = any(
                isinstance(target, ast.Name) and target.id == "__tablename__"
                for statement in node.body
                for target in getattr(statement, "targets", [getattr(statement, "target", None)])
            )
            if has_keyword or has_name:
                classes[node.name] = node.lineno
    return classes


def _defining_class(table, module, path):
    """{"module", "name", "path", "line"} of the class mapped to the table; without one, of the module that was imported."""
    for mapped in _mapped_classes([table.metadata]):
        if getattr(mapped, "__table__", None) is table:
            defined_in = sys.modules.get(mapped.__module__)
            place = getattr(defined_in, "__file__", None) or path
            line = _table_classes(place).get(mapped.__name__)
            return {"module": mapped.__module__, "name": mapped.__name__, "path": place, "line": line}
    return {"module": module, "name": table.name, "path": path, "line": None}
