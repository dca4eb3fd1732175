"""Recordings come back from a file as they went in."""

import dataclasses
from pathlib import Path

import pytest

from app.gate.recorder import record
from app.gate.recording import model as recording_module
from app.gate.recording.model import (
    Allowance,
    AlternativePath,
    Change,
    Definition,
    Direction,
    Divergence,
    Drift,
    Failure,
    FailureInHistory,
    Graph,
    GraphProblem,
    GraphProblemKind,
    Interruption,
    Key,
    Loss,
    LossKind,
    Populated,
    Recording,
    RefusedInsert,
    Rename,
    Revision,
    RoundTrip,
    RowKind,
    Snapshot,
    Statement,
    Step,
    UnregisteredModel,
)
from app.gate.recording.other_history import OtherHistory, SeedDifference
from app.gate.recording.running import ModelColumn, ModelTable, RecordedStatements, RefusedStatement, RunningCode
from app.gate.recording.serialization import RunningDigest, digest, load, object_entry, save, sort_key
from app.gate.server.throwaway import Server
from tests.gate.projects import script, target, write_project

KEY = Key("column", "public", "note", "orders")
FAILURE = Failure("E", "m", "42P01", "SELECT 1", 3, "a1")
CHANGE = Change(KEY, {"a": 1}, {"a": 2})
STATEMENT = Statement(
    "s",
    1.5,
    7,
    {"public.orders": frozenset({"ShareLock", "RowShareLock"})},
    ("a",),
    ("b",),
    ("c",),
    {"d": 2},
    {"d": 1},
    False,
    0,
)
STEP = Step(
    "a1",
    Direction.UPGRADE,
    2.0,
    False,
    (STATEMENT,),
    (Change(KEY, None, {"type": "text"}),),
    FAILURE,
    (Rename(KEY, KEY),),
)
FULL = Recording(
    "migrations",
    "18.6",
    "1.20.1",
    "2.1.9",
    Graph(
        (Revision("a1", "v/a1.py", ("b",), ("c",), ("d",), allowances=(Allowance("upgrade", "why", 3),)),),
        ("a1",),
        ("a1",),
        (GraphProblem(GraphProblemKind.CYCLE, "m", "a1", "p", 1),),
        "refused",
    ),
    trips=(
        RoundTrip(
            "a1",
            STEP,
            STEP,
            None,
            left_behind=(Change(KEY, {"type": "text", "nullable": False}, None),),
            populated=Populated(
                STEP,
                RowKind.EDGE_CASES,
                {"public.orders": 3},
                (Loss("t", None, LossKind.ROWS_DELETED, 1, 2),),
                down_failure=FAILURE,
                down_rows=RowKind.ORDINARY,
                assumptions=(FAILURE,),
                refused_inserts=(RefusedInsert("t", FAILURE, "id", "s", 1, 3),),
            ),
            in_history=FailureInHistory(FAILURE, {"public.orders": "a1", "public.lines": None}, ("a1",)),
            fails_alone=FAILURE,
            interruptions=(Interruption("s", 4, FAILURE), Interruption("s", 4, None, True, (KEY,))),
        ),
    ),
    head=Snapshot({KEY: {"type": "text", "columns": ["a", "b"]}}),
    drift=(Drift("add", "x"),),
    unregistered=(UnregisteredModel("m", "n", "t", "p", 1),),
    offline=AlternativePath((FAILURE,), (Change(KEY, {"a": 1}, {"a": 2}),)),
    recorded=RecordedStatements(3, 1, (RefusedStatement("a1", "", "t", "", (), "SELECT 1", FAILURE),)),
    other_history=OtherHistory(
        "main",
        "0123",
        ("a1",),
        ("z9",),
        ("b2",),
        (CHANGE,),
        (CHANGE,),
        (SeedDifference("public.orders", ("{}",)),),
        ("t.c",),
        FAILURE,
        (CHANGE,),
    ),
    running=RunningCode(
        "c0ffee",
        (ModelTable("t", "m", {"note": ModelColumn("TEXT", ("a",))}, (("id",), ("a", "b"))),),
        7,
        (RefusedStatement("a1", "m", "t", "SELECT", ("note",), "SELECT 1", FAILURE),),
        (RefusedStatement("", "m", "t", "SELECT", ("note",), "SELECT 1", FAILURE),),
    ),
    base=Divergence("main", "c0ffee", edited=(("a1", "p"),)),
    not_observed={"models": "why"},
)


