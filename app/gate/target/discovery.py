"""What can be found out about a project: its default command, its interpreter, its database drivers."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from app.gate.errors import CannotVerify
from app.gate.target.environments import find_active, find_environment, programs_of, which
from app.gate.target.target import Target
from app.gate.wording import listed

DRIVERS = ("psycopg2", "psycopg", "asyncpg", "pg8000")
_LIST_DRIVERS = f"import importlib.util as u; print(*[m for m in {DRIVERS!r} if u.find_spec(m)])"


def default_command(directory: Path) -> tuple[str, ...]:
    """`alembic upgrade head`, with the `alembic` of the project's environment.

    Raises CannotVerify when there is none, or no configuration that it would read.
    """
    check_configuration(directory)
    places = [each for each in (find_active(), find_environment(directory)) if each is not None]
    for place in places:
        alembic = programs_of(place) / "alembic"
        if alembic.is_file():
            return (str(alembic), "upgrade", "head")
    if (found := which("alembic")) is not None:
        return (str(found), "upgrade", "head")
    searched = listed([str(place) for place in places]) or f"{directory / '.venv'}, and no other environment is active"
    raise CannotVerify(
        f"there is no alembic in {searched}: activate the project's environment, or name its upgrade command:"
        " overproof verify -- COMMAND …"
    )


def check_configuration(directory: Path, typed: str = "overproof verify") -> None:
    """Raises CannotVerify, with what to type, if `alembic` in that directory would find no configuration.

    `typed` is what the user has typed so far.
    """
    if os.environ.get("ALEMBIC_CONFIG") or (directory / "alembic.ini").is_file():
        return
    pyproject = directory / "pyproject.toml"
    with suppress(OSError):
        if "[tool.alembic" in pyproject.read_text("utf-8", "replace"):
            return
    nearby = sorted(path for path in directory.glob("*/alembic.ini") if not path.parent.name.startswith("."))
    for path in nearby:
        with suppress(OSError):
            if "current_app" in (path.parent / "env.py").read_text("utf-8", "replace"):
                folder = "" if path.parent.name == "migrations" else f" --directory {path.parent.name}"
                raise CannotVerify(
                    f"there is no alembic.ini in {directory}, and {path.parent.name}/ is Flask-Migrate's:"
                    f" type {typed} -- flask db upgrade{folder}"
                )
    if nearby:
        name = nearby[0].relative_to(directory)
        raise CannotVerify(
            f"there is no alembic.ini in {directory}, but {name} is there: type cd {name.parent} && {typed}, or"
            f" {typed} -- alembic -c {name} upgrade head"
        )
    raise CannotVerify(
        f"there is no alembic.ini in {directory}: change to the directory in which you run alembic, or name the command that"
        f" upgrades the project's database: {typed} -- COMMAND …"
    )


def default_environment(command: tuple[str, ...], directory: Path, path: str | None = None) -> dict[str, str]:
    """{"DATABASE_URL": "{url+psycopg2}"}, with the driver of DATABASE_URL, or one that the command can import."""
    scheme = os.environ.get("DATABASE_URL", "").partition("://")[0]
    driver = scheme.partition("+")[2] if scheme.startswith("postgres") else ""
    if not driver:
        driver = next(iter(importable_drivers(command, directory, path)), "")
    return {"DATABASE_URL": f"{{url+{driver}}}" if driver else "{url}"}


def importable_drivers(command: tuple[str, ...], directory: Path, path: str | None = None) -> list[str]:
    """The PostgreSQL drivers that the command's interpreter can import, best first. Empty if it cannot be run."""
    interpreter = interpreter_of(command, directory, path)
    if interpreter is None:
        return []
    try:
        listed = subprocess.run(
            [interpreter, "-c", _LIST_DRIVERS],
            cwd=directory, capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return []
    return listed.stdout.split() if listed.returncode == 0 else []


def interpreter_of(command: tuple[str, ...], directory: Path, path: str | None = None) -> str | None:
    """The Python that the command starts: itself, or the one that a console script names in its first line."""
    found = find_program(command[0], directory, path)
    if found is None:
        return None
    if re.fullmatch(r"python[0-9.]*", found.name):
        return str(found)
    try:
        with found.open("rb") as script:
            first = script.readline(1000).decode("utf-8", "replace").strip()
            second = script.readline(1000).decode("utf-8", "replace").strip()
    except OSError:
        return None
    if not first.startswith("#!"):
        return None
    words = first[2:].split()
    if words and words[0].endswith("/env") and len(words) > 1:
        words = [shutil.which(words[1], path=path) or "", *words[2:]]
    if words and words[0].endswith("/sh") and second.startswith("'''exec'"):
        words = shlex.split(second.removeprefix("'''exec'"))  # how pip writes an interpreter with a long or spaced path
    return words[0] if words and "python" in Path(words[0]).name else None


def find_program(name: str, directory: Path, search_path: str | None = None) -> Path | None:
    """The program that a shell in that directory would start, or None."""
    if os.sep in name:
        path = directory / name
        return path if os.access(path, os.X_OK) and path.is_file() else None
    found = shutil.which(name, path=search_path)
    return Path(found) if found else None


def check_command(target: Target) -> None:
    """Raises CannotVerify if the command's program is not there."""
    if not target.command:
        raise CannotVerify("the command is empty: name the one that upgrades the project's database after --")
    for command in (target.command, target.prepare):
        if command and find_program(command[0], target.directory, target.path) is None:
            raise CannotVerify(
                f"there is no program {command[0]!r} in {target.directory} or on PATH: give its path, such as .venv/bin/alembic"
            )


def read_template(path: Path) -> str:
    """The text of a template file. Raises CannotVerify."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise CannotVerify(f"cannot read the template {path}: {reason}") from error


def is_supported_platform() -> bool:
    """Whether the driver's Unix socket and process groups exist here."""
    return sys.platform != "win32"
