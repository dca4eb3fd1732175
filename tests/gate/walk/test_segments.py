"""A walk in several segments records what a walk in one does, whatever the history holds and wherever it is cut."""

from __future__ import annotations

import json
import os
import sys
import textwrap
import threading
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.gate.errors import SegmentsDiffer
from app.gate.recorder import record
from app.gate.recording.model import Failure
from app.gate.recording.serialization import save
from app.gate.server.database import Database
from app.gate.server.throwaway import Server
from app.gate.target.runner import TargetRunner
from app.gate.walk._cuts import Segment, Underway
from app.gate.walk._parts import Part, _is_from_outside
from app.gate.walk._segments import SegmentedWalk
from app.gate.walk.plan import Beside, RecordingPlan
from app.gate.walk.run import walk_all
from app.gate.walk.state import Walk
from tests.gate.projects import ENV, OF_THE_WALK, script, target, write_project

# What a revision may do, and how that is undone. {t} and {u} are two of the tables t0 to t2, which the first creates.
_KINDS = {
    "column": ("ALTER TABLE {t} ADD COLUMN c{n} int", "ALTER TABLE {t} DROP COLUMN c{n}"),
    "required column": ("ALTER TABLE {t} ADD COLUMN c{n} int NOT NULL", "ALTER TABLE {t} DROP COLUMN c{n}"),
    "unique": ("ALTER TABLE {t} ADD CONSTRAINT u{n} UNIQUE (a)", "ALTER TABLE {t} DROP CONSTRAINT u{n}"),
    "foreign key": (
        "ALTER TABLE {t} ADD CONSTRAINT f{n} FOREIGN KEY (b) REFERENCES {u}",
        "ALTER TABLE {t} DROP CONSTRAINT f{n}",
    ),
    "seeds": ("INSERT INTO {t} (a, b) VALUES ('n{n}', NULL), ('m{n}', NULL)", "DELETE FROM {t} WHERE a LIKE '%{n}'"),
    "a row by its number": ("UPDATE {t} SET a = 'first' WHERE id = 1", ""),
    "what was numbered": (
        "INSERT INTO {t} (a, b) SELECT 'of ' || id, id FROM {u}",
        "DELETE FROM {t} WHERE a LIKE 'of %'",
    ),
    "filled": ("UPDATE {t} SET a = 'none' WHERE a IS NULL", ""),
    "deleted": ("DELETE FROM {t} WHERE b IS NULL", ""),
    "required": ("ALTER TABLE {t} ALTER a SET NOT NULL", "ALTER TABLE {t} ALTER a DROP NOT NULL"),
    "check": ("ALTER TABLE {t} ADD CONSTRAINT k{n} CHECK (b < 3)", "ALTER TABLE {t} DROP CONSTRAINT k{n}"),
    "type": ("ALTER TABLE {t} ALTER a TYPE varchar(3)", "ALTER TABLE {t} ALTER a TYPE text"),
    "view": ("CREATE VIEW v{n} AS SELECT id, a FROM {t}", "DROP VIEW v{n}"),
    "sequence": ("ALTER SEQUENCE {t}_id_seq RESTART WITH 1{n}", ""),
    "left behind": ("CREATE TABLE l{n} (id int)", ""),
    "fails": ("ALTER TABLE {t} ADD COLUMN d{n} int; SELECT 1 / 0", ""),
    "downgrade fails": ("CREATE TABLE g{n} (id int)", "SELECT 1 / 0"),
    "other schema": ("CREATE SCHEMA s{n}; CREATE TABLE s{n}.{t} (id int)", "DROP SCHEMA s{n} CASCADE"),
}
_IN_PYTHON = {
    "concurrently": (
        """
        with op.get_context().autocommit_block():
            op.execute("CREATE INDEX i{n} ON {t} (a)")
        """,
        'op.execute("DROP INDEX i{n}")',
    ),
    "commits, and its downgrade leaves another schema": (
        """
        with op.get_context().autocommit_block():
            op.execute("CREATE TABLE e{n} (id int)")
        """,
        'op.execute("ALTER TABLE e{n} RENAME TO h{n}")',
    ),
    "fails half way": (
        """
        with op.get_context().autocommit_block():
            op.execute("CREATE TABLE w{n} (id int)")
        op.execute("SELECT 1 / 0")
        """,
        "pass",
    ),
    "refuses to go down": ('op.execute("CREATE TABLE r{n} (id int)")', "raise NotImplementedError"),
    "does not go down in Python": ('op.execute("CREATE TABLE p{n} (id int)")', "raise RuntimeError('not {n}')"),
    "ends the command": ("import os; os._exit(3)", "pass"),
    "a type for each": (
        'sa.Enum("a", name="state").create(op.get_bind(), checkfirst=False)',
        'sa.Enum(name="state").drop(op.get_bind())',
    ),
    "a type with a table": (
        'op.create_table("x{n}", sa.Column("s", sa.Enum("a", name="same")))',
        'op.drop_table("x{n}")',
    ),
    "nothing": ("pass", "pass"),
}
_FIRST = "; ".join(f"CREATE TABLE t{n} (id serial PRIMARY KEY, a text, b int)" for n in range(3))
_DROP = "DROP TABLE t0, t1, t2"


