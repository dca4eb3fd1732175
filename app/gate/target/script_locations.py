"""Where the scripts of a project's history are, by the Alembic configuration that its upgrade command reads."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.gate.errors import CannotVerify
from app.gate.target.configured_url import option_of, read_configuration
from app.gate.target.discovery import check_configuration
from app.gate.target.target import Target

_SEPARATORS: Final = {"space": r"\s+", "newline": r"\n+", "os": re.escape(os.pathsep), ":": ":", ";": ";"}
_OLDER_SEPARATOR: Final = r"[,\s]+"  # of configurations that name none


@dataclass(frozen=True)
class ScriptLocations:
    """The folders in which Alembic looks for scripts, and the folder of env.py, as the configuration names it."""

    name: str
    env: Path
    folders: tuple[Path, ...]
    is_recursive: bool = False


def find_script_locations(command: Sequence[str], directory: Path) -> ScriptLocations:
    """Those of the command, as a project types it in that directory. Raises CannotVerify."""
    command = tuple(command)
    migrations = _flask_folder(command, directory)
    if migrations is not None:
        command = ("alembic", "-c", str(migrations / "alembic.ini"))
    elif not option_of(command, "-c", "--config"):
        check_configuration(directory, "overproof graph --check")
    settings = _read_settings(Target(command=command, environment={}, directory=directory))
    location = settings.get("script_location") or _folder_of(settings)
    if not location:
        raise CannotVerify(
            f"no script_location in {_place(command)}: name the configuration, as in overproof graph --check -- alembic"
            " -c FILE upgrade head"
        )
    scripts = _resolve(location, settings, directory)
    named = _split(settings, "version_locations", "version_path_separator")
    folders = tuple(_resolve(each, settings, directory) for each in named) or (scripts / "versions",)
    if not any(folder.is_dir() for folder in folders):
        raise CannotVerify(f"there are no scripts: {folders[0]} does not exist")
    is_recursive = str(settings.get("recursive_version_locations", "")).lower() in ("true", "yes", "on", "1")
    return ScriptLocations(location, scripts, folders, is_recursive)


def target_of(command: Sequence[str]) -> str:
    """What the command upgrades to: "head", "heads", "billing@head". "head" if it does not say."""
    words = list(command)
    after = words[words.index("upgrade") + 1 :] if "upgrade" in words else []
    return next((word for word in after if re.fullmatch(r"heads?|[\w.-]+@heads?", word)), "head")


def _flask_folder(command: Sequence[str], directory: Path) -> Path | None:
    """The folder of a Flask-Migrate project: by its command, or because env.py asks the application."""
    if "db" in command and "upgrade" in command:
        after = command[list(command).index("upgrade") :]
        return directory / (option_of(after, "-d", "--directory") or "migrations")
    configuration = directory / "alembic.ini"
    env = directory / "migrations" / "env.py"
    if configuration.is_file() or option_of(command, "-c", "--config") or not env.is_file():
        return None
    return env.parent if "current_app" in env.read_text("utf-8", "replace") else None


def _folder_of(settings: Mapping[str, Any]) -> str:
    """That of the configuration, where the scripts are next to it: Flask-Migrate names no other."""
    here = Path(settings["here"]) if settings.get("here") else None
    return str(here) if here is not None and (here / "versions").is_dir() else ""


def _place(command: Sequence[str]) -> str:
    return option_of(command, "-c", "--config") or os.environ.get("ALEMBIC_CONFIG") or "alembic.ini or pyproject.toml"


def _read_settings(target: Target) -> Mapping[str, Any]:
    """pyproject.toml has what alembic.ini does not, as Alembic reads them."""
    settings = dict(_toml_settings(target.directory / "pyproject.toml"))
    configuration = read_configuration(target)
    if configuration is not None:
        settings |= {name: value for name in _OPTIONS if (value := configuration.get(name).strip())}
        settings["here"] = str((target.directory / configuration.place).parent)
    elif option_of(target.command, "-c", "--config"):
        raise CannotVerify(f"there is no Alembic configuration {_place(target.command)} that can be read")
    return settings


_OPTIONS: Final = (
    "script_location",
    "version_locations",
    "prepend_sys_path",
    "path_separator",
    "version_path_separator",
    "recursive_version_locations",
)


def _toml_settings(pyproject: Path) -> Iterator[tuple[str, Any]]:
    try:
        table = tomllib.loads(pyproject.read_text("utf-8")).get("tool", {}).get("alembic", {})
    except (OSError, ValueError):
        return
    here = str(pyproject.parent)
    yield "here", here
    for name in _OPTIONS:
        value = table.get(name)
        if isinstance(value, str):
            yield name, value.replace("%(here)s", here)
        elif isinstance(value, list):
            yield name, [str(each).replace("%(here)s", here) for each in value]
        elif value is not None:
            yield name, value


def _split(settings: Mapping[str, Any], name: str, older: str = "") -> list[str]:
    """Several paths in one setting, by the separator that the configuration names."""
    value = settings.get(name) or []
    if isinstance(value, str):
        separator = settings.get("path_separator") or settings.get(older)
        value = re.split(_SEPARATORS.get(str(separator), _OLDER_SEPARATOR), value)
    return [each.strip() for each in value if each.strip()]


def _resolve(location: str, settings: Mapping[str, Any], directory: Path) -> Path:
    """A folder, or one within a package ("shop:migrations"), which is found without being imported."""
    package, colon, inner = location.partition(":")
    if not colon or Path(location).is_absolute():
        # Relative to where Alembic is started: that may be where the configuration is.
        places = [directory / location, Path(settings.get("here") or ".") / location]
        return next((place for place in places if place.is_dir()), places[0]).resolve()
    roots = [*_split(settings, "prepend_sys_path"), ".", "src"]
    for root in roots:
        folder = directory / root / package.replace(".", "/")
        if folder.is_dir():
            return (folder / inner).resolve()
    raise CannotVerify(f"the package of {location} is not in {directory} or one of {', '.join(roots)}")
