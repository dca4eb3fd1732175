"""What a report says of stand-ins for extensions."""

from __future__ import annotations

from dataclasses import replace

from app.gate.commands._stand_ins import notes_on_stand_ins
from app.gate.recording.model import Change, Direction, Graph, Key, Recording, RoundTrip, Snapshot, Step

STAND_INS = {"pgcrypto": "crypt() is not there", "uuid-ossp": "it has no address"}
NOTE = "pgcrypto is a stand-in, as the packaged PostgreSQL has none: crypt() is not there. --database-url names a server that has the extension."
KEY = Key("extension", "", "pgcrypto")
WITH_IT = Snapshot({KEY: {"version": "1.4"}, Key("extension", "", "citext"): {"version": "1.6"}})
EMPTY = Recording("migrations", "18.6", "1.20.1", "2.1.9", Graph())


def test_those_that_a_history_creates_are_named_once() -> None:
    assert list(notes_on_stand_ins(STAND_INS, [replace(EMPTY, head=WITH_IT), replace(EMPTY, head=WITH_IT)])) == [NOTE]


def test_those_that_were_there_before_it_are_named() -> None:
    assert list(notes_on_stand_ins(STAND_INS, [replace(EMPTY, start=WITH_IT)])) == [NOTE]


def test_those_that_it_drops_again_are_named() -> None:
    created = Step("a1", Direction.UPGRADE, 1.0, changes=(Change(KEY, None, {"version": "1.4"}),))

    assert list(notes_on_stand_ins(STAND_INS, [replace(EMPTY, trips=(RoundTrip("a1", created),))])) == [NOTE]


def test_nothing_is_said_where_none_is_used() -> None:
    other = Snapshot({Key("table", "public", "pgcrypto"): {}, Key("extension", "", "citext"): {}})

    assert list(notes_on_stand_ins(STAND_INS, [replace(EMPTY, head=other, trips=(RoundTrip("a1"),))])) == []
    assert list(notes_on_stand_ins({}, [replace(EMPTY, head=WITH_IT)])) == []
