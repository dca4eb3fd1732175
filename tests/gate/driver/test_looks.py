"""What differs between two looks, by the rows that PostgreSQL would return."""

from typing import Any

import pytest

from app.gate.driver.overproof_driver import _queries
from app.gate.driver.overproof_driver.effects import milliseconds
from app.gate.driver.overproof_driver.looks import Baseline, Looks, without_comments

ORDERS = (20000, "r", "public", "orders", 0, 1, 0)
INDEX = (20001, "i", "public", "ix_orders", 20000, 2, 0)
WHOLE = (20002, "p", "public", "events", 0, 0, 0)
PARTITION = (20003, "r", "public", "events_2026", 20002, 3, 0)
TOAST = (20004, "t", "pg_toast", "pg_toast_20000", 20000, 4, 0)
TOAST_INDEX = (20005, "i", "pg_toast", "pg_toast_20000_index", 20004, 5, 0)
SUMMARY = (20006, "m", "public", "summary", 0, 6, 0)
VIEW = (20007, "v", "public", "recent", 0, 0, 0)
SEQUENCE = (20008, "S", "public", "orders_id_seq", 0, 8, 0)
TEMPORARY = (20009, "r", "pg_temp_3", "draft", 0, 9, 1)
PART = (20010, "p", "public", "events_eu", 20002, 0, 0)
PART_OF_PART = (20011, "r", "public", "events_eu_2026", 20010, 11, 0)
ALL = [ORDERS, INDEX, WHOLE, PARTITION, TOAST, TOAST_INDEX, SUMMARY, VIEW, SEQUENCE, TEMPORARY, PART, PART_OF_PART]
NEW_TABLE = (20050, "p", "public", "every", 0, 0, 0)
NEW_INDEX = (20051, "i", "public", "ix_new", 20000, 51, 0)
EXCLUSIVE = "AccessExclusiveLock"


class Answers:
    """A connection whose relations, locks and counters a test sets."""

    def __init__(self) -> None:
        self.relations: list[Any] = ALL
        self.changed: list[Any] = []
        self.locks: list[Any] = []
        self.counters: list[Any] = []
        self.prepared = 0
        self.since = ""

    def rows(self, sql: str) -> list[Any]:
        answers = {
            _queries.RELATIONS: self.relations,
            _queries.LOCKED: self.locks,
            _queries.COUNTERS: self.counters,
        }
        if sql.startswith("EXECUTE overproof_changed"):
            self.since = sql
        return answers.get(sql, self.changed)

    def scalar(self, sql: str) -> str:
        return {_queries.LOCK_TIMEOUT: "2s"}[sql]

    def prepare_queries(self) -> None:
        self.prepared += 1


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def looks(answers: Answers) -> Looks:
    looks = Looks(answers)  # type: ignore[arg-type]
    looks.begin_step(700)
    return looks


def locked(relation: tuple[Any, ...], mode: str, scans: int = 0, written: int = 0, updated: int = 0) -> tuple[Any, ...]:
    return (relation[0], mode, "0", *relation, scans, written, updated)


def moved(relation: tuple[Any, ...], filenode: int) -> tuple[Any, ...]:
    return (*relation[:5], filenode, relation[6])


def gone(oid: int) -> tuple[Any, ...]:
    return (oid, "AccessExclusiveLock", "0", *[None] * 7, 0, 0, 0)


def owned_by(owner: int, relation: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*relation[:4], owner, *relation[5:])


def seen(looks: Looks, baseline: Baseline | None = None, statement: str = "") -> dict[str, Any]:
    """What a look sees, less the timeout."""
    message = looks.look(baseline or Baseline(), statement).to_message()
    return {name: value for name, value in message.items() if name != "lock_timeout_ms"}


