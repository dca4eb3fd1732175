"""Tables that are read from end to end while others wait."""

from __future__ import annotations

import pytest

from app.gate.checks.blocking_scan import examine
from tests.gate.checks.builders import added, altered, key, recording, removed, statement, trip

CHECK = added(key("constraint", "ck_total", "orders"), type="check", definition="CHECK ((total > 0))")
ADD_CHECK = "ALTER TABLE orders ADD CONSTRAINT ck_total CHECK (total > 0)"
EXCLUSIVE = {"orders": "AccessExclusiveLock"}


def test_a_check_that_is_validated_at_once_is_named():
    add = statement(ADD_CHECK, locks=EXCLUSIVE, scans=["orders"], line=12)

    [finding] = examine(recording(trip(statements=[add], changes=[CHECK])))

    assert finding.message == (
        "Reads and writes on orders wait until PostgreSQL has scanned the whole of orders, for check constraint ck_total."
    )
    assert (finding.object, finding.line) == ("public.orders", 12)
    assert 'op.execute("ALTER TABLE orders ADD CONSTRAINT ck_total CHECK ((total > 0)) NOT VALID")' in str(finding.help)
    assert 'op.execute("ALTER TABLE orders VALIDATE CONSTRAINT ck_total")' in str(finding.help)


def test_a_foreign_key_is_one_finding_that_names_both_tables():
    add = statement(
        "ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users",
        locks={"orders": "ShareRowExclusiveLock", "users": ["ShareRowExclusiveLock", "RowShareLock"]},
        scans=["orders", "users"],
    )
    unnamed = added(
        key("constraint", "orders_user_id_fkey", "orders"),
        type="foreign key",
        columns=["user_id"],
        definition="FOREIGN KEY (user_id) REFERENCES public.users(id)",
    )

    [finding] = examine(recording(trip(statements=[add], changes=[unnamed])))

    assert finding.message.startswith(
        "Writes on orders and users wait until PostgreSQL has scanned the whole of orders, for foreign key"
    )
    assert "ADD CONSTRAINT orders_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) NOT VALID" in str(
        finding.help
    )


def test_who_waits_is_reported_table_by_table():
    statements = [
        statement("ALTER TABLE orders ADD COLUMN user_id integer", locks=EXCLUSIVE, line=12),
        statement(
            "ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users",
            locks={"orders": "ShareRowExclusiveLock", "users": ["ShareRowExclusiveLock", "RowShareLock"]},
            scans=["orders"],
            line=13,
        ),
    ]

    [finding] = examine(recording(trip(statements=statements)))

    assert finding.message.startswith(
        "Reads and writes on orders, and writes on users, wait until PostgreSQL has scanned the"
    )


@pytest.mark.parametrize("before", [{"type": "text", "nullable": True}, None], ids=["an older column", "a new column"])
def test_not_null_gets_the_advice_with_a_check_that_proves_it(before):
    alter = statement("ALTER TABLE orders ALTER COLUMN note SET NOT NULL", locks=EXCLUSIVE, scans=["orders"])
    note = altered(key("column", "note", "orders"), before, {"type": "text", "nullable": False})

    [finding] = examine(recording(trip(statements=[alter], changes=[note])))

    assert "ADD CONSTRAINT ck_orders_note_not_null CHECK (note IS NOT NULL) NOT VALID" in str(finding.help)
    assert 'op.alter_column("orders", "note", nullable=False)' in str(finding.help)
    assert 'op.drop_constraint("ck_orders_note_not_null", "orders", type_="check")' in str(finding.help)


def test_validating_under_the_lock_of_the_statement_that_added_it_is_a_finding():
    add = statement(f"{ADD_CHECK} NOT VALID", locks=EXCLUSIVE, line=12)
    validate = statement(
        "ALTER TABLE orders VALIDATE CONSTRAINT ck_total",
        locks={"orders": "ShareUpdateExclusiveLock"},
        scans=["orders"],
        line=13,
    )

    [finding] = examine(recording(trip(statements=[add, validate], changes=[CHECK])))

    assert finding.line == 13
    assert finding.message.endswith("for check constraint ck_total; blocked since line 12.")


def test_a_statement_that_finds_the_lock_held_says_since_when():
    first = statement("ALTER TABLE orders ADD note text", locks=EXCLUSIVE, line=12)
    second = statement("ALTER TABLE orders ALTER COLUMN note SET NOT NULL", scans=["orders"], line=13)

    [finding] = examine(recording(trip(statements=[first, second])))

    assert finding.message.endswith("scanned the whole of orders, for NOT NULL of note; blocked since line 12.")


def test_the_scans_of_one_table_are_one_finding_with_all_of_the_code():
    statements = [
        statement("ALTER TABLE orders ALTER COLUMN note SET NOT NULL", locks=EXCLUSIVE, scans=["orders"], line=12),
        statement(ADD_CHECK, scans=["orders"], line=13),
    ]
    note = altered(
        key("column", "note", "orders"), {"type": "text", "nullable": True}, {"type": "text", "nullable": False}
    )

    [finding] = examine(recording(trip(statements=statements, changes=[note, CHECK])))

    assert finding.message == (
        "Reads and writes on orders wait until PostgreSQL has scanned the whole of orders 2 times, for NOT NULL of note and "
        "check constraint ck_total."
    )
    assert finding.line == 12
    assert str(finding.help).count("VALIDATE CONSTRAINT") == 2


def test_a_constraint_that_was_dropped_and_made_again_is_reported_from_its_statement():
    again = statement(
        "ALTER TABLE orders ADD CONSTRAINT fk FOREIGN KEY(a) REFERENCES users (id)", locks=EXCLUSIVE, scans=["orders"]
    )

    [finding] = examine(recording(trip(statements=[again])))

    assert finding.message.endswith("the whole of orders, for fk.")
    assert 'op.execute("ALTER TABLE orders VALIDATE CONSTRAINT fk")' in str(finding.help)


