"""What is observed at the end of the plan. The driver is played."""

from __future__ import annotations

from typing import Any, cast

import pytest

from app.gate.recording.model import Evidence, RoundTrip, Snapshot, UnregisteredModel
from app.gate.target.session import DriverSession
from app.gate.walk._head import observe_head, observe_model_statements
from app.gate.walk.client import DriverClient
from app.gate.walk.state import Unchanged, Walk
from tests.gate.checks.builders import added, failure, key, problem, trip
from tests.gate.played import THROWAWAY, Runner, Session, as_runner
from tests.gate.walk.walks import arrival, base, line_of, walk

ORDERS = key("table", "orders")
SCHEMA = Snapshot({ORDERS: {}, key("table", "alembic_version"): {}})
CREATION: dict[str, Any] = {"statements": ["CREATE TABLE orders ()"]}
DRIFT: dict[str, Any] = {"operations": [], "waived": [], "refused": []}
HIDDEN = {"tables": ["public.secret"], "entities": []}
STRAY = {"module": "shop", "name": "Stray", "table": "public.strays", "path": "shop.py", "line": 3}


def observed(of: Walk, *answers: Any) -> Session:
    session = Session(*answers)
    client = DriverClient(cast(DriverSession, session), as_runner(Runner()), THROWAWAY)
    observe_head(of, client, SCHEMA)
    observe_model_statements(of, client)
    return session


def test_the_models_are_compared_with_the_schema_at_head() -> None:
    taken = walk(trip(), hidden=("public.old",))

    session = observed(taken, CREATION, {**DRIFT, "is_stale": False}, HIDDEN, {"models": [STRAY]})

    assert session.words == ["creation", "drift", "hidden", "unregistered"]
    assert taken.head == Snapshot({ORDERS: {}})
    assert (taken.creation, taken.drift, taken.hidden) == (
        ["CREATE TABLE orders ()"],
        (),
        ("public.old", "public.secret"),
    )
    assert taken.unregistered == (UnregisteredModel("shop", "Stray", "public.strays", "shop.py", 3),)
    assert taken.not_observed == {}


def test_what_creates_the_models_can_be_used_before_they_are_compared() -> None:
    seen: list[object] = []
    session = Session(CREATION, {**DRIFT, "is_stale": False}, HIDDEN, {"models": []})
    client = DriverClient(cast(DriverSession, session), as_runner(Runner()), THROWAWAY)

    observe_head(walk(trip()), client, SCHEMA, lambda of: seen.append((of.head, of.creation, list(session.words))))

    assert seen == [(Snapshot({ORDERS: {}}), ["CREATE TABLE orders ()"], ["creation"])]


def test_only_what_a_check_asks_for_is_observed() -> None:
    assert observed(walk(trip(), evidence=frozenset()), HIDDEN).words == ["hidden"]
    taken = walk(trip(), evidence=frozenset({Evidence.UNREGISTERED}))
    assert observed(taken, HIDDEN, {"models": []}).words == ["hidden", "unregistered"]


def test_without_models_there_is_nothing_to_compare() -> None:
    taken = walk(trip(), arrives=arrival(*line_of("a1"), has_metadata=False))

    assert observed(taken).words == []
    assert taken.head is not None
    reason = "env.py passes no target_metadata, so Alembic knows no models"
    assert taken.not_observed == dict.fromkeys(("drift", "models", "unregistered"), reason)


def test_a_head_that_was_not_reached_is_not_observed() -> None:
    taken = walk(
        trip("a1"), RoundTrip("z9"), trip("b2", up_failure=failure()), trip("c3", up_failure=failure()),
        evidence=frozenset(),
    )  # fmt: skip

    assert observed(taken, HIDDEN).words == ["hidden"]
    assert taken.head is None
    reason = "revision b2 does not apply, so head was not reached"
    assert taken.not_observed == dict.fromkeys(("head", "models", "drift", "offline", "concurrent"), reason)