def test_everything_that_a_recording_can_hold_comes_back(tmp_path: Path) -> None:
    save([FULL, FULL], tmp_path / "seen.json")

    assert load(tmp_path / "seen.json") == [FULL, FULL]


def test_the_example_leaves_no_kind_of_part_out() -> None:
    parts = {name for name, value in vars(recording_module).items() if dataclasses.is_dataclass(value)}

    assert parts <= globals().keys()


def test_what_was_really_recorded_comes_back(tmp_path: Path, server: Server) -> None:
    create = script("a1", None, "op.create_table('orders', sa.Column('id', sa.Integer))", "op.drop_table('orders')")
    recordings = record(target(write_project(tmp_path / "project", {"a1": create})), server)

    save(recordings, tmp_path / "seen.json")

    assert load(tmp_path / "seen.json") == recordings


def test_kinds_are_readable_in_the_file_and_come_back_as_kinds(tmp_path: Path) -> None:
    save([FULL], tmp_path / "seen.json")

    [loaded] = load(tmp_path / "seen.json")

    populated = loaded.trips[0].populated
    assert populated is not None
    assert (type(populated.rows), type(populated.step.direction)) == (RowKind, Direction)
    assert '"rows": "edge cases"' in (tmp_path / "seen.json").read_text()


@pytest.mark.parametrize("text", ["{}x", "[1]", '[{"nonsense": 1}]', '{"a": 1}'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "seen.json").write_text(text)

    with pytest.raises(ValueError, match=r".+"):
        load(tmp_path / "seen.json")


NOTE, TOTAL = KEY, Key("column", "public", "total", "orders")
SCHEMA = Snapshot(
    {NOTE: {"type": "text", "nullable": True}, TOTAL: {"type": "numeric"}, Key("extension", "", "pgcrypto"): {}}
)


def test_a_schema_has_the_same_digest_in_every_version_and_process() -> None:
    # Reports and base caches hold such digests, and are compared with others'.
    assert digest(Snapshot({})) == "5341e6b2646979a70e57653007a1f310169421ec9bdd9f1a5648f75ade005af1"
    assert digest(SCHEMA) == "ee6c4e25ed205e8fff0ed8ffe98d5a8ff13a5366d4596af560666d6770aff8b4"
    assert digest(Snapshot(dict(reversed([*SCHEMA.objects.items()])))) == digest(SCHEMA)


def test_the_digest_of_a_schema_that_changes_is_that_of_each_state() -> None:
    others: list[dict[Key, Definition]] = [
        {**SCHEMA.objects, Key("table", "public", "items"): {}},
        {**SCHEMA.objects, NOTE: {"type": "integer"}, TOTAL: {"type": "numeric"}},
        {TOTAL: {"type": "numeric"}},
        {},
        dict(SCHEMA.objects),
        {each: {"name": "\udc80ä"} for each in SCHEMA.objects},
    ]
    running = RunningDigest()

    for state in map(Snapshot, others):
        assert running.of(state) == digest(state)
    assert len({digest(Snapshot(each)) for each in others}) == len(others)


def test_objects_are_listed_with_the_parts_of_a_table_after_it() -> None:
    parts = ("column", "constraint", "index", "trigger", "rule", "policy", "statistics")
    keys = [
        Key("extension", "", "pgcrypto"),
        *(Key(kind, "public", "a") for kind in ("domain", "foreign table", "materialized view", "table", "view")),
        *(Key(kind, "public", "z", "a") for kind in parts),
        Key("domain constraint", "public", "z", "a"),
        Key("function", "public", "a"),
        Key("type", "public", "a"),
        Key("table", "public", "b"),
        Key("column", "public", "a", "b"),
        Key("column", "public", "b", "b"),
    ]

    assert sorted({*keys}, key=sort_key) == keys


def test_an_object_in_json_has_a_table_only_if_it_belongs_to_one() -> None:
    assert object_entry(KEY, {"type": "text"}) == {
        "kind": "column", "schema": "public", "name": "note", "table": "orders", "definition": {"type": "text"}
    }  # fmt: skip
    assert object_entry(Key("table", "public", "orders"), None) == {
        "kind": "table", "schema": "public", "name": "orders", "definition": None
    }  # fmt: skip


def test_a_file_of_recordings_is_indented_to_be_compared_by_lines(tmp_path: Path) -> None:
    save([FULL], tmp_path / "seen.json")

    assert (tmp_path / "seen.json").read_text().startswith('[\n {\n  "script_location": "migrations",\n')
