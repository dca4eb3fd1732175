"""Tables that PostgreSQL rewrote."""

from __future__ import annotations

import pytest

from app.gate.checks.table_rewrite import examine
from tests.gate.checks.builders import added, altered, failure, key, recording, revision, snapshot, statement, trip

TOTAL = key("column", "total", "orders")
WIDENED = altered(TOTAL, {"type": "integer"}, {"type": "bigint"})
WIDEN = statement(
    "ALTER TABLE orders ALTER total TYPE bigint", locks={"orders": "AccessExclusiveLock"}, rewrites=["orders"], line=12
)


def test_a_column_of_another_type_is_named_with_both_types_and_the_line():
    [finding] = examine(recording(trip(statements=[WIDEN], changes=[WIDENED])))

    assert finding.message == (
        "Reads and writes on orders wait until PostgreSQL has rewritten the whole table, to change total from integer to bigint."
    )
    assert (finding.revision, finding.object, finding.line) == ("a1", "public.orders", 12)
    assert finding.detail == "ALTER TABLE orders ALTER total TYPE bigint"


def test_the_advice_fills_a_column_of_the_new_type_in_batches():
    [finding] = examine(recording(trip(statements=[WIDEN], changes=[WIDENED])))

    assert 'op.execute("ALTER TABLE orders ADD COLUMN IF NOT EXISTS total_new bigint")' in str(finding.help)
    assert "UPDATE orders SET total_new = total WHERE total_new IS NULL" in str(finding.help)


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("ALTER TABLE orders ALTER COLUMN total TYPE jsonb USING to_jsonb(total)", "to_jsonb(total)"),
        ("ALTER TABLE orders ALTER total SET DATA TYPE mood USING upper(total)::mood;", "upper(total)::mood"),
        ("ALTER TABLE orders ALTER total TYPE jsonb USING to_jsonb(total), ADD x integer", None),
    ],
)
def test_the_advice_turns_the_values_as_the_script_does(sql: str, value: str | None):
    widen = statement(sql, locks={"orders": "AccessExclusiveLock"}, rewrites=["orders"])
    new = altered(TOTAL, {"type": "text"}, {"type": "jsonb", "collation": "nocase"})

    [finding] = examine(recording(trip(statements=[widen], changes=[new])))

    assert (f"UPDATE orders SET total_new = {value}" in str(finding.help)) is (value is not None)
    assert ("ADD COLUMN IF NOT EXISTS total_new jsonb COLLATE nocase" in str(finding.help)) is (value is not None)
    assert str(finding.help).startswith("Add a column for the new values")


def test_the_batches_end_where_the_new_value_of_a_row_is_null():
    sql = "ALTER TABLE orders ALTER total TYPE bigint USING nullif(total, 0)"
    widen = statement(sql, locks={"orders": "AccessExclusiveLock"}, rewrites=["orders"])

    [finding] = examine(recording(trip(statements=[widen], changes=[WIDENED])))

    assert "WHERE total_new IS NULL AND (nullif(total, 0)) IS NOT NULL" in str(finding.help)


def test_a_column_that_another_one_is_made_from_is_reported_once_by_the_statement_that_alters_it():
    statements = [
        statement(f"ALTER TABLE orders ALTER COLUMN {name} TYPE json USING settings::json", rewrites=["orders"])
        for name in ("settings", "proposed")
    ]
    changes = [
        altered(key("column", name, "orders"), {"type": "text"}, {"type": "json"}) for name in ("settings", "proposed")
    ]

    [finding] = examine(recording(trip(statements=statements, changes=changes)))

    assert finding.message.endswith(
        "the whole table 2 times, to change settings from text to json and to change proposed from text to json."
    )
    assert str(finding.help).count("ADD COLUMN") == 2