def test_a_lock_is_reported_once(answers, looks):
    baseline = Baseline()
    answers.locks = [locked(ORDERS, "ShareLock")]

    assert looks.look(baseline).to_message() == {"locks": {"public.orders": ["ShareLock"]}, "lock_timeout_ms": 0}
    assert looks.look(baseline).to_message() == {}


def test_scans_and_rows_are_those_since_the_last_look(answers, looks):
    answers.counters = [(20000, 5, 10, 2)]
    baseline = looks.count()
    answers.locks = [locked(ORDERS, "RowExclusiveLock", scans=6, written=13, updated=4)]

    effects = looks.look(baseline).to_message()

    assert (effects["scans"], effects["written"]) == (["public.orders"], {"public.orders": 3})
    assert effects["updated"] == {"public.orders": 2}


def test_the_first_scan_and_the_first_rows_of_a_table_count(answers, looks):
    answers.locks = [locked(ORDERS, "RowExclusiveLock", scans=1, written=1, updated=1)]

    assert seen(looks) == {
        "locks": {"public.orders": ["RowExclusiveLock"]},
        "scans": ["public.orders"],
        "written": {"public.orders": 1},
        "updated": {"public.orders": 1},
    }


def test_rows_of_partitions_that_are_locked_with_the_whole_are_added_up(answers, looks):
    answers.locks = [
        locked(WHOLE, "RowExclusiveLock"),
        locked(PARTITION, "RowExclusiveLock", written=2, updated=1),
        locked(PART_OF_PART, "RowExclusiveLock", written=3, updated=2),
    ]

    effects = seen(looks)

    assert (effects["written"], effects["updated"]) == ({"public.events": 5}, {"public.events": 3})
    assert effects["locks"] == {"public.events": ["RowExclusiveLock"]}


@pytest.mark.parametrize(
    ("relation", "mode", "effects"),
    [
        (INDEX, EXCLUSIVE, {"locks": {"public.orders": [EXCLUSIVE]}}),
        (INDEX, "AccessShareLock", {}),
        (TOAST_INDEX, EXCLUSIVE, {"locks": {"public.orders": [EXCLUSIVE]}}),
        (TOAST, EXCLUSIVE, {}),
        (SUMMARY, "ExclusiveLock", {}),
        (SUMMARY, EXCLUSIVE, {"locks": {"public.summary": [EXCLUSIVE]}}),
        (VIEW, EXCLUSIVE, {}),
        (SEQUENCE, EXCLUSIVE, {}),
        (TEMPORARY, EXCLUSIVE, {}),
        (NEW_TABLE, EXCLUSIVE, {}),
        (owned_by(NEW_TABLE[0], NEW_INDEX), EXCLUSIVE, {}),
        (owned_by(NEW_TABLE[0], ORDERS), EXCLUSIVE, {"locks": {"public.orders": [EXCLUSIVE]}}),
    ],
    ids=lambda value: value[3] if isinstance(value, tuple) else None,
)
def test_a_lock_is_that_of_the_table_that_a_person_knows(answers, looks, relation, mode, effects):
    answers.locks = [locked(relation, mode)]

    assert seen(looks) == effects


@pytest.mark.parametrize(
    ("relation", "found"), [(ORDERS, {"public.orders"}), (SUMMARY, {"public.summary"}), (TOAST, set())]
)
def test_scans_and_rows_of_a_toast_table_are_not_those_of_its_table(answers, looks, relation, found):
    answers.locks = [locked(relation, "AccessShareLock", scans=1, written=1, updated=1)]

    effects = seen(looks)

    assert {*effects.get("scans", ())} == {*effects.get("written", ())} == {*effects.get("updated", ())} == found


