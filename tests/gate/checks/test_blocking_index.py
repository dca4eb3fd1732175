"""Indexes that are built or dropped while nobody may write."""

from __future__ import annotations

import pytest

from app.gate.checks.blocking_index import examine
from tests.gate.checks.builders import added, key, recording, removed, snapshot, statement, trip

INDEX = key("index", "ix_total", "orders")
ON_TOTAL = {"definition": "USING btree (total)"}
SHARE = {"orders": "ShareLock"}


def test_an_index_is_named_with_its_table_and_built_concurrently_in_the_advice():
    build = statement(
        "CREATE INDEX ix_total ON orders (total)", locks=SHARE, scans=["orders"], index_builds=["orders"], line=12
    )

    [finding] = examine(recording(trip(statements=[build], changes=[added(INDEX, **ON_TOTAL)])))

    assert finding.message == "Writes on orders wait until index ix_total is built."
    assert (finding.object, finding.line) == ("public.orders", 12)
    assert str(finding.help).endswith(
        "    with op.get_context().autocommit_block():\n"
        '        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_total")\n'
        '        op.create_index("ix_total", "orders", ["total"], postgresql_concurrently=True)'
    )


def test_an_index_that_op_cannot_say_is_built_with_its_own_definition():
    build = statement(
        "CREATE UNIQUE INDEX ix_total ON orders (lower(note)) WHERE total > 0", locks=SHARE, index_builds=["orders"]
    )
    partial = added(INDEX, definition="USING btree (lower(note)) WHERE (total > 0)", unique=True)

    [finding] = examine(recording(trip(statements=[build], changes=[partial])))

    assert "CREATE UNIQUE INDEX CONCURRENTLY ix_total ON orders USING btree (lower(note)) WHERE (total > 0)" in str(
        finding.help
    )


def test_a_unique_constraint_takes_over_an_index_in_the_advice():
    add = statement(
        "ALTER TABLE orders ADD CONSTRAINT uq UNIQUE (number)",
        locks={"orders": "AccessExclusiveLock"},
        index_builds=["orders"],
    )
    unique = added(key("constraint", "uq", "orders"), type="unique", columns=["number"], definition="UNIQUE (number)")

    [finding] = examine(recording(trip(statements=[add], changes=[unique])))

    assert finding.message == "Reads and writes on orders wait until the index of unique constraint uq is built."
    assert "ALTER TABLE orders ADD CONSTRAINT uq UNIQUE USING INDEX uq" in str(finding.help)


def test_an_exclusion_constraint_has_no_way_around():
    add = statement(
        "ALTER TABLE orders ADD CONSTRAINT ex EXCLUDE …",
        locks={"orders": "AccessExclusiveLock"},
        index_builds=["orders"],
    )
    exclude = added(key("constraint", "ex", "orders"), type="exclude", definition="EXCLUDE USING gist (during WITH &&)")

    [finding] = examine(recording(trip(statements=[add], changes=[exclude])))

    assert "Where PostgreSQL cannot do that, as for EXCLUDE" in str(finding.help)


def test_the_indexes_of_one_table_are_one_finding():
    builds = [
        statement(f"CREATE INDEX ix_{column} ON orders ({column})", locks=SHARE, index_builds=["orders"], line=line)
        for line, column in enumerate(["a", "b"], start=12)
    ]
    made = [
        added(key("index", f"ix_{column}", "orders"), definition=f"USING btree ({column})") for column in ("a", "b")
    ]

    [finding] = examine(recording(trip(statements=builds, changes=made)))

    assert finding.message == "Writes on orders wait until index ix_a and index ix_b are built."
    assert str(finding.help).count("autocommit_block") == 2
    assert finding.line == 12


def test_an_index_whose_name_is_known_is_not_taken_for_one_over_more_columns():
    statements = [
        statement("CREATE INDEX ix_a ON orders (a)", locks={"orders": "ShareLock"}, index_builds=["orders"]),
        statement("CREATE INDEX ix_ab ON orders (a, b)", locks={"orders": "ShareLock"}, index_builds=["orders"]),
    ]
    changes = [
        added(key("index", "ix_a", "orders"), definition="USING btree (a)"),
        added(key("index", "ix_ab", "orders"), definition="USING btree (a, b)"),
    ]

    [finding] = examine(recording(trip(statements=statements, changes=changes)))

    assert finding.message == "Writes on orders wait until index ix_a and index ix_ab are built."


