"""The project's own metadata: what it would create, what autogenerate still sees, what it never got to see."""

import ast
import importlib
import os
import sys
import warnings

from alembic.autogenerate import api
from sqlalchemy import MetaData


def metadatas(context):
    """The metadata that `env.py` gave as `target_metadata`: none, one or several."""
    target = context.opts.get("target_metadata")
    if target is None:
        return []
    return [target] if isinstance(target, MetaData) else list(target)


def _filter(context):
    """A function that says whether autogenerate looks at a table of the metadata."""
    try:
        autogenerate = api.AutogenContext(context)
    except Exception:
        return lambda table: True

    def is_included(table):
        name = table.name
        if hasattr(autogenerate, "run_name_filters") and not autogenerate.run_name_filters(
            name, "table", {"schema_name": table.schema}
        ):
            return False
        return bool(autogenerate.run_object_filters(table, name, "table", False, None))

    return is_included


def hidden(context):
    is_included = _filter(context)
    return [
        "{}.{}".format(table.schema or "", table.name)
        for metadata in metadatas(context)
        for table in metadata.tables.values()
        if not is_included(table)
    ]


def create(context):
    """Create the models' schemas and tables. Tables that autogenerate is told to leave alone are left out."""
    connection = context.connection
    is_included = _filter(context)
    for metadata in metadatas(context):
        tables = [table for table in metadata.tables.values() if is_included(table)]
        quote = connection.dialect.identifier_preparer.quote
        for schema in sorted({table.schema for table in tables if table.schema}):
            connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")
        metadata.create_all(bind=connection, tables=None if len(tables) == len(metadata.tables) else tables)


def drift(context, heads):
    """The operations of `alembic revision --autogenerate`, as [{"operation": words, "object": name}]."""
    arguments = {
        "message": None, "autogenerate": True, "sql": False, "head": "head", "splice": False,
        "branch_label": None, "version_path": None, "rev_id": None, "depends_on": None,
    }  # fmt: skip
    environment = context.environment_context
    config = environment.config if environment is not None else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if context.script is None or "upgrade_token" not in context.opts:
            script = api.produce_migrations(context, context.opts["target_metadata"])
        else:
            revisions = api.RevisionContext(config, context.script, arguments)
            # Alembic's own commands leave these for a project's `process_revision_directives`.
            context.opts.update(revision_context=revisions, template_args=revisions.template_args)
            revisions.run_autogenerate(heads, context)
            if not revisions.generated_revisions:
                return []  # a hook of the project's took the empty script away
            script = revisions.generated_revisions[-1]
    return [
        _in_words(diff)
        for upgrade in script.upgrade_ops_list
        for entry in upgrade.as_diffs()
        for diff in (entry if isinstance(entry, list) else [entry])
    ]


def _in_words(diff):
    """{"operation": "add column public.orders.note", "object": "public.orders.note"} for one of Alembic's diff tuples."""
    kind = str(diff[0])
    words = kind.replace("_", " ")
    if kind in ("add_column", "remove_column"):
        name = _name(diff[1], diff[2], diff[3].name)
    elif kind.startswith("modify_") and len(diff) >= 7:
        name = _name(diff[1], diff[2], diff[3])
        return {"operation": f"{words} {name}: {_short(diff[5])} -> {_short(diff[6])}", "object": name}
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
    return {"operation": f"{words} {name}", "object": name}


def _name(schema, *parts):
    return ".".join([schema or "public"] + [str(part) for part in parts])


def _short(value):
    text = getattr(value, "arg", value)
    return (
        str(getattr(text, "text", text) if not isinstance(value, str) else value)[:200] if value is not None else "none"
    )


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
    for module, path, classes in sorted(_candidates(known)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                importlib.import_module(module)
        except BaseException:  # a module that cannot be imported here, or that exits, proves nothing
            if isinstance(sys.exc_info()[1], KeyboardInterrupt):
                raise
        for metadata in known:
            for key in sorted(set(metadata.tables) - before[id(metadata)]):
                name, line = _defining_class(metadata.tables[key], classes)
                found.append({"module": module, "name": name, "table": key, "path": path, "line": line})
            before[id(metadata)] = set(metadata.tables)
    return found


def _candidates(known):
    """(module, path, {class name: line}) of each file in the models' packages that defines a table and was not imported."""
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
                    classes = _table_classes(path)
                    if classes:
                        inner = os.path.relpath(path, top)[: -len(".py")].split(os.sep)
                        inner = inner[:-1] if inner[-1] == "__init__" else inner
                        yield ".".join([package, *inner]), path, classes


def _mapped_classes(known):
    """Classes that are mapped to the tables of that metadata."""
    from sqlalchemy.orm import mapperlib

    tables = {id(table) for metadata in known for table in metadata.tables.values()}
    registries = mapperlib._all_registries() if hasattr(mapperlib, "_all_registries") else ()
    for registry in list(registries):
        for mapper in list(registry.mappers):
            if id(mapper.local_table) in tables:
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


def _defining_class(table, classes):
    for mapped in _mapped_classes([table.metadata]):
        if mapped.__table__ is table:
            return mapped.__name__, classes.get(mapped.__name__)
    return table.name, None