@st.composite
def histories(draw: st.DrawFn) -> dict[str, str]:
    """The scripts of a history: a line, with branches that are merged."""
    scripts = {"r0": script("r0", None, f"op.execute({_FIRST!r})", f"op.execute({_DROP!r})")}
    heads = ["r0"]
    for n in range(1, draw(st.integers(3, 9))):
        kind = draw(st.sampled_from([*_KINDS, *_IN_PYTHON]))
        t, u = draw(st.permutations(["t0", "t1", "t2"]))[:2]
        up, down = (
            (f"op.execute({_filled(sql, n, t, u)!r})" if sql else "pass" for sql in _KINDS[kind])
            if kind in _KINDS
            else (_filled(textwrap.dedent(text).strip(), n, t, u) for text in _IN_PYTHON[kind])
        )
        parent = draw(st.sampled_from(heads))
        name = f"r{n}"
        head = f"depends_on = {draw(st.sampled_from(heads))!r}" if draw(st.integers(0, 5)) == 0 else ""
        scripts[name] = script(name, parent, up, down, head)
        keeps_parent = draw(st.integers(0, 4)) == 0
        heads = [each for each in heads if each != parent or keeps_parent] + [name]
        if len(heads) > 2:
            scripts[f"m{n}"] = script(f"m{n}", tuple(heads))
            heads = [f"m{n}"]
    if len(heads) > 1:
        scripts["m"] = script("m", tuple(heads))
    return scripts


def _filled(text: str, n: int, t: str, u: str) -> str:
    return text.replace("{n}", str(n)).replace("{t}", t).replace("{u}", u)


class Cuts(list[int]):
    """The indexes at which a plan is cut, where it is not walked alone."""

    first = 0  # how many revisions are walked before that
    tail: int | None = None  # the index from which on another job takes over what the last segment has left
    taken = 0  # how many were taken over


@pytest.fixture
def cuts(monkeypatch: pytest.MonkeyPatch) -> Cuts:
    at = Cuts()

    class Pace:
        def __init__(self, walk: Walk, begin: int, beside: Beside) -> None:
            self.index = begin
            self.next_index = min(begin + (at.first if beside.jobs > 1 else 0), len(walk.plan))

        def note(self, index: int) -> None:
            self.index = index

        def take_over(self, index: int, underway: Underway) -> int | None:
            return at.tail if at.tail is not None and underway.at < at.tail < underway.end else None

    def choose(walk: Walk, beside: Beside, pace: Pace) -> list[Segment]:
        begin = pace.index
        may_be_cut = beside.jobs > 1 and beside.may_be_cut()
        inner = [each for each in at if begin < each < len(walk.plan)] if may_be_cut else []
        return [Segment(first, end) for first, end in pairwise([begin, *inner, len(walk.plan)])]

    monkeypatch.setattr("app.gate.walk.run.Pace", Pace)
    monkeypatch.setattr("app.gate.walk.run.choose_segments", choose)
    monkeypatch.setattr("app.gate.recorder.JOBS", 4)
    _wait_for_takers(monkeypatch, at)
    return at


