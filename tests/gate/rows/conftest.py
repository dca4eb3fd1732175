"""A database of its own for each test that fills tables."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.gate.server.throwaway import Server
from tests.gate.lines import Bench, bench_on


@pytest.fixture
def bench(server: Server) -> Iterator[Bench]:
    with bench_on(server) as bench:
        yield bench
