"""What is to be known of a project before its migrations can be verified, each fact with where it is from."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from app.gate.commands.setup.modules import all_modules
from app.gate.commands.setup.url import UrlSource, default_source, find_url_of_alembic, find_url_of_flask
from app.gate.errors import CannotVerify
from app.gate.history.paths import repository_root
from app.gate.target.discovery import DRIVERS, check_configuration
from app.gate.target.environments import command_environment, find_active, find_environment, programs_of, which
from app.gate.target.target import Target

DISTRIBUTIONS = {"psycopg2": "psycopg2-binary", "psycopg": "psycopg[binary]", "asyncpg": "asyncpg", "pg8000": "pg8000"}


@dataclass(frozen=True)
class Installer:
    """The tool that installs a project's dependencies."""

    name: str
    evidence: str  # the file by which it is known
    commands: tuple[str, ...]  # in a CI job; the environment is .venv in the project's folder, or above it
    variables: Mapping[str, str] = field(default_factory=dict)
    run: tuple[str, ...] = ()  # before a command, where the environment is elsewhere


@dataclass(frozen=True)
class Project:
    """What was found out."""

    directory: Path
    root: Path  # of its repository
    framework: str  # "Alembic" or "Flask-Migrate"
    place: str  # of its configuration
    command: tuple[str, ...]  # as a setting; empty: the default
    url: UrlSource
    installer: Installer
    environment: str  # the Python environment, as text


def find_project(directory: Path, command: Sequence[str] = ()) -> Project:
    """The project in that folder. `command`: what its user says to run. Raises CannotVerify, with what to do."""
    root = repository_root(directory)
    installer = find_installer(directory, root)
    flask = find_flask_migrate(directory)
    environment, prefix = _find_environment(directory, installer)
    if command:
        words, framework, place = tuple(command), "a command", "typed"
    elif flask is not None:
        words = (*prefix, "flask", "db", "upgrade", *([] if flask == "migrations" else ["--directory", flask]))
        framework, place = "Flask-Migrate", f"{flask}/env.py"
    else:
        _check_alembic(directory)
        words = (*prefix, "alembic", "upgrade", "head") if prefix else ()
        framework, place = "Alembic", _configuration_of(directory)
    target = _target(directory, words)
    if flask is not None:
        url = _with_flask_app(find_url_of_flask(target), directory)
    else:
        url = find_url_of_alembic(target)
    return Project(directory, root, framework, place, words, url, installer, environment)


def typed_url(project: Project, name: str) -> UrlSource:
    """The source of the URL where its user says in which variable it is."""
    target = _target(project.directory, project.command)
    return default_source(target, name, is_async=project.url.is_async, is_certain=True)


def _target(directory: Path, words: tuple[str, ...]) -> Target:
    """For what is asked of the project's Python."""
    activation = command_environment(directory)
    found = find_active() or find_environment(directory)
    programs = [programs_of(found) / name for name in ("python", "alembic", "flask")] if found else []
    # Without an environment no Python is asked: Overproof's own has other drivers.
    program = next((each for each in programs if each.is_file()), which("alembic") or directory / ".venv/bin/python")
    return Target((str(program), *words[1:]), activation=activation, directory=directory)


def _check_alembic(directory: Path) -> None:
    try:
        check_configuration(directory)
    except CannotVerify as error:
        raise CannotVerify(str(error).replace("overproof verify", "overproof init")) from None


def _configuration_of(directory: Path) -> str:
    if (named := os.environ.get("ALEMBIC_CONFIG")) is not None:
        return named
    return "alembic.ini" if (directory / "alembic.ini").is_file() else "pyproject.toml"


def find_flask_migrate(directory: Path) -> str | None:
    """The folder of Flask-Migrate's history, "migrations" by default. None where `alembic` has a configuration."""
    if (directory / "alembic.ini").is_file():
        return None
    for path in sorted(directory.glob("*/env.py"), key=lambda each: each.parent.name != "migrations"):
        with suppress(OSError):
            if "current_app" in path.read_text("utf-8", "replace"):
                return path.parent.name
    return None


_APPLICATION = re.compile(r"^(?:def (?:create_app|make_app)\b|(?:app|application)\s*(?::[^=]+)?=)", re.MULTILINE)


