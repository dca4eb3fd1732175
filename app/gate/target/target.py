"""The target: nothing but the command with which a project upgrades its own database.

The command runs in the project's own virtual environment and folder. Environment variables, files made from templates,
or its arguments name the throwaway database, with placeholders filled in.
"""

from __future__ import annotations

import difflib
import json
import os
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.gate.server.database import Database

# https://www.postgresql.org/docs/current/libpq-envars.html
_LIBPQ_VARIABLES = (
    "PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGPASSFILE", "PGSERVICE", "PGSERVICEFILE", "PGOPTIONS",
    "PGAPPNAME", "PGREQUIREAUTH", "PGCHANNELBINDING", "PGSSLMODE", "PGREQUIRESSL", "PGSSLNEGOTIATION", "PGSSLCOMPRESSION", "PGSSLCERT",
    "PGSSLKEY", "PGSSLCERTMODE", "PGSSLROOTCERT", "PGSSLCRL", "PGSSLCRLDIR", "PGSSLSNI", "PGREQUIREPEER", "PGSSLMINPROTOCOLVERSION",
    "PGSSLMAXPROTOCOLVERSION", "PGGSSENCMODE", "PGKRBSRVNAME", "PGGSSLIB", "PGGSSDELEGATION", "PGCLIENTENCODING",
    "PGTARGETSESSIONATTRS", "PGLOADBALANCEHOSTS", "PGCONNECT_TIMEOUT", "PGMINPROTOCOLVERSION", "PGMAXPROTOCOLVERSION", "PGDATESTYLE",
    "PGTZ", "PGGEQO",
)  # fmt: skip
# Of all runs of the command, so that a script that goes through a set of names gets them in the same order in each.
# https://docs.python.org/3/using/cmdline.html#envvar-PYTHONHASHSEED
_HASH_SEED = str(random.SystemRandom().randrange(2**32))
DRIVER = Path(__file__).parent.parent / "driver"
PLACEHOLDERS = ("url", "host", "port", "user", "password", "database")
_SYNONYMS = {"dbname": "database", "db": "database", "dsn": "url", "uri": "url", "username": "user"}
_PLACEHOLDER = re.compile(r"\{(url(?:\+[a-z0-9_]+)?|host|port|user|password|database)\}")


@dataclass(frozen=True)
class Target:
    """What `overproof verify` was given, or found out."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)  # {"DATABASE_URL": "{url}"}
    # {Path("app.ini"): "url = {url}\n"}: templates, already read. With {database} in the path each run has its file.
    files: Mapping[Path, str] = field(default_factory=dict)
    # {"sqlalchemy.url": "{url}"}: options of the Alembic configuration, set in the command's process. Those of another
    # section than the one that the command uses have its name before a colon: "engine2:sqlalchemy.url".
    options: Mapping[str, str] = field(default_factory=dict)
    activation: Mapping[str, str] = field(
        default_factory=dict
    )  # variables that make a Python environment the active one
    prepare: tuple[str, ...] = ()  # runs on the empty database first
    directory: Path = field(default_factory=Path.cwd)
    timeout_s: float = 300.0  # for each step

    def command_for(self, database: Database) -> list[str]:
        """The command with that database's placeholders filled in."""
        return [fill_placeholders(argument, database) for argument in self.command]

    def files_for(self, database: Database) -> dict[Path, str]:
        """What is to be written, and where, with that database's placeholders filled in."""
        return {
            Path(str(path).replace("{database}", database.name)): fill_placeholders(template, database)
            for path, template in self.files.items()
        }

    @property
    def must_run_serially(self) -> bool:
        """Whether a file names the database and is the same file for all runs, so that it can name only one of them."""
        return any(
            re.search(r"\{(?:url|database)\b", template) and "{database}" not in str(path)
            for path, template in self.files.items()
        )

    @property
    def path(self) -> str:
        """Where the command's programs are looked for."""
        return self.environment.get("PATH") or self.activation.get("PATH") or os.environ.get("PATH", os.defpath)

    def environment_for(self, database: Database) -> dict[str, str]:
        """The environment of the command: ours, with the variables of the target in that database's terms."""
        environment = dict(os.environ)
        if database.is_embedded:
            for name in _LIBPQ_VARIABLES:
                environment.pop(name, None)  # PGSSLMODE=require, say, is about another server
        environment.update(self.activation)
        environment.setdefault("PYTHONHASHSEED", _HASH_SEED)
        for name, template in self.environment.items():
            environment[name] = fill_placeholders(template, database)
        if self.options:
            options = [
                [*_section_and_key(name), fill_placeholders(value, database)] for name, value in self.options.items()
            ]
            environment["OVERPROOF_SET"] = json.dumps(options)
            put_driver_first(environment)
        return environment


def find_misspelt_placeholder(template: str) -> tuple[str, str] | None:
    """("{ur}", "{url}") for the first word in braces that is nearly a placeholder. Others may be the project's own."""
    for found in re.finditer(r"\{([A-Za-z][\w+-]*)\}", template):
        if _PLACEHOLDER.fullmatch(found[0]):
            continue
        name = found[1].lower().partition("+")[0]
        near = (
            [_SYNONYMS[name]] if name in _SYNONYMS else difflib.get_close_matches(name, PLACEHOLDERS, n=1, cutoff=0.75)
        )
        if near:
            return found[0], f"{{{near[0]}}}"
    return None


def put_driver_first(environment: dict[str, str]) -> None:
    """Have the Python of that environment import the driver as it starts."""
    others = [each for each in environment.get("PYTHONPATH", "").split(os.pathsep) if each and each != str(DRIVER)]
    environment["PYTHONPATH"] = os.pathsep.join([str(DRIVER), *others])


def _section_and_key(name: str) -> tuple[str, str]:
    """("engine2", "sqlalchemy.url") from "engine2:sqlalchemy.url". Without a section: that which the command uses."""
    section, colon, key = name.rpartition(":")
    return (section, key) if colon else ("", name)


def fill_placeholders(template: str, database: Database) -> str:
    """The template with {url}, {url+psycopg2}, {host}, {port}, {user}, {password} and {database} filled in.

    Anything else in braces is left unchanged.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name.startswith("url"):
            return database.url(name.partition("+")[2] or None)
        return str(database.name if name == "database" else getattr(database, name))

    return _PLACEHOLDER.sub(value, template)
