"""A project's settings for the gate: `[overproof]` in alembic.ini or setup.cfg, `[tool.overproof]` in pyproject.toml.

A project has one such section. The same names are options of the command line, which override them::

    [overproof]
    command = flask db upgrade
    env =
        DATABASE_URL={url+psycopg2}
    set =
        sqlalchemy.url={url}
    ignore = irreversible, lock-timeout
    severity =
        data-loss = error
    fail-on = warning
    timeout = 600
    baseline = migrations/overproof-baseline.json
    base = origin/main
    deployed = record:production
    small-table-rows = 10000
"""

from __future__ import annotations

import configparser
import difflib
import shlex
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from app.gate.checks.base import Check
from app.gate.checks.early_code import CHECK as EARLY_CODE
from app.gate.checks.registry import CHECKS, HAZARDS, UnknownCheck, get_check
from app.gate.checks.same_schema import CHECK as SAME_SCHEMA
from app.gate.errors import ConfigurationError
from app.gate.recording.model import Evidence
from app.gate.report.verdict import (
    CODE_STARTS_LATER,
    IGNORED,
    NO_OTHER_HISTORY,
    NOT_ASKED_FOR,
    NOT_SELECTED,
    SMALL_TABLE_ROWS,
    Severity,
)

DEFAULT_TIMEOUT_S = 300.0
_WHY_OFF = {SAME_SCHEMA.id: NO_OTHER_HISTORY, EARLY_CODE.id: CODE_STARTS_LATER}
NO_CHECK_SELECTED = (
    "nothing would be checked: no check is left of those that are selected, less those that are ignored"
    " (`overproof explain` lists them)"
)


class FailOn(StrEnum):
    """The lightest severity that fails a run."""

    ERROR = "error"
    WARNING = "warning"
    NEVER = "never"

    def fails(self, severity: Severity) -> bool:
        if self is FailOn.ERROR:
            return severity is Severity.ERROR
        return self is FailOn.WARNING and severity is not Severity.NOTICE


@dataclass(frozen=True)
class Configuration:
    """How to run a project's migrations, and how to judge them. Checks are named by their ids, never by aliases."""

    command: tuple[str, ...] = ()  # empty: `alembic upgrade head`
    env: Mapping[str, str] = field(default_factory=dict)  # placeholders not yet filled
    files: Mapping[Path, Path] = field(default_factory=dict)  # written file -> its template
    options: Mapping[str, str] = field(
        default_factory=dict
    )  # of the Alembic configuration, placeholders not yet filled
    prepare: tuple[str, ...] = ()
    timeout_s: float = DEFAULT_TIMEOUT_S  # one step of the walk
    select: frozenset[str] | None = None  # None: every check
    ignore: frozenset[str] = frozenset()
    severities: Mapping[str, Severity] = field(default_factory=dict)  # in place of the check's own
    fail_on: FailOn = FailOn.ERROR
    baseline: Path | None = None
    base: str = "auto"  # a Git ref, "auto", "none" or "deployed"
    deployed: str | None = None  # a snapshot's file, or "record:production"
    small_table_rows: int = SMALL_TABLE_ROWS
    not_asked_for: frozenset[str] = frozenset()  # checks that are off unless they are selected or given a severity

    def deselects(self, check: Check) -> str | None:
        """Why a check is not to be run; None if it is."""
        if check.id in self.ignore:
            return IGNORED
        if check.id in self.not_asked_for:
            return _WHY_OFF.get(check.id, NOT_ASKED_FOR)
        if self.select is not None and check.id not in self.select:
            return NOT_SELECTED
        return None

    def needed_evidence(self, *, of_merged: bool = False) -> frozenset[Evidence]:
        """The evidence that the selected checks need; of revisions that are on the base, without the hazards."""
        checks = (check for check in CHECKS if not (of_merged and check.id in HAZARDS))
        return frozenset().union(*(check.needs for check in checks if self.deselects(check) is None))


# Each reads one value as it is in the file: text in an ini file; text, numbers, lists and tables in a TOML file.


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("is not a text")
    return value.strip()


def read_words(value: Any) -> tuple[str, ...]:
    """A command: split as a shell would, or already a list."""
    if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
        return tuple(value)
    try:
        return tuple(shlex.split(_text(value)))
    except ValueError as error:
        raise ValueError(f"is not a command ({error})") from None


def _names(value: Any) -> tuple[str, ...]:
    """Names separated by commas, spaces or lines, or already a list."""
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return tuple(value)
    if isinstance(value, str):
        return tuple(value.replace(",", " ").split())
    raise ValueError("is not a list of names")


def _pairs(value: Any) -> dict[str, str]:
    """A table, or lines of `NAME = VALUE`."""
    if isinstance(value, Mapping) and all(isinstance(each, str) for each in value.values()):
        return dict(value)
    lines = value.splitlines() if isinstance(value, str) else value
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise ValueError("is not a table of texts")
    return dict(read_pair(line) for line in lines if line.strip())