@pytest.mark.parametrize(
    ("statement", "scans", "found"),
    [
        ("ALTER TABLE orders ADD FOREIGN KEY (a) REFERENCES b", 1, ["public.orders"]),
        ("ALTER TABLE orders VALIDATE CONSTRAINT a", 1, ["public.orders"]),
        ("ALTER TABLE orders ADD a int REFERENCES b", 1, ["public.orders"]),
        ("ALTER TABLE orders ADD FOREIGN KEY (a) REFERENCES b", 0, None),
        ("SELECT 1", 1, None),
    ],
)
def test_an_index_is_scanned_where_a_foreign_key_is_checked(answers, looks, statement, scans, found):
    answers.locks = [locked(INDEX, "AccessShareLock", scans=scans)]

    assert seen(looks, statement=statement).get("scans") == found


def test_an_index_is_built_when_it_gets_files_and_not_again(answers, looks):
    baseline = Baseline()
    answers.locks = [locked(NEW_INDEX, "ShareLock"), locked(moved(INDEX, 21), "ShareLock")]
    assert seen(looks, baseline) == {"index_builds": ["public.orders"]}

    answers.locks += [locked(NEW_INDEX, EXCLUSIVE)]
    assert seen(looks, baseline) == {}
    answers.locks += [locked(moved(NEW_INDEX, 52), EXCLUSIVE)]
    assert seen(looks, baseline) == {"index_builds": ["public.orders"]}


def test_a_partitioned_index_has_no_files_and_a_table_s_are_no_index_s(answers, looks):
    answers.locks = [locked((20051, "I", "public", "ix_events", 20002, 0, 0), "ShareLock")]
    assert seen(looks) == {}

    answers.locks = [locked(moved(NEW_INDEX, ORDERS[5]), "ShareLock")]
    assert seen(looks) == {"index_builds": ["public.orders"]}


def test_a_lock_that_passes_over_a_part_is_the_topmost_s(answers, looks):
    answers.locks = [locked(WHOLE, EXCLUSIVE), locked(PART, "AccessShareLock"), locked(PART_OF_PART, EXCLUSIVE)]

    assert seen(looks) == {"locks": {"public.events": [EXCLUSIVE], "public.events_eu": ["AccessShareLock"]}}


def test_a_relation_that_was_dropped_in_an_earlier_statement_makes_no_rewrite(answers, looks):
    baseline = Baseline()
    answers.locks = [gone(20090)]
    assert seen(looks, baseline) == {}
    answers.locks = [gone(20090), locked(moved(ORDERS, 9), EXCLUSIVE)]

    assert seen(looks, baseline) == {"locks": {"public.orders": [EXCLUSIVE]}, "written": {"public.orders": 0}}
    assert seen(looks, baseline) == {}


@pytest.mark.parametrize("relation", [moved(ORDERS, 0), moved(WHOLE, 9), moved(TOAST, 9)])
def test_only_a_table_that_has_files_gets_new_ones(answers, looks, relation):
    answers.locks = [gone(20090), locked(relation, "AccessShareLock")]

    assert "rewrites" not in seen(looks)


