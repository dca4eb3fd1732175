"""Where a project takes the URL of its database from: the settings with which the gate names another one there."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from app.gate.commands.setup.modules import all_modules, imported_modules
from app.gate.commands.setup.variables import Variable, choose_only_one, choose_parts, choose_url, read_variables
from app.gate.target.advice import driver_for, placeholder
from app.gate.target.configured_url import find_configured_url, find_databases, find_env
from app.gate.target.target import Target
from app.gate.wording import listed

DEFAULT = "DATABASE_URL"
_ASYNC = re.compile(r"\b(?:async_engine_from_config|create_async_engine|AsyncEngine)\b")
_FLASK_SETTING = "SQLALCHEMY_DATABASE_URI"


@dataclass(frozen=True)
class UrlSource:
    """Where the URL is read, as text, and the settings `env` and `set` for it."""

    place: str
    env: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    made_up: Mapping[str, str] = field(default_factory=dict)  # more of `env`: what else the code does not start without
    is_async: bool = False
    is_certain: bool = True
    notes: Sequence[str] = ()


def find_url_of_alembic(target: Target) -> UrlSource:
    """By the configuration and env.py, and the modules that env.py imports."""
    place, databases = find_databases(target)
    if databases:
        return _first_of(databases, place, target)
    env = find_env(target)
    source = _text_of(env)
    is_async = bool(_ASYNC.search(source))
    configured = find_configured_url(target)
    if configured is not None and not configured.is_replaced and "engine_from_config" in source:
        is_placeholder = configured.url.startswith("driver:")
        named = "" if is_placeholder else configured.driver
        url = placeholder(_driver_for(target, is_async=is_async, named=named))
        return UrlSource(f"sqlalchemy.url in {configured.place}", options={"sqlalchemy.url": url}, is_async=is_async)
    roots = [target.directory, target.directory / "src", env.parent, env.parent.parent]
    modules = list(imported_modules(env, list(dict.fromkeys(roots))))
    return _of_variables(modules, target, is_async=is_async)


def find_url_of_flask(target: Target) -> UrlSource:
    """By the application's modules: what SQLALCHEMY_DATABASE_URI is made of."""
    modules = list(all_modules(target.directory))
    assigned = [found for path in modules for found in _assigned(path)]
    if assigned:
        return _of_chosen(choose_url(assigned) or assigned[0], target, is_async=False)
    return _of_variables(modules, target, is_async=False)


def _first_of(databases: Sequence[str], place: str, target: Target) -> UrlSource:
    first, *others = databases
    url = placeholder(_driver_for(target, is_async=False))
    notes = []
    if others:
        notes.append(
            f"{place} has several databases ({listed(databases)}), of which one at a time is verified: the settings are"
            f" for {first}; for {listed(others)} add --set databases={others[0]} --set {others[0]}:sqlalchemy.url={url}"
        )
    options = {"databases": first, f"{first}:sqlalchemy.url": url}
    return UrlSource(f"[{first}] in {place}", options=options, notes=notes)


def _of_variables(modules: Sequence[Path], target: Target, *, is_async: bool) -> UrlSource:
    by_module = [read_variables(path) for path in modules]
    variables = [each for found in by_module for each in found]
    chosen = choose_url(variables)
    if chosen is None and (parts := choose_parts(variables)):
        env = {each.name: f"{{{part}}}" for part, each in parts.items()}
        return UrlSource(
            f"{listed(list(env), 9)} ({_place_of(next(iter(parts.values())), target)})",
            env=env,
            made_up=_made_up(variables, env),
            is_async=is_async,
        )
    if chosen is None:
        chosen = next((found for each in by_module if (found := choose_only_one(each))), None)
    if chosen is not None:
        return _of_chosen(chosen, target, variables, is_async=is_async)
    if (named := _named_in_dotenv(target.directory)) is not None:
        name, place = named
        return UrlSource(f"{name} ({place})", _env(name, target, is_async=is_async), is_async=is_async)
    return default_source(target, DEFAULT, is_async=is_async)


