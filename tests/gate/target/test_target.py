"""The environment of the command."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg import pq

from app.gate.server.throwaway import Server
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
