"""The URL that stands in a project's Alembic configuration, where the project has no other place for it."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from app.gate.target.target import Target


@dataclass(frozen=True)
class ConfiguredUrl:
    """`sqlalchemy.url` of an Alembic configuration."""

    place: str  # the file, as the command names it: "alembic.ini"
    url: str
    is_async: bool  # env.py makes an engine for asyncio
    is_replaced: bool  # env.py puts another URL in its place

    @property
    def driver(self) -> str:
        """The driver that the URL names, or ""."""
        return urlsplit(self.url).scheme.partition("+")[2]

    @property
    def database(self) -> str:
        return urlsplit(self.url).path.lstrip("/")


def find_configured_url(target: Target) -> ConfiguredUrl | None:
    """The URL in the configuration that the target's command reads; None if there is none, or it is made of others."""
    configuration = read_configuration(target)
    url = configuration.get("sqlalchemy.url").strip() if configuration else ""
    if configuration is None or not re.match(r"[\w+]+://", url):
        return None
    env = text_of(find_env(target))
    return ConfiguredUrl(
        configuration.place,
        url,
        is_async=bool(re.search(r"\b(?:async_engine_from_config|create_async_engine)\b", env)),
        is_replaced=bool(re.search(r"[\"']sqlalchemy\.url[\"']\s*(?:,|\]\s*=)", env)),
    )


def find_env(target: Target) -> Path:
    """Where the target's env.py is to be, by the configuration that its command reads."""
    configuration = read_configuration(target)
    location = configuration.get("script_location") if configuration else ""
    location = location or _script_location_in(target.directory / "pyproject.toml")
    return target.directory / location.replace(":", "/") / "env.py"  # "shop:migrations" is a folder of a package


def find_databases(target: Target) -> tuple[str, list[str]]:
    """The configuration's place, and the databases for which it has sections, as that of Alembic's multidb template."""
    configuration = read_configuration(target)
    if configuration is None:
        return "", []
    names = re.split(r"[,\s]+", configuration.get("databases").strip())
    return configuration.place, [name for name in names if configuration.parser.has_section(name)]


@dataclass(frozen=True)
class AlembicConfiguration:
    """An Alembic configuration, and the section of it that the command uses."""

    place: str
    section: str
    parser: configparser.ConfigParser

    def get(self, option: str) -> str:
        try:
            return self.parser.get(self.section, option, fallback="")
        except configparser.InterpolationError:  # made of what only the command knows
            return ""


def read_configuration(target: Target) -> AlembicConfiguration | None:
    place = option_of(target.command, "-c", "--config") or os.environ.get("ALEMBIC_CONFIG") or "alembic.ini"
    path = target.directory / place
    parser = configparser.ConfigParser({"here": str(path.parent)}, strict=False)
    try:
        parser.read_string(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error):
        return None
    return AlembicConfiguration(place, option_of(target.command, "-n", "--name") or "alembic", parser)


def option_of(command: Sequence[str], short: str, long: str) -> str | None:
    """The value of an option of Alembic's: "-c x", "-cx", "--config x", "--config=x"."""
    for word, following in zip(command, [*command, ""][1:], strict=True):
        if word in (short, long):
            return following
        if word.startswith(f"{long}="):
            return word.removeprefix(f"{long}=")
        if word.startswith(short) and not word.startswith("--"):
            return word.removeprefix(short)
    return None


def _script_location_in(pyproject: Path) -> str:
    found = re.search(r'^script_location\s*=\s*"([^"]+)"', text_of(pyproject), re.MULTILINE)
    return found[1].replace("%(here)s", str(pyproject.parent)) if found else "."


def text_of(path: Path) -> str:
    with suppress(OSError):
        return path.read_text("utf-8", "replace")
    return ""
