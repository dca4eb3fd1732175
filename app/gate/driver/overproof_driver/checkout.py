"""The command runs the code of another commit, which is checked out in a folder of its own.

The command starts in the user's folder, as launchers need (`uv run`, `make`). The Python in which Alembic can be
imported then goes to the same place in the checkout, and starts once more there, with its paths translated. What leads
to the user's folder by other ways, such as an editable install, is translated as modules are looked for.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from typing import TYPE_CHECKING, Any, Iterable, Iterator

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

VARIABLE = "OVERPROOF_CHECKOUT"
_MOVED = "OVERPROOF_MOVED"


class Translation:
    """From paths of the user's folder to those of the checkout."""

    def __init__(self, root: str, place: str) -> None:
        self.root = root
        self.place = place
        self._environment = os.path.abspath(sys.prefix)

    def of(self, path: str) -> str | None:
        """The same place in the checkout. None if there is none, or if it is the Python environment's."""
        if not path or "site-packages" in path or "dist-packages" in path:
            return None
        path = os.path.abspath(path)
        if _is_in(path, self._environment):
            return None
        for given in (path, os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))):
            if _is_in(given, self.root):
                found = self._in_checkout(given)
                return found and (self._led_back(found) or found)
        return self._led_back(path) if _is_in(path, self.place) else None

    def _in_checkout(self, path: str) -> str | None:
        found = os.path.normpath(os.path.join(self.place, os.path.relpath(path, self.root)))
        return found if os.path.exists(found) else None

    def _led_back(self, path: str) -> str | None:
        """Where a link leads from the checkout to a file of the user's that is in the checkout, too: what an editable
        install of setuptools' strict mode consists of is ignored by Git, and so is linked."""
        real = os.path.realpath(path)
        return self._in_checkout(real) if _is_in(real, self.root) else None

    def of_all(self, paths: Iterable[str]) -> list[str]:
        return [(self.of(each) or each) if os.path.isabs(each) else each for each in paths]


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def read_translation() -> Translation | None:
    """What the gate has asked for."""
    given = os.environ.get(VARIABLE)
    if not given:
        return None
    root, place = json.loads(given)
    return Translation(root, place)


def move() -> None:
    """Go to the checkout, if this is a Python in which Alembic can be imported, and look for modules there."""
    translation = read_translation()
    if translation is None:
        return
    if not os.environ.get(_MOVED):
        here = translation.of(os.getcwd())
        if here is None or not _has_alembic():
            return
        os.chdir(here)
        os.environ.update({_MOVED: "1", "PWD": here})
        python_path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        os.environ["PYTHONPATH"] = os.pathsep.join(translation.of_all(python_path))
        words = _words()
        if words:
            os.execv(sys.executable, [words[0], *translation.of_all(words[1:])])  # noqa: S606 - what runs already, once more
    sys.path[:] = translation.of_all(sys.path)
    sys.meta_path.insert(0, _Finder(translation))


def _has_alembic() -> bool:
    spec = importlib.util.find_spec("alembic")
    return spec is not None and spec.origin is not None


def _words() -> list[str]:
    """The command line of this process. Empty where it is not known."""
    words = getattr(sys, "orig_argv", None)  # since Python 3.10
    if words is None and os.path.exists("/proc/self/cmdline"):
        with open("/proc/self/cmdline", "rb") as file:
            words = [os.fsdecode(word) for word in file.read().split(b"\0")[:-1]]
    return list(words or ())


class _Finder:
    """Has the other finders look for a module, and takes it from the checkout where that has it, too."""

    def __init__(self, translation: Translation) -> None:
        self._translation = translation

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                return self._translated(spec)
        return None

    def _translated(self, spec: ModuleSpec) -> ModuleSpec:
        folders = spec.submodule_search_locations
        if folders is not None and (spec.origin is None or spec.loader is None):  # a namespace package
            spec.submodule_search_locations = _each_once(self._translation.of_all(folders))
            return spec
        there = self._translation.of(spec.origin) if spec.origin and spec.has_location else None
        if there is None or there == spec.origin:
            return spec
        inner = None if folders is None else _each_once([os.path.dirname(there), *self._translation.of_all(folders)])
        found = importlib.util.spec_from_file_location(spec.name, there, submodule_search_locations=inner)
        return spec if found is None else found


def _each_once(paths: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(paths))


def strays() -> list[str]:
    """Files of the user's folder that were imported, although the checkout has them: the code of two commits is
    mixed."""
    translation = read_translation()
    return [] if translation is None else sorted(_strays(translation))[:5]


def _strays(translation: Translation) -> Iterator[str]:
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and translation.of(file) not in (None, file):
            yield file
