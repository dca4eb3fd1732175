"""The server on which extensions are tried."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.gate.server._stand_ins import DIFFERENCES
from app.gate.server.throwaway import Server, throwaway_server


@pytest.fixture(scope="session")
def with_stand_ins(server: Server) -> Iterator[Server]:
    """The embedded server, also where the other tests run on a given one."""
    if server.is_embedded:
        yield _checked(server)
    else:
        with throwaway_server() as own:
            yield _checked(own)


def _checked(server: Server) -> Server:
    if server.stand_ins.keys() != DIFFERENCES.keys():
        pytest.skip(f"PostgreSQL {server.version} has the extensions, or takes no stand-ins")
    return server
