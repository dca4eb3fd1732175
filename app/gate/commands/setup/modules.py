"""The project's own modules that a script imports, directly or not."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

MOST = 100  # modules; what configures a database is near the script
_NOT_OF_THE_PROJECT = frozenset(["node_modules", "site-packages", "tests", "test", "versions", "build", "dist"])


def imported_modules(script: Path, roots: Sequence[Path]) -> Iterator[Path]:
    """The script, then what it imports from those folders, then what that imports, nearest first."""
    waiting, seen = [script], {script}
    while waiting and len(seen) <= MOST:
        path = waiting.pop(0)
        yield path
        for found in _imports(path, roots):
            if found not in seen:
                seen.add(found)
                waiting.append(found)


def _imports(path: Path, roots: Sequence[Path]) -> Iterator[Path]:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files_on_the_way_to(alias.name.split("."), roots)
        elif isinstance(node, ast.ImportFrom):
            words = node.module.split(".") if node.module else []
            places = list(path.parents)[node.level - 1 : node.level] if node.level else roots
            yield from _files_on_the_way_to(words, places)
            for alias in node.names:
                yield from _files_of([*words, alias.name], places)


def _files_on_the_way_to(words: Sequence[str], places: Sequence[Path]) -> Iterator[Path]:
    """The packages around a module, which are imported before it, and the module."""
    for number in range(1, len(words) + 1):
        yield from _files_of(words[:number], places)


def _files_of(words: Sequence[str], places: Sequence[Path]) -> Iterator[Path]:
    for place in places:
        module = place.joinpath(*words)
        for path in (module.with_suffix(".py"), module / "__init__.py"):
            if words and path.is_file():
                yield path
                return


def all_modules(directory: Path) -> Iterator[Path]:
    """The project's modules, those near its top first, without its tests and its environment."""
    folders, count = [directory], 0
    while folders:
        folder = folders.pop(0)
        try:
            entries = sorted(folder.iterdir())
        except OSError:
            continue
        for entry in entries:
            if entry.suffix == ".py" and count < MOST:
                count += 1
                yield entry
            elif entry.is_dir() and not entry.is_symlink() and _is_of_the_project(entry):
                folders.append(entry)


def _is_of_the_project(folder: Path) -> bool:
    is_hidden = folder.name.startswith((".", "__"))
    return not (is_hidden or folder.name in _NOT_OF_THE_PROJECT or (folder / "pyvenv.cfg").exists())
