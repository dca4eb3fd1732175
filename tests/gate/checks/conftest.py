"""What several tests of the checks share."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from app.gate.server.throwaway import Server
from tests.gate.checks.printed import Bench


@pytest.fixture(scope="module")
def bench(server: Server) -> Iterator[Bench]:
    database = server.create_database()
    engine = sa.create_engine(database.url("psycopg2"))
    with engine.connect() as connection:
        yield Bench(database, connection)
    engine.dispose()
    server.drop_database(database)