@pytest.mark.parametrize(
    ("statement", "changed", "effects"),
    [
        ("VACUUM FULL orders", [moved(ORDERS, 9)], {"locks": {"public.orders": [EXCLUSIVE]}, "rewrites": ["public.orders"]}),
        ("REFRESH …", [moved(SUMMARY, 9)], {"locks": {"public.summary": [EXCLUSIVE]}, "rewrites": ["public.summary"]}),
        ("REINDEX", [moved(INDEX, 9)], {"locks": {"public.orders": [EXCLUSIVE]}, "index_builds": ["public.orders"]}),
        ("REINDEX concurrently", [moved(INDEX, 9)], {"index_builds": ["public.orders"]}),
        ("CALL empty()", [moved(ORDERS, 9), moved(TOAST, 10)], {"written": {"public.orders": 0}}),
        ("/* */ do $$", [moved(ORDERS, 9), moved(TOAST, 10)], {"written": {"public.orders": 0}}),
        ("VACUUM FULL orders", [moved(ORDERS, 9), moved(TOAST, 10)], {"locks": {"public.orders": [EXCLUSIVE]}, "rewrites": ["public.orders"]}),
        ("CALL rewrite()", [moved(ORDERS, 9), TOAST], {"locks": {"public.orders": [EXCLUSIVE]}, "rewrites": ["public.orders"]}),
        ("CALL rewrite()", [moved(ORDERS, 9), (20070, *TOAST[1:])], {"locks": {"public.orders": [EXCLUSIVE]}, "rewrites": ["public.orders"]}),
        ("CALL reindex()", [moved(ORDERS, 9), moved(INDEX, 8)], {"locks": {"public.orders": [EXCLUSIVE]}, "rewrites": ["public.orders"], "index_builds": ["public.orders"]}),
        ("SELECT 1", [ORDERS, INDEX, VIEW], {}),
        ("SELECT 1", [moved(ORDERS, 0), moved(SEQUENCE, 9), moved(TEMPORARY, 10), moved(PARTITION, 0)], {}),
        ("CREATE TABLE", [(20070, *ORDERS[1:5], 70, 0), (20071, *INDEX[1:4], 20070, 71, 0)], {}),
        ("ALTER INDEX", [(20071, *INDEX[1:4], 20000, INDEX[5], 0)], {}),
    ],
    ids=str,
)  # fmt: skip
def test_after_a_commit_new_files_show_what_was_done(answers, looks, statement, changed, effects):
    answers.changed = changed
    told = dict(effects, lock_timeout_ms=2000) if "locks" in effects else effects

    assert looks.look_after_commit(statement).to_message() == told
    assert answers.since == "EXECUTE overproof_changed('700')"
    assert looks.look_after_commit(statement).to_message() == {}


def test_a_table_that_the_step_created_and_committed_is_left_out(answers, looks):
    created = (20070, "r", "public", "lines", 0, 70, 0)
    answers.changed = [created]
    looks.look_after_commit("CREATE TABLE")
    answers.changed = [moved(created, 71), (20071, "i", "public", "ix_lines", 20070, 72, 0)]
    assert looks.look_after_commit("VACUUM FULL").to_message() == {}
    assert looks.look_after_commit("VACUUM FULL").to_message() == {}
    answers.locks = [locked(moved(created, 73), EXCLUSIVE, scans=1)]
    assert seen(looks) == {}

    answers.changed = [moved(created, 73)]
    looks.begin_step(701)
    assert seen(looks) == {"locks": {"public.lines": [EXCLUSIVE]}, "scans": ["public.lines"]}


def test_a_part_of_what_the_step_created_goes_by_its_own_name(answers, looks):
    answers.changed = [NEW_TABLE, owned_by(NEW_TABLE[0], PARTITION)]
    looks.look_after_commit("ALTER TABLE every ATTACH PARTITION")
    answers.locks = [locked(NEW_TABLE, EXCLUSIVE), locked(owned_by(NEW_TABLE[0], PARTITION), EXCLUSIVE)]

    assert seen(looks) == {"locks": {"public.events_2026": [EXCLUSIVE]}}


@pytest.mark.parametrize(
    ("statement", "bare"),
    [("SELECT 1", "SELECT 1"), (" -- a\n/* b\n */ SELECT 1 -- c", "SELECT 1 -- c"), ("/* a */ -- b", "-- b")],
)
def test_comments_are_left_out_before_a_statement(statement, bare):
    assert without_comments(statement) == bare


@pytest.mark.parametrize(
    ("statement", "dropped", "effect"),
    [
        ("ALTER TABLE orders ALTER id TYPE bigint", [gone(20090)], {"rewrites": ["public.orders"]}),
        ("ALTER TABLE orders SET TABLESPACE fast", [], {"rewrites": ["public.orders"]}),
        ("TRUNCATE orders", [], {"written": {"public.orders": 0}}),
    ],
)
def test_new_files_are_a_rewrite_unless_they_are_empty(answers, looks, statement, dropped, effect):
    answers.locks = [locked(moved(ORDERS, 9), "AccessExclusiveLock"), *dropped]

    effects = looks.look(Baseline(), statement).to_message()

    assert {name: value for name, value in effects.items() if name in ("rewrites", "written")} == effect


