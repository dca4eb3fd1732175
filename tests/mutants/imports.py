"""What a file imports, directly or not, by its text: what only runs as it is imported is reached by whoever imports it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path


class Imports:
    """The imports between the files of one tree: "tests/runs/test_service.py" imports "app/runs/service.py"."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._direct: dict[str, frozenset[str]] = {}

    def closure(self, path: str) -> frozenset[str]:
        """The files that it imports, directly or through others, and itself."""
        found, left = {path}, [path]
        while left:
            new = self._of(left.pop()) - found
            found |= new
            left += new
        return frozenset(found)

    def _of(self, path: str) -> frozenset[str]:
        if path not in self._direct:
            tree = ast.parse((self._root / path).read_bytes())
            names = [name for node in ast.walk(tree) for name in _modules(node)]
            self._direct[path] = frozenset(file for name in names for file in self._files(name))
        return self._direct[path]

    def _files(self, module: str) -> Iterator[str]:
        """The module's file, and those of the packages around it, which are imported with it."""
        parts = module.split(".")
        for end in range(1, len(parts) + 1):
            for file in (Path(*parts[:end], "__init__.py"), Path(*parts[:end]).with_suffix(".py")):
                if (self._root / file).is_file():
                    yield str(file)


def _modules(node: ast.AST) -> Sequence[str]:
    """What may be modules: of "from a.b import c", "a.b" and "a.b.c"."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []
