"""Downgrades that are there, and do not do what they say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.gate.checks.round_trip import examine
from app.gate.recording.model import Populated, RowKind
from app.gate.report.verdict import Severity
from tests.gate.checks.builders import (
    added,
    altered,
    failure,
    key,
    python_failure,
    recording,
    removed,
    revision,
    statement,
    trip,
)

TABLE = added(key("table", "orders"))
COLUMN = added(key("column", "note", "orders"), type="text", nullable=True)
ENUM = added(key("enum", "status"), labels=["new", "paid"])


def test_a_downgrade_that_fails_is_named_with_its_line_and_statement():
    broken = failure('index "ix" does not exist', sqlstate="42704", sql="DROP INDEX ix", line=23)

    [finding] = examine(recording(trip("a1", changes=[COLUMN], down_failure=broken)))

    assert finding.message == 'The downgrade of a1 fails: index "ix" does not exist.'
    assert (finding.revision, finding.detail, finding.line, finding.direction) == (
        "a1",
        "DROP INDEX ix",
        23,
        "downgrade",
    )
    assert str(finding.help).startswith("It does not exist at that point")


BACK = failure(
    'column "note" of relation "orders" contains null values',
    sqlstate="23502",
    sql="ALTER TABLE orders ADD COLUMN note text NOT NULL",
    line=19,
    table="public.orders",
    column="note",
)


@pytest.mark.parametrize(
    ("failed", "rows", "severity", "words"),
    [
        (BACK, RowKind.ORDINARY, Severity.ERROR, "over rows in orders"),
        (BACK, RowKind.EDGE_CASES, Severity.WARNING, "over some rows in orders (NULLs, duplicates or extreme values)"),
        (replace(BACK, sqlstate="22P02"), RowKind.ORDINARY, Severity.WARNING, "over rows in orders"),
        (python_failure("KeyError", "'sku'"), RowKind.ORDINARY, Severity.NOTICE, "over rows in orders"),
    ],
)
def test_a_downgrade_that_fails_over_rows_is_reported_by_the_rows_that_it_takes(failed, rows, severity, words):
    one = trip("a1", changes=[COLUMN])
    assert one.up is not None
    populated = Populated(one.up, RowKind.EDGE_CASES, {"public.orders": 6}, down_failure=failed, down_rows=rows)

    [finding] = examine(recording(replace(one, populated=populated)))

    assert finding.severity is severity
    assert finding.message.startswith(f"The downgrade of a1 fails {words}: ")
    assert (finding.direction, finding.line) == ("downgrade", failed.line)


def test_a_downgrade_that_refuses_rows_on_purpose_is_not_reported():
    one = trip("a1", changes=[COLUMN])
    assert one.up is not None
    refusal = python_failure("RuntimeError", "there are orders")
    populated = Populated(
        one.up, RowKind.EDGE_CASES, {"public.orders": 6}, down_failure=refusal, down_rows=RowKind.ORDINARY
    )

    assert list(examine(recording(replace(one, populated=populated)))) == []


@pytest.mark.parametrize("error", ["NameError", "sqlalchemy.exc.CompileError"])
def test_a_mistake_in_a_downgrade_is_a_failure_and_no_refusal(error):
    [finding] = examine(recording(trip("a1", changes=[COLUMN], down_failure=python_failure(error, "it has no name"))))

    assert f"{error.rpartition('.')[2]}: it has no name" in finding.message


def test_what_stays_is_named():
    [finding] = examine(recording(trip("a1", changes=[TABLE, ENUM], left_behind=[ENUM])))

    assert finding.message == "The downgrade of a1 does not restore the schema: enum status remains."
    assert finding.object == "public.status"
    assert finding.direction == "downgrade"


def test_what_is_gone_and_what_differs_are_named():
    index = removed(key("index", "ix_orders_note", "orders"))
    default = altered(
        key("column", "note", "orders"), {"type": "text", "default": "''"}, {"type": "text", "default": None}
    )

    [finding] = examine(recording(trip("a1", changes=[COLUMN], left_behind=[index, default])))

    assert (
        "column orders.note has changed (default '' is gone) and index ix_orders_note on orders is gone"
        in finding.message
    )
    assert str(finding.detail).count("\n- ") == 1


def test_a_function_is_named_without_its_bodies_which_are_in_the_detail():
    bodies = [{"returns": "trigger", "body": f"BEGIN {name} := 1; RETURN NEW; END"} for name in ("a", "b")]
    function = altered(key("function", "touch()"), *bodies)

    [finding] = examine(recording(trip("a1", changes=[COLUMN], left_behind=[function])))

    assert finding.message.endswith("does not restore the schema: function touch() has another body.")
    assert "RETURN NEW" in str(finding.detail)


def test_a_long_definition_is_not_quoted_in_the_message_and_cut_in_the_detail():
    view = altered(key("view", "totals"), {"definition": "SELECT a" + ", b" * 500}, {"definition": "SELECT a"})

    [finding] = examine(recording(trip("a1", changes=[COLUMN], left_behind=[view])))

    assert finding.message.endswith("does not restore the schema: view totals has changed.")
    assert len(str(finding.detail)) < 1100


def test_the_columns_of_a_table_that_stays_are_not_reported_one_by_one():
    left = [added(key("column", name, "orders"), type="text") for name in ("id", "note")] + [TABLE]

    [finding] = examine(recording(trip("a1", changes=[TABLE, ENUM], left_behind=left)))

    assert "does not restore the schema: table orders remains." in finding.message


def test_a_second_upgrade_that_fails_on_what_stayed_is_the_same_finding():
    again = failure('type "status" already exists', sqlstate="42710")

    [finding] = examine(recording(trip("a1", changes=[TABLE, ENUM], left_behind=[ENUM], again_failure=again)))

    assert (
        'enum status remains; so the revision cannot be applied again (type "status" already exists)' in finding.message
    )


def test_a_second_upgrade_that_fails_although_the_schema_is_as_it_was_is_a_finding():
    again = failure('duplicate key value violates unique constraint "roles_pkey"', sqlstate="23505", line=15)

    [finding] = examine(recording(trip("a1", changes=[COLUMN], again_failure=again)))

    assert finding.message.startswith("a1 cannot be applied again after its downgrade: duplicate key value")
    assert "rows" in str(finding.help)


def test_a_second_upgrade_that_gives_another_schema_is_a_finding():
    [finding] = examine(
        recording(trip("a1", changes=[COLUMN], second_up_differences=[removed(COLUMN.key, type="text")]))
    )

    assert (
        finding.message
        == "a1 gives a different schema when it is applied again after its downgrade: column orders.note."
    )
    assert finding.help == (
        "The upgrade does something else the second time: it depends on what the downgrade leaves behind (IF NOT EXISTS, an inspector,"
        " rows), or uses random names or values."
    )


def test_the_help_is_the_code_that_is_missing_from_the_downgrade():
    [finding] = examine(recording(trip("a1", changes=[TABLE, ENUM], left_behind=[ENUM])))

    assert finding.help == 'In the downgrade of versions/a1.py, add:\n\n    op.execute("DROP TYPE status")'


def test_an_extension_that_stays_beside_a_downgrade_that_works_is_only_a_notice():
    extension = added(key("extension", "pgcrypto", schema=""))

    [finding] = examine(recording(trip("a1", changes=[TABLE, extension], left_behind=[extension])))

    assert finding.severity is Severity.NOTICE


def test_a_label_that_postgres_cannot_take_back_is_only_a_warning():
    label = altered(ENUM.key, {"labels": ["new"]}, {"labels": ["new", "paid"]})

    [finding] = examine(recording(trip("a1", changes=[TABLE, label], left_behind=[label])))

    assert finding.severity is Severity.WARNING
    assert "enum status has changed (label 'paid' added after 'new')" in finding.message


def test_what_stays_and_stops_the_next_upgrade_is_an_error_whatever_it_is():
    label = altered(ENUM.key, {"labels": ["new"]}, {"labels": ["new", "paid"]})
    again = failure('enum label "paid" already exists', sqlstate="42710")

    [finding] = examine(recording(trip("a1", changes=[TABLE, label], left_behind=[label], again_failure=again)))

    assert finding.severity is Severity.ERROR


def test_stays_quiet_about_a_round_trip_that_leaves_nothing():
    assert list(examine(recording(trip("a1", changes=[COLUMN])))) == []


@pytest.mark.parametrize(
    ("before", "after", "is_restored"),
    [
        ({"validated": False, "definition": "CHECK (a) NOT VALID"}, {"definition": "CHECK (a)"}, True),
        ({"validated": False, "definition": "CHECK (a) NOT VALID"}, {"definition": "CHECK (b)"}, False),
        ({"validated": False, "definition": "CHECK (a) NOT VALID"}, {"definition": "CHECK (a)", "comment": "x"}, False),
        ({"definition": "CHECK (a)"}, {"validated": False, "definition": "CHECK (a) NOT VALID"}, False),
        ({"not_null": "NOT VALID", "nullable": False}, {"nullable": False}, True),
        ({"not_null": "NO INHERIT NOT VALID"}, {"not_null": "NO INHERIT"}, True),
        ({"not_null": "NO INHERIT"}, {"not_null": "NO INHERIT NOT VALID"}, False),
        ({"not_null": "NOT VALID", "nullable": False}, {"nullable": True}, False),
    ],
)
def test_a_constraint_may_stay_validated_and_nothing_else(before, after, is_restored):
    kind = "column" if "not_null" in before else "constraint"
    left = altered(key(kind, "rule", "orders"), before, after)

    findings = list(examine(recording(trip("a1", changes=[COLUMN, left], left_behind=[left]))))

    assert (findings == []) is is_restored


def test_stays_quiet_about_an_upgrade_that_failed():
    assert list(examine(recording(trip("a1", up_failure=failure())))) == []


def test_stays_quiet_about_a_merge_without_a_downgrade():
    merge = trip("a1", down_failure=python_failure("AttributeError", "module has no attribute 'downgrade'"))

    assert list(examine(recording(merge, revisions=[revision("a1", downgrade_body="missing")]))) == []


@pytest.mark.parametrize(
    ("sqlstate", "message", "hint"),
    [
        ("42P01", "… does not exist", "It does not exist at that point"),  # undefined_table
        ("42703", "… does not exist", "It does not exist at that point"),  # undefined_column
        ("42704", "… does not exist", "It does not exist at that point"),  # undefined_object
        ("42P07", "… already exists", "It still exists at that point"),  # duplicate_table
        ("42701", "… already exists", "It still exists at that point"),  # duplicate_column
        ("42710", "… already exists", "It still exists at that point"),  # duplicate_object
        ("2BP01", "…", "Undo the steps of the upgrade in reverse order: drop what depends on it first."),
        ("22012", "…", "Undo what the upgrade did, in reverse order."),  # division_by_zero
        ("42704", "data type box has no default operator class", "Undo what the upgrade did"),
        (None, "…", "Undo what the upgrade did, in reverse order."),
    ],
)
def test_the_hint_is_that_of_the_error(sqlstate: str | None, message: str, hint: str) -> None:
    [finding] = examine(
        recording(
            trip("a1", changes=[COLUMN], down_failure=failure(message, sqlstate=sqlstate, error="psycopg2.Error"))
        )
    )

    assert str(finding.help).startswith(hint)


@pytest.mark.parametrize(("length", "is_quoted"), [(200, True), (201, False)])
def test_a_change_of_200_characters_is_quoted_in_the_message_and_a_longer_one_is_not(length: int, is_quoted: bool):
    text = "x" * (length - len("default  -> y"))
    change = altered(key("column", "note", "orders"), {"default": text}, {"default": "y"})

    [finding] = examine(recording(trip("a1", changes=[change], left_behind=[change])))

    assert ("xxx" in finding.message) is is_quoted


def test_stays_quiet_about_the_check_that_detach_concurrently_leaves():
    left = added(key("constraint", "events_2025_check", "events_2025"), type="check", definition="CHECK (day > '2025')")
    detach = "ALTER TABLE events DETACH PARTITION events_2025 CONCURRENTLY"

    def judge(sql):
        return list(examine(recording(trip("b2", statements=[statement(sql)], changes=[left], left_behind=[left]))))

    assert judge(detach) == []
    assert len(judge(detach.removesuffix(" CONCURRENTLY"))) == 1
