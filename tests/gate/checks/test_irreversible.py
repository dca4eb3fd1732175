"""Downgrades that were left out, and the many that need none."""

from __future__ import annotations

import re

import pytest

from app.gate.checks.irreversible import examine
from app.gate.checks.round_trip import examine as examine_round_trip
from app.gate.recording.model import Recording
from app.gate.report.verdict import Severity
from tests.gate.checks.builders import (
    added,
    altered,
    failure,
    key,
    python_failure,
    recording,
    revision,
    statement,
    trip,
)

TABLE = added(key("table", "orders"))
COLUMN = added(key("column", "note", "orders"), type="text", nullable=True)
MANY = [
    added(key("table", "notes")),
    COLUMN,
    *(added(key("column", name, "orders"), type="date") for name in ("shipped_at", "sent_at")),
]
PGCRYPTO = added(key("extension", "pgcrypto", schema=""))
VALIDATED = altered(
    key("constraint", "ck", "orders"),
    {"type": "check", "definition": "CHECK (total > 0) NOT VALID", "validated": False},
    {"type": "check", "definition": "CHECK (total > 0)"},
)
BACKFILL = statement("UPDATE orders SET total = 0", written={"orders": 2})


def of_one(body: str, upgrade_body: str = "present", **fields: object) -> Recording:
    """The recording of one revision whose downgrade has that body."""
    script = revision("a1", downgrade_body=body, upgrade_body=upgrade_body)
    return recording(trip("a1", **fields), revisions=[script])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (
            of_one("missing", changes=[COLUMN], down_failure=python_failure("AttributeError")),
            "its script has no downgrade",
        ),
        (
            of_one("empty", changes=[COLUMN], undo=[], left_behind=[COLUMN]),
            "its downgrade does nothing about column orders.note",
        ),
        (
            of_one("empty", changes=MANY, undo=[], left_behind=MANY),
            "its downgrade does nothing about table notes, column orders.note and 2 more",
        ),
        (
            of_one("raises", changes=[COLUMN], down_failure=python_failure("NotImplementedError")),
            "its downgrade raises an exception on purpose",
        ),
        (
            of_one("present", changes=[COLUMN], down_failure=python_failure("RuntimeError", "no way back")),
            "raises an exception on purpose (no way back)",
        ),
        (of_one("present", changes=[COLUMN], undo=[], left_behind=[COLUMN]), "its downgrade does nothing"),
    ],
    ids=["missing", "empty", "empty where much is made", "raises", "refuses after a while", "only prints"],
)
def test_an_omission_is_one_finding_here_and_none_of_round_trip(one, reason):
    [finding] = examine(one)

    assert reason in finding.message
    assert finding.revision == "a1"
    assert list(examine_round_trip(one)) == []


def test_the_downgrade_for_advice_drops_tables_before_those_that_they_refer_to():
    tables = [added(key("table", name)) for name in ("a", "b", "c", "d")]
    references = [
        added(key("constraint", f"{table}_fk", table), type="foreign key", references=f"public.{other}")
        for table, other in (("b", "a"), ("c", "b"), ("a", "d"), ("d", "d"))
    ]

    [finding] = examine(of_one("missing", changes=[*tables, *references]))

    dropped = re.findall(r'drop_table\("(\w)"\)', str(finding.help))
    assert dropped == ["c", "b", "a", "d"]


def test_an_empty_downgrade_that_stops_the_next_upgrade_says_so_and_is_one_finding():
    one = of_one(
        "empty",
        changes=[TABLE],
        undo=[],
        left_behind=[TABLE],
        again_failure=failure('relation "orders" already exists'),
    )

    [finding] = examine(one)

    assert 'the next upgrade fails (relation "orders" already exists)' in finding.message
    assert list(examine_round_trip(one)) == []


def test_rows_that_stop_the_next_upgrade_are_an_omission_of_the_empty_downgrade():
    seeds = statement("INSERT INTO roles VALUES (1, 'admin')", written={"roles": 1})
    one = of_one("empty", statements=[seeds], again_failure=failure("duplicate key value", sqlstate="23505"))

    assert len(list(examine(one))) == 1
    assert list(examine_round_trip(one)) == []


@pytest.mark.parametrize(
    ("said", "severity", "has_code"),
    [("the old values are gone", Severity.NOTICE, False), ("", None, True)],
    ids=["it says why", "it says nothing"],
)
def test_a_downgrade_that_refuses_and_says_why_is_a_notice_without_code(said, severity, has_code):
    [finding] = examine(of_one("raises", changes=[COLUMN], down_failure=python_failure("NotImplementedError", said)))

    assert finding.severity is severity
    assert ("def downgrade" in str(finding.help)) is has_code
    assert "# overproof: allow irreversible" in str(finding.help)


@pytest.mark.parametrize("body", ["missing", "raises"])
def test_a_data_migration_whose_downgrade_refuses_is_irreversible(body):
    one = of_one(
        body, statements=[statement("UPDATE orders SET total = 0")], down_failure=python_failure("NotImplementedError")
    )

    assert len(list(examine(one))) == 1


def test_a_history_without_any_downgrade_is_one_finding():
    names = {"a1": "missing", "b2": "empty", "c3": "raises"}
    walk = recording(
        *(trip(name, changes=[added(key("table", name))], undo=[]) for name in names),
        revisions=[revision(name, downgrade_body=body) for name, body in names.items()],
    )

    [finding] = examine(walk)

    assert finding.revision is None
    assert "none of the 3 scripts" in finding.message
    assert "ignore = irreversible" in str(finding.help)


@pytest.mark.parametrize(
    "one",
    [
        of_one("present", changes=[COLUMN]),
        of_one("empty", "empty", undo=[]),
        of_one("missing", "empty", down_failure=python_failure("AttributeError")),
        of_one("raises", "empty", down_failure=python_failure("NotImplementedError")),
        of_one(
            "raises", statements=[statement("SELECT 1 FROM roles")], down_failure=python_failure("NotImplementedError")
        ),
        of_one("empty", statements=[BACKFILL], undo=[]),
        of_one("empty", changes=[PGCRYPTO], undo=[], left_behind=[PGCRYPTO]),
        of_one("empty", changes=[VALIDATED], undo=[], left_behind=[VALIDATED]),
        of_one("missing", changes=[COLUMN], up_failure=failure()),
    ],
    ids=[
        "a downgrade that is there",
        "a merge",
        "a merge without a downgrade",
        "a merge that refuses to go down",
        "an upgrade that only looked",
        "rows that may stay as they are",
        "an extension that may stay",
        "a constraint that may stay validated",
        "an upgrade that failed",
    ],
)
def test_stays_quiet_about(one):
    assert list(examine(one)) == []
    assert list(examine_round_trip(one)) == []


def test_a_constraint_that_is_validated_without_a_downgrade_stops_all_that_are_before_it():
    missing = of_one(
        "missing", changes=[VALIDATED], statements=[statement("ALTER TABLE orders VALIDATE CONSTRAINT ck")]
    )

    [finding] = examine(missing)

    assert "its script has no downgrade" in finding.message
