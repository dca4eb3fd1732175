"""The environment of the command."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg import pq

from app.gate.server.throwaway import Server
from app.gate.target.target import _LIBPQ_VARIABLES, find_misspelt_placeholder
from tests.gate.projects import target


def test_nothing_that_libpq_reads_of_another_server_reaches_the_command(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar}
    assert "PGPORT" in known
    for name in known:
        monkeypatch.setenv(name, "of another server")

    environment = target(tmp_path, sys.executable).environment_for(replace(server.database("shop"), is_embedded=True))

    assert known & environment.keys() == set()


def test_the_table_has_every_variable_of_libpq() -> None:
    """Those of this version, and https://www.postgresql.org/docs/current/libpq-envars.html: some are no parameters."""
    of_this_version = {option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar}

    assert of_this_version <= set(_LIBPQ_VARIABLES)
    no_parameters = {"PGSERVICEFILE", "PGREQUIRESSL", "PGDATESTYLE", "PGTZ", "PGGEQO", "PGPASSFILE", "PGHOSTADDR"}
    assert no_parameters <= set(_LIBPQ_VARIABLES)
    assert all(re.fullmatch(r"PG[A-Z_]+", name) for name in _LIBPQ_VARIABLES)


@pytest.mark.parametrize(
    ("template", "filled"),
    [("{dbname}", ("{dbname}", "{database}")), ("{db}", ("{db}", "{database}")), ("{dsn}", ("{dsn}", "{url}")),
     ("{uri}", ("{uri}", "{url}")), ("{username}", ("{username}", "{user}")), ("{ur}", ("{ur}", "{url}")), ("{url}", None)],
)  # fmt: skip
def test_another_word_for_a_placeholder_is_corrected(template: str, filled: tuple[str, str] | None) -> None:
    assert find_misspelt_placeholder(template) == filled