def test_each_reason_is_named_where_only_the_statements_tell_them():
    statements = [
        statement("ALTER TABLE orders ALTER COLUMN new_id SET NOT NULL", locks=EXCLUSIVE, scans=["orders"]),
        statement("ALTER TABLE orders ADD FOREIGN KEY(a) REFERENCES users (id) ON DELETE CASCADE", scans=["orders"]),
    ]

    [finding] = examine(recording(trip(statements=statements)))

    assert finding.message.endswith("the whole of orders 2 times, for NOT NULL of new_id and foreign key of a.")
    assert "CHECK (new_id IS NOT NULL) NOT VALID" in str(finding.help)
    assert (
        'op.execute("ALTER TABLE orders ADD CONSTRAINT orders_a_fkey FOREIGN KEY(a) REFERENCES users (id) ON DELETE CASCADE NOT VALID")'
        in str(finding.help)
    )
    assert 'op.execute("ALTER TABLE orders VALIDATE CONSTRAINT orders_a_fkey")' in str(finding.help)


def test_no_number_is_reported_where_a_reason_is_not_known():
    statements = [
        statement("ALTER TABLE orders ALTER COLUMN note SET NOT NULL", locks=EXCLUSIVE, scans=["orders"]),
        statement("ALTER TABLE sales ATTACH PARTITION orders DEFAULT", locks=EXCLUSIVE, scans=["orders"]),
    ]

    [finding] = examine(recording(trip(statements=statements)))

    assert finding.message.endswith("has scanned the whole of orders, for NOT NULL of note.")


def test_stays_quiet_about_a_required_column_that_only_an_empty_table_can_take():
    add = statement("ALTER TABLE orders ADD COLUMN note TEXT NOT NULL", locks=EXCLUSIVE, scans=["orders"])
    note = added(key("column", "note", "orders"), type="text", nullable=False)

    assert list(examine(recording(trip(statements=[add], changes=[note])))) == []


def test_a_do_block_is_seen_like_anything_else():
    block = statement(
        "DO $$ BEGIN EXECUTE 'ALTER TABLE ' || t || ' ADD CHECK (a > 0)'; END $$", locks=EXCLUSIVE, scans=["orders"]
    )

    [finding] = examine(recording(trip(statements=[block])))

    assert "scanned the whole of orders." in finding.message
    assert "NOT VALID" in str(finding.help)


@pytest.mark.parametrize(
    "statements",
    [
        [
            statement(
                "ALTER TABLE orders VALIDATE CONSTRAINT ck",
                locks={"orders": "ShareUpdateExclusiveLock"},
                scans=["orders"],
            )
        ],
        [
            statement(
                "UPDATE orders SET a = 1", locks={"orders": "RowExclusiveLock"}, scans=["orders"], written={"orders": 2}
            )
        ],
        [statement("ALTER TABLE orders ALTER a TYPE bigint", locks=EXCLUSIVE, scans=["orders"], rewrites=["orders"])],
        [
            statement(
                "CREATE INDEX ix ON orders (a)",
                locks={"orders": "ShareLock"},
                scans=["orders"],
                index_builds=["orders"],
            )
        ],
        [
            statement("ALTER TABLE orders ADD a int", locks=EXCLUSIVE),
            statement("UPDATE orders SET a = 1", scans=["orders"]),
        ],
        [
            statement("ALTER TABLE orders ADD a int", locks=EXCLUSIVE),
            statement("SELECT 1", transactional=False),
            statement("ALTER TABLE orders VALIDATE CONSTRAINT ck", scans=["orders"]),
        ],
    ],
    ids=[
        "VALIDATE by itself",
        "an UPDATE",
        "a rewrite, which is table-rewrite's",
        "an index, which is blocking-index's",
        "a backfill, which is lock-pileup's",
        "a lock that a commit has released",
    ],
)
def test_stays_quiet_about(statements):
    assert list(examine(recording(trip(statements=statements)))) == []


def test_a_required_column_that_is_only_renamed_does_not_make_the_table_one_that_has_to_be_empty():
    old, new = key("column", "number", "orders"), key("column", "serial_number", "orders")
    required = {"type": "integer", "nullable": False}
    check = statement(
        "ALTER TABLE orders ADD CONSTRAINT ck CHECK (serial_number > 0)",
        locks={"orders": "AccessExclusiveLock"},
        scans=["orders"],
    )
    changes = [removed(old, **required), added(new, **required)]

    assert len(list(examine(recording(trip(statements=[check], changes=changes, renamed=[(old, new)]))))) == 1
    assert list(examine(recording(trip(statements=[check], changes=changes)))) == []


NULLABLE, REQUIRED = {"type": "text", "nullable": True}, {"type": "text", "nullable": False}


def test_of_the_columns_of_one_statement_those_are_named_that_become_required():
    alter = statement(
        "ALTER TABLE orders ALTER note SET NOT NULL, ALTER total SET NOT NULL, ALTER total TYPE varchar, ALTER email DROP NOT NULL",
        locks=EXCLUSIVE,
        scans=["orders"],
    )
    changes = [
        altered(key("column", "note", "orders"), NULLABLE, REQUIRED),
        altered(key("column", "total", "orders"), REQUIRED, {**REQUIRED, "type": "varchar"}),  # it was so before
        altered(key("column", "email", "orders"), REQUIRED, NULLABLE),
    ]

    [finding] = examine(recording(trip(statements=[alter], changes=changes)))

    assert finding.subject == "not-null note"
    assert finding.message.endswith("the whole of orders, for NOT NULL of note.")
