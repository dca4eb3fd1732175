"""The target: nothing but the command with which a project upgrades its own database.

The command runs in the project's own virtual environment and folder. Environment variables, files made from templates,
or its arguments name the throwaway database, with placeholders filled in.
"""

from __future__ import annotations

import os
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
    "PGTARGETSESSIONATTRS", "PGLOADBALANCEHOSTS", "PGDATESTYLE", "PGTZ", "PGGEQO",
)  # fmt: skip
_PLACEHOLDER = re.compile(r"\{(url(?:\+[a-z0-9_]+)?|host|port|user|password|database)\}")


@dataclass(frozen=True)
class Target:
    """What `overproof verify` was given, or found out."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)  # {"DATABASE_URL": "{url}"}
    # {Path("app.ini"): "url = {url}\n"}: templates, already read. With {database} in the path each run has its file.
    files: Mapping[Path, str] = field(default_factory=dict)
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

    def environment_for(self, database: Database) -> dict[str, str]:
        """The environment of the command: ours, with the variables of the target in that database's terms."""
        environment = dict(os.environ)
        if database.is_embedded:
            for name in _LIBPQ_VARIABLES:
                environment.pop(name, None)  # PGSSLMODE=require, say, is about another server
        for name, template in self.environment.items():
            environment[name] = fill_placeholders(template, database)
        return environment


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