def default_source(target: Target, name: str, *, is_async: bool, is_certain: bool = False) -> UrlSource:
    place = f"{name} (typed)" if is_certain else f"{name} (assumed: nothing else was found)"
    return UrlSource(place, _env(name, target, is_async=is_async), is_async=is_async, is_certain=is_certain)


def _of_chosen(chosen: Variable, target: Target, variables: Sequence[Variable] = (), *, is_async: bool) -> UrlSource:
    env = _env(chosen.name, target, is_async=is_async)
    return UrlSource(
        f"{chosen.name} ({_place_of(chosen, target)})",
        env,
        made_up=_made_up(variables, env),
        is_async=is_async,
    )


def _env(name: str, target: Target, *, is_async: bool) -> dict[str, str]:
    return {name: placeholder(_driver_for(target, is_async=is_async))}


# The distributions of each driver, as requirements and lock files name them; the likeliest first.
_DECLARED = {
    "psycopg2": re.compile(r"(?<![\w-])psycopg2(?:-binary)?(?![\w-])", re.IGNORECASE),
    "psycopg": re.compile(r"(?<![\w-])psycopg(?![\w-])", re.IGNORECASE),
    "pg8000": re.compile(r"(?<![\w-])pg8000(?![\w-])", re.IGNORECASE),
}
_DECLARATIONS = ("pyproject.toml", "requirements*.txt", "requirements/*.txt", "setup.cfg", "setup.py", "Pipfile")


def _driver_for(target: Target, *, is_async: bool, named: str = "") -> str:
    """As the project's Python says, else as the project declares it."""
    if driver := driver_for(target, is_async=is_async, named=named):
        return driver
    texts = [_text_of(path) for pattern in _DECLARATIONS for path in sorted(target.directory.glob(pattern))]
    return next((name for name, names in _DECLARED.items() if any(map(names.search, texts))), "")


def _place_of(variable: Variable, target: Target) -> str:
    with suppress(ValueError):
        return f"{variable.path.relative_to(target.directory)}:{variable.line}"
    return f"{variable.path}:{variable.line}"


# In the order in which they are looked for in the annotation: a value that pydantic accepts.
_VALUES = {"bool": "false", "int": "1", "float": "1", "Http": "http://localhost", "Email": "x@example.com", "str": "x"}


def _made_up(variables: Sequence[Variable], env: Mapping[str, str]) -> dict[str, str]:
    """Values for what else the code cannot be imported without, and that a CI job would miss."""
    made = {}
    for each in variables:
        if each.is_required and each.name not in env:
            value = next((value for type_, value in _VALUES.items() if type_ in each.type), None)
            made[each.name] = "x" if value is None else value
    return made


def _assigned(path: Path) -> list[Variable]:
    """The variables of which a module makes SQLALCHEMY_DATABASE_URI."""
    with suppress(OSError, SyntaxError, ValueError, RecursionError):
        if _FLASK_SETTING not in path.read_text("utf-8", "replace"):
            return []
        lines = {
            line
            for node in ast.walk(ast.parse(path.read_bytes()))
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.keyword) and _FLASK_SETTING in _targets(node)
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
        }
        return [each for each in read_variables(path) if each.line in lines]
    return []


def _targets(node: ast.Assign | ast.AnnAssign | ast.keyword) -> str:
    if isinstance(node, ast.keyword):
        return node.arg or ""
    return " ".join(map(ast.unparse, node.targets if isinstance(node, ast.Assign) else [node.target]))


def _named_in_dotenv(directory: Path) -> tuple[str, str] | None:
    """("APP_DB", ".env"): the variable that has the URL of a PostgreSQL database there."""
    for path in sorted(directory.glob(".env*")):
        found = re.search(
            r"^\s*(?:export\s+)?(\w+)\s*=\s*['\"]?postgres(?:ql)?(?:\+\w+)?://", _text_of(path), re.MULTILINE
        )
        if found:
            return found[1], path.name
    return None


def _text_of(path: Path) -> str:
    with suppress(OSError):
        return path.read_text("utf-8", "replace")
    return ""
