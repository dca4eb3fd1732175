"""What is decided about a recording around its walks: which of them count, and what is left out."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.gate import recorder as module
from app.gate.errors import CannotVerify, CommandNeverReachedAlembic, DisturbedByOtherRun, SegmentsDiffer
from app.gate.recorder import (
    _env_path,
    _is_of,
    _leave_out_heads_on_the_way,
    _like_their_models,
    _may_be_cut,
    _recording,
    _refuse_if_nothing_new_ran,
    _walk_next_to,
    record,
)
from app.gate.recording.model import AlternativePath, Drift, Snapshot, UnregisteredModel
from app.gate.reruns.results import RerunResults
from app.gate.target.target import Target
from app.gate.walk.plan import RecordingPlan
from app.gate.walk.state import Unchanged, Walk
from tests.gate.checks.builders import added, key, problem, revision, trip
from tests.gate.played import Runner, as_runner
from tests.gate.walk.walks import arrival, base, line_of, walk

OLD, NEW = replace(revision("a1"), is_new=False), revision("b2", "a1")
PLAN = RecordingPlan("main")


def sql(*, stays: bool = True, error: Exception | None = None) -> Any:
    """An early run, of which the offline SQL is known."""
    printed = SimpleNamespace(exception=lambda: error, result=lambda: SimpleNamespace(stays_in_database=stays))
    return SimpleNamespace(offline_sql=printed, on_head=lambda walk: None)


# More rights.


@pytest.mark.parametrize(
    ("refusal", "can_gain", "is_recorded"), [("denied", True, True), ("denied", False, False), (None, True, False)]
)
def test_a_command_that_was_refused_before_alembic_is_run_once_more_with_all_rights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, refusal: str | None, can_gain: bool, is_recorded: bool
) -> None:
    returned: list[str] = []
    runner = Runner(is_busy=iter([can_gain]), is_closed=True, return_rights=lambda: returned.append("rights"))
    ends = iter([CommandNeverReachedAlembic("refused", refusal=refusal), None])
    found = _recording(walk(), RerunResults(), cast(Any, SimpleNamespace(version="18.6")), tmp_path)

    def take(*_: Any) -> list[Any]:
        if end := next(ends):
            raise end
        return [found]

    monkeypatch.setattr(module, "TargetRunner", lambda target, server: runner)
    monkeypatch.setattr(module, "check_command", lambda target: None)
    monkeypatch.setattr(module, "_record", take)

    def recorded() -> list[Any]:
        return record(Target(("alembic",)), cast(Any, None))

    if is_recorded:
        assert recorded() == [replace(found, refused_before_alembic="denied")]
        assert not runner.is_closed
    else:
        with pytest.raises(CommandNeverReachedAlembic):
            recorded()
    assert returned == ["rights"]


# The walks.


@pytest.mark.parametrize(
    ("is_serial", "is_embedded", "early", "may_be"),
    [
        (True, True, sql(), False),
        (False, True, None, True),
        (False, False, None, False),
        (False, False, sql(), True),
        (False, False, sql(stays=False), False),
        (False, False, sql(error=KeyError()), False),
    ],
)
def test_a_walk_is_cut_where_what_it_leaves_on_the_server_is_known(
    is_serial: bool, is_embedded: bool, early: Any, may_be: bool
) -> None:
    runner = Runner(must_run_serially=is_serial)
    runner.server.is_embedded = is_embedded

    assert _may_be_cut(as_runner(runner), early) is may_be


@pytest.mark.parametrize(
    ("end", "early", "is_repeated", "is_serial"),
    [
        (DisturbedByOtherRun(), sql(), True, True),
        (DisturbedByOtherRun(), None, True, True),
        (SegmentsDiffer(), sql(), True, False),
        (CommandNeverReachedAlembic("port taken"), sql(), True, True),
        (CommandNeverReachedAlembic("port taken"), None, False, False),
        (CommandNeverReachedAlembic("refused", refusal="denied"), sql(), False, False),
    ],
)
def test_what_another_run_may_have_disturbed_is_walked_once_more_alone(
    end: Exception, early: Any, is_repeated: bool, is_serial: bool
) -> None:
    calls: list[tuple[Any, ...]] = []
    runner = Runner(is_closed=True, drop_kept=lambda: None)

    def take(*how: Any) -> list[Any]:
        calls.append(how)
        if len(calls) == 1:
            raise end
        return ["walked"]

    def walked() -> Any:
        return _walk_next_to(early, cast(Any, take), ExitStack(), as_runner(runner))

    if not is_repeated:
        with pytest.raises(type(end)):
            walked()
        return
    assert walked() == (["walked"], None)
    assert (calls[1], runner.must_run_serially, runner.is_closed) == ((), is_serial, False)


def refused(*walks: Walk) -> str:
    try:
        _refuse_if_nothing_new_ran(walks)
    except CannotVerify as error:
        return str(error)
    return ""


def test_a_branch_none_of_whose_revisions_ran_proves_nothing() -> None:
    at_base = arrival(OLD, NEW, plan=(), base=base(), current=("a1",))
    other = revision("c3", "b2")

    assert refused(walk(arrives=at_base)) == (
        "the branch adds b2, and the command ran none of it on the base's database, which is at a1: name the command that"
        " upgrades such a database to head, after --"
    )
    assert "adds b2 and c3, and" in refused(walk(arrives=arrival(OLD, NEW, other, base=base())))
    assert "which is at no revision:" in refused(walk(arrives=replace(at_base, current=())))
    assert refused(walk(trip("b2"), arrives=at_base)) == ""
    assert refused(walk(trip("b2"), arrives=at_base), walk(arrives=at_base)) == ""
    assert refused(walk(trip("a1"), arrives=at_base)) != ""
    assert refused(walk(arrives=arrival(OLD, base=base()))) == ""
    assert refused(walk(arrives=arrival(OLD, NEW))) == ""
    inserted = arrival(OLD, NEW, base=base(inserted_below=(("b2", "b2.py"),)))
    assert refused(walk(arrives=inserted)) == ""
    assert refused(walk(arrives=inserted), walk(arrives=arrival(OLD))) == ""
    assert refused(walk(arrives=arrival(OLD, NEW, base=base(), problems=[problem("cycle", "a cycle")]))) == ""


def test_only_the_last_walk_through_a_history_has_a_head() -> None:
    other = arrival(OLD, index=1, handshake={"version_table": "other"})
    walks = [
        walk(arrives=arrival(OLD), head=Snapshot({}), drift=()),
        walk(arrives=other, head=Snapshot({}), drift=()),
        walk(arrives=arrival(OLD, index=2), head=None, drift=()),
        walk(arrives=arrival(OLD, index=3), head=Snapshot({}), drift=()),
    ]

    _leave_out_heads_on_the_way(walks)

    assert [each.head is None for each in walks] == [True, False, True, False]
    assert [each.is_continued for each in walks] == [True, False, False, False]
    assert walks[0].drift is None
    assert walks[0].not_observed == dict.fromkeys(
        ("head", "models", "drift", "offline", "concurrent"), "the command continues with this history after it"
    )


SCHEMA = Snapshot({key("table", "orders"): {}, key("table", "items"): {}, key("table", "lines"): {}})
MODELS: Any = {f"public.{name}": ("f", []) for name in ("orders", "items", "lines")}


def test_tables_that_are_like_their_models_are_noted_where_everything_was_compared() -> None:
    def noted(models: Snapshot | None = SCHEMA, **fields: Any) -> dict[int, dict[str, str]]:
        state = Unchanged(models=MODELS, refused=("public.items",))
        known = {"start": SCHEMA, "head": SCHEMA, "drift": (), "unchanged": state}
        return _like_their_models([walk(**{**known, **fields})], {0: RerunResults(models=models)})

    assert noted() == {0: {"public.orders": "f", "public.lines": "f"}}
    assert noted(drift=(Drift("add", "public.orders.note"),)) == {0: {"public.lines": "f"}}
    assert noted(hidden=("public.lines",)) == {0: {"public.orders": "f"}}
    assert noted(models=None) == noted(start=None) == noted(head=None) == noted(drift=None) == {}


# The recording.


def recording_of(of: Walk, results: RerunResults | None = None, root: Path = Path("/shop")) -> Any:
    return _recording(of, results or RerunResults(), cast(Any, SimpleNamespace(version="18.6")), root)


def test_it_holds_what_the_walk_and_the_reruns_have_found() -> None:
    stray = UnregisteredModel("shop", "Stray", "public.strays", "/shop/strays.py")
    of = walk(
        trip("a1"),
        arrives=arrival(OLD, NEW, base=base(), handshake={"script_location": None}),
        start=SCHEMA,
        head=Snapshot({}),
        schema_digests={"a1": ("x", "y")},
        drift=tuple(
            Drift("remove", name) for name in ("public.late.id", "public.late", "public.later", "public.orders")
        ),
        hidden=("public.secret",),
        late=("public.late",),
        unregistered=(stray,),
        not_observed={"a": "walk", "b": "walk"},
    )
    results = RerunResults(models=SCHEMA, offline=AlternativePath(), not_observed={"b": "rerun"})

    found = recording_of(of, results)

    assert (found.script_location, found.postgres, found.alembic, found.sqlalchemy) == ("", "18.6", "1.20.1", "2.1.9")
    assert (found.trips, found.schema_digests) == ((trip("a1"),), {"a1": ("x", "y")})
    assert (found.start, found.head, found.models) == (SCHEMA, Snapshot({}), SCHEMA)
    assert [each.object for each in found.drift] == ["public.later", "public.orders"]
    assert found.hidden == ("public.secret", "public.late")
    assert found.unregistered == (replace(stray, path="strays.py"),)
    assert (found.offline, found.whole_command, found.concurrent) == (AlternativePath(), None, None)
    assert (found.graph, found.base, found.has_metadata) == (of.arrival.graph, base(), True)
    assert found.not_observed == {"a": "walk", "b": "rerun"}
    assert recording_of(walk()).unregistered is None
    assert recording_of(walk()).drift is None


def test_what_differs_from_run_to_run_is_left_out_of_all_other_differences() -> None:
    varies, differs = added(key("index", "ix_1", "orders")), added(key("table", "other"))
    one = trip("a1", second_up_differences=[varies, differs])
    path = AlternativePath(differences=(varies, differs))
    results = RerunResults(whole_command=path, offline=path, concurrent=path, nondeterministic=(varies,))

    found = recording_of(walk(one), results)

    assert found.whole_command == found.offline == found.concurrent == AlternativePath(differences=(differs,))
    assert found.trips[0].second_up_differences == (differs,)
    assert found.nondeterministic == (varies,)
    assert recording_of(walk(one)).trips == (one,)


def test_trips_are_in_the_order_of_the_plan() -> None:
    of = walk(trip("b2"), trip("a1"), arrives=arrival(*line_of("a1", "b2", "c3")))

    assert [each.revision for each in recording_of(of).trips] == ["a1", "b2"]


def test_env_py_is_named_from_the_repositorys_root(tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    of = walk(arrives=arrival(handshake={"script_location": str(tmp_path / "migrations")}))
    assert _env_path(of, tmp_path) is None

    (tmp_path / "migrations" / "env.py").touch()

    assert _env_path(of, tmp_path) == "migrations/env.py"


def test_a_part_of_a_table_is_of_that_table() -> None:
    assert _is_of("public.orders", ["public.items", "public.orders"])
    assert _is_of("public.orders.note", ["public.orders"])
    assert not _is_of("public.orders_too", ["public.orders"])
    assert not _is_of("public.orders", [])