def test_a_new_index_is_built_and_one_that_takes_over_files_is_not(answers, looks):
    built = (20060, "i", "public", "ix_new", 20000, 10, 0)
    taken_over = (20061, "i", "public", "ix_other", 20000, INDEX[5], 0)
    answers.locks = [locked(ORDERS, "ShareLock"), locked(built, "AccessExclusiveLock")]
    assert looks.look(Baseline()).to_message()["index_builds"] == ["public.orders"]

    answers.locks = [locked(taken_over, "AccessExclusiveLock")]
    assert looks.look(Baseline()).to_message() == {}


def test_a_partition_that_is_locked_with_the_whole_is_reported_as_the_whole(answers, looks):
    answers.locks = [locked(WHOLE, "AccessExclusiveLock"), locked(PARTITION, "AccessExclusiveLock")]

    assert looks.look(Baseline()).to_message()["locks"] == {"public.events": ["AccessExclusiveLock"]}


def test_a_partition_that_is_locked_alone_is_reported_by_its_name(answers, looks):
    answers.locks = [locked(WHOLE, "AccessShareLock"), locked(PARTITION, "AccessExclusiveLock")]

    assert looks.look(Baseline()).to_message()["locks"] == {
        "public.events": ["AccessShareLock"],
        "public.events_2026": ["AccessExclusiveLock"],
    }


def test_a_table_that_the_step_created_is_left_out(answers, looks):
    answers.locks = [locked((20020, "r", "public", "lines", 0, 20, 0), "AccessExclusiveLock", scans=1, written=1)]

    assert looks.look(Baseline()).to_message() == {}


@pytest.mark.parametrize(
    ("statement", "locks"),
    [
        ("CREATE INDEX ix ON orders (id)", {"public.orders": ["ShareLock"]}),
        ("CREATE INDEX CONCURRENTLY ix ON orders (id)", {}),
    ],
)
def test_after_a_commit_an_index_is_seen_by_its_files(answers, looks, statement, locks):
    answers.changed = [(20060, "i", "public", "ix", 20000, 60, 0)]

    effects = looks.look_after_commit(statement).to_message()

    assert effects["index_builds"] == ["public.orders"]
    assert effects.get("locks", {}) == locks
    assert effects.get("lock_timeout_ms") == (2000 if locks else None)


@pytest.mark.parametrize(
    ("statement", "prepared"), [("SELECT 1", 0), ("DISCARD ALL", 1), ("discard plans", 1), ("/* */ DEALLOCATE ALL", 1)]
)
def test_plans_that_a_statement_discards_are_prepared_again(answers, looks, statement, prepared):
    looks.look(Baseline(), statement)
    assert answers.prepared == prepared

    looks.look_after_commit(statement)
    assert answers.prepared == 2 * prepared


def test_after_a_rollback_relations_are_known_as_before_it(answers, looks):
    remembered = looks.remember()
    answers.changed = [moved(ORDERS, 9)]
    looks.begin_step(701)
    assert answers.since == "EXECUTE overproof_changed('700')"
    looks.restore(remembered)
    answers.changed = []
    looks.begin_step(702)
    answers.locks = [locked(moved(ORDERS, 9), "AccessExclusiveLock"), gone(20090)]

    assert looks.look(Baseline()).to_message()["rewrites"] == ["public.orders"]


@pytest.mark.parametrize(
    ("setting", "expected"), [("0", 0), ("250ms", 250), ("2s", 2000), ("1min", 60_000), ("", None), (None, None)]
)
def test_a_setting_is_read_in_milliseconds(setting, expected):
    assert milliseconds(setting) == expected
