"""Models that Alembic never saw, because `env.py` does not import their files."""

from __future__ import annotations

import ast
import importlib
import os
import sys
import warnings
from typing import TYPE_CHECKING, Any, Iterable, Iterator

if TYPE_CHECKING:
    from sqlalchemy import MetaData, Table

    from . import protocol


def find_unregistered(known: list[MetaData]) -> list[protocol.UnregisteredModel]:
    """Table classes in files that `env.py` did not import, whose tables are added to the same metadata.

    Only files whose text defines a table are imported, after everything else is done, and only what then appears in the
    metadata counts: a class on another base, in a test or an example, is none of Alembic's business.
    """
    found: list[protocol.UnregisteredModel] = []
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
            found.extend(_model(metadata.tables[key], key, module, path) for key in new)
            before[id(metadata)] = set(metadata.tables)
    return found


def _candidates(known: list[MetaData]) -> Iterator[tuple[str, str]]:
    """(module, path) of each file in the models' packages that defines a table and was not imported."""
    packages = {mapped.__module__.split(".")[0] for mapped in _mapped_classes(known)}
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    loaded = {os.path.realpath(file) for file in files if file}
    for package in sorted(packages):
        for top in getattr(sys.modules.get(package), "__path__", ()):
            for path in _python_files(top):
                if os.path.realpath(path) not in loaded and _table_classes(path):
                    inner = os.path.relpath(path, top)[: -len(".py")].split(os.sep)
                    inner = inner[:-1] if inner[-1] == "__init__" else inner
                    yield ".".join([package, *inner]), path


def _python_files(top: str) -> Iterator[str]:
    """The files of a package, without its tests."""
    for directory, names, files in os.walk(top):
        names[:] = sorted(name for name in names if name.isidentifier() and name not in ("tests", "test", "testing"))
        yield from (os.path.join(directory, file) for file in sorted(files) if file.endswith(".py"))


def _mapped_classes(known: Iterable[MetaData]) -> Iterator[Any]:
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


def _table_classes(path: str) -> dict[str, int]:
    """{class name: line} of the classes that look like tables, judging by the text alone."""
    try:
        with open(path, "rb") as file:
            text = file.read(2000000)
        if b"__tablename__" not in text and b"table=True" not in text.replace(b" ", b"") and b"Table(" not in text:
            return {}
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return {}
    return {
        node.name: node.lineno for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and _is_table_class(node)
    }


def _is_table_class(node: ast.ClassDef) -> bool:
    has_keyword = any(
        keyword.arg == "table" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True
        for keyword in node.keywords
    )
    has_name = any(
        isinstance(target, ast.Name) and target.id == "__tablename__"
        for statement in node.body
        for target in getattr(statement, "targets", [getattr(statement, "target", None)])
    )
    return has_keyword or has_name


def _model(table: Table, key: str, module: str, path: str) -> protocol.UnregisteredModel:
    """The class that is mapped to the table; without one, the module that was imported."""
    for mapped in _mapped_classes([table.metadata]):
        if getattr(mapped, "__table__", None) is table:
            defined_in = sys.modules.get(mapped.__module__)
            file = getattr(defined_in, "__file__", None) or path
            line = _table_classes(file).get(mapped.__name__)
            return {"module": mapped.__module__, "name": mapped.__name__, "path": file, "line": line, "table": key}
    return {"module": module, "name": table.name, "path": path, "line": None, "table": key}
