"""What is checked of a server that the user names, and of a live database, by what they answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from app.gate.errors import ServerUnavailable
from app.gate.server import _given, live
from app.gate.server._given import find_maintenance
from app.gate.server.database import ConnectionRefused, Database
from app.gate.server.live import Live, live_database

URL = "postgresql://ann:s3cret@db.example:5433/shop?sslmode=require"


class Connection:
    """A connection to a server that answers one row."""

    def __init__(
        self, row: tuple[Any, ...] | None, server_version: int = 180006, password: str | None = "s3cret"
    ) -> None:
        self.info = SimpleNamespace(
            host="db.example", port=5433, user="ann", password=password, server_version=server_version
        )
        self.row = row
        self.asked: list[Any] = []

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.asked.append("end")

    def cursor(self) -> Connection:
        return self

    def execute(self, *asked: Any) -> None:
        self.asked.append(asked)

    def fetchone(self) -> tuple[Any, ...] | None:
        return self.row

    def close(self) -> None:
        self.asked.append("close")

    def set_session(self, **settings: Any) -> None:
        self.asked.append(settings)

    def set_client_encoding(self, name: str) -> None:
        self.asked.append(name)


GOOD = ("PostgreSQL 18.6", False, True)


def answering(monkeypatch: pytest.MonkeyPatch, *answers: Any) -> list[dict[str, Any]]:
    """The keywords with which a connection is asked for; each is answered by the next."""
    asked: list[dict[str, Any]] = []
    left = list(answers)

    def connect(keywords: dict[str, Any]) -> Any:
        asked.append(keywords)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(_given, "connect_to", connect)
    monkeypatch.setattr(live, "connect_to", connect)
    return asked


def test_databases_are_created_from_the_first_database_that_can_be_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = Connection(GOOD)
    asked = answering(monkeypatch, ConnectionRefused("no"), ConnectionRefused("no"), connection)

    found = find_maintenance(URL)

    assert [each["dbname"] for each in asked] == ["postgres", "template1", "shop"]
    assert {name: asked[0][name] for name in ("host", "user", "connect_timeout")} == {
        "host": "db.example", "user": "ann", "connect_timeout": 10
    }  # fmt: skip
    assert found == Database("shop", "db.example", 5433, "ann", "s3cret", {"sslmode": "require"})
    assert not found.is_embedded
    assert connection.asked[-1] == "close"


@pytest.mark.parametrize(
    ("url", "last"),
    [
        (URL, "shop"),
        ("postgresql://ann@db.example", "ann"),
        ("postgresql://db.example", "template1"),
        ("postgresql://db.example/postgres", "template1"),
    ],
)
def test_where_none_can_be_connected_to_the_last_refusal_is_told(
    monkeypatch: pytest.MonkeyPatch, url: str, last: str
) -> None:
    asked = answering(monkeypatch, *[ConnectionRefused(f"no {at}") for at in range(3)])

    with pytest.raises(ServerUnavailable) as refusal:
        find_maintenance(url)

    assert str(refusal.value) == f"no {len(asked) - 1}: check the user, the password and the name in the database URL"
    assert asked[-1]["dbname"] == last


def test_a_server_that_cannot_be_reached_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch, ServerUnavailable("no PostgreSQL"))

    with pytest.raises(ServerUnavailable) as refusal:
        find_maintenance(URL)

    assert str(refusal.value) == "no PostgreSQL: start it, or check the database URL"
    assert len(asked) == 1


def test_the_timeout_of_the_url_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch, Connection(GOOD, password=None))

    found = find_maintenance("postgresql://db/shop?connect_timeout=3&application_name=x")

    assert asked[0]["connect_timeout"] == "3"
    assert (found.name, found.password, found.options) == ("postgres", "", {"connect_timeout": "3"})


@pytest.mark.parametrize(
    ("row", "version", "told"),
    [
        (("CockroachDB " + "x" * 50, False, True), 180000, f"the server at db.example:5433 is not PostgreSQL but {'CockroachDB ' + 'x' * 28!r}: name another one"),
        (None, 180000, "the server at db.example:5433 is not PostgreSQL but '': name another one"),
        (GOOD, 139999, "db.example:5433 runs PostgreSQL 13, and 14 or newer is needed"),
        (GOOD, 140000, None),
        (("PostgreSQL 18.6", True, True), 180006, "the server at db.example:5433 is a standby, which can only be read: name its primary"),
        (
            ("PostgreSQL 18.6", False, False),
            180006,
            "the role 'ann' may not create databases at db.example:5433, and the gate only works in databases that it creates: allow it (ALTER ROLE ann CREATEDB), or name another role",
        ),
    ],
)  # fmt: skip
def test_a_server_that_cannot_be_used_is_told_why(
    monkeypatch: pytest.MonkeyPatch, row: tuple[Any, ...] | None, version: int, told: str | None
) -> None:
    connection = Connection(row, version)
    answering(monkeypatch, connection)
    if told is None:
        assert find_maintenance(URL)
        return

    with pytest.raises(ServerUnavailable) as refusal:
        find_maintenance(URL)

    assert str(refusal.value) == told
    assert connection.asked[-1] == "close"


def test_a_live_database_is_only_read_and_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Connection(None)
    asked = answering(monkeypatch, connection)

    with live_database({"dbname": "shop"}, 2.5) as database:
        assert (database.major, database.timeout_s, database.lock_timeout_s) == (18, 2.5, 5.0)
        with database.transaction() as cursor:
            cursor.execute("SELECT 1")

    limits = "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true)"
    assert asked == [{"connect_timeout": 10, "dbname": "shop"}]
    assert connection.asked == [
        "UTF8",
        {"isolation_level": "READ COMMITTED", "readonly": True},
        (limits, ("2500ms", "5000ms")),
        ("SELECT 1",),
        "end", "end", "close",
    ]  # fmt: skip


def test_limits_of_a_live_database_are_set_by_the_millisecond() -> None:
    connection: Any = Connection(None)

    with Live(connection, 0.0015, 0.25).transaction("REPEATABLE READ"):
        pass

    assert connection.asked[0] == {"isolation_level": "REPEATABLE READ", "readonly": True}
    assert connection.asked[1][1] == ("2ms", "250ms")


@pytest.mark.parametrize(("version", "is_refused"), [(139999, True), (140000, False)])
def test_a_live_database_that_is_too_old_is_refused(
    monkeypatch: pytest.MonkeyPatch, version: int, is_refused: bool
) -> None:
    connection = Connection(None, version)
    answering(monkeypatch, connection)
    told = ""

    try:
        with live_database({}, 1.0):
            pass
    except ServerUnavailable as refusal:
        told = str(refusal)

    assert told == ("the server runs PostgreSQL 13, and 14 or newer is needed" if is_refused else "")
    assert connection.asked[-1] == "close"
