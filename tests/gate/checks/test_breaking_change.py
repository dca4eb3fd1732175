"""What older code stumbles on."""

from __future__ import annotations

import pytest

from app.gate.checks.breaking_change import examine
from tests.gate.checks.builders import added, altered, key, recording, removed, revision, statement, trip

TABLE = key("table", "orders")
NOTE = key("column", "note", "orders")
TEXT = {"type": "text", "nullable": True}
STATUS = {"type": "check", "definition": "CHECK ((status = ANY (ARRAY['new'::text, 'paid'::text])))"}


def messages(*changes, **fields):
    return [finding.message for finding in examine(recording(trip(changes=changes, **fields)))]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([removed(TABLE)], "Table orders is gone: code that still uses it fails."),
        ([removed(NOTE, **TEXT)], "Column orders.note is gone: code that still reads or writes it fails."),
        (
            [removed(NOTE, **TEXT), added(key("column", "remark", "orders"), **TEXT)],
            "Column orders.note is now called remark: code that still reads or writes it fails.",
        ),
        (
            [added(NOTE, type="text", nullable=False)],
            "Column orders.note must be given and has no default: INSERTs of older code fail.",
        ),
        (
            [altered(NOTE, TEXT, {"type": "text", "nullable": False})],
            "Column orders.note is now NOT NULL: older code that leaves it empty fails.",
        ),
        (
            [altered(NOTE, {"type": "text", "nullable": False, "default": "''"}, {"type": "text", "nullable": False})],
            "Column orders.note has lost its default: INSERTs of older code that leave it out fail.",
        ),
        (
            [altered(NOTE, TEXT, {"type": "integer", "nullable": True})],
            "Column orders.note was text and is now integer: older code reads or writes something else.",
        ),
        (
            [altered(NOTE, TEXT, {**TEXT, "generated": "lower(note)"})],
            "Column orders.note is now generated: older code that writes it fails.",
        ),
        (
            [added(key("constraint", "ck", "orders"), type="check", definition="CHECK ((total > 0))")],
            "Check constraint ck on orders is new: what older code writes may be refused.",
        ),
        (
            [added(key("index", "uq", "orders"), unique=True, definition="USING btree (number)")],
            "Index uq on orders is new: what older code writes may be refused.",
        ),
        (
            [altered(key("enum", "status"), {"labels": ["new", "old"]}, {"labels": ["new"]})],
            "Enum status no longer has 'old': older code that writes it fails.",
        ),
        (
            [
                altered(
                    key("constraint", "ck", "orders"),
                    STATUS,
                    {"type": "check", "definition": "CHECK ((status = 'new'::text))"},
                )
            ],
            "Check constraint ck on orders no longer allows 'paid': older code that writes it fails.",
        ),
        (
            [removed(key("function", "total(integer)"), returns="integer")],
            "Function total(integer) is gone: code that still calls it fails.",
        ),
        ([removed(key("view", "totals"))], "View totals is gone: code that still uses it fails."),
    ],
)
def test_each_kind_of_break_is_told_with_who_fails(changes, message):
    assert messages(*changes) == [message]


def test_a_renamed_table_is_told_by_its_new_name_and_not_by_its_columns():
    changes = [
        removed(TABLE),
        removed(NOTE, **TEXT),
        added(key("table", "purchases")),
        added(key("column", "note", "purchases"), **TEXT),
        added(key("constraint", "ck", "purchases"), type="check", definition="CHECK ((note <> ''::text))"),
    ]

    assert messages(*changes) == ["Table orders is now called purchases: code that still uses it fails."]


def test_the_breaks_of_one_table_are_one_finding_at_the_first_statement():
    drops = [
        statement("ALTER TABLE orders DROP COLUMN note", line=12),
        statement("ALTER TABLE orders DROP COLUMN total", line=13),
    ]
    changes = [removed(NOTE, **TEXT), removed(key("column", "total", "orders"), type="integer", nullable=True)]

    [finding] = examine(recording(trip(statements=drops, changes=changes)))

    assert (
        finding.message
        == "Code of the release before breaks on orders in 2 ways: column orders.note and column orders.total."
    )
    assert finding.line == 12


@pytest.mark.parametrize(
    "changes",
    [
        [added(TABLE), added(NOTE, type="text", nullable=False)],
        [added(NOTE, **TEXT)],
        [added(NOTE, type="text", nullable=False, default="''")],
        [added(NOTE, type="bigint", nullable=False, identity="always")],
        [altered(NOTE, {"type": "text", "nullable": False}, TEXT)],
        [altered(NOTE, {"type": "character varying(10)"}, {"type": "character varying(20)"})],
        [altered(NOTE, TEXT, {**TEXT, "comment": "free text"})],
        [added(key("index", "ix", "orders"), definition="USING btree (note)")],
        [removed(key("constraint", "ck", "orders"), **STATUS)],
        [
            added(NOTE, **TEXT),
            added(key("constraint", "ck", "orders"), type="check", definition="CHECK ((note <> ''::text))"),
        ],
        [
            removed(key("constraint", "ck", "orders"), **STATUS),
            added(key("constraint", "ck_status", "orders"), **STATUS),
        ],
        [
            altered(
                key("constraint", "ck", "orders"),
                STATUS,
                {
                    "type": "check",
                    "definition": "CHECK ((status = ANY (ARRAY['new'::text, 'paid'::text, 'sent'::text])))",
                },
            )
        ],
        [altered(key("enum", "status"), {"labels": ["new"]}, {"labels": ["new", "paid"]})],
        [removed(TABLE), added(key("view", "orders"))],
        [removed(key("function", "touch()"), returns="trigger")],
        [removed(key("index", "ix", "orders"), definition="USING btree (note)")],
    ],
    ids=[
        "a new table",
        "a nullable column",
        "a column with a default",
        "a column with identity",
        "NOT NULL that goes",
        "a wider type",
        "a comment",
        "an index that is not unique",
        "a constraint that goes",
        "a constraint on a new column",
        "a constraint by another name",
        "a CHECK that allows more",
        "a label more",
        "a view in the place of the table",
        "a trigger's function",
        "an index that goes",
    ],
)
def test_stays_quiet_about(changes):
    assert messages(*changes) == []


def test_stays_quiet_about_a_table_that_the_same_branch_creates():
    walk = recording(
        trip("a1"),
        trip("b2", changes=[added(TABLE), added(NOTE, **TEXT)]),
        trip("c3", changes=[removed(NOTE, **TEXT)]),
        revisions=[revision("a1", is_new=False), revision("b2", "a1"), revision("c3", "b2")],
    )

    assert list(examine(walk)) == []
