"""A revision's script as text: what it says without being run."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.gate.allowances import parse_allowances
from app.gate.recording import Allowance


@dataclass(frozen=True)
class Script:
    """See `Revision` for the fields."""

    sha256: str = ""
    upgrade_line: int | None = None
    downgrade_line: int | None = None
    upgrade_body: str = "present"
    downgrade_body: str = "present"
    allowances: tuple[Allowance, ...] = ()


def read_script(path: Path, known: Mapping[str, Script]) -> Script:
    """The script at that path. One that cannot be read or parsed counts as present: Alembic has just run it.

    `known` has scripts that were parsed before, by their SHA-256.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return Script()
    digest = hashlib.sha256(content).hexdigest()
    if digest in known:
        return known[digest]
    try:
        text = content.decode("utf-8")
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return Script(sha256=digest)
    upgrade_line, upgrade_body = _function(tree, "upgrade")
    downgrade_line, downgrade_body = _function(tree, "downgrade")
    return Script(digest, upgrade_line, downgrade_line, upgrade_body, downgrade_body, parse_allowances(text))


def _function(tree: ast.Module, name: str) -> tuple[int | None, str]:
    """The line and the kind of body of a function of the module."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node.lineno, _body(node)
    for inner in ast.walk(tree):
        if isinstance(inner, ast.FunctionDef) and inner.name == name:
            return inner.lineno, "present"  # defined within an if, say
        if isinstance(inner, ast.alias) and (inner.asname or inner.name) in (name, "*"):
            return None, "present"
        if isinstance(inner, ast.Name) and inner.id == name and isinstance(inner.ctx, ast.Store):
            return inner.lineno, "present"
    return None, "missing"


def _body(function: ast.FunctionDef) -> str:
    statements = [each for each in function.body if not _does_nothing(each)]
    if not statements:
        return "empty"
    return "raises" if isinstance(statements[0], ast.Raise) else "present"


def _does_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Pass):
        return True
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)  # a docstring or an ellipsis
    if isinstance(statement, ast.Return):
        return statement.value is None or (isinstance(statement.value, ast.Constant) and statement.value.value is None)
    return False
