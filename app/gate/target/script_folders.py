"""Where a project's scripts are, found without running the project: by Alembic's configuration, and by env.py."""

from __future__ import annotations

import configparser
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from app.gate.history.repository import GitFailed, Repository
from app.gate.history.sides import Folders
from app.gate.target.configured_url import option_of


def find_script_folders(directory: Path, command: Sequence[str]) -> list[Folders]:
    """The folders of each history: those that the configuration of the project's command names, in any of its sections,
    and those next to any other env.py below the directory."""
    found: dict[Path, Folders] = dict(_configured(directory, command))  # by script_location
    with suppress(GitFailed):
        for path in Repository(directory).list_files("*env.py"):
            location = (directory / path).parent.resolve()
            if Path(path).name == "env.py" and (location / "versions").is_dir():
                found.setdefault(location, Folders((location / "versions",)))
    return list(dict.fromkeys(found.values()))


def _configured(directory: Path, command: Sequence[str]) -> Iterator[tuple[Path, Folders]]:
    ini = directory / (option_of(command, "-c", "--config") or os.environ.get("ALEMBIC_CONFIG") or "alembic.ini")
    for section in _sections(ini):
        # What Alembic cannot read is not worth a refusal here: env.py shows where the scripts are.
        with suppress(Exception), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield from _of_section(directory, ini, section)


def _sections(ini: Path) -> list[str]:
    parser = configparser.RawConfigParser(strict=False)
    with suppress(OSError, UnicodeDecodeError, configparser.Error):
        parser.read_string(ini.read_text("utf-8"))
    return [name for name in parser.sections() if parser.has_option(name, "script_location")] or ["alembic"]


def _of_section(directory: Path, ini: Path, section: str) -> Iterator[tuple[Path, Folders]]:
    from alembic.config import Config

    config = Config(ini if ini.is_file() else None, directory / "pyproject.toml", ini_section=section)
    location = config.get_alembic_option("script_location")
    if not location:
        return
    script_location = _resolve(directory, location)
    named = config.get_version_locations_list()
    folders = tuple(_resolve(directory, each) for each in named) if named else (script_location / "versions",)
    is_recursive = config.get_alembic_boolean_option("recursive_version_locations")
    yield script_location, Folders(tuple(each for each in folders if each.is_dir()), is_recursive)


def _resolve(directory: Path, location: str) -> Path:
    """A path, or a folder in a package, as in "shop.db:migrations", which Alembic would import to find it."""
    package, colon, path = location.partition(":")
    if colon and not Path(location).is_absolute():
        inside = Path(*package.split("."), *path.split("/"))
        places = (directory, directory / "src", *directory.glob("*/"))
        location = str(next((each / inside for each in places if (each / inside).is_dir()), inside))
    return (directory / location).resolve()
