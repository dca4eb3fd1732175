"""Where the migrated schema and the models' own differ, and who tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from app.gate.checks.base import CheckSkipped, Finding
from app.gate.checks.schema_drift import examine
from app.gate.recording.model import Definition, Drift, Key
from app.gate.report.verdict import Severity
from tests.gate.checks.builders import drift, failure, key, recording, snapshot

ORDERS = {key("table", "orders"): {}, key("column", "id", "orders"): {"type": "integer", "nullable": False}}
TOTAL = key("column", "total", "orders")
CHECK = key("constraint", "ck_total", "orders")
POSITIVE = {"type": "check", "definition": "CHECK ((total > 0))"}
STATUS = key("enum", "status")

Objects = Mapping[Key, Definition]


def compare(
    head: Objects,
    models: Objects,
    *,
    drift: tuple[Drift, ...] | None = (),
    **fields: Any,
) -> list[Finding]:
    """The findings on two schemas that both have a table `orders`."""
    both = recording(head=snapshot({**ORDERS, **head}), models=snapshot({**ORDERS, **models}), drift=drift, **fields)
    return list(examine(both))


def test_what_no_migration_makes_is_an_error_with_the_code_that_makes_it():
    [finding] = compare({}, {CHECK: POSITIVE})

    assert finding.message == "Check constraint ck_total on orders is in the models, but not in a migrated database."
    assert finding.object == "public.orders"
    assert finding.severity is Severity.ERROR
    assert 'op.create_check_constraint("ck_total", "orders", "total > 0")' in str(finding.help)


def test_what_no_code_can_be_shown_for_is_left_to_a_revision_by_hand():
    [finding] = compare({}, {key("function", "f()"): {"body": "…"}})

    assert finding.help == "If the models are right, write a revision by hand: autogenerate does not see this."
    assert finding.severity is Severity.ERROR


def test_a_check_that_says_something_else_is_an_error_with_both_definitions():
    [finding] = compare({CHECK: {"type": "check", "definition": "CHECK ((total >= 0))"}}, {CHECK: POSITIVE})

    assert "is CHECK ((total >= 0)) in the migrations and CHECK ((total > 0)) in the models" in finding.message
    assert finding.severity is Severity.ERROR
    assert 'op.drop_constraint("ck_total", "orders", type_="check")' in str(finding.help)


def test_what_differs_on_one_table_is_one_finding_for_each_severity():
    head: Objects = {
        TOTAL: {"type": "integer", "nullable": True, "default": "0"},
        key("trigger", "touch", "orders"): {},
    }
    models: Objects = {TOTAL: {"type": "integer", "nullable": True}, CHECK: POSITIVE, key("index", "ix", "orders"): {}}

    error, warning = compare(head, models)

    assert (error.severity, warning.severity) == (Severity.ERROR, Severity.WARNING)
    assert error.message == (
        "The migrations and the models differ on orders (2): check constraint ck_total and index ix."
    )
    assert "- column orders.total has the default 0 in the migrations only" in str(warning.detail)


def test_what_only_the_migrations_make_is_a_warning_for_each_kind():
    functions = {key("function", f"f{number}()"): {"body": "…"} for number in range(6)}

    [finding] = compare(functions, {})

    assert finding.message == "Only the migrations create functions (6): f0(), f1(), f2() and 3 more."
    assert "If nothing uses it any more, drop it in a revision" in str(finding.help)
    assert finding.severity is Severity.WARNING


@pytest.mark.parametrize(
    ("head", "models", "is_reported"),
    [
        ("'[]'::json", "'[]'::jsonb", False),
        ("'it''s'::text", "'it''s'::character varying(20)", False),
        ("'[]'::json", "'{}'::jsonb", True),
        ("'a'::text", "lower('a'::text)", True),
        ("CURRENT_TIMESTAMP", "now()", False),
        ("timezone('utc'::text, CURRENT_TIMESTAMP)", "timezone('utc'::text, now())", False),
        ("CURRENT_TIMESTAMP(0)", "now()", True),
        ("clock_timestamp()", "now()", True),
    ],
)
def test_a_value_by_default_is_the_same_whatever_type_it_is_written_as(head: str, models: str, is_reported: bool):
    findings = compare({TOTAL: {"type": "jsonb", "default": head}}, {TOTAL: {"type": "jsonb", "default": models}})

    assert bool(findings) is is_reported


@pytest.mark.parametrize(
    ("head", "models", "words", "severity"),
    [
        ({"default": "1"}, {"default": "2"}, "has the default 1 in the migrations and 2 in the models", Severity.ERROR),
        ({}, {"default": "2"}, "has the default 2 in the models only", Severity.ERROR),
        ({"default": "1"}, {}, "has the default 1 in the migrations only", Severity.WARNING),
        (
            {"nullable": True},
            {"nullable": False},
            "is NOT NULL in the models and not in the migrations",
            Severity.ERROR,
        ),
        ({}, {"identity": "always"}, "has the identity always in the models only", Severity.ERROR),
        ({"comment": "net"}, {}, "has the comment net in the migrations only", Severity.WARNING),
    ],
)
def test_attributes_of_a_column_are_reported_in_words(head, models, words, severity):
    [finding] = compare(
        {TOTAL: {"type": "integer", "nullable": False, **head}},
        {TOTAL: {"type": "integer", "nullable": False, **models}},
    )

    assert finding.message == f"Column orders.total {words}."
    assert finding.severity is severity


@pytest.mark.parametrize(
    ("head", "models", "severity"),
    [
        ("character varying", "character varying(5)", Severity.WARNING),
        ("character varying(5)", "character varying", Severity.ERROR),
        ("json", "jsonb", Severity.ERROR),
    ],
)
def test_a_column_that_takes_all_that_the_model_does_is_only_a_warning(head, models, severity):
    [finding] = compare({TOTAL: {"type": head}}, {TOTAL: {"type": models}})

    assert finding.severity is severity


@pytest.mark.parametrize(
    ("head", "models", "words", "severity"),
    [
        (["new"], ["new", "paid"], "lacks the models' 'paid'", Severity.ERROR),
        (["new", "old"], ["new"], "has 'old' in the migrations only", Severity.WARNING),
        (["old"], ["new"], "lacks the models' 'new', and has 'old' instead", Severity.ERROR),
        (["a", "b"], ["b", "a"], "has its labels in another order", Severity.WARNING),
    ],
)
def test_labels_of_an_enum_are_reported_in_words(head, models, words, severity):
    [finding] = compare({STATUS: {"labels": head}}, {STATUS: {"labels": models}})

    assert finding.message.startswith(f"Enum status {words}")
    assert finding.severity is severity


def test_a_label_that_is_missing_comes_with_the_code_that_adds_it():
    [finding] = compare({STATUS: {"labels": ["new"]}}, {STATUS: {"labels": ["new", "paid"]}})

    assert "ALTER TYPE status ADD VALUE IF NOT EXISTS 'paid'" in str(finding.help)


def test_a_constraint_that_differs_in_its_name_only_is_a_warning_with_both_names():
    [finding] = compare({key("constraint", "positive", "orders"): POSITIVE}, {CHECK: POSITIVE})

    assert finding.message == "Check constraint positive on orders has the name ck_total in the models."
    assert str(finding.help).startswith("Databases that the models create, such as those of tests, differ here.")
    assert finding.severity is Severity.WARNING


@pytest.mark.parametrize("name", ["uq_orders", "orders_b_a_key"])
def test_a_unique_key_with_its_columns_in_another_order_is_only_a_warning(name):
    def unique(*columns: str) -> Definition:
        return {"type": "unique", "columns": list(columns), "definition": f"UNIQUE ({', '.join(columns)})"}

    [finding] = compare(
        {key("constraint", "uq_orders", "orders"): unique("a", "b")},
        {key("constraint", name, "orders"): unique("b", "a")},
    )

    assert (
        finding.message
        == "Unique constraint uq_orders on orders is UNIQUE (a, b) in the migrations and UNIQUE (b, a) in the models."
    )
    assert finding.severity is Severity.WARNING


def test_a_constraint_that_the_models_have_twice_is_only_a_warning():
    # Airflow's dataset_alias_dataset: ForeignKey() on the column, and a ForeignKeyConstraint() for it.
    definition = {"type": "foreign key", "definition": "FOREIGN KEY (id) REFERENCES public.lines(id)"}
    one, two = key("constraint", "orders_id_fkey", "orders"), key("constraint", "fk_orders", "orders")

    [finding] = compare({one: definition}, {one: definition, two: definition})

    assert finding.severity is Severity.WARNING
    assert (
        finding.message
        == "Foreign key fk_orders on orders is in the models only, in addition to orders_id_fkey, which is the same."
    )


def test_without_autogenerate_tables_and_columns_are_reported_here():
    [finding] = compare({}, {TOTAL: {"type": "integer"}}, drift=None)

    assert finding.message == "Column orders.total is in the models, but not in a migrated database."


def test_the_order_of_findings_follows_the_tables():
    tables: Objects = {key("table", name): {} for name in ("users", "items")}
    checks = {key("constraint", "ck", name): POSITIVE for name in ("users", "items")}

    assert [finding.object for finding in compare(tables, {**tables, **checks})] == ["public.items", "public.users"]


# What is reported elsewhere, or not at all.


def test_stays_quiet_about_what_autogenerate_reports():
    index = key("index", "ix_total", "orders")
    unnamed = {
        "type": "foreign key",
        "columns": ["user_id"],
        "definition": "FOREIGN KEY (user_id) REFERENCES public.users(id)",
    }
    reported = drift(
        "add index public.orders.ix_total", "modify type public.orders.total", "add fk public.orders(user_id)"
    )

    assert (
        compare(
            {TOTAL: {"type": "integer"}},
            {TOTAL: {"type": "bigint"}, index: {}, key("constraint", "orders_user_id_fkey", "orders"): unnamed},
            drift=reported,
        )
        == []
    )


def test_stays_quiet_about_a_table_of_one_side_with_all_that_belongs_to_it():
    items: Objects = {
        key("table", "items"): {},
        key("column", "id", "items"): {"type": "integer", "default": "nextval('public.items_id_seq'::regclass)"},
        key("constraint", "items_pkey", "items"): {"type": "primary key", "columns": ["id"]},
        key("sequence", "items_id_seq"): {"type": "integer", "owned_by": "public.items.id"},
    }

    assert compare(items, {}, drift=drift("remove table public.items")) == []
    assert compare(items, {}) == []  # env.py hides it from autogenerate
    assert compare({}, items, drift=drift("add table public.items")) == []


def test_stays_quiet_about_what_env_py_hides():
    assert compare({}, {CHECK: POSITIVE}, hidden=("public.orders",)) == []


def test_stays_quiet_about_what_autogenerate_compares_by_a_library():
    keys = [key("function", "touch(integer)"), key("view", "fr"), key("trigger", "touched", "orders")]
    entities: Objects = {each: {} for each in keys}
    registered = ("public.touch", "public.fr", "public.orders.touched")

    assert compare(entities, {}, hidden=registered) == []
    assert len(compare(entities, {}, hidden=())) == 3


def test_stays_quiet_about_a_view_that_the_models_map_as_a_table():
    view = {key("view", "totals"): {"definition": "SELECT 1"}, key("column", "total", "totals"): {"type": "integer"}}
    table = {key("table", "totals"): {}, key("column", "total", "totals"): {"type": "integer"}}

    assert compare(view, table, drift=drift("add table public.totals")) == []
    assert compare(view, table) == []  # env.py hides it from autogenerate


def test_stays_quiet_about_an_enum_whose_column_is_of_another_type():
    column = key("column", "status", "orders")
    models: Objects = {column: {"type": "public.status"}, STATUS: {"labels": ["new"]}}

    findings = compare({column: {"type": "character varying"}}, models)

    assert [finding.message for finding in findings] == [
        "Column orders.status has the type character varying in the migrations and public.status in the models."
    ]


@pytest.mark.parametrize("name", ["order_check", "ck_total"])
def test_stays_quiet_about_a_name_where_the_model_has_none(name):
    before, after = key("constraint", name, "orders"), key("constraint", "orders_check", "orders")

    assert compare({before: POSITIVE}, {after: POSITIVE}) == []


def test_stays_quiet_about_a_sequence_that_follows_the_type_of_its_column():
    sequence = key("sequence", "orders_total_seq")
    head: Objects = {TOTAL: {"type": "bigint"}, sequence: {"type": "bigint", "owned_by": "public.orders.total"}}
    models: Objects = {TOTAL: {"type": "integer"}, sequence: {"type": "integer", "owned_by": "public.orders.total"}}

    assert compare(head, models, drift=drift("modify type public.orders.total")) == []


def test_stays_quiet_about_the_indentation_of_a_function():
    touch = key("function", "touch()")

    assert (
        compare({touch: {"body": "BEGIN\n  RETURN NEW;\nEND"}}, {touch: {"body": "\n    BEGIN RETURN NEW; END"}}) == []
    )


def test_stays_quiet_about_extensions_and_schemas():
    assert compare({key("extension", "pgcrypto", schema=""): {}, key("schema", "shop", schema=""): {}}, {}) == []


def test_stays_quiet_about_a_constraint_that_is_only_not_validated_yet():
    unfinished = {"type": "check", "definition": "CHECK ((total > 0)) NOT VALID", "validated": False}

    assert compare({CHECK: unfinished}, {CHECK: POSITIVE}) == []


def test_stays_quiet_about_equal_schemas():
    assert compare({CHECK: POSITIVE}, {CHECK: POSITIVE}) == []


def test_is_skipped_without_metadata():
    with pytest.raises(CheckSkipped, match="target_metadata"):
        compare({}, {}, has_metadata=False)


def test_is_skipped_when_the_models_cannot_be_created_and_says_why():
    with pytest.raises(CheckSkipped, match='type "citext" does not exist'):
        compare({}, {}, model_failure=failure('type "citext" does not exist'))


def test_is_skipped_with_the_reason_when_head_was_not_reached():
    with pytest.raises(CheckSkipped, match="b2 does not apply"):
        list(examine(recording(models=snapshot({}), not_observed={"head": "b2 does not apply"})))


@pytest.mark.parametrize(
    ("head", "models", "words"),
    [
        (True, False, "is NOT NULL in the models and not in the migrations"),
        (False, True, "is NOT NULL in the migrations and not in the models"),
    ],
)
def test_not_null_on_one_side_names_that_side(head: bool, models: bool, words: str) -> None:
    [finding] = compare(
        {TOTAL: {"type": "integer", "nullable": head}}, {TOTAL: {"type": "integer", "nullable": models}}
    )

    assert finding.message == f"Column orders.total {words}."


@pytest.mark.parametrize(("length", "ending"), [(159, "x"), (160, "x"), (161, "…")])
def test_a_long_value_is_cut_after_160_characters(length: int, ending: str) -> None:
    value = "x" * length

    [finding] = compare({TOTAL: {"type": "text", "default": value}}, {TOTAL: {"type": "text"}})

    shown = finding.message.partition("default ")[2].partition(" in the")[0]
    assert shown == value[:160] + ending * (ending == "…")


def test_what_the_migrations_grant_no_model_can():
    privileges = {"privileges": {"reader": "SELECT"}}

    assert compare({TOTAL: {"type": "integer", **privileges}}, {TOTAL: {"type": "integer"}}) == []


def test_what_both_grant_is_compared():
    of_head, of_models = ({"privileges": {"reader": rights}} for rights in ("SELECT", "INSERT"))

    [finding] = compare({TOTAL: {"type": "integer", **of_head}}, {TOTAL: {"type": "integer", **of_models}})

    assert "reader SELECT in the migrations and reader INSERT in the models" in finding.message
