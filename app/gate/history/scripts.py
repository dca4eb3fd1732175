"""A revision's script, read without being run."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.gate.history.allowances import parse_allowances
from app.gate.recording.model import Allowance, Body


@dataclass(frozen=True)
class Script:
    """See `Revision` for the fields."""

    sha256: str = ""
    content_digest: str = ""
    upgrade_line: int | None = None
    downgrade_line: int | None = None
    upgrade_body: Body = Body.PRESENT
    downgrade_body: Body = Body.PRESENT
    allowances: tuple[Allowance, ...] = ()


def read_script(path: Path, known: Mapping[str, Script]) -> Script:
    """The script at that path. The functions of one that cannot be parsed count as present: Alembic has just loaded it.

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
        return Script(sha256=digest, content_digest=digest)
    upgrade_line, upgrade_body = _function(tree, "upgrade")
    downgrade_line, downgrade_body = _function(tree, "downgrade")
    return Script(
        sha256=digest,
        content_digest=digest_content(tree),
        upgrade_line=upgrade_line,
        downgrade_line=downgrade_line,
        upgrade_body=upgrade_body,
        downgrade_body=downgrade_body,
        allowances=parse_allowances(text),
    )


_PLACE_IN_THE_GRAPH = frozenset({"revision", "down_revision", "branch_labels", "depends_on"})


def digest_content(tree: ast.Module) -> str:
    """The SHA-256 of what a script does, by which findings about it are recognised.

    It does not change with the position of lines, comments, docstrings, quotes or layout, nor with a rebase that gives
    the revision another parent, nor with the version of Python: `ast.dump` prints empty fields in some versions and not
    in others.
    """
    return hashlib.sha256("\0".join(_words_of(tree)).encode()).hexdigest()


def _words_of(tree: ast.Module) -> Iterator[str]:
    """The syntax tree as a sequence of words. Without recursion, since the depth of a sum grows with its length."""
    left: list[object] = [tree]
    while left:
        each = left.pop()
        if isinstance(each, ast.AST):
            fields = [(name, value) for name, value in _fields(each) if _is_filled(name, value)]
            yield f"{type(each).__name__}({' '.join(name for name, _ in fields)})"
            left += [value for _, value in reversed(fields)]
        elif isinstance(each, list):
            items = [item for item in each if not _is_remark(item) and not (each is tree.body and _places(item))]
            yield f"[{len(items)}]"
            left += reversed(items)
        else:
            yield hex(each) if type(each) is int else ascii(each)  # not the decimal digits, which Python limits


def _fields(node: ast.AST) -> Iterator[tuple[str, object]]:
    if isinstance(node, ast.JoinedStr):  # Python 3.12 has empty texts between the parts of one
        yield "values", [each for each in node.values if not (isinstance(each, ast.Constant) and each.value == "")]
    else:
        yield from ast.iter_fields(node)


def _is_filled(name: str, value: object) -> bool:
    """Whether a field has content. An empty field is treated like one that another version of Python does not have."""
    return value is not None and value != [] and name not in ("ctx", "kind", "type_comment")


def _is_remark(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _places(statement: object) -> bool:
    """Whether it is one of the assignments by which Alembic finds the revision's place in the graph."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    if isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    return bool(targets) and all(isinstance(each, ast.Name) and each.id in _PLACE_IN_THE_GRAPH for each in targets)


def _function(tree: ast.Module, name: str) -> tuple[int | None, Body]:
    """The line and the kind of body of a function of the module."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node.lineno, _body(node)
    for inner in ast.walk(tree):
        if isinstance(inner, ast.FunctionDef) and inner.name == name:
            return inner.lineno, Body.PRESENT  # defined within an if, say
        if isinstance(inner, ast.alias) and (inner.asname or inner.name) in (name, "*"):
            return None, Body.PRESENT
        if isinstance(inner, ast.Name) and inner.id == name and isinstance(inner.ctx, ast.Store):
            return inner.lineno, Body.PRESENT
    return None, Body.MISSING


def _body(function: ast.FunctionDef) -> Body:
    statements = [each for each in function.body if not _does_nothing(each)]
    if not statements:
        return Body.EMPTY
    return Body.RAISES if isinstance(statements[0], ast.Raise) else Body.PRESENT


def _does_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Pass):
        return True
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)  # a docstring or an ellipsis
    if isinstance(statement, ast.Return):
        return statement.value is None or (isinstance(statement.value, ast.Constant) and statement.value.value is None)
    return False