def read_pair(text: str) -> tuple[str, str]:
    """("DATABASE_URL", "{url}") from "DATABASE_URL={url}". Raises ValueError."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ValueError(f"{text.strip()!r} is not of the form NAME=VALUE")
    return name.strip(), value.strip()


def read_checks(names: Iterable[str]) -> frozenset[str]:
    """Ids of checks, from ids and retired ids. Raises ValueError with a suggestion."""
    try:
        return frozenset(get_check(name).id for name in names)
    except UnknownCheck as error:
        raise ValueError(str(error)) from None


def read_severities(pairs: Mapping[str, str]) -> dict[str, Severity]:
    severities = {}
    for name, value in pairs.items():
        (check,) = read_checks([name])
        try:
            severities[check] = Severity(value.strip())
        except ValueError:
            raise ValueError(f"{name} can be {_either(Severity)}, not {value.strip()!r}") from None
    return severities


def read_fail_on(value: Any) -> FailOn:
    try:
        return FailOn(_text(value))
    except ValueError:
        raise ValueError(f"can be {_either(FailOn)}, not {value!r}") from None


def read_timeout(value: Any) -> float:
    """A number of seconds, above zero and finite."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = 0.0
    if isinstance(value, bool) or not 0 < seconds < float("inf"):
        raise ValueError(f"is a number of seconds above 0, not {value!r}")
    return seconds


def read_rows(value: Any) -> int:
    """A number of rows, not below zero."""
    text = str(value).strip().replace("_", "")
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()):
        raise ValueError(f"is a number of rows, not {value!r}")
    return int(text)


def _either(kind: type[StrEnum]) -> str:
    *others, last = [member.value for member in kind]
    return f"{', '.join(others)} or {last}"


READERS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    # key in the file: (field of Configuration, how to read it)
    "command": ("command", read_words),
    "env": ("env", _pairs),
    "file": ("files", lambda value: {Path(path): Path(template) for path, template in _pairs(value).items()}),
    "set": ("options", _pairs),
    "prepare": ("prepare", read_words),
    "timeout": ("timeout_s", read_timeout),
    "select": ("select", lambda value: read_checks(_names(value))),
    "ignore": ("ignore", lambda value: read_checks(_names(value))),
    "severity": ("severities", lambda value: read_severities(_pairs(value))),
    "fail-on": ("fail_on", read_fail_on),
    "base": ("base", _text),
    "deployed": ("deployed", _text),
    "small-table-rows": ("small_table_rows", read_rows),
    "baseline": ("baseline", lambda value: Path(_text(value))),
}


def read_configuration(directory: Path) -> Configuration:
    """The settings of the project in that directory; the defaults if it has none. Raises ConfigurationError."""
    found: dict[str, Mapping[str, Any]] = {}
    for name, section in (
        ("alembic.ini", "overproof"),
        ("setup.cfg", "overproof"),
        ("pyproject.toml", "tool.overproof"),
    ):
        values = read_section(directory / name)
        if values is not None:
            found[f"{name}, [{section}]"] = values
    if len(found) > 1:
        raise ConfigurationError(f"the gate has settings in several places ({' and '.join(found)}): keep one of them")
    configuration = Configuration()
    for place, values in found.items():
        for key, value in values.items():
            if key not in READERS:
                near = difflib.get_close_matches(key.replace("_", "-"), READERS)
                hint = f"did you mean {near[0]!r}?" if near else f"the settings are {', '.join(sorted(READERS))}"
                raise ConfigurationError(f"{place}: there is no setting {key!r}: {hint}")
            name, reader = READERS[key]
            try:
                configuration = replace(configuration, **{name: reader(value)})
            except ValueError as error:
                raise ConfigurationError(f"{place}: {key}: {error}") from None
    return configuration


def read_section(path: Path, text: str | None = None) -> Mapping[str, Any] | None:
    """The gate's section of that file, or of another `text` in its place. None if it has none.

    Raises ConfigurationError.
    """
    if text is None and (text := _read_text(path)) is None:
        return None
    return (_read_toml if path.suffix == ".toml" else _read_ini)(path, text)


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path.name} cannot be read: {error}") from error


def _read_ini(path: Path, text: str) -> Mapping[str, Any] | None:
    if "[overproof]" not in text:
        return None  # Other programs report what is wrong with the rest of the file.
    # Without interpolation: alembic.ini is full of percent signs. Names of environment variables keep their case.
    # [DEFAULT] has no meaning for the gate, so no section of that kind is named here.
    parser = configparser.RawConfigParser(strict=False, default_section="")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text, source=path.name)
    except configparser.Error as error:
        raise ConfigurationError(f"{path.name} cannot be read: {' '.join(str(error).split())}") from error
    return dict(parser.items("overproof")) if parser.has_section("overproof") else None


def _read_toml(path: Path, text: str) -> Mapping[str, Any] | None:
    if "overproof" not in text:
        return None
    try:
        tool = tomllib.loads(text).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path.name} cannot be read: {error}") from error
    section = tool.get("overproof")
    if section is not None and not isinstance(section, Mapping):
        raise ConfigurationError(f"{path.name}: tool.overproof is not a table")
    return section