def _wait_for_takers(monkeypatch: pytest.MonkeyPatch, at: Cuts) -> None:
    """Have the last segment wait, if its tail is to be taken over, until another job has done so or cannot do it."""
    walk_part, tail_for, goes_on = SegmentedWalk._walk_part, SegmentedWalk._tail_for, Part._goes_on
    waited_for = threading.Event()

    def walk_part_noted(self: SegmentedWalk, part: Part) -> None:
        try:
            walk_part(self, part)
        finally:
            waited_for.set()

    def tail_noted(self: SegmentedWalk, part: Part) -> Part | None:
        tail = tail_for(self, part)
        at.taken += tail is not None
        waited_for.set()
        return tail

    def goes_on_later(self: Part, index: int) -> bool:
        if at.tail is not None and self._ends_at_head and not self._is_alone and index == self.begin:
            assert waited_for.wait(60)
        is_more = goes_on(self, index)
        if index > self.begin:
            waited_for.clear()
        return is_more

    monkeypatch.setattr(SegmentedWalk, "_walk_part", walk_part_noted)
    monkeypatch.setattr(SegmentedWalk, "_tail_for", tail_noted)
    monkeypatch.setattr(Part, "_goes_on", goes_on_later)


def recorded(place: Path, server: Server, *command: str) -> Any:
    """What is recorded, less what differs from run to run."""
    save(record(target(place, *command), server, evidence=OF_THE_WALK), place / "recording.json")
    return _less(json.loads((place / "recording.json").read_text()))


def _less(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _less(each) for name, each in value.items() if name != "duration_ms"}
    return [_less(each) for each in value] if isinstance(value, list) else value