def test_the_rewrites_of_one_table_are_one_finding():
    placed, paid = (key("column", name, "orders") for name in ("placed_at", "paid_at"))
    before, after = {"type": "timestamp without time zone"}, {"type": "timestamp with time zone"}
    statements = [
        statement(f"ALTER TABLE orders ALTER COLUMN {name} TYPE timestamptz", rewrites=["orders"])
        for name in ("placed_at", "paid_at")
    ]

    [finding] = examine(
        recording(trip(statements=statements, changes=[altered(placed, before, after), altered(paid, before, after)]))
    )

    assert (
        "rewritten the whole table 2 times, to change placed_at from timestamp without time zone to" in finding.message
    )
    assert str(finding.help).endswith(
        "    op.execute(\"SET LOCAL TimeZone = 'UTC'\")\n"
        '    op.execute("ALTER TABLE orders ALTER COLUMN placed_at TYPE timestamp with time zone")\n'
        '    op.execute("ALTER TABLE orders ALTER COLUMN paid_at TYPE timestamp with time zone")'
    )


def test_a_default_that_differs_from_row_to_row_is_named():
    add = statement("ALTER TABLE orders ADD COLUMN token uuid DEFAULT gen_random_uuid()", rewrites=["orders"])
    token = added(key("column", "token", "orders"), type="uuid", default="gen_random_uuid()")

    [finding] = examine(recording(trip(statements=[add], changes=[token])))

    assert "because the default of token (gen_random_uuid()) differs for each row" in finding.message
    assert 'server_default=sa.text("gen_random_uuid()")' in str(finding.help)


def test_a_rewrite_without_a_change_of_the_schema_is_reported_all_the_same():
    [finding] = examine(
        recording(trip(statements=[statement("VACUUM FULL orders", rewrites=["orders"], transactional=False)]))
    )

    assert finding.message == "Reads and writes on orders wait until PostgreSQL has rewritten the whole table."


def test_what_only_gives_space_back_gets_advice_of_its_own():
    [finding] = examine(recording(trip(statements=[statement("VACUUM FULL orders", rewrites=["orders"])])))

    assert "pg_repack" in str(finding.help)


def test_a_materialized_view_without_a_unique_index_needs_one_first():
    refresh = statement("REFRESH MATERIALIZED VIEW totals", rewrites=["totals"])
    start = snapshot({key("materialized view", "totals"): {}})

    [finding] = examine(recording(trip(statements=[refresh]), start=start))

    assert str(finding.help).startswith("First create a unique index on it")


def test_a_materialized_view_gets_the_advice_for_it():
    refresh = statement("REFRESH MATERIALIZED VIEW totals", rewrites=["totals"])

    [finding] = examine(recording(trip(statements=[refresh])))

    assert "REFRESH MATERIALIZED VIEW CONCURRENTLY totals" in str(finding.help)


def test_stays_quiet_about_truncate():
    assert list(examine(recording(trip(statements=[statement("TRUNCATE orders", rewrites=["orders"])])))) == []


def test_stays_quiet_about_a_change_of_the_catalog_alone():
    assert (
        list(
            examine(recording(trip(statements=[statement(locks={"orders": "AccessExclusiveLock"})], changes=[WIDENED])))
        )
        == []
    )


def test_stays_quiet_about_the_way_down():
    assert list(examine(recording(trip(undo=[WIDEN])))) == []


def test_stays_quiet_about_a_revision_that_does_not_apply():
    assert list(examine(recording(trip(statements=[WIDEN], up_failure=failure())))) == []


def test_stays_quiet_about_what_is_on_the_base_branch():
    walk = recording(trip("a1", statements=[WIDEN]), revisions=[revision("a1", is_new=False)])

    assert list(examine(walk)) == []


def test_stays_quiet_about_a_table_that_the_same_branch_creates():
    walk = recording(
        trip("a1", changes=[added(key("table", "users"))]),
        trip("b2", changes=[added(key("table", "orders"))]),
        trip("c3", statements=[WIDEN], changes=[WIDENED]),
        revisions=[revision("a1", is_new=False), revision("b2", "a1"), revision("c3", "b2")],
    )

    assert list(examine(walk)) == []
