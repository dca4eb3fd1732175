"""What to type after a command that did not get to Alembic, or got to another database, from what it printed."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.gate.postgres.missing import explain_missing
from app.gate.target._configuration_advice import about_the_configuration, is_without_url
from app.gate.target.configured_url import find_configured_url, find_databases
from app.gate.target.discovery import importable_drivers
from app.gate.target.target import Target
from app.gate.target.variable_names import choose_parts, choose_url, part_of
from app.gate.wording import listed

ASYNC_DRIVERS = ("asyncpg", "psycopg")


@dataclass(frozen=True)
class Advice:
    """What to do next, and the options to be added to the command line for it."""

    text: str
    options: tuple[str, ...] = ()


def advise(words: str, status: int, target: Target, asked_for: Sequence[str] = ()) -> Advice:
    """After a command that ended before it reached Alembic.

    `words`: the end of what it printed. `asked_for`: the variables that it looked for in its environment in vain.
    """
    configuration = about_the_configuration(words, target)
    return (
        (Advice(configuration) if configuration else None)
        or _about_the_driver(words, target)
        or _about_settings(words, target, asked_for)
        or _about_several_databases(words, target)
        or _about_the_configured_url(words, target)
        or _about_the_server(words)
        or (_about_what_was_asked_for(asked_for, target) if status and _may_lack_a_url(words, target) else None)
        or (
            Advice(
                "if it is the right command, give it what it needs to run (--env NAME=VALUE, --set), else name another after --"
            )
            if status
            else Advice("name the command that upgrades the project's database after --")
        )
    )


def advise_on_database(name: str | None, target: Target, asked_for: Sequence[str] = ()) -> Advice:
    """After a command that connected to the database of that name, or to one of another system."""
    configured = find_configured_url(target)
    if configured is not None and not configured.is_replaced and name in (None, configured.database):
        return _set_url(configured.place, driver_for(target, is_async=configured.is_async, named=configured.driver))
    return (
        (_about_a_variable_of_ours(name, target) if name else None)
        or _about_what_was_asked_for(asked_for, target)
        or Advice(
            "name the variable from which it reads its URL, as in --env DATABASE_URL={url}, or the option of the Alembic"
            " configuration, as in --set sqlalchemy.url={url}"
        )
    )


def _about_a_variable_of_ours(database: str, target: Target) -> Advice | None:
    """A variable that is set where the gate was started, and that names that database."""
    for name, value in os.environ.items():
        if "://" in value and urlsplit(value).path.lstrip("/") == database and name not in target.environment:
            driver = driver_for(target, is_async=False, named=urlsplit(value).scheme.partition("+")[2])
            return Advice(f"its URL is in the variable {name}", ("--env", f"{name}={placeholder(driver)}"))
    return None


# What the code or its history lacks, whatever the database: Alembic's own errors begin with FAILED.
_OF_THE_CODE = re.compile(
    r"\b(?:ImportError|ModuleNotFoundError|SyntaxError|IndentationError|NameError)\b|^FAILED: ", re.MULTILINE
)


def _may_lack_a_url(words: str, target: Target) -> bool:
    """Whether the command may have failed for want of a URL: no option names one, for DATABASE_URL is a guess."""
    if _OF_THE_CODE.search(words):
        return False
    given = {**target.options, **{name: value for name, value in target.environment.items() if name != "DATABASE_URL"}}
    return not target.files and not any("{url" in value or "{database}" in value for value in given.values())


def _about_what_was_asked_for(asked_for: Sequence[str], target: Target) -> Advice | None:
    """The variable that may hold the URL, or those that hold its parts, of what the command looked for in vain."""
    names = [name for name in asked_for if name not in target.environment]
    if (url := choose_url(names)) is not None:
        value = placeholder(driver_for(target, is_async=False))
        return Advice(f"it looked for {url} in its environment, which is not set", ("--env", f"{url}={value}"))
    if parts := choose_parts(names):
        options = [word for part, name in parts.items() for word in ("--env", f"{name}={{{part}}}")]
        return Advice(
            f"it looked for {listed([*parts.values()], len(parts))} in its environment, which are not set", (*options,)
        )
    return None


def _set_url(place: str, driver: str) -> Advice:
    return Advice(f"its URL is in {place}", ("--set", f"sqlalchemy.url={placeholder(driver)}"))


def placeholder(driver: str) -> str:
    return f"{{url+{driver}}}" if driver else "{url}"


def driver_for(target: Target, *, is_async: bool, named: str = "") -> str:
    """The driver that the project's URL names, else the best one that it can import."""
    if named and named not in ("psycopg2", "pass") and (not is_async or named in ASYNC_DRIVERS):
        return named
    found = importable_drivers(target.command, target.directory, target.path)
    if is_async:
        return next((each for each in ASYNC_DRIVERS if each in found), ASYNC_DRIVERS[0])
    return next((each for each in found if each != "asyncpg"), next(iter(found), ""))


_NO_ASYNC = re.compile(r"requires an async driver|The loaded '\w+' is not async")
_NO_SYNC = re.compile(r"greenlet_spawn has not been called|MissingGreenlet")
_NO_DRIVER = re.compile(r"No module named '(?:psycopg2?|asyncpg|pg8000)'")