def test_an_index_that_leaves_no_change_is_reported_from_its_statement():
    build = statement("CREATE UNIQUE INDEX ix ON orders (lower(note)) ;", locks=SHARE, index_builds=["orders"])

    [finding] = examine(recording(trip(statements=[build])))

    assert finding.message == "Writes on orders wait until index ix is built."
    assert 'op.execute("CREATE UNIQUE INDEX CONCURRENTLY ix ON orders (lower(note))")' in str(finding.help)


def test_reads_wait_too_where_an_earlier_statement_has_locked_them_out():
    first = statement("ALTER TABLE orders ADD total int", locks={"orders": "AccessExclusiveLock"})
    build = statement("CREATE INDEX ix_total ON orders (total)", locks=SHARE, index_builds=["orders"])

    [finding] = examine(recording(trip(statements=[first, build])))

    assert finding.message.startswith("Reads and writes on orders")


def test_a_build_outside_of_the_transaction_but_without_concurrently_is_a_finding():
    build = statement(
        "CREATE INDEX ix_total ON orders (total)", locks=SHARE, index_builds=["orders"], transactional=False
    )

    [finding] = examine(recording(trip(statements=[build])))

    assert finding.message.startswith("Writes on orders")


def test_reindex_gets_the_advice_for_it():
    [finding] = examine(
        recording(trip(statements=[statement("REINDEX TABLE orders", locks=SHARE, index_builds=["orders"])]))
    )

    assert "REINDEX TABLE CONCURRENTLY orders" in str(finding.help)


@pytest.mark.parametrize(
    ("added", "words"),
    [
        ("PRIMARY KEY (id)", "the primary key"),
        ("UNIQUE (id)", "the unique constraint"),
        ("CONSTRAINT c UNIQUE (id)", "c"),
    ],
)
def test_a_constraint_that_is_made_again_takes_over_an_index_in_the_advice(added: str, words: str):
    sql = f"ALTER TABLE orders ADD {added}"
    add = statement(sql, locks={"orders": "AccessExclusiveLock"}, index_builds=["orders"])

    [finding] = examine(recording(trip(statements=[add])))

    assert finding.message == f"Reads and writes on orders wait until the index of {words} is built."
    assert "let the constraint take it over (ADD CONSTRAINT … USING INDEX)" in str(finding.help)
    assert "REINDEX" not in str(finding.help)


def test_what_some_of_several_constraints_need_is_said_beside_the_code_for_the_rest():
    statements = [
        statement(sql, locks={"orders": "AccessExclusiveLock"}, index_builds=["orders"])
        for sql in ("CREATE INDEX ix_total ON orders (total)", "ALTER TABLE orders ADD PRIMARY KEY (id)")
    ]

    [finding] = examine(recording(trip(statements=statements)))

    assert finding.message.endswith("wait until index ix_total and the index of the primary key are built.")
    assert "CREATE INDEX CONCURRENTLY ix_total" in str(finding.help)
    assert "USING INDEX" in str(finding.help)


def test_a_column_of_another_type_is_not_advised_to_be_indexed_again():
    sql = "ALTER TABLE orders ALTER COLUMN note TYPE citext"
    retype = statement(sql, locks={"orders": "AccessExclusiveLock"}, index_builds=["orders"])

    [finding] = examine(recording(trip(statements=[retype])))

    assert finding.message == "Reads and writes on orders wait until its indexes are rebuilt."
    assert "add a new column whose index is built concurrently" in str(finding.help)
    assert "REINDEX" not in str(finding.help)


def test_dropping_an_index_is_a_finding():
    drop = statement("\nDROP INDEX ix_total", locks={"orders": "AccessExclusiveLock"})

    [finding] = examine(recording(trip(statements=[drop], changes=[removed(INDEX, **ON_TOTAL)])))

    assert finding.message.startswith("Reads and writes on orders wait behind this DROP INDEX")
    assert 'op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_total")' in str(finding.help)


