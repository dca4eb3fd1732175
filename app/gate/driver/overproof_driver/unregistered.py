"""Models that Alembic never saw, because nothing that `env.py` imports imports their files."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any, Iterable, Iterator

from .declared import Project

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from . import protocol

# Folders and files that have tables of their own for a purpose: tests, examples, what is not the project's.
_OTHERS = re.compile(
    r"(?:tests?|testing|conftest|examples?|samples?|demos?|docs?|fixtures?|benchmarks?|scripts|tools|build|dist|node_modules|"
    r"(?:.*_)?migrations?|alembic|versions|venv|env|virtualenv|site-packages|dist-packages|setup|noxfile|test_.*|.*_tests?)"
    r"(?:\.py)?"
)
_MOST_FILES = 5000


def find_unregistered(known: list[MetaData], scripts: str | None = None) -> list[protocol.UnregisteredModel]:
    """Tables that files of the project declare on the metadata that Alembic has, and that are not in it.

    Such a file is in a package in which registered models or their bases live, or in one beside it. It is parsed and
    never imported. A table of the same name that is registered from elsewhere is enough. An installed package is the
    project if the migration scripts are in it: `scripts` is their folder.
    """
    registered = {key for metadata in known for key in metadata.tables}
    paths = dict(_files_not_imported(known, os.path.realpath(scripts) if scripts else ""))
    project = Project(paths, known)
    found: list[protocol.UnregisteredModel] = []
    for module in sorted(paths):
        for each in project.declared_in(module):
            if each.table not in registered:
                registered.add(each.table)
                found.append(
                    {"module": module, "name": each.name, "path": paths[module], "line": each.line, "table": each.table}
                )
    return found


def _files_not_imported(known: list[MetaData], scripts: str) -> Iterator[tuple[str, str]]:
    """(module, path) of each file in the models' packages and in those beside them, less those that were imported."""
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    loaded = {os.path.realpath(file) for file in files if file}
    left = _MOST_FILES
    for root, name in sorted(_places(known, scripts)):
        for module, file in _modules_of(name, os.path.join(root, name)):
            left -= 1
            if left < 0:
                return
            if module not in sys.modules and os.path.realpath(file) not in loaded:
                yield module, file


def _places(known: list[MetaData], scripts: str) -> set[tuple[str, str]]:
    """(folder, file or package in it): where models may be.

    Next to a base of the project's, anywhere: what is declared on it belongs to it. On a library's (SQLModel), which
    other programs in the same folder may use too, only in the packages that have registered models; or, if there are
    none at all, in the folder where the command runs.
    """
    of_bases = set(filter(None, map(_place_of, _bases(known))))
    of_models = set(filter(None, map(_place_of, _mapped_classes(known))))
    own = {
        (root, name)
        for root, name in of_models | of_bases
        if _is_of_the_project(root) or scripts.startswith(os.path.join(root, name) + os.sep)
    }
    roots = {root for root, _ in of_bases if _is_of_the_project(root)}
    here = os.path.realpath(os.curdir)
    if not own and not of_models and _is_of_the_project(here):
        roots = {here}
    return own | {(root, name) for root in roots for name in os.listdir(root)}


def _place_of(cls: Any) -> tuple[str, str] | None:
    """Where the top package or module of a class is."""
    top = sys.modules.get(cls.__module__.split(".")[0])
    file = getattr(top, "__file__", None) or next(iter(getattr(top, "__path__", ())), None)
    if not file:
        return None
    path = os.path.realpath(file)
    if os.path.basename(path) == "__init__.py":
        path = os.path.dirname(path)
    root, name = os.path.split(path)
    return root, name


def _is_of_the_project(root: str) -> bool:
    """Whether it is no folder of installed packages, and none of the system's."""
    parts = root.split(os.sep)
    if any(part in ("site-packages", "dist-packages") for part in parts) or len(parts) < 2 or not parts[1]:
        return False
    return not (
        root == os.path.realpath(sys.prefix) or root.startswith(os.path.realpath(sys.base_prefix) + os.sep + "lib")
    )


def _modules_of(name: str, path: str) -> Iterator[tuple[str, str]]:
    """The modules of one file or package in a folder of the path."""
    if _OTHERS.fullmatch(name.lower()) or name.startswith("."):
        return
    if name.endswith(".py") and name[:-3].isidentifier() and os.path.isfile(path):
        yield name[:-3], path
    elif name.isidentifier() and not _is_environment(path) and os.path.isfile(os.path.join(path, "__init__.py")):
        for directory, folders, files in os.walk(path):
            folders[:] = sorted(
                each
                for each in folders
                if each.isidentifier()
                and not _OTHERS.fullmatch(each.lower())
                and not _is_environment(os.path.join(directory, each))
            )
            inner = os.path.relpath(directory, os.path.dirname(path)).split(os.sep)
            for file in sorted(files):
                if file == "__init__.py":
                    yield ".".join(inner), os.path.join(directory, file)
                elif file.endswith(".py") and file[:-3].isidentifier() and not _OTHERS.fullmatch(file.lower()):
                    yield ".".join([*inner, file[:-3]]), os.path.join(directory, file)


def _is_environment(path: str) -> bool:
    """Whether it is a virtual environment: https://docs.python.org/3/library/venv.html."""
    return os.path.exists(os.path.join(path, "pyvenv.cfg"))


def _mapped_classes(known: Iterable[MetaData]) -> Iterator[Any]:
    """Classes that are mapped to the tables of that metadata."""
    known_tables = {id(table) for metadata in known for table in metadata.tables.values()}
    for registry in _registries():
        for manager in list(registry._managers):
            # None of a class that is mapped only once others are: AbstractConcreteBase.
            mapper = manager.__dict__.get("mapper")
            if mapper is not None and id(mapper.local_table) in known_tables:
                yield mapper.class_


def _bases(known: Iterable[MetaData]) -> Iterator[Any]:
    """Classes of loaded modules that have the metadata, among them bases of which no model was imported."""
    for module in list(sys.modules.values()):
        try:
            values = list(vars(module).values())
        except TypeError:  # no module
            continue
        for value in values:
            # Asked of the type alone, since a proxy may refuse to be asked.
            if issubclass(type(value), type) and any(vars(value).get("metadata") is each for each in known):
                yield value


def _registries() -> list[Any]:
    from sqlalchemy.orm import mapperlib

    return list(mapperlib._all_registries()) if hasattr(mapperlib, "_all_registries") else []
