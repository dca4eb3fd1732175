"""Waits for Alembic in whatever Python the upgrade command starts, then lets the gate's driver take over.

Python imports a module of this name at start-up (https://docs.python.org/3/library/site.html). It must cost a process
that never reaches Alembic nothing, and must not hide a `sitecustomize` that the project or the machine has.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import os
import sys

TYPE_CHECKING = False  # a process that never reaches Alembic need not import typing
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, Sequence

_HERE = os.path.dirname(os.path.abspath(__file__))
# What is awaited, the variable of the environment for which it is, and the module of the driver that takes it over.
_AWAITED = {
    "alembic.runtime.migration": ("OVERPROOF_DRIVER", "overproof_driver"),
    "alembic.config": ("OVERPROOF_SET", "overproof_driver.options"),
    "pydantic_settings.sources": ("OVERPROOF_ASKED_FOR", "overproof_driver.settings"),
}
# A variable of the environment that may name a database has one of these in its name.
_OF_A_DATABASE = ("DATABASE", "DB", "SQL", "POSTGRES", "PG", "RDS", "URL", "URI", "DSN", "CONN")


class _Finder:
    """Finds an awaited module as usual, and has its loader call the driver right after the module was executed."""

    def __init__(self, awaited: str, driver: str) -> None:
        self._awaited = awaited
        self._driver = driver
        self._is_searching = False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self._awaited or self._is_searching:
            return None
        self._is_searching = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._is_searching = False
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self)  # type: ignore[assignment]
        return spec

    def take_over(self, module: ModuleType) -> None:
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
        _load_driver()
        importlib.import_module(self._driver).take_over(module)


class _Loader:
    """The module's own loader, followed by the driver."""

    def __init__(self, loader: Any, finder: _Finder) -> None:
        self._loader = loader
        self._finder = finder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._finder.take_over(module)


def _load_driver() -> None:
    """Load the driver by its path, since this folder is not on the path any more."""
    name = "overproof_driver"
    if name in sys.modules:
        return
    directory = os.path.join(_HERE, name)
    spec: Any = importlib.util.spec_from_file_location(
        name, os.path.join(directory, "__init__.py"), submodule_search_locations=[directory]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


def _hand_on() -> None:
    """Import the `sitecustomize` that Python would have found without us."""
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != _HERE]
    ours = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
        if ours is not None:
            sys.modules["sitecustomize"] = ours


def _spare_the_collector() -> None:
    """Have the garbage collector look less often: a command imports its whole application, and hardly any of that is
    garbage.

    Of the start of `alembic upgrade` with 80 models and 200 revisions, it was a tenth.
    """
    if hasattr(gc, "set_threshold"):  # not in PyPy
        young, *older = gc.get_threshold()
        if young:
            gc.set_threshold(max(young, 20000), *older)


def _go_to_checkout() -> None:
    """Run the code of another commit, in the folder in which the gate has checked it out."""
    _load_driver()
    importlib.import_module("overproof_driver.checkout").move()


def _note_what_is_asked_for(place: str) -> None:
    """Write down, in the file at `place`, each variable of the environment that is asked for and not set, and that may
    name a database: what the gate advises to set if the command gets to another one."""
    environment: Any = type(os.environ)
    get_item = environment.__getitem__
    noted = set()

    def note(name: Any) -> None:
        if isinstance(name, str) and name not in noted and any(word in name.upper() for word in _OF_A_DATABASE):
            noted.add(name)
            try:
                with open(place, "a", encoding="utf-8") as file:
                    file.write(name + "\n")
            except (OSError, ValueError):
                pass  # the gate is gone, or the name is none that could be written

    def noting(self: Any, name: Any) -> Any:
        try:
            return get_item(self, name)
        except KeyError:
            note(name)
            raise

    environment.__getitem__ = noting


if os.environ.get("OVERPROOF_CHECKOUT"):
    _go_to_checkout()
if os.environ.get("OVERPROOF_DRIVER"):
    _spare_the_collector()
if os.environ.get("OVERPROOF_ASKED_FOR"):
    _note_what_is_asked_for(os.environ["OVERPROOF_ASKED_FOR"])
for _name, (_variable, _driver) in _AWAITED.items():
    if os.environ.get(_variable):
        sys.meta_path.insert(0, _Finder(_name, _driver))
_hand_on()
