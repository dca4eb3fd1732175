"""How a walk begins: what the command would do, and the base that its branch is compared with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from app.gate.errors import CannotVerify
from app.gate.target.session import DriverSession
from app.gate.walk.begin import apply_base, begin_walk
from app.gate.walk.client import DriverClient
from app.gate.walk.plan import RecordingPlan
from app.gate.walk.state import Walk
from tests.gate.checks.builders import revision
from tests.gate.history.test_git_base import git, write_branch
from tests.gate.played import THROWAWAY, Runner, Session, as_runner
from tests.gate.walk.walks import arrival, base, walk

REFUSED = {"error": "psycopg2.errors.DuplicateTable", "message": "there already", "sqlstate": "42P07"}


def client_of(session: Session, runner: Runner | None = None) -> DriverClient:
    return DriverClient(cast(DriverSession, session), as_runner(runner or Runner()), THROWAWAY)


def prepared(place: Path, **fields: Any) -> dict[str, Any]:
    path = place / "migrations" / "versions" / "a1.py"
    script = {"revision": "a1", "down_revisions": [], "depends_on": [], "branch_labels": [], "message": "first"}
    return {
        "locations": [str(path.parent)],
        "revisions": [{**script, "path": str(path)}],
        "heads": ["a1"],
        "bases": ["a1"],
        "plan": ["a1"],
        "refusal": None,
        "error": None,
        "warnings": [],
        "is_transactional": True,
        "is_per_migration": False,
        "current": ["z0"],
        "has_metadata": True,
        "start_s": 1.5,
        **fields,
    }


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_branch(tmp_path)


def begun(place: Path, *answers: Any, plan: RecordingPlan | None = None) -> Walk:
    return begin_walk(2, client_of(Session(*answers)), place, plan or RecordingPlan())


def test_what_the_driver_found_is_how_the_walk_arrives(project: Path) -> None:
    versions = project / "migrations" / "versions"

    found = begun(project, prepared(project)).arrival

    assert (found.index, found.plan, found.current, found.start_s) == (2, ("a1",), ("z0",), 1.5)
    assert (found.is_transactional, found.has_metadata, found.is_stamp, found.stamped) == (True, True, False, ())
    assert (found.paths, found.locations) == ({"a1": versions / "a1.py"}, (versions,))
    assert (found.base, found.handshake["version_table"]) == (None, "alembic_version")
    assert [each.revision for each in found.graph.revisions] == ["a1"]


def test_a_command_that_only_stamps_is_no_upgrade_and_is_let_pass(project: Path) -> None:
    answer = prepared(project, is_upgrade=False, is_stamp=True, stamped=["a1"], is_transactional=False)

    found = begun(project, answer).arrival

    assert (found.is_stamp, found.stamped, found.is_transactional) == (True, ("a1",), False)


@pytest.mark.parametrize(
    "fields",
    [
        {"is_upgrade": False},
        {"refusal": "Target database is not up to date."},
        {"refusal": "database is not up to date", "is_stamp": True, "is_upgrade": True},
    ],
)
def test_a_command_that_does_not_upgrade_is_refused(project: Path, fields: dict[str, Any]) -> None:
    with pytest.raises(CannotVerify) as refused:
        begun(project, prepared(project, **fields))

    assert str(refused.value) == (
        "the command does not upgrade: name the one that brings the database to head, after --"
    )


def test_a_refusal_of_another_kind_is_judged_later(project: Path) -> None:
    found = begun(project, prepared(project, refusal="Multiple head revisions are present", is_upgrade=True))

    assert found.arrival.graph.refusal == "Multiple head revisions are present"


def test_alembic_may_be_unable_to_begin(project: Path) -> None:
    with pytest.raises(CannotVerify, match=r"^Alembic cannot begin on an empty database: there already$"):
        begun(project, {"failure": REFUSED})


@pytest.mark.parametrize(
    ("is_cached", "has_metadata", "words"),
    [(True, True, ["prepare", "fingerprints"]), (True, False, ["prepare"]), (False, True, ["prepare"])],
)
def test_fingerprints_of_the_models_are_asked_for_where_a_cache_knows_them(
    project: Path, is_cached: bool, has_metadata: bool, words: list[str]
) -> None:
    session = Session(prepared(project, has_metadata=has_metadata), {"models": {"public.orders": ["f1", []]}})

    found = begin_walk(0, client_of(session), project, RecordingPlan(is_cached=is_cached))

    assert session.words == words
    assert dict[str, Any](found.unchanged.models) == ({"public.orders": ["f1", []]} if len(words) > 1 else {})


@pytest.mark.parametrize("starts_at_base", [True, False])
def test_the_branch_is_compared_with_its_base(project: Path, starts_at_base: bool) -> None:
    plan = RecordingPlan("main", starts_at_base=starts_at_base)

    found = begun(project, prepared(project), plan=plan).arrival.base

    assert found is not None
    assert (found.ref, found.commit) == ("main", git(project, "rev-parse", "main").strip())
    assert (found.is_start, found.is_env_as_it_was) == (starts_at_base, True)


def test_env_py_is_compared_too(project: Path) -> None:
    env = project / "migrations" / "env.py"
    env.write_text(f"{env.read_text()}\nprint()\n")

    found = begun(project, prepared(project), plan=RecordingPlan("main")).arrival.base

    assert found is not None
    assert not found.is_env_as_it_was


# Applying the base.

OLD = replace(revision("a1"), is_new=False)
LINE = [OLD, revision("b2", "a1"), replace(revision("c3", "b2"), is_new=False), revision("d4", "c3")]
PLAN = ("a1", "b2", "c3", "d4")


def applied(session: Session, **fields: Any) -> list[tuple[str, bool]]:
    apply_base(walk(arrives=arrival(*LINE, **fields)), client_of(session), PLAN)
    return [(arguments["revision"], arguments["in_one_run"]) for _, arguments in session.asked]


def test_only_what_the_base_has_is_applied_and_what_was_inserted_below_it() -> None:
    assert applied(Session()) == [("a1", False), ("c3", False)]
    assert applied(Session(), base=base(inserted_below=(("b2", "b2.py"),))) == [
        ("a1", False),
        ("b2", False),
        ("c3", False),
    ]


def test_what_exists_already_is_tried_in_one_run_with_what_comes_before() -> None:
    assert applied(Session({"failure": REFUSED})) == [("a1", False), ("a1", True), ("c3", False)]


@pytest.mark.parametrize("sqlstate", ["42P07", "42P01"])
def test_a_base_that_does_not_apply_ends_the_run(sqlstate: str) -> None:
    failure = {"failure": {**REFUSED, "sqlstate": sqlstate}}

    with pytest.raises(CannotVerify) as refused:
        applied(Session({}, failure, failure))

    assert str(refused.value) == (
        "revision c3 is older than this branch and does not apply: there already; run without --base to see the whole history judged"
    )
