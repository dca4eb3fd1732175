"""A database of its own for each test that fills tables."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.gate.server.throwaway import Server
from tests.gate.lines import Bench, line_over


@pytest.fixture
def bench(server: Server) -> Iterator[Bench]:
    database = server.create_database()
    with database.connect(autocommit=False) as connection:
        yield Bench(connection, line_over(connection))
        connection.rollback()
    server.drop_database(database)
