"""Which run of the command follows which, and what is reported in the end. The runs are played."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.gate.errors import CannotVerify, DisturbedByOtherRun
from app.gate.recording.model import AlternativePath, Failure, Snapshot
from app.gate.recording.running import ModelColumn, ModelTable, RefusedStatement
from app.gate.reruns import _paths, _running_code
from app.gate.reruns._concurrent import ConcurrentUpgrade
from app.gate.reruns._models import first_walk_through
from app.gate.reruns._offline import OfflineSql, _is_comment
from app.gate.reruns._pool import JobPool
from app.gate.reruns._running_code import find_revisions, model_table
from app.gate.reruns.results import RerunResults
from app.gate.server.database import Database
from app.gate.walk.state import Walk
from tests.gate.checks.builders import added, altered, failure, key, trip
from tests.gate.played import Command, Runner, Session, as_runner
from tests.gate.walk.walks import arrival, line_of, walk

NOTE, OTHER = key("column", "note", "orders"), key("table", "other")
VERSION = key("table", "alembic_version")
HEAD = Snapshot({NOTE: {"type": "text"}})
WITH_VERSION = Snapshot({**HEAD.objects, VERSION: {}})
ELSE, REWORDED = Snapshot({**HEAD.objects, OTHER: {}}), Snapshot({NOTE: {"type": "pg_catalog.text"}})
FAILED = Failure("CommandFailed", "KeyError")
DENIED = failure(sqlstate="42501")


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """What each kind of run finds, one after the other. Those that are left over were not run."""
    found: dict[str, list[Any]] = {"printed": [], "sql": [], "like": [], "concurrent": [], "whole": [], "steps": []}
    monkeypatch.setattr(_paths, "print_offline_sql", lambda runner, start: found["printed"].pop(0))
    monkeypatch.setattr(
        _paths, "run_offline_sql", lambda printed, runner, like=None: found["sql" if like is None else "like"].pop(0)
    )
    monkeypatch.setattr(_paths, "upgrade_concurrently", lambda runner: found["concurrent"].pop(0))
    monkeypatch.setattr(_paths, "make_schema", lambda runner: found["whole"].pop(0))
    monkeypatch.setattr(_paths, "_make_step_by_step", lambda walk, runner: found["steps"].pop(0))
    return found


def early(**results: Any) -> Any:
    names = ("offline_sql", "offline_schema", "concurrent_upgrade", "whole_command")
    return SimpleNamespace(**{each: SimpleNamespace(result=lambda each=each: results.get(each)) for each in names})


def run(what: Any, of: Any = None, *, is_alone: bool = True) -> RerunResults:
    def retry_alone() -> None:
        if not is_alone:
            raise DisturbedByOtherRun

    results = RerunResults()
    jobs = cast(JobPool, SimpleNamespace(retry_alone=retry_alone))
    what(jobs, walk(head=HEAD), results, as_runner(Runner()), of)
    return results


PRINTED = OfflineSql([("a1", "SELECT 1")])
BROKEN = OfflineSql(failure=FAILED)


def test_the_sql_of_offline_mode_makes_the_schema_or_another(runs: dict[str, list[Any]]) -> None:
    def offline(schema: Any, like: Any = None) -> AlternativePath | None:
        runs.update(printed=[PRINTED], sql=[schema], like=[like])
        return run(_paths.run_offline).offline

    assert offline(WITH_VERSION) == AlternativePath()
    assert offline(ELSE) == AlternativePath(differences=(added(OTHER),))
    assert runs["like"] == [None]
    assert offline(failure()) == AlternativePath(failures=(failure(),))
    assert offline(REWORDED, HEAD) == AlternativePath()
    assert offline(REWORDED, REWORDED) == AlternativePath(
        differences=(altered(NOTE, {"type": "text"}, {"type": "pg_catalog.text"}),)
    )
    assert offline(REWORDED, failure()) == AlternativePath(failures=(failure(),))


def test_a_command_without_offline_mode_is_told_so(runs: dict[str, list[Any]]) -> None:
    runs["printed"] = [OfflineSql(not_supported="the command does not take --sql")]

    results = run(_paths.run_offline)

    assert (results.offline, results.not_observed) == (None, {"offline": "the command does not take --sql"})


def test_a_failure_of_the_command_counts_once_it_was_alone(runs: dict[str, list[Any]]) -> None:
    runs["printed"] = [BROKEN, BROKEN, PRINTED]
    with pytest.raises(DisturbedByOtherRun):
        run(_paths.run_offline, is_alone=False)
    assert run(_paths.run_offline).offline == AlternativePath(failures=(FAILED,))
    runs["sql"] = [HEAD]
    assert run(_paths.run_offline, early(offline_sql=BROKEN)).offline == AlternativePath()
    assert runs["printed"] == runs["sql"] == []


@pytest.mark.parametrize(
    ("schema", "is_run_again", "offline"),
    [
        (HEAD, False, AlternativePath()),
        (None, True, AlternativePath()),
        (DENIED, True, AlternativePath()),
        (failure(), False, AlternativePath(failures=(failure(),))),
    ],
)
def test_an_early_schema_counts_unless_it_lacked_rights(
    runs: dict[str, list[Any]], schema: Any, is_run_again: bool, offline: AlternativePath
) -> None:
    runs["sql"] = [HEAD]

    assert run(_paths.run_offline, early(offline_sql=PRINTED, offline_schema=schema)).offline == offline
    assert (runs["sql"] == []) is is_run_again


ONE, BOTH = ConcurrentUpgrade((FAILED,), WITH_VERSION), ConcurrentUpgrade((FAILED, FAILED), WITH_VERSION)


def test_two_upgrades_at_once_make_the_schema_and_one_may_fail(runs: dict[str, list[Any]]) -> None:
    runs["concurrent"] = [ONE, BOTH, BOTH]

    assert run(_paths.run_concurrently, is_alone=False).concurrent == AlternativePath((FAILED,))
    with pytest.raises(DisturbedByOtherRun):
        run(_paths.run_concurrently, is_alone=False)
    assert run(_paths.run_concurrently).concurrent == AlternativePath((FAILED, FAILED))


def test_early_ones_count_unless_both_failed(runs: dict[str, list[Any]]) -> None:
    assert run(_paths.run_concurrently, early(concurrent_upgrade=ONE)).concurrent == AlternativePath((FAILED,))
    runs["concurrent"] = [ONE, ONE]
    assert run(_paths.run_concurrently, early(concurrent_upgrade=BOTH)).concurrent == AlternativePath((FAILED,))
    assert run(_paths.run_concurrently, early()).concurrent == AlternativePath((FAILED,))
    assert runs["concurrent"] == []


def test_another_schema_is_due_to_concurrency_where_the_command_alone_does_not_make_it(
    runs: dict[str, list[Any]],
) -> None:
    def concurrent(**found: Any) -> RerunResults:
        runs.update(concurrent=[ConcurrentUpgrade((), ELSE)], **found)
        return run(_paths.run_concurrently)

    alone = concurrent(whole=[WITH_VERSION])
    assert alone.concurrent == AlternativePath(differences=(added(OTHER),))
    assert alone.whole_command == AlternativePath()
    too = concurrent(whole=[ELSE, ELSE], steps=[HEAD])
    assert (too.concurrent, too.whole_command) == (AlternativePath(), AlternativePath(differences=(added(OTHER),)))
    fails = concurrent(whole=[FAILED])
    assert fails.concurrent == AlternativePath(differences=(added(OTHER),))
    assert fails.whole_command == AlternativePath((FAILED,))


def test_what_the_whole_command_makes_is_compared_step_by_step_and_run_to_run(runs: dict[str, list[Any]]) -> None:
    def whole(of: Any = None, **found: Any) -> RerunResults:
        runs.update(**{"whole": [], "steps": [], **found})
        return run(_paths.run_whole_command, of)

    different = (added(OTHER),)
    assert whole(whole=[WITH_VERSION]).whole_command == AlternativePath()
    assert whole(whole=[ELSE], steps=[ELSE]).whole_command == AlternativePath()
    same = whole(whole=[ELSE, ELSE], steps=[None])
    assert (same.whole_command, same.nondeterministic) == (AlternativePath(differences=different), ())
    varies = whole(whole=[ELSE, HEAD], steps=[HEAD])
    assert varies.nondeterministic != ()
    assert whole(whole=[ELSE, FAILED], steps=[HEAD]).nondeterministic == ()
    assert whole(early(whole_command=WITH_VERSION)).whole_command == AlternativePath()
    assert whole(early(whole_command=FAILED), whole=[HEAD]).whole_command == AlternativePath()
    with pytest.raises(DisturbedByOtherRun):
        run(_paths.run_whole_command, early(whole_command=FAILED), is_alone=False)
    runs["whole"] = [FAILED]
    with pytest.raises(DisturbedByOtherRun):
        run(_paths.run_whole_command, is_alone=False)


@pytest.mark.parametrize(
    ("session", "status", "is_made"),
    [
        (Session({"plan": ["a1"]}, {}, {}), 0, True),
        (Session({"plan": [], "is_stamp": True}, {}), 0, True),
        (Session({"plan": ["a1"]}, {"failure": {"error": "E", "message": ""}}), 0, False),
        (Session({"failure": {"error": "E", "message": ""}}), 0, False),
        (Session({"plan": []}, {}), 1, False),
        (TimeoutError(), 0, False),
    ],
)
def test_step_by_step_the_command_makes_a_schema_or_none(
    monkeypatch: pytest.MonkeyPatch, session: Any, status: int, is_made: bool
) -> None:
    monkeypatch.setattr(_paths, "schema_of", lambda database, walk: HEAD)

    made = _paths._make_step_by_step(walk(), as_runner(Runner(Command(session, status=status))))

    assert made == (HEAD if is_made else None)
    if is_made:
        assert session.words[-1] in ("finish", "stamp")
        assert (session.words[-1] == "stamp") is ("step" not in session.words)


# Statements, and the revisions that refuse them.


def refused(number: int) -> RefusedStatement:
    return RefusedStatement("", "", "", "", (), f"SELECT {number}", failure())


class Refuser:
    """Refuses these statements after each revision."""

    def __init__(self, *numbers: Sequence[int]) -> None:
        self.asked: list[list[int]] = []
        self._numbers = list(numbers)

    def refused_by(self, database: Database, numbers: Sequence[int]) -> dict[int, RefusedStatement]:
        self.asked.append(list(numbers))
        return {number: refused(number) for number in self._numbers.pop(0)}


def blamed(of: Walk, refuser: Refuser, *answers: Any) -> list[tuple[str, str]]:
    runner = as_runner(Runner(Command(Session({"plan": []}, *answers))))
    found = find_revisions(of, runner, refuser, {number: refused(number) for number in (0, 1, 2)})
    return [(each.sql, each.revision) for each in found]


def test_each_statement_is_blamed_on_the_first_revision_after_which_it_is_refused() -> None:
    of = walk(*map(trip, ("a1", "b2", "c3")))
    of.applied -= {"b2"}
    refuser = Refuser([1], [0])

    assert blamed(of, refuser) == [("SELECT 0", "c3"), ("SELECT 1", "a1"), ("SELECT 2", "c3")]
    assert refuser.asked == [[0, 1, 2], [0, 2]]
    of.is_continued = True
    assert blamed(of, Refuser([1], [0])) == [("SELECT 1", "a1"), ("SELECT 0", "c3")]


def test_a_history_that_does_not_apply_again_blames_nothing() -> None:
    with pytest.raises(CannotVerify, match=r"^revision a1 did not apply a second time: no$"):
        blamed(walk(trip()), Refuser([]), {"failure": {"error": "E", "message": "no"}})
    with pytest.raises(CannotVerify, match=r"^the command did not reach Alembic a second time: it printed nothing$"):
        find_revisions(walk(trip()), as_runner(Runner(Command())), Refuser(), {})


def test_a_models_table_is_told_as_the_model_has_it() -> None:
    column: Any = {"type": "VARCHAR(20)", "labels": ["a"], "is_optional": True}
    table: Any = {"name": "public.orders", "model": "Order", "columns": {"note": column}, "keys": [["id"], ["a", "b"]]}

    assert model_table(table) == ModelTable(
        "public.orders", "Order", {"note": ModelColumn("VARCHAR(20)", ("a",), True)}, (("id",), ("a", "b"))
    )


def test_as_the_application_is_as_who_it_is_where_the_server_is_not_its_own() -> None:
    runner = Runner()
    database = cast(Database, SimpleNamespace(name="throwaway"))
    assert _running_code.as_application(database, as_runner(runner)) is database
    assert _running_code.application_of(as_runner(runner)) is None
    runner.server.ordinary = SimpleNamespace(application="shop")
    runner.server.database = lambda name: f"the server's {name}"
    assert _running_code.as_application(database, as_runner(runner)) == "the server's throwaway"  # type: ignore[comparison-overlap]
    assert _running_code.application_of(as_runner(runner)) == "shop"


def test_the_first_walk_with_the_same_models_is_found() -> None:
    def at(index: int, **fields: Any) -> Walk:
        return walk(arrives=arrival(*line_of("a1"), index=index, **fields))

    other = at(0, handshake={"version_table": "other"})
    walks = [at(4), other, at(1, has_metadata=False), at(3)]

    assert first_walk_through(walks[0].arrival.history, walks) == 3
    assert first_walk_through(other.arrival.history, walks) == 0


@pytest.mark.parametrize(
    ("piece", "is_comment"), [("", True), ("-- a\n\n  -- b", True), ("-- a\nSELECT 1;", False), ("SELECT 1", False)]
)
def test_a_piece_of_comments_alone_is_not_run(piece: str, is_comment: bool) -> None:
    assert _is_comment(piece) is is_comment
