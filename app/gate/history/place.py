"""A revision's place in the graph, read from its script without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from app.gate.errors import GateError

DOWN_REVISION = "down_revision"


class UnreadableScript(GateError):
    """Python cannot parse the script. The message says why and where."""


@dataclass(frozen=True)
class Place:
    """What a script assigns to `revision`, `down_revision` and `branch_labels`."""

    revision: str
    parents: tuple[str, ...]
    labels: tuple[str, ...] = ()
    is_literal: bool = True  # whether the parents could be read


def read_place(source: str | bytes) -> Place | None:
    """The place that the script has. None if it is no revision's. Raises UnreadableScript."""
    return place_in(parse(source))


def parse(source: str | bytes) -> ast.Module:
    """Raises UnreadableScript."""
    try:
        return ast.parse(source)
    except SyntaxError as error:
        where = f" (line {error.lineno})" if error.lineno else ""
        raise UnreadableScript(f"{error.msg}{where}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise UnreadableScript(str(error) or type(error).__name__) from error


def place_in(tree: ast.Module) -> Place | None:
    revision = texts_of(_assigned(tree, "revision"))
    if revision is None or len(revision) != 1:
        return None
    parents = texts_of(_assigned(tree, DOWN_REVISION))
    return Place(
        revision=revision[0],
        parents=parents or (),
        labels=texts_of(_assigned(tree, "branch_labels")) or (),
        is_literal=parents is not None,
    )


def find_assignments(tree: ast.Module, name: str = DOWN_REVISION) -> list[ast.expr]:
    """The values of all assignments to that name in the module. Empty if one has another form than `name = …`."""
    values = list(_assigned_values(tree, name))
    stores = [each for each in _of_module(tree) if isinstance(each, ast.Name) and each.id == name]
    declared = [each for each in tree.body if isinstance(each, ast.AnnAssign) and each.value is None]
    without_value = sum(isinstance(each.target, ast.Name) and each.target.id == name for each in declared)
    number = sum(isinstance(each.ctx, ast.Store | ast.Del) for each in stores) - without_value
    return values if number == len(values) else []


def texts_of(value: ast.expr | None) -> tuple[str, ...] | None:
    """("a1",) for "a1", ("a1", "b2") for a tuple of them, () for None; None for anything else."""
    if isinstance(value, ast.Constant) and value.value is None:
        return ()
    elements = elements_of(value)
    texts = [each.value for each in elements if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return tuple(texts) if value is not None and len(texts) == len(elements) else None


def elements_of(value: ast.expr | None) -> list[ast.expr]:
    """The elements of a tuple, list or set; of any other value, itself."""
    if isinstance(value, ast.Tuple | ast.List | ast.Set):
        return value.elts
    return [] if value is None else [value]


def _assigned(tree: ast.Module, name: str) -> ast.expr | None:
    """The value of the last plain assignment to that name."""
    return next(reversed(list(_assigned_values(tree, name))), None)


def _assigned_values(tree: ast.Module, name: str) -> Iterator[ast.expr]:
    for statement in tree.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if len(targets) == 1 and isinstance(targets[0], ast.Name) and targets[0].id == name:
                yield statement.value


def _of_module(tree: ast.Module) -> Iterator[ast.AST]:
    """The nodes that are run with the module: not those of functions and classes."""
    left: list[ast.AST] = [tree]
    while left:
        node = left.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            left += ast.iter_child_nodes(node)