def test_an_index_that_is_dropped_with_its_table_is_no_hazard_unless_the_table_is_only_renamed():
    drop = statement("DROP INDEX ix_total", locks={"orders": "AccessExclusiveLock"})
    table = key("table", "orders")
    changes = [removed(INDEX, **ON_TOTAL), removed(table)]

    assert list(examine(recording(trip(statements=[drop], changes=changes)))) == []
    renamed = trip(statements=[drop], changes=changes, renamed=[(table, key("table", "purchases"))])
    assert len(list(examine(recording(renamed)))) == 1


@pytest.mark.parametrize(
    "only",
    [
        statement("CREATE INDEX CONCURRENTLY ix ON orders (total)", index_builds=["orders"], transactional=False),
        statement("DROP INDEX CONCURRENTLY ix", transactional=False),
        statement("CREATE INDEX ix ON items (total)"),
        statement("ALTER TABLE orders ALTER a TYPE bigint", locks=SHARE, index_builds=["orders"], rewrites=["orders"]),
        statement("ALTER TABLE orders DROP CONSTRAINT uq", locks={"orders": "AccessExclusiveLock"}),
        statement("DROP INDEX ix_of_a_new_table"),
    ],
    ids=[
        "concurrently",
        "dropped concurrently",
        "a new table",
        "a rewrite",
        "a constraint that goes",
        "an index of a new table",
    ],
)
def test_stays_quiet_about(only):
    assert list(examine(recording(trip(statements=[only])))) == []


@pytest.mark.parametrize(
    ("timeout_ms", "is_found"),
    [(0, True), (2000, False)],
    ids=["waits for ever", "gives up"],
)
def test_the_index_of_a_partitioned_table_can_be_dropped_with_a_lock_timeout_alone(timeout_ms: int, is_found: bool):
    drop = statement("DROP INDEX ix", locks={"hit": "AccessExclusiveLock"}, lock_timeout_ms=timeout_ms)
    start = snapshot({key("table", "hit"): {"partition_by": "RANGE (day)"}, key("index", "ix", "hit"): {}})

    found = list(examine(recording(trip(statements=[drop], changes=[removed(key("index", "ix", "hit"))]), start=start)))

    assert bool(found) is is_found
    assert all("cannot drop the index of a partitioned table concurrently" in str(each.help) for each in found)


def test_an_index_that_goes_with_its_table_is_no_finding():
    drop = statement("DROP INDEX ix", locks={"orders": "AccessExclusiveLock"})
    changes = [removed(key("index", "ix", "orders")), removed(key("table", "orders"))]

    assert list(examine(recording(trip(statements=[drop], changes=changes)))) == []


def test_an_index_of_a_table_that_goes_does_not_hide_another():
    drop = {
        name: statement(f"DROP INDEX ix_{name}", locks={name: "AccessExclusiveLock"})
        for name in ("customers", "orders")
    }
    gone = statement("DROP TABLE customers", locks={"customers": "AccessExclusiveLock"})
    changes = [
        *(removed(key("index", f"ix_{name}", name), **ON_TOTAL) for name in drop),
        removed(key("table", "customers")),
    ]

    found = list(examine(recording(trip(statements=[drop["customers"], gone, drop["orders"]], changes=changes))))

    assert [each.object for each in found] == ["public.orders"]


def test_dropping_an_index_that_another_statement_has_made_is_a_finding_without_code():
    drop = statement("DROP INDEX ix_total", locks={"orders": "AccessExclusiveLock"})

    [finding] = examine(recording(trip(statements=[drop])))

    assert (finding.subject, finding.help) == ("drop", "Drop it concurrently, outside the transaction.")


def test_of_what_a_statement_changes_only_new_indexes_are_built_again_in_the_advice():
    build = statement("CREATE INDEX ix_total ON orders (total)", locks=SHARE, index_builds=["orders"])
    others = [
        added(key("column", "total", "orders"), type="integer"),
        removed(key("index", "ix_total_old", "orders"), **ON_TOTAL),
    ]

    [finding] = examine(recording(trip(statements=[build], changes=[*others, added(INDEX, **ON_TOTAL)])))

    assert finding.message == "Writes on orders wait until index ix_total is built."
    assert "ix_total_old" not in str(finding.help)
