"""Which rows a trial tries in which order, in a transaction that is rolled back and with commits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.gate.recording.model import Direction, LossKind, Populated, Rename, RowKind, Step
from app.gate.rows.connection import CommitRefused
from app.gate.rows.steps import Committed, RolledBack
from app.gate.rows.trial import RowsTrial, TrialResult
from tests.gate.checks.builders import added, key
from tests.gate.lines import Bench

T = "CREATE TABLE t (id integer PRIMARY KEY, note text, total numeric(10,2))"
FAILS_OVER_ANY_ROWS = "DO $$ BEGIN IF EXISTS (SELECT FROM t) THEN RAISE EXCEPTION 'rows'; END IF; END $$"


@dataclass
class Script:
    """A revision whose upgrade and downgrade are one statement each."""

    bench: Bench
    up: str = "SELECT 1"
    down: str = "SELECT 1"
    taken: list[Step] = field(default_factory=list)

    def upgrade(self) -> Step:
        return self._take(Direction.UPGRADE, self.up)

    def downgrade(self) -> Step:
        return self._take(Direction.DOWNGRADE, self.down)

    def _take(self, direction: Direction, sql: str) -> Step:
        self.taken.append(Step("b2", direction, 1.0, failure=self.bench.line.execute([sql])))
        return self.taken[-1]

    @property
    def outcomes(self) -> list[str | None]:
        """The SQLSTATE of each step, None of those that passed."""
        return [step.failure.sqlstate if step.failure else None for step in self.taken]


def trial(*tables: str) -> RowsTrial:
    return RowsTrial(frozenset(f"public.{name}" for name in tables or ("t",)), ())


def rolled_back(script: Script, *tables: str) -> TrialResult:
    return trial(*tables).run(RolledBack(script.bench.line, script.upgrade, script.downgrade))


def passed(step: Step | CommitRefused | None) -> bool:
    return isinstance(step, Step) and step.failure is None


# In a transaction that is rolled back.


def test_an_upgrade_that_passes_over_edge_cases_is_tried_once_and_then_taken_back(bench: Bench) -> None:
    bench.run(T)
    script = Script(bench, "ALTER TABLE t DROP note", "ALTER TABLE t ADD note text")

    result = rolled_back(script)

    assert result.populated is not None
    assert (result.populated.rows, result.populated.step.failure) == (RowKind.EDGE_CASES, None)
    assert [loss.kind for loss in result.populated.lost_upwards] == [LossKind.COLUMN_DROPPED]
    assert [loss.kind for loss in result.populated.lost_downwards] == [LossKind.VALUES_REMOVED]
    assert [step.direction for step in script.taken] == [Direction.UPGRADE, Direction.DOWNGRADE]
    assert (result.second_up, result.must_commit, result.is_finished) == (script.taken[0], False, True)


def test_after_edge_cases_ordinary_rows_are_tried_and_the_failure_is_kept(bench: Bench) -> None:
    bench.run(T)
    script = Script(bench, "ALTER TABLE t ALTER note SET NOT NULL")

    result = rolled_back(script)

    assert result.populated is not None
    assert (result.populated.rows, result.populated.step) == (RowKind.EDGE_CASES, script.taken[0])
    assert script.outcomes == ["23502", None, None]
    assert passed(result.second_up)


def test_after_any_rows_none_are_tried(bench: Bench) -> None:
    bench.run(T)
    script = Script(bench, FAILS_OVER_ANY_ROWS)

    result = rolled_back(script)

    assert result.populated is not None
    assert (result.populated.rows, result.populated.step) == (RowKind.ORDINARY, script.taken[1])
    assert script.outcomes == ["P0001", "P0001", None]
    assert (result.second_up, result.is_finished) == (script.taken[2], True)


def test_what_fails_without_rows_is_no_matter_of_rows(bench: Bench) -> None:
    bench.run(T)
    script = Script(bench, "ALTER TABLE t DROP nothing")

    result = rolled_back(script)

    assert (result.populated, result.second_up) == (None, script.taken[-1])
    assert script.outcomes == ["42703"] * 3


def test_what_exists_already_is_no_matter_of_other_rows(bench: Bench) -> None:
    bench.run(T)
    script = Script(bench, "CREATE TABLE t (id integer)")

    rolled_back(script)

    assert script.outcomes == ["42P07"] * 2


def test_texts_that_are_to_be_json_are_tried_when_the_others_have_failed(bench: Bench) -> None:
    bench.run(T)
    script = Script(bench, "ALTER TABLE t ALTER note TYPE jsonb USING note::jsonb")

    result = rolled_back(script)

    assert result.populated is not None
    assert (result.populated.rows, result.populated.step.failure) == (RowKind.EDGE_CASES, None)
    assert script.outcomes == ["22P02", "22P02", None, None]


def test_if_texts_of_neither_kind_will_do_the_first_failure_is_kept(bench: Bench) -> None:
    bench.run(T)
    script = Script(bench, "ALTER TABLE t ALTER note TYPE date USING note::date")

    result = rolled_back(script)

    assert result.populated is not None
    assert (result.populated.rows, result.populated.step) == (RowKind.ORDINARY, script.taken[1])
    assert script.outcomes == ["22007"] * 4 + [None]
    assert passed(result.second_up)


def test_a_table_that_cannot_be_filled_is_named_and_the_upgrade_tried_without_rows(bench: Bench) -> None:
    bench.run("CREATE TABLE t (a integer NOT NULL CHECK (a > 3 AND a < 3))")
    script = Script(bench)

    result = rolled_back(script)

    assert result.tables_without_rows.keys() == {"public.t"}
    assert (result.populated, result.second_up, script.outcomes) == (None, script.taken[0], [None])


def test_a_script_that_wants_to_commit_is_to_be_tried_with_commits(bench: Bench) -> None:
    bench.run(T)
    tried = trial()

    result = tried.run(RolledBack(bench.line, CommitRefused))

    assert (result.populated, result.must_commit, result.is_finished) == (None, True, False)
    assert tried.must_commit


def test_deferred_constraints_of_rows_that_are_not_committed_are_not_held_against_the_upgrade(bench: Bench) -> None:
    bench.run(f"{T}; ALTER TABLE t ADD parent integer REFERENCES t DEFERRABLE INITIALLY DEFERRED")
    script = Script(bench, "DO $$ BEGIN UPDATE t SET id = id; ALTER TABLE t ADD more integer; END $$")

    result = rolled_back(script)

    assert (result.populated, result.must_commit, result.is_finished) == (None, True, False)
    assert script.outcomes == ["55006", None]


def test_a_script_that_ends_the_transaction_is_not_tried_again_in_it(bench: Bench) -> None:
    bench.run(T)
    script = Script(bench, "ALTER TABLE t ALTER note SET NOT NULL")

    def ends_it() -> Step:
        step = script.upgrade()
        bench.connection.rollback()
        return step

    result = trial().run(RolledBack(bench.line, ends_it))

    assert script.outcomes == ["23502"]
    assert (result.second_up, result.is_finished) == (script.taken[0], True)


# Assumptions, and downgrades over rows.


def tried_ahead(bench: Bench, before: str, up: str, *cleanups: str, renamed: Sequence[Rename] = ()) -> Populated:
    """The result for a revision whose demands on rows are known before it is tried over them."""
    bench.run(before)
    bench.run("SAVEPOINT ahead")
    bench.run(up)
    names = [
        name
        for (name,) in bench.run(
            "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
    ]
    changes = [added(key("constraint", "new", "t"), type="check"), *(added(key("table", name)) for name in names)]
    touched = frozenset({"public.t", "public.p"})
    ahead = RowsTrial(touched, changes, renamed=renamed, statements=[up], cleanups=lambda: cleanups)
    ahead.look_ahead(bench.line)
    bench.run("ROLLBACK TO SAVEPOINT ahead")
    script = Script(bench, up)
    result = ahead.run(RolledBack(bench.line, script.upgrade, script.downgrade))
    assert result.populated is not None
    return result.populated


TP = f"{T}; CREATE TABLE p (id integer PRIMARY KEY); ALTER TABLE t ADD n integer"
CK = "ALTER TABLE t ADD CONSTRAINT ck CHECK (n >= 0)"
FK = "ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (n) REFERENCES p"


@pytest.mark.parametrize(
    ("up", "causes"),
    [
        (CK, ["23514"]),
        (FK, ["23503"]),
        ("ALTER TABLE t ALTER note TYPE integer USING note::integer", ["22P02"]),
        (f"{CK}; {FK}", ["23514", "23503"]),
        (f"{CK} NOT VALID", []),
        (f"{FK} NOT VALID", []),
        (f"UPDATE t SET n = 0 WHERE n < 0; {CK}", []),
        (f"DELETE FROM t WHERE n NOT IN (SELECT id FROM p); {FK}", []),
        ("UPDATE t SET note = NULL WHERE note !~ '^[0-9]+$'; ALTER TABLE t ALTER note TYPE integer USING note::integer", []),
    ],
    ids=["CHECK", "foreign key", "cast", "two rules", "CHECK for new rows", "foreign key for new rows", "corrected", "deleted", "emptied"],
)  # fmt: skip
def test_a_rule_that_rows_of_the_older_schema_may_break_is_an_assumption(
    bench: Bench, up: str, causes: list[str]
) -> None:
    populated = tried_ahead(bench, TP, up)

    assert populated.step.failure is None
    assert populated.rows is RowKind.EDGE_CASES
    assert [failure.sqlstate for failure in populated.assumptions] == causes


RETYPED = {
    "wider": (f"ALTER TABLE t ALTER n TYPE bigint; {CK}", ["23514"]),
    "another number": (f"ALTER TABLE t ALTER n TYPE numeric(12, 2); {CK}", ["23514"]),
    "number of a text": (
        "ALTER TABLE t ALTER note TYPE integer USING note::integer; ALTER TABLE t ADD CONSTRAINT ck CHECK (note > 5)",
        ["23514", "22P02"],
    ),
    "text of another length": (
        "ALTER TABLE t ALTER note TYPE varchar(90); ALTER TABLE t ADD CONSTRAINT ck CHECK (note <> 'old')", ["22001", "23514"],
    ),
    "in one statement": ("ALTER TABLE t ALTER n TYPE bigint, ADD CONSTRAINT ck CHECK (n BETWEEN 3 AND 40000)", ["23514"]),
    "corrected": (f"ALTER TABLE t ALTER n TYPE bigint; UPDATE t SET n = 0 WHERE n < 0; {CK}", []),
}  # fmt: skip


@pytest.mark.parametrize(("up", "causes"), RETYPED.values(), ids=RETYPED)
def test_a_rule_of_a_column_with_another_type_is_tried_on_its_new_values(
    bench: Bench, up: str, causes: list[str]
) -> None:
    populated = tried_ahead(bench, TP, up)

    assert populated.step.failure is None or populated.rows is RowKind.EDGE_CASES
    found = [populated.step.failure, *populated.assumptions]
    assert [failure.sqlstate for failure in found if failure is not None] == causes


def test_a_rule_that_was_there_before_a_column_got_another_type_is_no_assumption(bench: Bench) -> None:
    there = f"{TP}; {CK}; ALTER TABLE t ADD CONSTRAINT few CHECK (note IN ('a', 'b'))"

    populated = tried_ahead(bench, there, "ALTER TABLE t ALTER n TYPE bigint, ALTER note TYPE varchar(90)")

    assert populated.assumptions == ()


def test_rows_meet_a_foreign_key_of_what_the_same_revision_renames_unless_they_are_to_break_it(bench: Bench) -> None:
    up = 'ALTER TABLE p RENAME TO "Q"; ALTER TABLE t RENAME COLUMN n TO m; ALTER TABLE t ADD FOREIGN KEY (m) REFERENCES "Q"'
    renamed = [Rename(key("table", "p"), key("table", "Q")), Rename(key("column", "n", "t"), key("column", "m", "t"))]

    populated = tried_ahead(bench, TP, up, renamed=renamed)

    assert (populated.rows, populated.step.failure) == (RowKind.EDGE_CASES, None)
    assert [failure.sqlstate for failure in populated.assumptions] == ["23503"]


@pytest.mark.parametrize(
    ("earlier", "is_assumed"),
    [
        (["UPDATE gone SET n = 0", "UPDATE t SET n = 0 WHERE n < 0"], False),
        (["UPDATE t SET n = 0 WHERE n < -1000000"], True),
        (["UPDATE t SET n=%(n)s WHERE t.n < %(n_1)s"], False),  # with what, is not known
        (["UPDATE t SET note=%(note)s"], True),
        (["def upgrade():\n    op.execute(t.update().where(t.c.n < 0).values(n=0))"], False),
    ],
)
def test_what_an_earlier_revision_cleans_up_is_no_assumption(
    bench: Bench, earlier: list[str], is_assumed: bool
) -> None:
    assert bool(tried_ahead(bench, TP, CK, *earlier).assumptions) is is_assumed


@pytest.mark.parametrize(
    ("up", "earlier", "fails"),
    [
        ("ALTER TABLE t ALTER note SET NOT NULL", ["UPDATE t SET note = '' WHERE note IS NULL"], False),
        ("ALTER TABLE t ALTER note SET NOT NULL", ["UPDATE t SET note=%(note)s WHERE t.note IS NULL"], False),
        ("ALTER TABLE t ALTER note SET NOT NULL", ["UPDATE t SET n = 0 WHERE n IS NULL"], True),
        ("ALTER TABLE t ALTER note SET NOT NULL", ["UPDATE p SET id = id"], True),
        (
            "ALTER TABLE t ADD UNIQUE (note)",
            ["DELETE FROM t USING t AS o WHERE t.note = o.note AND t.id > o.id"],
            False,
        ),
        ("ALTER TABLE t ADD UNIQUE (note)", ["UPDATE t SET note = note"], True),
    ],
)
def test_edge_cases_that_an_earlier_revision_cleans_up_are_no_reason_to_fail(
    bench: Bench, up: str, earlier: list[str], fails: bool
) -> None:
    populated = tried_ahead(bench, TP, up, *earlier)

    assert (populated.step.failure is not None) is fails
    assert populated.lost_upwards == ()


def test_a_rule_that_any_rows_break_is_no_assumption(bench: Bench) -> None:
    populated = tried_ahead(bench, TP, f"{CK}; ALTER TABLE t ADD more text NOT NULL")

    assert populated.step.failure is not None
    assert (populated.rows, populated.assumptions) == (RowKind.ORDINARY, ())


@pytest.mark.parametrize(
    ("before", "up", "down", "rows"),
    [
        (T, "ALTER TABLE t DROP note", "ALTER TABLE t ADD note text NOT NULL", RowKind.ORDINARY),
        (
            f"{T}; ALTER TABLE t ADD UNIQUE (note)",
            "ALTER TABLE t DROP CONSTRAINT t_note_key; UPDATE t SET note = lower(note)",
            "ALTER TABLE t ADD UNIQUE (note)",
            RowKind.EDGE_CASES,
        ),
    ],
    ids=["any rows", "edge cases"],
)
def test_a_downgrade_that_fails_over_rows_is_noted_with_those_that_it_takes(
    bench: Bench, before: str, up: str, down: str, rows: RowKind
) -> None:
    bench.run(before)
    script = Script(bench, up, down)

    result = rolled_back(script)

    assert result.populated is not None
    assert result.populated.down_failure is not None
    assert result.populated.down_rows is rows
    assert passed(result.second_up)


# With commits.


@dataclass
class Transactions:
    connection: Any

    def begin_rollback_only(self) -> None:
        """psycopg2 begins by itself."""

    def commit(self) -> None:
        self.connection.commit()

    def roll_back(self) -> bool:
        self.connection.rollback()
        return True


def committed(script: Script, *, has_downgrade: bool = True) -> Committed:
    connection = script.bench.connection
    connection.commit()

    def and_commit(step: Callable[[], Step]) -> Callable[[], Step]:
        def take() -> Step:
            taken = step()
            connection.rollback() if taken.failure else connection.commit()
            return taken

        return take

    down = and_commit(script.downgrade) if has_downgrade else None
    return Committed(script.bench.line, Transactions(connection), and_commit(script.upgrade), down)


def test_with_commits_rows_are_deleted_after_the_downgrade(bench: Bench) -> None:
    bench.run(T)
    steps = committed(Script(bench, "ALTER TABLE t DROP note", "ALTER TABLE t ADD note text"))

    result = trial().run(steps)

    assert result.populated is not None
    assert [loss.kind for loss in result.populated.lost_upwards] == [LossKind.COLUMN_DROPPED]
    assert [loss.kind for loss in result.populated.lost_downwards] == [LossKind.VALUES_REMOVED]
    assert (result.is_finished, steps.is_spoiled) == (True, False)
    assert bench.run("SELECT count(*) FROM t") == [(0,)]


def test_with_commits_the_next_rows_need_another_database(bench: Bench) -> None:
    bench.run(T)
    script = Script(bench, "ALTER TABLE t ALTER note SET NOT NULL")
    tried = trial()

    first = tried.run(steps := committed(script))

    assert (first.is_finished, steps.is_spoiled, script.outcomes) == (False, True, ["23502"])
    bench.run("TRUNCATE t")

    second = tried.run(committed(script, has_downgrade=False))

    assert second.populated is not None
    assert (second.populated.rows, second.populated.step) == (RowKind.EDGE_CASES, script.taken[0])
    assert (second.is_finished, script.outcomes) == (True, ["23502", None])


def test_with_commits_an_upgrade_that_fails_over_any_rows_is_tried_twice(bench: Bench) -> None:
    bench.run(T)
    script = Script(bench, FAILS_OVER_ANY_ROWS)
    tried = trial()

    first, second = tried.run(committed(script)), tried.run(committed(script))

    assert (first.is_finished, second.is_finished, script.outcomes) == (False, True, ["P0001", "P0001"])
    assert second.populated is not None
    assert second.populated.rows is RowKind.ORDINARY


@pytest.mark.parametrize("has_downgrade", [True, False], ids=["fails", "is missing"])
def test_with_commits_a_database_whose_downgrade_did_not_pass_is_left_in_another_state(
    bench: Bench, has_downgrade: bool
) -> None:
    bench.run(T)
    steps = committed(Script(bench, "ALTER TABLE t DROP note", "SELECT nothing"), has_downgrade=has_downgrade)

    result = trial().run(steps)

    assert (result.is_finished, steps.is_spoiled) == (True, True)


def test_with_commits_rows_that_cannot_be_distinguished_from_others_stay(bench: Bench) -> None:
    bench.run(f"{T}; INSERT INTO t VALUES (77, 'mine', 1)")
    steps = committed(Script(bench))

    trial().run(steps)

    assert steps.is_spoiled
    assert bench.run("SELECT count(*) FROM t WHERE note = 'mine'") == [(1,)]


def test_with_commits_tables_without_rows_leave_the_database_as_it_was(bench: Bench) -> None:
    bench.run("CREATE TABLE t (a integer NOT NULL CHECK (a > 3 AND a < 3))")
    script = Script(bench)

    result = trial().run(steps := committed(script))

    assert (result.second_up, result.is_finished, steps.is_spoiled, script.taken) == (None, True, False, [])