def _about_the_driver(words: str, target: Target) -> Advice | None:
    is_async = bool(_NO_ASYNC.search(words))
    if not (is_async or _NO_SYNC.search(words) or (_NO_DRIVER.search(words) and _is_url_ours(target))):
        return None
    driver = driver_for(target, is_async=is_async) or "psycopg2"
    kind = "an async driver" if is_async else "a driver that the project has"
    return Advice(f"name {kind}", _with_driver(target, driver))


def _is_url_ours(target: Target) -> bool:
    configured = find_configured_url(target)
    return configured is None or configured.is_replaced or "sqlalchemy.url" in target.options


def _with_driver(target: Target, driver: str) -> tuple[str, ...]:
    """The options that name the URL, with another driver."""
    for option, pairs in (("--set", target.options), ("--env", target.environment)):
        for name, value in pairs.items():
            if "{url" in value:
                return (option, f"{name}={re.sub(r'{url[^}]*}', f'{{url+{driver}}}', value)}")
    return ("--env", f"DATABASE_URL={{url+{driver}}}")


_PLACEHOLDER = re.compile(r"Can't load plugin: sqlalchemy\.dialects:driver\b")
_NOT_CONNECTED = re.compile(
    r"OperationalError|ConnectionRefusedError|gaierror|ConnectionDoesNotExist|Invalid(?:CatalogName|Password|Authorization)\w*Error|"
    r"No module named '(?:psycopg2?|asyncpg|pg8000)'|Connect call failed|authentication failed"
)


def _about_several_databases(words: str, target: Target) -> Advice | None:
    place, names = find_databases(target)
    if not names or "databases" in target.options or not (_PLACEHOLDER.search(words) or _NOT_CONNECTED.search(words)):
        return None
    url = placeholder(driver_for(target, is_async=False))
    return Advice(
        f"it migrates several databases ({listed(names)}), whose URLs are in {place}: verify one at a time",
        ("--set", f"databases={names[0]}", "--set", f"{names[0]}:sqlalchemy.url={url}"),
    )


def _about_the_configured_url(words: str, target: Target) -> Advice | None:
    if is_without_url(words) and "sqlalchemy.url" not in target.options:
        url = placeholder(driver_for(target, is_async=False))
        return Advice("its configuration has no sqlalchemy.url", ("--set", f"sqlalchemy.url={url}"))
    is_placeholder = bool(_PLACEHOLDER.search(words))
    if "sqlalchemy.url" in target.options or not (is_placeholder or _NOT_CONNECTED.search(words)):
        return None
    configured = find_configured_url(target)
    if configured is None or (configured.is_replaced and not is_placeholder):
        return None
    named = "" if is_placeholder else configured.driver
    return _set_url(configured.place, driver_for(target, is_async=configured.is_async, named=named))


def _about_the_server(words: str) -> Advice | None:
    """What env.py or the application creates before Alembic runs, and the server lacks."""
    for line in reversed(words.splitlines()):
        if explained := explain_missing(line):
            return Advice(explained[0].lower() + explained[1:].rstrip("."))
    return None


# "3 validation errors for Settings", then for each a line with its name and one with what is wrong.
_INVALID = re.compile(r"validation errors? for \w+$(?P<lines>(?:\n.*)+)", re.MULTILINE)
_MISSING = re.compile(r"^(?P<name>\w[\w.]*)\n\s+(?:Field required|field required)", re.MULTILINE)
_UNSET = re.compile(r"^\s*KeyError: '(?P<name>[A-Z][A-Z0-9_]*)'\s*$", re.MULTILINE)
_OF_A_URL = re.compile(r"(?:^|_)(?:urls?|uri|dsn|database|db)(?:_|$)", re.IGNORECASE)


def _about_settings(words: str, target: Target, asked_for: Sequence[str]) -> Advice | None:
    """The variables that the command misses, all at once."""
    names: Sequence[str] = [found["name"] for found in _UNSET.finditer(words)][-1:]
    if invalid := _INVALID.search(words):
        names = [found["name"].upper() for found in _MISSING.finditer(invalid["lines"])]
    if not names:
        return None
    parts = _parts_of_one_url(names, asked_for)
    urls = [name for name in names if name not in parts and _OF_A_URL.search(name)]
    url = placeholder(driver_for(target, is_async=False)) if urls else ""
    values = {**dict.fromkeys(names, "x"), **dict.fromkeys(urls[:1], url), **parts}
    options = [word for name, value in values.items() for word in ("--env", f"{name}={value}")]
    missing = f"it misses {listed(names, len(names))} in its environment"
    return Advice(missing, tuple(options))


def _parts_of_one_url(names: Sequence[str], asked_for: Sequence[str]) -> dict[str, str]:
    """{"DB_NAME": "{database}", …}: the variables for parts of a URL that are missed, and those that go with them."""
    missed = {name: found for name in names if (found := part_of(name)) is not None}
    beside = {
        name: found for name in asked_for if (found := part_of(name)) and found[0] in {p for p, _ in missed.values()}
    }
    parts: dict[tuple[str, str], str] = {}
    for name, found in {**missed, **beside}.items():
        parts.setdefault(found, name)
    return {name: f"{{{part}}}" for (_, part), name in parts.items()}
