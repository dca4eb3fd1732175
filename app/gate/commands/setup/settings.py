"""The `[overproof]` section of a project: as text, and where it is to stand. What stands there already is kept."""

from __future__ import annotations

import configparser
import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.gate.configuration import Configuration, read_configuration, read_section
from app.gate.errors import ConfigurationError
from app.gate.files import write_atomically

PLACES = ("pyproject.toml", "setup.cfg", "alembic.ini")


@dataclass(frozen=True)
class Section:
    """A section of settings, and the file to the end of which it belongs."""

    path: Path
    text: str
    exists: bool  # the project has such a section, in that file

    @property
    def title(self) -> str:
        return "[tool.overproof]" if self.path.suffix == ".toml" else "[overproof]"


def plan_section(directory: Path, configuration: Configuration) -> Section:
    """The section with those settings: in the file that has one, else in the first that there is, else in setup.cfg.

    Raises ConfigurationError where settings that stand there cannot be read.
    """
    read_configuration(directory)
    existing = [name for name in PLACES if read_section(directory / name) is not None]
    usable = [name for name in PLACES if (directory / name).is_file() and _can_take(directory / name, configuration)]
    name = next(iter([*existing, *usable]), "setup.cfg")
    return Section(directory / name, render(name, configuration), bool(existing))


def write_section(section: Section) -> None:
    """Add the section at the end of its file. Raises OSError."""
    before = section.path.read_bytes().decode("utf-8") if section.path.exists() else ""
    write_atomically(section.path, _appended(before, section.text))


def _appended(before: str, text: str) -> str:
    """What is there stays as it is to the byte; the new lines end as the others do."""
    end = "\r\n" if "\r\n" in before else "\n"
    gap = "" if not before else end if before.endswith("\n") else 2 * end
    return before + gap + text.replace("\n", end)


def _can_take(path: Path, configuration: Configuration) -> bool:
    """Whether the file, with the section at its end, has the settings. A table `tool = {…}` takes no other, say."""
    try:
        text = path.read_bytes().decode("utf-8")
        text = _appended(text, render(path.name, configuration))
        return read_section(path, text) is not None
    except (OSError, UnicodeDecodeError, ConfigurationError, configparser.Error):
        return False


def render(name: str, configuration: Configuration) -> str:
    """The section as the file of that name has it."""
    return _toml(configuration) if name.endswith(".toml") else _ini(configuration)


def _ini(configuration: Configuration) -> str:
    lines = ["[overproof]"]
    if configuration.command:
        lines.append(f"command = {shlex.join(configuration.command)}")
    for key, values in _tables(configuration).items():
        lines += [f"{key} =", *(f"    {name}={value}" for name, value in values.items())]
    return "".join(f"{line}\n" for line in lines)


def _toml(configuration: Configuration) -> str:
    lines = ["[tool.overproof]"]
    if configuration.command:
        lines.append(f"command = {_quoted(shlex.join(configuration.command))}")
    for key, values in _tables(configuration).items():
        pairs = [f"{_key(name)} = {_quoted(value)}" for name, value in values.items()]
        lines += [f"{key} = {{ {pairs[0]} }}"] if len(pairs) == 1 else ["", f"[tool.overproof.{key}]", *pairs]
    if lines[1:2] == [""]:
        lines = lines[2:]  # a table of tables needs no head of its own
    return "".join(f"{line}\n" for line in lines)


def _tables(configuration: Configuration) -> dict[str, Mapping[str, str]]:
    """Tables of one entry first: in TOML they belong to the section above those that have a head of their own."""
    tables = {"env": configuration.env, "set": configuration.options}
    return dict(sorted(((key, values) for key, values in tables.items() if values), key=lambda each: len(each[1]) > 1))


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a basic string of TOML has the escapes of JSON
