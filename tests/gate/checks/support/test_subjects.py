"""What a finding is known by does not depend on the words of PostgreSQL, of the driver or of ourselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.gate.checks.base import Finding
from app.gate.checks.registry import ALL_CHECKS
from app.gate.checks.support.subjects import cause, changed, find_lasting_object, together
from app.gate.judging.judge import judge
from app.gate.recording.model import Change, Direction, Failure, Interruption, Populated, Recording, RowKind, Step
from tests.gate.checks.builders import added, altered, attempt, key, python_failure, recording, removed, trip

# (SQLSTATE, the class of psycopg 2 and 3, that of asyncpg, what PostgreSQL names)
ERRORS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("42P01", "UndefinedTable", "UndefinedTableError", {}),
    ("42704", "UndefinedObject", "UndefinedObjectError", {}),
    ("23505", "UniqueViolation", "UniqueViolationError", {"table": "public.orders", "constraint": "uq_note"}),
    ("23502", "NotNullViolation", "NotNullViolationError", {"table": "public.orders", "column": "note"}),
    ("23514", "CheckViolation", "CheckViolationError", {"table": "public.orders", "constraint": "ck_note"}),
    ("22P02", "InvalidTextRepresentation", "InvalidTextRepresentationError", {}),
    ("0A000", "FeatureNotSupported", "FeatureNotSupportedError", {}),
)
DRIVERS = ("psycopg2.errors.{0}", "psycopg.errors.{0}", "asyncpg.exceptions.{1}")
MESSAGES = (
    'relation "orders" does not exist',
    "Relation »orders« existiert nicht",
    'null value in column "note" of relation "lines" violates not-null constraint',
    "une valeur NULL viole la contrainte NOT NULL de la colonne « note »",
    'could not create unique index "uq_note"\nDETAIL:  Key (note)=(7) is duplicated.',
    'リレーション"orders"は存在しません',
)
CHANGES = (
    added(key("constraint", "uq_note", "orders"), type="unique", columns=["note"], definition="UNIQUE (note)"),
    altered(key("column", "note", "orders"), {"type": "text", "nullable": True}, {"type": "text", "nullable": False}),
)

Say = Callable[[int], Failure]
messages = st.sampled_from(MESSAGES) | st.text(min_size=1)


@st.composite
def wordings(draw: st.DrawFn) -> Say:
    """What one driver, on one server, makes of an error."""
    driver, message = draw(st.sampled_from(DRIVERS)), draw(messages)

    def say(number: int) -> Failure:
        sqlstate, psycopg, asyncpg, names = ERRORS[number]
        return Failure(driver.format(psycopg, asyncpg), message, sqlstate, sql="ALTER TABLE orders …", line=11, **names)

    return say


@st.composite
def walks(draw: st.DrawFn) -> Callable[[Say], Recording]:
    """A walk on which many things fail, as it is seen with one wording and with another."""
    error = [draw(st.integers(0, len(ERRORS) - 1)) for _ in range(9)]
    rows = draw(st.sampled_from([RowKind.EDGE_CASES, RowKind.ORDINARY, RowKind.OWN]))
    is_undone, is_late = draw(st.booleans()), draw(st.booleans())

    def seen(say: Say) -> Recording:
        failed = [say(each) for each in error]
        tried = Populated(
            Step("a1", Direction.UPGRADE, 1.0, failure=failed[0]), rows, {"public.orders": 6, "public.lines": 6}
        )
        over_rows = replace(
            trip("a1", changes=CHANGES, down_failure=None if is_undone else failed[1]),
            populated=tried,
            rows_failure=failed[2],
            tables_without_rows={"public.users": failed[2].message},
            interruptions=(Interruption("ALTER TABLE orders …", 10, failed[3]),),
        )
        again = trip("b2", changes=CHANGES, again_failure=failed[4], left_behind=CHANGES[:1] if is_undone else ())
        last = trip("c3", up_failure=failed[5])
        return recording(
            *(over_rows, again, last),
            whole_command=attempt(failed[6]) if is_late else None,
            offline=attempt(replace(failed[7], revision="b2")),
            concurrent=attempt(failed[8]),
        )

    return seen


def identities(walked: Recording) -> list[tuple[str, str | None, str | None, str, str]]:
    found = judge([walked], checks=ALL_CHECKS).findings
    return [(each.check, each.revision, each.object, each.subject, each.fingerprint) for each in found]


@given(walks(), wordings(), wordings())
def test_findings_are_known_by_whatever_driver_and_in_whatever_language(
    seen: Callable[[Say], Recording], one: Say, other: Say
):
    found = identities(seen(one))

    assert found == identities(seen(other))
    assert {"upgrade", "populated-upgrade", "offline-sql", "interrupted-upgrade"} <= {check for check, *_ in found}


@given(st.text(), st.text())
def test_a_finding_keeps_its_fingerprint_in_other_words(one: str, other: str):
    def worded(words: str) -> list[str]:
        def examine(walked: Recording) -> list[Finding]:
            return [Finding(words, "left-behind", revision="a1", detail=words, help=words)]

        return [
            each.fingerprint
            for each in judge([recording(trip())], checks=[replace(ALL_CHECKS[0], examine=examine)]).findings
        ]

    assert worded(one) == worded(other)


def test_a_cause_is_the_sqlstate_else_the_class_without_its_module():
    assert cause(Failure("psycopg2.errors.UndefinedTable", "…", "42P01")) == "42P01"
    assert cause(python_failure("sqlalchemy.exc.CompileError")) == "CompileError"
    assert cause(python_failure("KeyError")) == "KeyError"


def test_several_subjects_are_reported_in_one_order_and_each_counts_even_where_they_are_cut_short():
    many = [f"column orders.c{number}" for number in range(40)]

    assert together(["b", "a", "b"]) == "a, b"
    assert together(many) == together(reversed(many))
    assert len(together(many)) < 200
    assert together(many) != together([*many, "column orders.c99"])
    assert together(["x" * 900]) != together(["x" * 901])


@pytest.mark.parametrize("names", [("ix_1f", "ix_a0"), ("ix_77", "ix_3c")])
def test_names_made_at_random_are_no_part_of_what_a_finding_is_known_by(names: tuple[str, str]):
    gone, new = (key("index", name, "orders") for name in names)
    changes: list[Change] = [removed(gone, definition="(note)"), added(new, definition="(note)")]

    assert changed(changes) == "index of orders"
    assert find_lasting_object(changes) == "public.orders"


def test_what_only_comes_or_goes_is_known_by_its_name():
    changes = [added(key("index", "ix_note", "orders"), definition="(note)")]

    assert changed(changes) == "index orders.ix_note"
    assert find_lasting_object(changes) == "public.orders.ix_note"
