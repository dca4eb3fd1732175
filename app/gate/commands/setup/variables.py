"""The environment variables that a project's code reads, and what each of them is for, judging by the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.gate.target import variable_names
from app.gate.target.variable_names import OF_A_DATABASE, OF_A_URL, words_of

_NAME = re.compile(r"[A-Z][A-Z0-9_]*")


@dataclass(frozen=True)
class Variable:
    """A variable of the environment that the project's code reads."""

    name: str
    path: Path
    line: int
    is_required: bool  # the code cannot be imported without it
    type: str = "str"  # as the settings class annotates it

    @property
    def words(self) -> list[str]:
        return words_of(self.name)


def read_variables(path: Path) -> list[Variable]:
    """The variables that one module reads, in the order of the source. Empty if it is not Python."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []
    found = [*_variables_of_settings(tree, path), *_variables_read(tree, path)]
    return sorted(found, key=lambda each: each.line)


def _variables_read(tree: ast.Module, path: Path) -> Iterator[Variable]:
    """os.environ["X"], os.environ.get("X"), os.getenv("X"), and what environs, decouple and starlette offer."""
    inner = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and _dotted(node.value).rpartition(".")[2] == "environ":
            name, is_required = _constant(node.slice), isinstance(node.ctx, ast.Load)
        elif isinstance(node, ast.Call) and node.args and _reads_environment(_dotted(node.func)):
            name = _constant(node.args[0])
            is_required = not (node.keywords or node.args[1:] or "get" in _dotted(node.func))
        else:
            continue
        if name is not None and _NAME.fullmatch(name):
            yield Variable(name, path, node.lineno, is_required and id(node) not in inner)


def _reads_environment(function: str) -> bool:
    """Whether a function of that name has an environment variable's name as its first argument."""
    first, _, last = function.rpartition(".")
    return last in ("getenv", "get_env", "env", "config") or first.rpartition(".")[2] in ("environ", "env")


def _variables_of_settings(tree: ast.Module, path: Path) -> Iterator[Variable]:
    """The fields of pydantic's settings classes."""
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    for each in classes.values():
        if any(_dotted(base).endswith("Settings") for base in each.bases):
            options = _options_of(each)
            yield from _fields(each, path, classes, options.get("env_prefix", ""), options.get("env_nested_delimiter"))


def _fields(
    owner: ast.ClassDef,
    path: Path,
    classes: dict[str, ast.ClassDef],
    prefix: str,
    delimiter: str | None,
    depth: int = 0,
) -> Iterator[Variable]:
    for node in owner.body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        annotation = ast.unparse(node.annotation)
        if annotation.startswith("ClassVar") or node.target.id == "model_config":
            continue
        name = f"{prefix}{node.target.id}"
        nested = classes.get(annotation)
        if nested is not None and nested is not owner and delimiter and depth < 3:
            yield from _fields(nested, path, classes, f"{name}{delimiter}", delimiter, depth + 1)
            continue
        alias, is_required = _alias_and_requirement(node.value)
        yield Variable((alias or name).upper(), path, node.lineno, is_required and nested is None, annotation)


def _alias_and_requirement(value: ast.expr | None) -> tuple[str | None, bool]:
    """Of a field's default: the variable's name, if it names one, and whether there is no default."""
    if value is None:
        return None, True
    if not isinstance(value, ast.Call) or _dotted(value.func).rpartition(".")[2] != "Field":
        return None, isinstance(value, ast.Constant) and value.value is ...
    alias = None
    for keyword in value.keywords:
        if keyword.arg in ("validation_alias", "alias", "env"):
            names = [_constant(each) for each in ast.walk(keyword.value)]
            alias = alias or next((name for name in names if name), None)
    has_default = any(keyword.arg in ("default", "default_factory") for keyword in value.keywords)
    has_default |= bool(value.args) and not (isinstance(value.args[0], ast.Constant) and value.args[0].value is ...)
    return alias, not has_default


def _options_of(settings: ast.ClassDef) -> dict[str, str]:
    """env_prefix and the like, of `model_config`, of `class Config`, or in the head of the class."""
    found = list(settings.keywords)
    for node in settings.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
            found += node.value.keywords
        if isinstance(node, ast.ClassDef) and node.name == "Config":
            found += [
                ast.keyword(target.id, each.value)
                for each in node.body
                if isinstance(each, ast.Assign)
                for target in each.targets
                if isinstance(target, ast.Name)
            ]
    return {each.arg: text for each in found if each.arg and (text := _constant(each.value)) is not None}


def _dotted(node: ast.AST) -> str:
    """ "os.environ" of the expression os.environ; "" of one that is not a name."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _constant(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


# What they are for


def choose_url(variables: Sequence[Variable]) -> Variable | None:
    """The variable that holds the database's URL, by its name: of those that could, the first that is not for tests."""
    found = [each for each in variables if _is_url(each)]
    return min(found, key=lambda each: ("TEST" in each.words, found.index(each)), default=None)


def _is_url(variable: Variable) -> bool:
    *others, last = variable.words
    return last in ("URL", "URI", "DSN", "STRING") and (bool(OF_A_DATABASE & set(others)) or _is_dsn(variable))


def _is_dsn(variable: Variable) -> bool:
    return bool(re.search(r"Postgres|Database", variable.type))  # pydantic's PostgresDsn


def choose_parts(variables: Sequence[Variable]) -> dict[str, Variable]:
    """{"host": …, "database": …}: the variables that hold the parts of the URL. Empty if they are not to be found."""
    by_name = {each.name: each for each in reversed(variables)}  # the first of each name
    chosen = variable_names.choose_parts(each.name for each in variables)
    return {part: by_name[name] for part, name in chosen.items()}


def choose_only_one(variables: Sequence[Variable]) -> Variable | None:
    """The variable that is about a database, if there is one alone, whatever it is called: APP_DB."""
    found = {each.name: replace(each) for each in variables if {*each.words} & (OF_A_DATABASE | OF_A_URL)}
    return next(iter(found.values())) if len(found) == 1 else None
