"""Upgrades that were killed half way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.gate.checks.interrupted_upgrade import examine
from app.gate.recording.model import Interruption
from app.gate.report.verdict import Severity
from tests.gate.checks.builders import failure, key, recording, statement, trip


def test_a_second_run_that_fails_is_reported_with_the_statement_after_which_the_first_was_killed():
    exists = failure(
        'column "note" of relation "orders" already exists', sqlstate="42701", sql="ALTER TABLE orders ADD note text"
    )
    killed = Interruption(after="CREATE INDEX CONCURRENTLY ix ON orders (note)", line=13, failure=exists)

    [finding] = examine(recording(replace(trip("a1"), interruptions=(killed,))))

    assert finding.message == (
        'a1 cannot be run again after it was killed half way: column "note" of relation "orders" already exists.'
    )
    assert (finding.revision, finding.line) == ("a1", 13)
    assert "Killed after:\nCREATE INDEX CONCURRENTLY ix ON orders (note)" in str(finding.detail)
    assert "ALTER TABLE orders ADD note text" in str(finding.detail)


def test_stays_quiet_about_an_upgrade_that_can_be_run_again():
    assert list(examine(recording(trip("a1")))) == []


def inside(sql, *invalid, failure=None):
    """A statement that was cancelled in the middle, and the indexes that a second run left INVALID."""
    return Interruption(
        sql, 13, failure, is_inside=True, invalid=tuple(key("index", name, "orders", "shop") for name in invalid)
    )


def examined(interruption, *statements):
    of_it = trip("a1", statements=[statement(sql) for sql in statements or [interruption.after]])
    [finding] = examine(recording(replace(of_it, interruptions=(interruption,))))
    return finding


EXISTS = failure('relation "ix" already exists', sqlstate="42P07")


def test_an_index_that_a_second_run_finds_half_built_is_dropped_before_the_build():
    finding = examined(inside("CREATE INDEX CONCURRENTLY ix ON orders (note)", failure=EXISTS))

    assert finding.message == (
        'a1 cannot be run again after its CREATE INDEX CONCURRENTLY was cancelled in the middle: relation "ix" already exists.'
    )
    assert (finding.line, finding.severity) == (13, None)
    assert str(finding.help).endswith(
        "    with op.get_context().autocommit_block():\n"
        '        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix")\n'
        '        op.execute("CREATE INDEX CONCURRENTLY ix ON orders (note)")'
    )


def test_an_index_that_a_second_run_does_not_see_is_named_and_if_not_exists_is_not_advised():
    first = 'CREATE INDEX CONCURRENTLY IF NOT EXISTS "Ix" ON shop.orders (note);'
    second = "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS uq ON ONLY shop.orders (number)"

    finding = examined(inside(second, "uq"), first, "ALTER TABLE orders ADD note text", second)

    assert finding.message == (
        "After CREATE INDEX CONCURRENTLY was cancelled in the middle, a1 can be run again, but index shop.uq on shop.orders stays "
        "INVALID: no query uses it, and duplicates may remain."
    )
    assert str(finding.help).splitlines()[3:] == [
        '        op.execute("DROP INDEX CONCURRENTLY IF EXISTS shop.\\"Ix\\"")',
        '        op.execute("CREATE INDEX CONCURRENTLY \\"Ix\\" ON shop.orders (note)")',
        '        op.execute("DROP INDEX CONCURRENTLY IF EXISTS shop.uq")',
        '        op.execute("CREATE UNIQUE INDEX CONCURRENTLY uq ON ONLY shop.orders (number)")',
    ]


def test_an_index_without_a_name_is_to_get_one():
    finding = examined(inside("CREATE INDEX CONCURRENTLY ON orders (note)", "orders_note_idx"))

    assert "Give the index a name" in str(finding.help)


@pytest.mark.parametrize(
    ("sql", "invalid", "advice"),
    [
        ("CREATE UNIQUE INDEX CONCURRENTLY ix ON orders (note)", [], "DROP INDEX CONCURRENTLY IF EXISTS ix"),
        (
            "ALTER TABLE orders DETACH PARTITION old CONCURRENTLY",
            [],
            "    ALTER TABLE orders DETACH PARTITION old FINALIZE;\n\nand tell Alembic:\n\n    alembic stamp a1",
        ),
        ("REINDEX TABLE CONCURRENTLY shop.orders", ["ix_ccnew"], "DROP INDEX CONCURRENTLY IF EXISTS shop.ix_ccnew"),
    ],
)
def test_what_needs_a_person_in_any_case_or_harms_little_is_a_notice(sql, invalid, advice):
    finding = examined(inside(sql, *invalid, failure=None if invalid else EXISTS))

    assert finding.severity is Severity.NOTICE
    assert advice in str(finding.help)
