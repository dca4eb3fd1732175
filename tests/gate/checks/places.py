"""The places in the gate's source that write code for a reader to run: what calls the functions that write code, and texts with
a block of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import app.gate

GATE = Path(str(app.gate.__file__)).parent
ROOMS = ("checks", "judging", "target/advice.py", "postgres/missing.py")

# Functions that write code, and modules all of whose functions do.
WRITERS = {
    "app.gate.wording": {"indented"},
    "app.gate.checks.base": {"Assumption"},
    **dict.fromkeys(
        (
            f"app.gate.checks.support.{name}"
            for name in (
                "another_way",
                "batches",
                "concurrently",
                "ddl",
                "fix_code",
                "rewrites",
                "row_advice",
                "script",
            )
        ),
        None,
    ),
}
READERS = {
    "help_for_folded",
    "help_for_new_table",
    "_other_rows",
    "reversed_changes",
    "children_first",
    "shortened",
    "index_of",
    "find_column_change",
    "name_of",
    "table_of",
}  # of these
BLOCK = re.compile(
    r"(?:\A|\n\n) {4}(?=\S|\Z)|\bop\.(?!get_)\w+\((?=[\"'{]|\Z)|\A(?:SELECT |DO \$\$)|\A--(?:env|set)\Z|\b(?:alembic (?:merge|stamp|revision|downgrade)|git checkout|overproof rebase) "
)


def find_places() -> Iterator[str]:
    """`checks.lock_timeout._too_patient`, for a function or a constant."""
    for room in ROOMS:
        place = GATE / room
        for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
            module = ".".join(path.relative_to(GATE).with_suffix("").parts)
            tree = ast.parse(path.read_text(encoding="utf-8"))
            writers = set(_writers(tree, f"app.gate.{module}"))
            yield from (f"{module}.{name}" for name, node in _parts(tree.body) if _writes(node, writers))


def _writers(tree: ast.Module, module: str) -> Iterator[str]:
    """The names by which a module calls what writes code."""
    if module in WRITERS:
        own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        yield from own - READERS
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            for each in node.names:
                known = WRITERS.get(node.module or "", set())
                if f"{node.module}.{each.name}" in WRITERS:
                    yield f"{each.asname or each.name}."
                elif (known is None and each.name not in READERS) or each.name in (known or ()):
                    yield each.asname or each.name


def _parts(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _parts(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            yield f"{prefix}{node.name}", node
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and not _is_pattern(node.value):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            yield f"{prefix}{ast.unparse(target)}", node.value


def _is_pattern(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "re.compile"


def _writes(node: ast.AST, writers: set[str]) -> bool:
    documentation = ast.get_docstring(node, clean=False) if isinstance(node, ast.FunctionDef) else None
    for each in ast.walk(node):
        if isinstance(each, ast.Call):
            called = ast.unparse(each.func)
            name = called.rpartition(".")[2]
            if called in writers or (f"{called.partition('.')[0]}." in writers and name not in READERS):
                return True
            if name == "query" and called != "query":  # of the rows as they were: see support/older.py
                return True
        is_text = isinstance(each, ast.Constant) and isinstance(each.value, str) and each.value != documentation
        if is_text and BLOCK.search(each.value):  # type: ignore[attr-defined]
            return True
    return False
