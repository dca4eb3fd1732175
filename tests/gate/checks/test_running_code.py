"""What becomes of a break once the models of the running code were asked."""

from __future__ import annotations

from typing import Any

import pytest

from app.gate.checks.base import Finding
from app.gate.checks.breaking_change import examine
from app.gate.recording.model import Change, Failure
from app.gate.recording.running import ModelColumn, ModelTable, RefusedStatement, RunningCode
from app.gate.report.verdict import Severity
from tests.gate.checks.builders import added, altered, key, recording, removed, trip

TEXT = {"type": "text", "nullable": True}
NOTE = key("column", "note", "orders")
UNIQUE = {"type": "unique", "columns": ["note"], "definition": "UNIQUE (note)"}
STATUS = {"type": "check", "definition": "CHECK ((status = ANY (ARRAY['new'::text, 'paid'::text])))"}
ORDER = ModelTable(
    "public.orders",
    "shop.Order",
    {"id": ModelColumn("INTEGER"), "note": ModelColumn("TEXT", is_optional=True), "status": ModelColumn("VARCHAR(20)")},
)


def refused(action: str, *columns: str, table: str = "public.orders", **fields: Any) -> RefusedStatement:
    fields = {"message": 'column "note" does not exist', "sqlstate": "42703", **fields}
    return RefusedStatement(
        "a1", "shop.Order", table, action, columns, f"{action} …", Failure("E", table=table, **fields)
    )


def findings(*changes: Change, refusals: tuple[RefusedStatement, ...] = (), table: ModelTable = ORDER) -> list[Finding]:
    running = RunningCode("c0ffee", (table,), 20, refusals)
    return list(examine(recording(trip(changes=changes), running=running)))


@pytest.mark.parametrize(
    "change",
    [
        removed(key("column", "legacy", "orders"), **TEXT),
        removed(key("table", "old_orders")),
        removed(key("constraint", "uq", "orders"), **UNIQUE),
        removed(key("constraint", "uq", "old_orders"), **UNIQUE),
        added(key("column", "channel", "old_orders"), type="text", nullable=False),
        altered(key("column", "legacy", "orders"), TEXT, {"type": "integer", "nullable": True}),
        altered(NOTE, TEXT, {"type": "text", "nullable": False}),
        altered(key("enum", "mood"), {"labels": ["new", "old"]}, {"labels": ["new"]}),
        # A view has the table's name, and takes all that is sent to it.
        removed(NOTE, **TEXT),
    ],
)
def test_what_no_released_model_names_and_no_statement_of_theirs_minds_is_silent(change):
    assert findings(change) == []


def test_a_refused_statement_is_shown_with_the_class_and_postgresqls_words():
    [finding] = findings(removed(NOTE, **TEXT), refusals=(refused("SELECT", "id", "note"),))

    assert finding.message == 'Column orders.note is dropped: SELECT of shop.Order fails: column "note" does not exist.'
    assert (finding.severity, finding.detail, finding.subject) == (None, "SELECT …", "column orders.note gone")


@pytest.mark.parametrize(
    "change",
    [
        removed(key("function", "total(integer)"), returns="integer"),
        removed(key("view", "totals")),
        removed(key("extension", "pgcrypto", schema="")),
        removed(key("enum", "mood"), labels=["new"]),
    ],
)
def test_what_models_cannot_name_stays_what_the_catalog_shows(change):
    assert len(findings(change)) == 1


def test_a_refusal_for_another_reason_is_found_though_no_object_went():
    said = {"message": "orders are closed", "sqlstate": "P0001"}

    [finding] = findings(refusals=(refused("INSERT", "id", **said), refused("UPDATE", "note", **said)))

    assert finding.message == "Table orders: INSERT of shop.Order fails: orders are closed."


def test_a_column_that_code_may_leave_empty_is_a_notice_and_one_that_it_does_not_know_is_a_warning():
    required = {"type": "text", "nullable": False}
    said = {"message": "null value", "sqlstate": "23502"}

    [known] = findings(
        altered(NOTE, TEXT, required),
        refusals=(refused("INSERT of the required columns", "note", column="note", **said),),
    )
    [unknown] = findings(
        altered(key("column", "legacy", "orders"), TEXT, required),
        refusals=(refused("INSERT", "note", column="legacy", **said),),
    )

    assert (known.severity, known.message) == (
        Severity.NOTICE,
        "Column orders.note is now NOT NULL: older code that leaves it NULL fails.",
    )
    assert (unknown.severity, unknown.message) == (
        None,
        "Column orders.legacy is now NOT NULL: INSERT of shop.Order fails: null value.",
    )


def test_a_unique_key_is_missed_where_an_upsert_on_it_is_refused():
    [finding] = findings(
        removed(key("constraint", "uq", "orders"), **UNIQUE),
        refusals=(refused("ON CONFLICT", "note", message="there is no unique constraint", sqlstate="42P10"),),
    )

    assert "ON CONFLICT of shop.Order fails: there is no unique constraint" in finding.message


def test_a_type_is_narrower_than_the_models_or_is_not():
    to_50, to_20 = ({"type": f"character varying({size})", "nullable": True} for size in (50, 20))
    column = key("column", "status", "orders")

    assert findings(altered(column, to_50, to_20)) == []  # the model has had 20 before
    [narrower] = findings(
        altered(column, to_50, {"type": "character varying(10)", "nullable": True}),
        refusals=(refused("UPDATE", "status", message="value too long", sqlstate="22001"),),
    )
    assert narrower.message.endswith("to character varying(10): UPDATE of shop.Order fails: value too long.")
    # What is read is another type, though PostgreSQL may refuse nothing.
    assert len(findings(altered(column, to_50, {"type": "integer", "nullable": True}))) == 1


def test_a_check_that_allows_less_is_a_notice_unless_the_model_lists_the_values():
    new = {**STATUS, "columns": ["status"], "definition": "CHECK ((status = 'new'::text))"}
    old = {**STATUS, "columns": ["status"]}
    change = altered(key("constraint", "ck", "orders"), old, new)

    def with_labels(*labels: str) -> ModelTable:
        return ModelTable("public.orders", "shop.Order", {"status": ModelColumn("VARCHAR", labels)})

    assert [each.severity for each in findings(change)] == [Severity.NOTICE]
    assert [each.severity for each in findings(change, table=with_labels("new", "paid"))] == [None]
    assert findings(change, table=with_labels("new")) == []


@pytest.mark.parametrize(
    ("too_early", "said"),
    [
        (None, "If that code does not run any more, say so in the script:"),
        (
            (),
            "The models of this branch work on the schema before it: if their code runs everywhere before the upgrade,",
        ),
        ((refused("INSERT", "note"),), "first does not help: on the schema before it, INSERT of shop.Order fails."),
    ],
)
def test_a_finding_says_whether_it_helps_to_start_the_new_code_first(too_early, said):
    running = RunningCode("c0ffee", (ORDER,), 20, (refused("SELECT", "note"),), too_early)

    [finding] = examine(recording(trip(changes=[removed(NOTE, **TEXT)]), running=running))

    assert said in str(finding.help)
    assert ("schema before it" in str(finding.help)) is (too_early is not None)


def test_without_models_the_finding_says_that_it_is_a_guess():
    [finding] = examine(recording(trip(changes=[removed(NOTE, **TEXT)]), not_observed={"running": "there is no base"}))

    assert "It is a guess by the schema alone, since there is no base." in (finding.help or "")
