"""How the schema of a live database is read, as often as it takes."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import psycopg2
import pytest

from app.gate.preflight import look
from app.gate.recording.model import Key, Snapshot

VERSIONS = Key("table", "public", "alembic_version", "")
ORDERS = Key("table", "public", "orders", "")


@pytest.mark.parametrize(
    ("sqlstates", "attempts", "reason"),
    [
        ([], 1, None),
        (["42P01", "XX000"], 3, None),
        (["42P01", "42P01", "42P01", "42P01"], 3, "it is gone"),
        (["42P01", "42501"], 2, "it is gone"),
        (["55P03"], 1, "another session has held a lock on it for longer than 0.5 s"),
    ],
)
def test_it_is_read_again_only_where_something_is_gone_and_only_so_often(
    monkeypatch: pytest.MonkeyPatch, sqlstates: list[str], attempts: int, reason: str | None
) -> None:
    isolations: list[str] = []

    def transaction(isolation: str) -> nullcontext[None]:
        isolations.append(isolation)
        return nullcontext()

    def read(connection: object) -> Snapshot:
        if sqlstates:
            raise type("Refused", (psycopg2.Error,), {"pgcode": sqlstates.pop(0)})("it is gone\nCONTEXT: x")
        return Snapshot({VERSIONS: {}, ORDERS: {}})

    live: Any = SimpleNamespace(connection=None, transaction=transaction, lock_timeout_s=0.5)
    monkeypatch.setattr(look, "read", read)
    monkeypatch.setattr(look, "list_version_tables", lambda connection: {VERSIONS: "owner"})

    schema, why = look.read_schema(live)

    assert isolations == ["REPEATABLE READ"] * attempts
    assert (schema, why) == (None if reason else Snapshot({ORDERS: {}}), reason)


def test_what_a_role_may_not_look_at_is_not_known() -> None:
    def refuse() -> str:
        raise psycopg2.errors.InsufficientPrivilege

    assert look.if_permitted(lambda: "seen") == "seen"
    assert look.if_permitted(refuse) is None


class Holders:
    """In place of what PostgreSQL says of locks, each time it is asked."""

    def __init__(self, *answers: list[look.Holder]) -> None:
        self.answers = list(answers)
        self.slept: list[float] = []

    def __call__(self, live: object, wanted: object) -> list[look.Holder]:
        return self.answers.pop(0)


def holder(transaction: str, age_s: float | None, *, is_autovacuum: bool = False) -> look.Holder:
    return look.Holder(
        "public.orders", ("ShareLock",), transaction, 7, None, "ann", None, "active", None, age_s, is_autovacuum, waits=False
    )  # fmt: skip


OLD, YOUNG, JUST = holder("old", 9.0), holder("young", 4.9), holder("just", 5.0)
UNKNOWN, OTHER = holder("unknown", None), holder("other", None)
VACUUM, HIDDEN_VACUUM = holder("vacuum", 9.0, is_autovacuum=True), holder("hidden", None, is_autovacuum=True)


@pytest.mark.parametrize(
    ("answers", "lasting", "slept"),
    [
        ([[OLD, YOUNG, JUST, VACUUM, HIDDEN_VACUUM]], [OLD, JUST], []),
        ([[OLD, UNKNOWN], [UNKNOWN, OTHER, YOUNG]], [OLD, UNKNOWN], [5.0]),
        ([[UNKNOWN], []], [], [5.0]),
        ([[]], [], []),
    ],
)
def test_who_holds_a_lock_for_long_is_told_by_its_age_or_by_looking_again(
    monkeypatch: pytest.MonkeyPatch, answers: list[list[look.Holder]], lasting: list[look.Holder], slept: list[float]
) -> None:
    holders = Holders(*answers)
    live: Any = None
    monkeypatch.setattr(look, "read_holders", holders)

    assert look.read_lasting_holders(live, {"public.orders": []}, 5.0, holders.slept.append) == lasting

    assert (holders.slept, holders.answers) == (slept, [])