@given(
    scripts=histories(),
    at=st.sets(st.integers(1, 8), min_size=1, max_size=3),
    first=st.integers(0, 4),
    tail=st.none() | st.integers(2, 9),
)
@settings(
    max_examples=int(os.environ.get("EXAMPLES", "2")),
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_walk_in_segments_records_what_a_walk_in_one_does(
    server: Server, cuts: Cuts, scripts: dict[str, str], at: set[int], first: int, tail: int | None
) -> None:
    with TemporaryDirectory() as folder:
        place = write_project(Path(folder), scripts)
        cuts.first, cuts.tail = first, tail
        assert_recorded_alike(place, server, cuts, sorted(at))


def assert_recorded_alike(place: Path, server: Server, cuts: Cuts, at: Sequence[int], *command: str) -> Any:
    """Record in one segment, and cut at these indexes. Returns the recordings."""
    cuts[:] = []
    alone = recorded(place, server, *command)
    cuts[:] = at
    in_segments = recorded(place, server, *command)
    assert in_segments == alone
    return alone


def line_of(*revisions: tuple[str, str]) -> dict[str, str]:
    """A history without a branch: what each revision does, and how that is undone."""
    names = [f"r{n}" for n in range(len(revisions))]
    return {
        name: script(name, below, *texts) for name, below, texts in zip(names, [None, *names], revisions, strict=False)
    }


TABLE = (
    "op.create_table('t', sa.Column('id', sa.Integer, primary_key=True), sa.Column('a', sa.Text))",
    "op.drop_table('t')",
)
SEEDS = ("op.execute(\"INSERT INTO t (a) VALUES ('x'), (NULL)\")", "op.execute('DELETE FROM t')")
FILLED = ("op.execute(\"UPDATE t SET a = 'y' WHERE a IS NULL\")", "pass")
REQUIRED = ("op.alter_column('t', 'a', nullable=False)", "op.alter_column('t', 'a', nullable=True)")
FAILS = ("op.execute('SELECT 1 / 0')", "pass")
SPOILS = (
    "with op.get_context().autocommit_block():\n    op.create_table('s', sa.Column('id', sa.Integer))",
    "op.rename_table('s', 'other')",
)


@pytest.mark.parametrize(("first", "at"), [(0, [1]), (0, [2]), (0, [3]), (0, [1, 2, 3]), (1, [3]), (2, [3]), (4, [])])
def test_a_rule_that_rests_on_what_earlier_segments_did_to_rows(
    tmp_path: Path, server: Server, cuts: Cuts, first: int, at: list[int]
) -> None:
    place = write_project(tmp_path, line_of(TABLE, SEEDS, FILLED, REQUIRED))
    cuts.first = first

    [alone] = assert_recorded_alike(place, server, cuts, at)

    assert alone["trips"][3]["populated"]["step"]["failure"] is None


@pytest.mark.parametrize("unusual", [FAILS, SPOILS])
@pytest.mark.parametrize("at", [[1], [2], [1, 2]])
@pytest.mark.parametrize("first", [0, 1])
def test_what_happens_at_the_edge_of_a_segment(
    tmp_path: Path, server: Server, cuts: Cuts, unusual: tuple[str, str], at: list[int], first: int
) -> None:
    place = write_project(tmp_path, line_of(TABLE, unusual, SEEDS))
    cuts.first = first

    assert_recorded_alike(place, server, cuts, at)


@pytest.mark.parametrize(("first", "tail", "taken"), [(0, 1, 0), (0, 2, 1), (0, 4, 1), (1, 4, 1)])
def test_what_a_job_takes_over_from_another_one(
    tmp_path: Path, server: Server, cuts: Cuts, first: int, tail: int, taken: int
) -> None:
    place = write_project(tmp_path, line_of(TABLE, SEEDS, FILLED, SEEDS, REQUIRED, SEEDS))
    cuts.first, cuts.tail = first, tail

    assert_recorded_alike(place, server, cuts, [first + 1])

    assert cuts.taken == taken  # the first revision of its own a segment keeps


@pytest.mark.parametrize(
    ("unusual", "index", "taken"),
    [(FAILS, 1, 0), (SPOILS, 1, 0), (FAILS, 2, 1), (SPOILS, 2, 1), (FAILS, 3, 1), (SPOILS, 3, 1), (FAILS, 4, 1), (SPOILS, 4, 1)],
)  # fmt: skip
def test_what_happens_at_the_edge_of_what_is_taken_over(
    tmp_path: Path, server: Server, cuts: Cuts, unusual: tuple[str, str], index: int, taken: int
) -> None:
    line = [TABLE, *[SEEDS] * 4]
    line.insert(index, unusual)
    place = write_project(tmp_path, line_of(*line))
    cuts.tail = 4

    assert_recorded_alike(place, server, cuts, [2])

    assert cuts.taken == taken  # without all of its revisions, a database is not used for others


def test_what_was_taken_over_has_to_be_what_is_upgraded_plainly(tmp_path: Path, server: Server, cuts: Cuts) -> None:
    numbered = ("import kept; kept.times += 1; op.execute(f'INSERT INTO t (a) VALUES ({kept.times})')", "pass")
    place = write_project(tmp_path, line_of(TABLE, SEEDS, SEEDS, SEEDS, numbered, SEEDS, numbered))
    (place / "kept.py").write_text("times = 0\n")
    cuts[:], cuts.tail = [2], 4

    with pytest.raises(SegmentsDiffer):  # where it is walked, it runs twice
        walk_all(TargetRunner(target(place), server), RecordingPlan(evidence=OF_THE_WALK), beside=Beside(2))
    assert cuts.taken == 1


_TWICE = "from alembic.config import main; main(['upgrade', 'r1']); main(['upgrade', 'head'])"


def test_each_of_several_walks_is_cut(tmp_path: Path, server: Server, cuts: Cuts) -> None:
    place = write_project(tmp_path, line_of(TABLE, SEEDS, FILLED, REQUIRED))

    alone = assert_recorded_alike(place, server, cuts, [1], sys.executable, "-c", _TWICE)

    assert [[trip["revision"] for trip in each["trips"]] for each in alone] == [["r0", "r1"], ["r2", "r3"]]


# A command of which there can be one at a time. The lock ends with the process.
_ONLY_ONE = """
import fcntl
lock = open("lock", "w")
fcntl.flock(lock, {how})
"""


@pytest.mark.parametrize("how", ["fcntl.LOCK_EX | fcntl.LOCK_NB", "fcntl.LOCK_EX"])
def test_a_command_that_fails_or_waits_next_to_another_one_is_walked_alone(
    tmp_path: Path, server: Server, cuts: Cuts, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.gate.walk._segments._PATIENCE_S", 0.0)
    place = write_project(tmp_path, line_of(TABLE, SEEDS), env=_ONLY_ONE.format(how=how) + textwrap.dedent(ENV))
    cuts[:] = [1]

    [alone] = recorded(place, server)

    assert [trip["up"]["failure"] for trip in alone["trips"]] == [None, None]


def test_what_a_script_keeps_in_python_is_there_as_in_one_walk(tmp_path: Path, server: Server, cuts: Cuts) -> None:
    counted = (
        "import kept; kept.times += 1; op.execute(f'COMMENT ON TABLE t IS $${kept.times}$$')",
        "op.execute('COMMENT ON TABLE t IS NULL')",
    )
    place = write_project(tmp_path, line_of(TABLE, counted, counted, counted))
    (place / "kept.py").write_text("times = 0\n")
    cuts[:] = [3]

    with pytest.raises(SegmentsDiffer):
        walk_all(TargetRunner(target(place), server), RecordingPlan(evidence=OF_THE_WALK), beside=Beside(2))


def test_a_set_of_names_has_one_order_in_all_segments(tmp_path: Path, server: Server, cuts: Cuts) -> None:
    names = [f"name{n}" for n in range(20)]
    each = (f"for name in set({names!r}): op.execute(f'COMMENT ON TABLE t IS $${{name}}$$')", "pass")
    place = write_project(tmp_path, line_of(TABLE, each, each, each))
    cuts[:] = [2]

    (walk,) = walk_all(TargetRunner(target(place), server), RecordingPlan(evidence=OF_THE_WALK), beside=Beside(2))

    assert len(walk.applied) == 4


def test_the_indexes_of_a_table_are_created_in_any_order(tmp_path: Path, server: Server, cuts: Cuts) -> None:
    columns = ", ".join(f"sa.Column('c{n}', sa.Integer, index=True)" for n in range(12))
    table = (f"op.create_table('x', {columns})", "op.drop_table('x')")
    place = write_project(tmp_path, line_of(TABLE, table, SEEDS))
    cuts[:] = [2]

    (walk,) = walk_all(TargetRunner(target(place), server), RecordingPlan(evidence=OF_THE_WALK), beside=Beside(2))

    assert len(walk.applied) == 3


def test_what_is_asked_of_the_catalogs_may_be_something_else_each_time(
    tmp_path: Path, server: Server, cuts: Cuts
) -> None:
    asks = "import uuid; op.execute(f\"SELECT relname FROM pg_class WHERE relname = '{uuid.uuid4()}'\")"
    place = write_project(tmp_path, line_of(TABLE, (asks, asks), SEEDS))
    cuts[:] = [2]

    (walk,) = walk_all(TargetRunner(target(place), server), RecordingPlan(evidence=OF_THE_WALK), beside=Beside(2))

    assert len(walk.applied) == 3


def test_what_is_another_text_each_time_is_walked_in_one_segment(tmp_path: Path, server: Server, cuts: Cuts) -> None:
    place = write_project(
        tmp_path,
        line_of(TABLE, ("import uuid; op.execute(f\"INSERT INTO t (a) VALUES ('{uuid.uuid4()}')\")", "pass"), SEEDS),
    )
    cuts[:] = [2]

    [alone] = recorded(place, server)

    assert [trip["up"]["failure"] for trip in alone["trips"]] == [None] * 3


def test_what_was_walked_before_the_cut_sends_the_same_to_each_segment(
    tmp_path: Path, server: Server, cuts: Cuts
) -> None:
    numbered = ("import kept; kept.times += 1; op.execute(f'INSERT INTO t (a) VALUES ({kept.times})')", "pass")
    place = write_project(tmp_path, line_of(TABLE, numbered, numbered, SEEDS, SEEDS))
    (place / "kept.py").write_text("times = 0\n")
    cuts[:], cuts.first = [4], 3

    with pytest.raises(SegmentsDiffer):  # here it was 1 and 3, and there it is 1 and 2
        walk_all(TargetRunner(target(place), server), RecordingPlan(evidence=OF_THE_WALK), beside=Beside(2))
    (place / "kept.py").write_text("class Kept: times = property(lambda self: 7, lambda self, value: None)\n")
    with (place / "kept.py").open("a") as file:
        file.write("import sys; sys.modules[__name__] = Kept()\n")
    (walk,) = walk_all(TargetRunner(target(place), server), RecordingPlan(evidence=OF_THE_WALK), beside=Beside(2))
    assert len(walk.applied) == 5


@pytest.mark.parametrize(
    ("failure", "is_from_outside"),
    [
        (Failure("PostgresError", "division by zero", "22012"), False),
        (Failure("PostgresError", "sorry, too many clients already", "53300"), True),
        (Failure("NotImplementedError", ""), False),
        (Failure("KeyError", "'id'"), False),
        (Failure("CompileError", "Can't emit DROP CONSTRAINT for a constraint without a name"), False),
        (Failure("FileExistsError", "[Errno 17] File exists"), True),
        (Failure("LockTimeout", "a class of the project's"), True),
        (Failure("Gone", "the command ended in the middle of the revision"), True),
    ],
)
def test_another_run_may_be_the_reason_for_what_no_script_does_by_itself(
    failure: Failure, is_from_outside: bool
) -> None:
    assert _is_from_outside(failure) == is_from_outside


def test_what_another_run_may_have_caused_is_tried_again_alone(tmp_path: Path, server: Server, cuts: Cuts) -> None:
    """A revision that is applied by one process at a time."""
    once = _ONLY_ONE.format(how="fcntl.LOCK_EX | fcntl.LOCK_NB").strip()
    first = (f"global lock\n{once.replace('lock = ', 'lock = lock or ')}\n{TABLE[0]}", TABLE[1])
    scripts = line_of(first, SEEDS)
    scripts["r0"] = scripts["r0"].replace("def upgrade", "lock = None\n\ndef upgrade")
    place = write_project(tmp_path, scripts)
    cuts[:] = [1]

    [alone] = recorded(place, server)

    assert [trip["up"]["failure"] for trip in alone["trips"]] == [None, None]


def test_a_history_with_a_role_is_walked_alone(tmp_path: Path, server: Server, cuts: Cuts) -> None:
    if not server.is_embedded:
        pytest.skip("on a given server it is found out in another way")
    sql = "DO $$ BEGIN EXECUTE 'CREATE ' || 'ROLE of_segments'; END $$"
    role = (f'op.execute("{sql}")', "op.execute('DROP ROLE of_segments')")
    place = write_project(tmp_path, line_of(TABLE, role, SEEDS))
    cuts[:] = [2]

    [alone] = recorded(place, server)

    assert [trip["up"]["failure"] for trip in alone["trips"]] == [None] * 3


def test_an_interrupt_ends_every_segment(tmp_path: Path, server: Server, cuts: Cuts, blank_database: Database) -> None:
    place = write_project(tmp_path, line_of(TABLE, SEEDS, FILLED))
    cuts[:] = [1, 2]
    runner = TargetRunner(target(place), server)

    def interrupt(phase: str, done: int, total: int) -> None:
        if (phase, done) == ("walk", 2):
            raise KeyboardInterrupt

    before = list_databases(blank_database)
    with pytest.raises(KeyboardInterrupt):
        walk_all(runner, RecordingPlan(evidence=OF_THE_WALK), interrupt, beside=Beside(3))

    assert list_databases(blank_database) == before


def list_databases(database: Database) -> set[str]:
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database")
        return {name for (name,) in cursor.fetchall()}
