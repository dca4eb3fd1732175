"""What differs between two looks, by the rows that PostgreSQL would return."""

from typing import Any

import pytest

from app.gate.driver.overproof_driver import _queries
from app.gate.driver.overproof_driver.effects import milliseconds
from app.gate.driver.overproof_driver.looks import Baseline, Looks

ORDERS = (20000, "r", "public", "orders", 0, 1, 0)
INDEX = (20001, "i", "public", "ix_orders", 20000, 2, 0)
WHOLE = (20002, "p", "public", "events", 0, 0, 0)
PARTITION = (20003, "r", "public", "events_2026", 20002, 3, 0)


class Answers:
    """A connection whose relations, locks and counters a test sets."""

    def __init__(self) -> None:
        self.relations: list[Any] = [ORDERS, INDEX, WHOLE, PARTITION]
        self.changed: list[Any] = []
        self.locks: list[Any] = []
        self.counters: list[Any] = []
        self.prepared = 0

    def rows(self, sql: str) -> list[Any]:
        answers = {
            _queries.RELATIONS: self.relations,
            _queries.LOCKED: self.locks,
            _queries.COUNTERS: self.counters,
            _queries.LOCK_TIMEOUT: [("2s",)],
        }
        return answers.get(sql, self.changed)

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


@pytest.mark.parametrize(
    ("statement", "dropped", "effect"),
    [
        ("ALTER TABLE orders ALTER id TYPE bigint", [gone(20009)], {"rewrites": ["public.orders"]}),
        ("ALTER TABLE orders SET TABLESPACE fast", [], {"rewrites": ["public.orders"]}),
        ("TRUNCATE orders", [], {"written": {"public.orders": 0}}),
    ],
)
def test_new_files_are_a_rewrite_unless_they_are_empty(answers, looks, statement, dropped, effect):
    answers.locks = [locked(moved(ORDERS, 9), "AccessExclusiveLock"), *dropped]

    effects = looks.look(Baseline(), statement).to_message()

    assert {name: value for name, value in effects.items() if name in ("rewrites", "written")} == effect


def test_a_new_index_is_built_and_one_that_takes_over_files_is_not(answers, looks):
    built = (20010, "i", "public", "ix_new", 20000, 10, 0)
    taken_over = (20011, "i", "public", "ix_other", 20000, INDEX[5], 0)
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
    answers.changed = [(20010, "i", "public", "ix", 20000, 10, 0)]

    effects = looks.look_after_commit(statement).to_message()

    assert effects["index_builds"] == ["public.orders"]
    assert effects.get("locks", {}) == locks
    assert effects.get("lock_timeout_ms") == (2000 if locks else None)


def test_plans_that_a_statement_discards_are_prepared_again(answers, looks):
    looks.look(Baseline(), "SELECT 1")
    looks.look(Baseline(), "DISCARD ALL")
    looks.look_after_commit("DEALLOCATE ALL")

    assert answers.prepared == 2


def test_after_a_rollback_relations_are_known_as_before_it(answers, looks):
    remembered = looks.remember()
    answers.changed = [moved(ORDERS, 9)]
    looks.begin_step(701)
    looks.restore(remembered)
    answers.changed = []
    looks.begin_step(702)
    answers.locks = [locked(moved(ORDERS, 9), "AccessExclusiveLock"), gone(20009)]

    assert looks.look(Baseline()).to_message()["rewrites"] == ["public.orders"]


@pytest.mark.parametrize(
    ("setting", "expected"), [("0", 0), ("250ms", 250), ("2s", 2000), ("1min", 60_000), ("", None), (None, None)]
)
def test_a_setting_is_read_in_milliseconds(setting, expected):
    assert milliseconds(setting) == expected