def test_a_history_that_cannot_be_read_has_no_head() -> None:
    broken = arrival(plan=(), problems=[problem("cycle", "a cycle")])
    planned = arrival(*line_of("a1"), problems=[problem("cycle", "a cycle")])
    unread, read = (walk(arrives=each, evidence=frozenset()) for each in (broken, planned))

    observed(unread, HIDDEN)
    observed(read, HIDDEN)

    assert unread.not_observed["head"] == "Alembic cannot read the history"
    assert unread.head is None
    assert read.head is not None


def test_where_each_statement_is_committed_rows_cannot_be_rolled_back() -> None:
    taken = walk(trip(), arrives=arrival(*line_of("a1"), is_transactional=False), evidence=frozenset())

    observed(taken, HIDDEN)

    assert taken.not_observed == {
        "populated": "env.py's connection commits each statement on its own, so rows could not be rolled back"
    }


@pytest.mark.parametrize(
    ("known", "start", "unchanged"),
    [({"public.orders": "f1"}, SCHEMA, ["public.orders"]), (None, SCHEMA, []), ({"public.orders": "f1"}, None, [])],
)
def test_tables_that_are_as_they_were_are_not_compared(
    known: dict[str, str] | None, start: Snapshot | None, unchanged: list[str]
) -> None:
    state = Unchanged(known=known, models={"public.orders": ("f1", [])})
    taken = walk(trip(), unchanged=state, start=start, evidence=frozenset({Evidence.DRIFT}))

    session = observed(taken, {**DRIFT, "is_stale": False}, HIDDEN)

    assert session.asked[0] == ("drift", {"unchanged": unchanged})


MODELS = {"count": 1}


@pytest.mark.parametrize(
    ("fields", "changes", "asked"),
    [
        ({}, [added(key("column", "note", "orders"))], [["public.orders"]]),
        ({}, [added(key("function", "f()"))], [None]),
        ({}, [added(key("table", "new"))], []),
        ({"base": base(is_start=False)}, [added(key("function", "f()"))], []),
        ({"base": None}, [added(key("function", "f()"))], []),
    ],
    ids=["a table", "any table", "no older table", "another start", "no base"],
)
def test_the_branchs_models_are_asked_for_the_statements_of_the_tables_that_it_changes(
    fields: dict[str, Any], changes: list[Any], asked: list[Any]
) -> None:
    arrives = arrival(*line_of("a1"), **{"base": base(), **fields})
    taken = walk(trip(changes=changes), arrives=arrives, start=SCHEMA, evidence=frozenset({Evidence.RUNNING}))

    session = observed(taken, HIDDEN, *[MODELS] * len(asked))

    assert [arguments["tables"] for do, arguments in session.asked if do == "model_statements"] == asked
    assert (taken.models is not None) is bool(asked)


@pytest.mark.parametrize("evidence", [{Evidence.RUNNING}, {Evidence.RUNNING, Evidence.DRIFT}, {Evidence.DRIFT}])
def test_models_that_a_script_has_changed_are_not_asked(evidence: set[Evidence]) -> None:
    arrives = arrival(*line_of("a1"), base=base())
    change = trip(changes=[added(key("function", "f()"))])
    taken = walk(change, arrives=arrives, start=SCHEMA, evidence=frozenset(evidence))

    is_compared = Evidence.DRIFT in evidence
    observed(taken, *([{**DRIFT, "is_stale": True}, HIDDEN] if is_compared else [HIDDEN, MODELS]))

    assert (taken.models is not None) is (evidence == {Evidence.RUNNING})


def test_what_does_not_get_to_head_asks_no_model() -> None:
    arrives = arrival(*line_of("a1"), base=base())
    taken = walk(trip(up_failure=failure()), arrives=arrives, start=SCHEMA, evidence=frozenset({Evidence.RUNNING}))

    assert observed(taken, HIDDEN).words == ["hidden"]
