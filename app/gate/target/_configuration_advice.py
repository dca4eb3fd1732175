"""What to type where Alembic does not find its configuration, or in it not what it needs."""

from __future__ import annotations

import re
import shlex

from app.gate.target.configured_url import AlembicConfiguration, option_of, read_configuration
from app.gate.target.target import Target
from app.gate.wording import listed

_NO_CONFIGURATION = re.compile(r"No 'script_location' key found in configuration|No config file '.*' found")
_NO_FOLDER = re.compile(r"Path doesn't exist: (?P<quote>'?)(?P<folder>\S+?)(?P=quote)\.?(?:\s|$)")
_NO_URL = re.compile(r"engine_from_config[\s\S]*\bKeyError: 'url'")


def about_the_configuration(words: str, target: Target) -> str | None:
    """In words, from what Alembic printed. None where it found what it needs."""
    if _NO_CONFIGURATION.search(words):
        return _about_the_file(target)
    found = _NO_FOLDER.search(words)
    return _about_the_folder(found["folder"], target) if found else None


def is_without_url(words: str) -> bool:
    """Whether SQLAlchemy was given a configuration in which no sqlalchemy.url is."""
    return bool(_NO_URL.search(words))


def _about_the_file(target: Target) -> str | None:
    configuration = read_configuration(target)
    if configuration is None:
        place = option_of(target.command, "-c", "--config") or "alembic.ini"
        if (target.directory / place).exists():
            return None
        return f"there is no {place} in {target.directory}: name the project's by its path, with alembic -c PATH"
    sections = _sections_with_revisions(configuration)
    if not sections:
        return None
    named = listed(sections, len(sections))
    return (
        f"{configuration.place} has the section{'s' * (len(sections) > 1)} {named}: name one, as in alembic -c"
        f" {shlex.quote(configuration.place)} -n {sections[0]} upgrade head"
    )


def _sections_with_revisions(configuration: AlembicConfiguration) -> list[str]:
    """The sections that say themselves where revisions are, but for the one that the command uses."""
    parser = configuration.parser
    found = []
    for name in parser.sections():
        options = {option for option, _ in parser.items(name, raw=True)} - set(parser.defaults())
        if options & {"script_location", "version_locations"} and name != configuration.section:
            found.append(name)
    return found


def _about_the_folder(folder: str, target: Target) -> str | None:
    """A relative `script_location` counts from the directory in which Alembic runs."""
    place = option_of(target.command, "-c", "--config")
    if place is None or not (target.directory / place).is_file():
        return None
    beside = (target.directory / place).parent
    if beside == target.directory or not (beside / folder).is_dir():
        return None
    return f"its script_location counts from the directory in which it runs: go to {beside} and name the configuration from there"