def _with_flask_app(source: UrlSource, directory: Path) -> UrlSource:
    """FLASK_APP, where `flask` would not find the application on its own."""
    if (directory / ".flaskenv").is_file() or any((directory / name).is_file() for name in ("app.py", "wsgi.py")):
        return source
    name = os.environ.get("FLASK_APP") or _application_in(directory)
    if name is None:
        return source
    return replace(source, env={"FLASK_APP": name, **source.env})


def _application_in(directory: Path) -> str | None:
    """The module or package that makes the Flask application, if there is one alone."""
    names = []
    for path in all_modules(directory):
        text = path.read_text("utf-8", "replace")
        if "flask" in text.lower() and _APPLICATION.search(text):
            words = path.relative_to(directory).with_suffix("").parts
            names.append(".".join(words[:-1] if words[-1] == "__init__" else words))
    return names[0] if len(names) == 1 else None


# How it is installed


def find_installer(directory: Path, root: Path) -> Installer:
    """By the files in the folder, and in those above it within the repository."""
    folders = [directory, *(each for each in directory.parents if each.is_relative_to(root))]
    for folder in folders:
        above = f"{os.path.relpath(folder, directory)}/" if folder != directory else ""
        if (found := _installer_in(folder, above)) is not None:
            return found
    packages = ["alembic", DISTRIBUTIONS[DRIVERS[0]]]
    return Installer("pip", "assumed: no file says what to install", _in_venv(f"{' '.join(packages)}"))


def _installer_in(folder: Path, above: str) -> Installer | None:
    pip = "python -m pip install"
    project = _pyproject(folder)
    if evidence := _known_by(folder, "uv", project):
        return Installer("uv", f"{above}{evidence}", (f"{pip} uv", "uv sync"))
    if evidence := _known_by(folder, "poetry", project):
        variables = {"POETRY_VIRTUALENVS_IN_PROJECT": "true"}
        return Installer(
            "Poetry", f"{above}{evidence}", (f"{pip} poetry", "poetry install"), variables, ("poetry", "run")
        )
    if evidence := _known_by(folder, "pdm", project):
        return Installer("PDM", f"{above}{evidence}", (f"{pip} pdm", "pdm install"), {}, ("pdm", "run"))
    if (folder / "Pipfile").is_file():
        variables = {"PIPENV_VENV_IN_PROJECT": "1"}
        return Installer("Pipenv", f"{above}Pipfile", (f"{pip} pipenv", "pipenv install"), variables, ("pipenv", "run"))
    for name in ("requirements.txt", "requirements/base.txt", "requirements/production.txt"):
        if (folder / name).is_file():
            return Installer("pip", f"{above}{name}", _in_venv(f"-r {above}{name}"))
    for name in ("pyproject.toml", "setup.py", "setup.cfg"):
        if (folder / name).is_file() and (name == "setup.py" or _is_package(folder / name, project)):
            return Installer("pip", f"{above}{name}", _in_venv(f"-e {above or '.'}"))
    return None


def _known_by(folder: Path, tool: str, project: Mapping[str, Mapping[str, object]]) -> str | None:
    """The file that says that a project uses this tool."""
    lock = f"{tool}.lock"
    return lock if (folder / lock).is_file() else "pyproject.toml" if tool in project.get("tool", {}) else None


def _is_package(path: Path, project: Mapping[str, object]) -> bool:
    if path.suffix == ".toml":
        return "project" in project
    return "[options]" in path.read_text("utf-8", "replace")


def _in_venv(what: str) -> tuple[str, ...]:
    return ("python -m venv .venv", f".venv/bin/python -m pip install {what}")


def _pyproject(folder: Path) -> dict[str, dict[str, object]]:
    with suppress(OSError, ValueError):
        return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    return {}


def _find_environment(directory: Path, installer: Installer) -> tuple[str, tuple[str, ...]]:
    """The Python environment, as text, and what has to stand before the command, where a tool keeps it elsewhere."""
    if (active := find_active()) is not None:
        return f"{active} (active)", ()
    if (found := find_environment(directory)) is not None:
        return os.path.relpath(found, directory), ()
    if installer.run:
        return f"`{' '.join(installer.run)}`", installer.run
    return "none was found", ()
