"""Small mistakes: each changes one place of a file, as a slip while typing would."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One mistake in one file. Lines count from 1, offsets are bytes of the whole file."""

    path: str  # "app/gate/checks/upgrade.py"
    line: int
    operator: str
    start: int
    end: int
    old: str
    new: str

    def apply(self, source: bytes) -> bytes:
        return source[: self.start] + self.new.encode() + source[self.end :]


OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}


def negate(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """The other branch of a condition."""
    conditions: list[ast.expr] = []
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        conditions = [node.test]
    elif isinstance(node, ast.comprehension):
        conditions = node.ifs
    for condition in conditions:
        yield condition, f"(not ({ast.unparse(condition)}))"


def compare(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Equal for unequal, and the neighbour at the boundary."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        changed = copy.copy(node)
        changed.ops = [OPPOSITE[type(node.ops[0])]()]
        yield node, f"({ast.unparse(changed)})"


def connect(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """`and` for `or`."""
    if isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield node, f"({ast.unparse(ast.BoolOp(other, node.values))})"


def affirm(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """A `not` that is missing."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node, f"({ast.unparse(node.operand)})"


def answer(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Another value is returned."""
    if isinstance(node, ast.Return) and node.value is not None:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, bool):
            yield node, f"return {not node.value.value}"
        elif not (isinstance(node.value, ast.Constant) and node.value.value is None):
            yield node, "return None"


def remove(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """A statement that is not there."""
    is_done_for_its_effect = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Yield | ast.YieldFrom)
    if is_done_for_its_effect or isinstance(node, ast.AugAssign | ast.Raise | ast.Delete):
        yield node, "pass"


def shift(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """A number that is off by one."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        yield node, str(node.value + 1)
        yield node, f"({node.value - 1})"


def silence(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """A text that is empty."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        yield node, '""'


def leave(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """`break` for `continue`."""
    if isinstance(node, ast.Break | ast.Continue):
        yield node, "continue" if isinstance(node, ast.Break) else "break"


Operator = Callable[[ast.AST], Iterator[tuple[ast.AST, str]]]
OPERATORS: tuple[Operator, ...] = (negate, compare, connect, affirm, answer, remove, shift, silence, leave)


def mutants_of(path: str, source: bytes) -> list[Mutant]:
    """All that can be made of a file, in the order of its lines."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node in _behaviour(ast.parse(source)):
        for operator in OPERATORS:
            for place, new in operator(node):
                start = starts[place.lineno - 1] + place.col_offset  # type: ignore[attr-defined]
                end = starts[place.end_lineno - 1] + place.end_col_offset  # type: ignore[attr-defined]
                old = source[start:end].decode()
                found.append(Mutant(path, place.lineno, operator.__name__, start, end, old, new))  # type: ignore[attr-defined]
    return sorted(found, key=lambda mutant: (mutant.line, mutant.start, mutant.new))


def _behaviour(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that do something: no docstrings, no annotations, nothing that only a type checker reads, no part of an f-string."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "type_params") or isinstance(node, ast.JoinedStr):
                continue
            children = value if isinstance(value, list) else [value]
            if name == "args" and _is_cast(node):
                children = children[1:]
            waiting += [child for child in children if isinstance(child, ast.AST) and not _is_for_readers(child)]


def _is_cast(node: ast.AST) -> bool:
    """That of typing, whose type is a text. SQLAlchemy's has an expression there."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "cast"
        and isinstance(next(iter(node.args), None), ast.Constant)
    )


def _is_for_readers(node: ast.AST) -> bool:
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    is_for_types = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    is_type = isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Literal"
    is_variable = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "TypeVar"
    return is_text or is_for_types or is_type or is_variable
