"""What older code stumbles on."""

from __future__ import annotations

import pytest

from app.gate.checks.breaking_change import examine
from tests.gate.checks.builders import added, altered, key, recording, removed, revision, snapshot, statement, trip

TABLE = key("table", "orders")
NOTE = key("column", "note", "orders")
TEXT = {"type": "text", "nullable": True}
STATUS = {"type": "check", "definition": "CHECK ((status = ANY (ARRAY['new'::text, 'paid'::text])))"}


def _bounds(least: int, most: int) -> dict[str, str]:
    return {"type": "check", "definition": f"CHECK (((total >= {least}) AND (total <= {most})))"}


def messages(*changes, **fields):
    return [finding.message for finding in examine(recording(trip(changes=changes, **fields)))]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([removed(TABLE)], "Table orders is dropped: code that still uses it fails."),
        ([removed(NOTE, **TEXT)], "Column orders.note is dropped: code that still reads or writes it fails."),
        (
            [removed(NOTE, **TEXT), added(key("column", "remark", "orders"), **TEXT)],
            "Column orders.note is renamed to remark: code that still reads or writes it fails.",
        ),
        (
            [added(NOTE, type="text", nullable=False)],
            "Column orders.note is required and has no default: INSERTs of older code fail.",
        ),
        (
            [altered(NOTE, TEXT, {"type": "text", "nullable": False})],
            "Column orders.note is now NOT NULL: older code that leaves it NULL fails.",
        ),
        (
            [altered(NOTE, {"type": "text", "nullable": False, "default": "''"}, {"type": "text", "nullable": False})],
            "Column orders.note has lost its default: INSERTs of older code that omit it fail.",
        ),
        (
            [altered(NOTE, TEXT, {"type": "integer", "nullable": True})],
            "Column orders.note changes from text to integer: older code reads or writes other values.",
        ),
        (
            [altered(NOTE, TEXT, {**TEXT, "generated": "lower(note)"})],
            "Column orders.note is now generated: older code that writes it fails.",
        ),
        (
            [added(key("constraint", "ck", "orders"), type="check", definition="CHECK ((total > 0))")],
            "Check constraint ck on orders is new: it may refuse what older code writes.",
        ),
        (
            [added(key("index", "uq", "orders"), unique=True, definition="USING btree (number)")],
            "Index uq on orders is new: it may refuse what older code writes.",
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
            [altered(key("constraint", "ck", "orders"), _bounds(0, 100), _bounds(0, 99))],
            "Check constraint ck on orders has narrower bounds: older code that writes values outside them fails.",
        ),
        (
            [
                removed(key("constraint", "ck", "orders"), **_bounds(0, 9)),
                added(key("constraint", "c", "orders"), **_bounds(1, 9)),
            ],
            "Check constraint c on orders is new: it may refuse what older code writes.",
        ),
        (
            [removed(key("function", "total(integer)"), returns="integer")],
            "Function total(integer) is dropped: code that still calls it fails.",
        ),
        ([removed(key("view", "totals"))], "View totals is dropped: code that still uses it fails."),
    ],
)
def test_each_kind_of_break_is_reported_with_who_fails(changes, message):
    assert messages(*changes) == [message]


def test_a_renamed_table_is_reported_by_its_new_name_and_not_by_its_columns():
    changes = [
        removed(TABLE),
        removed(NOTE, **TEXT),
        added(key("table", "purchases")),
        added(key("column", "note", "purchases"), **TEXT),
        added(key("constraint", "ck", "purchases"), type="check", definition="CHECK ((note <> ''::text))"),
    ]

    assert messages(*changes) == ["Table orders is renamed to purchases: code that still uses it fails."]


def test_a_table_that_is_renamed_and_changed_at_once_is_reported_by_its_new_name_and_where_that_was_given():
    statements = [
        statement("ALTER TABLE orders RENAME note TO remark", line=12),
        statement("ALTER TABLE orders ADD COLUMN total integer", line=13),
        statement('ALTER TABLE public.orders RENAME TO "Purchases"', line=14),
        statement("ALTER TABLE users DROP COLUMN orders", line=15),
    ]
    changes = [
        removed(TABLE),
        removed(NOTE, **TEXT),
        added(key("table", "Purchases")),
        added(key("column", "remark", "Purchases"), **TEXT),
        added(key("column", "total", "Purchases"), type="integer", nullable=True),
    ]

    [finding] = examine(recording(trip(statements=statements, changes=changes)))

    assert finding.message == "Table orders is renamed to Purchases: code that still uses it fails."
    assert (finding.line, finding.detail) == (14, 'ALTER TABLE public.orders RENAME TO "Purchases"')


def test_a_dropped_table_is_shown_with_the_statement_that_drops_it():
    statements = [
        statement("ALTER TABLE orders DROP CONSTRAINT fk", line=12),
        statement("DROP TABLE IF EXISTS orders CASCADE", line=13),
        statement("ALTER TABLE users DROP COLUMN orders", line=14),
    ]

    [finding] = examine(recording(trip(statements=statements, changes=[removed(TABLE)])))

    assert (finding.message, finding.line) == ("Table orders is dropped: code that still uses it fails.", 13)


def test_a_column_that_is_renamed_is_not_reported_a_second_time_as_one_that_must_be_given():
    rename = statement('ALTER TABLE "orders" RENAME COLUMN "note" TO "remark"')
    required = {"type": "text", "nullable": False}
    changes = [removed(NOTE, **required), added(key("column", "remark", "orders"), **required)]

    assert messages(*changes, statements=[rename]) == [
        "Column orders.note is renamed to remark: code that still reads or writes it fails."
    ]


def test_what_is_dropped_is_not_taken_for_renamed():
    columns = [
        statement("ALTER TABLE orders DROP COLUMN note"),
        statement("ALTER TABLE orders ADD COLUMN remark TEXT"),
    ]
    tables = [statement("CREATE TABLE purchases (note TEXT)"), statement("DROP TABLE orders")]
    new_table = [added(key("table", "purchases")), added(key("column", "note", "purchases"), **TEXT)]

    assert messages(removed(NOTE, **TEXT), added(key("column", "remark", "orders"), **TEXT), statements=columns) == [
        "Column orders.note is dropped: code that still reads or writes it fails."
    ]
    assert messages(removed(TABLE), removed(NOTE, **TEXT), *new_table, statements=tables) == [
        "Table orders is dropped: code that still uses it fails."
    ]


def test_the_breaks_of_one_table_are_one_finding_at_the_first_statement():
    drops = [
        statement("ALTER TABLE orders DROP COLUMN note", line=12),
        statement("ALTER TABLE orders DROP COLUMN total", line=13),
    ]
    changes = [removed(NOTE, **TEXT), removed(key("column", "total", "orders"), type="integer", nullable=True)]

    [finding] = examine(recording(trip(statements=drops, changes=changes)))

    assert finding.message == (
        "Code of the previous release breaks on orders in 2 ways: column orders.note is dropped and column orders.total is dropped."
    )
    assert finding.line == 12


def test_points_at_the_statement_that_forbids_nulls_and_not_at_those_that_prepare_it():
    statements = [
        statement("UPDATE orders SET note = '' WHERE note IS NULL", line=12),
        statement("ALTER TABLE orders ALTER COLUMN note SET DEFAULT ''", line=13),
        statement("ALTER TABLE orders ALTER COLUMN note SET NOT NULL", line=14),
    ]
    changes = [altered(NOTE, TEXT, {"type": "text", "nullable": False})]

    [finding] = examine(recording(trip(statements=statements, changes=changes)))

    assert finding.line == 14
    assert str(finding.help).startswith("Make it NOT NULL in a later release")


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        (removed(NOTE, **TEXT), "Split the change over two releases"),
        (altered(NOTE, TEXT, {"type": "integer", "nullable": False}), "Split the change over two releases"),
        (added(NOTE, type="text", nullable=False), "Give it a default (server_default)"),
        (
            altered(NOTE, {"type": "text", "nullable": False, "default": "''"}, {"type": "text", "nullable": False}),
            "Give it a",
        ),
    ],
    ids=["gone", "of another type", "new and required", "without its default"],
)
def test_the_advice_fits_what_breaks(change, advice):
    [finding] = examine(recording(trip(changes=[change])))

    assert str(finding.help).startswith(advice)


def test_points_at_the_statement_that_makes_and_not_at_the_one_that_cleans_up_before():
    statements = [
        statement("DROP INDEX CONCURRENTLY IF EXISTS uq", line=12, transactional=False),
        statement("CREATE UNIQUE INDEX CONCURRENTLY uq ON orders (number)", line=13, transactional=False),
    ]
    unique = added(key("index", "uq", "orders"), unique=True, definition="USING btree (number)")

    [finding] = examine(recording(trip(statements=statements, changes=[unique])))

    assert finding.line == 13


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
        [altered(key("constraint", "ck", "orders"), _bounds(0, 9), _bounds(-1, 10))],
        [
            removed(key("constraint", "ck", "orders"), **_bounds(0, 9)),
            added(key("constraint", "c", "orders"), **_bounds(0, 99)),
        ],
        [altered(key("enum", "status"), {"labels": ["new"]}, {"labels": ["new", "paid"]})],
        [removed(TABLE), added(key("view", "orders"))],
        [removed(key("function", "touch()"), returns="trigger")],
        [removed(key("index", "ix", "orders"), definition="USING btree (note)")],
        [
            removed(key("index", "uq", "orders"), unique=True, definition="USING btree (number)"),
            added(key("constraint", "uq", "orders"), type="unique", columns=["number"], definition="UNIQUE (number)"),
        ],
        [added(key("constraint", "ck", "orders"), type="check", definition="CHECK ((total > 0)) NOT ENFORCED")],
        [
            altered(key("table", "orders"), {"partition_of": "public.sales DEFAULT"}, {}),
            added(key("constraint", "orders_total_check", "orders"), type="check", definition="CHECK ((total > 0))"),
        ],
        [altered(NOTE, {"type": "character varying(20)[]"}, {"type": "text[]"})],
        [altered(NOTE, {"type": "cidr"}, {"type": "inet"})],
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
        "a CHECK with wider bounds",
        "a CHECK with wider bounds by another name",
        "a label more",
        "a view in the place of the table",
        "a trigger's function",
        "an index that goes",
        "a constraint that takes over a unique index",
        "a CHECK that is not enforced",
        "the bounds of a partition that is detached",
        "elements of a wider type",
        "networks that become addresses",
    ],
)
def test_stays_quiet_about(changes):
    assert messages(*changes) == []


REQUIRED = altered(NOTE, TEXT, {"type": "text", "nullable": False})
REQUIRE = "ALTER TABLE orders ALTER COLUMN note SET NOT NULL"
EXCLUSIVE = {"orders": "AccessExclusiveLock"}


@pytest.mark.parametrize(
    ("sql", "is_left_open"),
    [
        ("ALTER TABLE orders ALTER COLUMN note TYPE timestamptz", True),
        ("ALTER TABLE orders ALTER COLUMN note TYPE timestamptz USING note AT TIME ZONE 'UTC'", False),
        ("SET LOCAL TimeZone = 'UTC'; ALTER TABLE orders ALTER COLUMN note TYPE timestamptz", False),
        ("SET TIME ZONE 'UTC'; ALTER TABLE orders ALTER COLUMN note TYPE timestamptz", False),
        ("SELECT set_config('timezone', 'UTC', true); ALTER TABLE orders ALTER COLUMN note TYPE timestamptz", False),
    ],
)
def test_a_time_that_gets_a_zone_says_which_one_or_depends_on_the_session(sql, is_left_open):
    times = ({"type": "timestamp(3) without time zone"}, {"type": "timestamp(3) with time zone"})

    [message] = messages(altered(NOTE, *times), statements=[statement(sql)])

    assert ("converts the values by the session's time zone: unless that is UTC, they shift" in message) is is_left_open


def test_stays_quiet_where_postgresql_knew_without_reading_that_no_value_is_null():
    proved = [statement("UPDATE orders SET total = 1", scans=["orders"]), statement(REQUIRE, locks=EXCLUSIVE)]

    assert messages(REQUIRED, statements=proved) == []


@pytest.mark.parametrize(
    "statements",
    [
        [statement(REQUIRE, locks=EXCLUSIVE, scans=["orders"])],
        [statement("DO $$ … $$", locks=EXCLUSIVE, scans=["orders"])],
        [statement(REQUIRE)],
    ],
    ids=["it read them", "it read them somewhere in the revision", "nothing was observed"],
)
def test_not_null_that_was_not_proved_is_a_break(statements):
    assert messages(REQUIRED, statements=statements) == [
        "Column orders.note is now NOT NULL: older code that leaves it NULL fails."
    ]


def test_a_domain_without_a_rule_is_its_type_by_another_name():
    retype = "ALTER TABLE orders ALTER COLUMN note TYPE words"
    change = altered(NOTE, TEXT, {"type": "words", "nullable": True})
    head = snapshot({key("domain", "words"): {"type": "text", "nullable": True}})

    def examined(**fields):
        step = trip(changes=[change], statements=[statement(retype, locks=EXCLUSIVE, **fields)])
        return list(examine(recording(step, head=head)))

    assert examined() == []
    assert len(examined(rewrites=["orders"])) == 1


def test_a_rule_for_a_domain_is_a_break_unless_the_domain_is_new():
    rule = added(key("domain constraint", "is_positive", "amount"), definition="CHECK ((VALUE > 0))")

    assert messages(rule) == ["Domain constraint is_positive on amount is new: it may refuse what older code writes."]
    assert messages(added(key("domain", "amount"), type="integer"), rule) == []


def test_stays_quiet_about_a_table_that_the_same_branch_creates():
    walk = recording(
        trip("a1"),
        trip("b2", changes=[added(TABLE), added(NOTE, **TEXT)]),
        trip("c3", changes=[removed(NOTE, **TEXT)]),
        revisions=[revision("a1", is_new=False), revision("b2", "a1"), revision("c3", "b2")],
    )

    assert list(examine(walk)) == []


PRIMARY = {"type": "primary key", "columns": ["id"], "definition": "PRIMARY KEY (id)"}
WIDER = {"type": "unique", "columns": ["user_id", "id"], "definition": "UNIQUE (user_id, id)"}


@pytest.mark.parametrize(
    ("old", "definition"),
    [
        (key("constraint", "pk", "orders"), PRIMARY),
        (key("index", "ix_id", "orders"), {"unique": True, "definition": "USING btree (id)"}),
    ],
    ids=["the primary key", "a unique index"],
)
def test_a_unique_key_that_contains_an_older_one_refuses_nothing(old, definition):
    uq = key("constraint", "uq", "orders")
    walk = recording(trip(changes=[added(uq, **WIDER)]), head=snapshot({old: definition, uq: WIDER}))

    assert list(examine(walk)) == []


@pytest.mark.parametrize(
    ("new", "old", "later"),
    [
        (WIDER, {**PRIMARY, "columns": ["number"], "definition": "PRIMARY KEY (number)"}, ()),
        (WIDER, {**PRIMARY, "definition": "PRIMARY KEY (id) DEFERRABLE"}, ()),
        (WIDER, {**PRIMARY, "index_valid": False}, ()),
        (WIDER, PRIMARY, [added(key("constraint", "pk", "orders"), **PRIMARY)]),
        ({**WIDER, "definition": "UNIQUE NULLS NOT DISTINCT (user_id, id)"}, PRIMARY, ()),
    ],
    ids=[
        "it is on another column",
        "it lets duplicates be until the commit",
        "it was never built to the end",
        "a later revision brings it",
        "the new one allows one NULL",
    ],
)
def test_a_unique_key_is_a_break_where_an_older_one_does_not_promise_as_much(new, old, later):
    uq = key("constraint", "uq", "orders")
    head = snapshot({key("constraint", "pk", "orders"): old, uq: new})
    walk = recording(trip("a1", changes=[added(uq, **new)]), trip("b2", changes=later), head=head)

    assert [each.message for each in examine(walk) if each.revision == "a1"] == [
        "Unique constraint uq on orders is new: it may refuse what older code writes."
    ]


@pytest.mark.parametrize(
    ("when", "body", "is_filled"),
    [
        ("BEFORE INSERT OR UPDATE OF title", "NEW.note := lower(NEW.title)", True),
        ("BEFORE INSERT OR UPDATE OF title", "NEW.notes := lower(NEW.title)", False),
        ("BEFORE UPDATE OF note", "NEW.note := lower(NEW.title)", False),
        ("AFTER INSERT", "UPDATE orders SET note = lower(title)", False),
    ],
    ids=["before an INSERT", "another column", "before an UPDATE", "after an INSERT"],
)
def test_a_new_trigger_may_fill_the_column_that_must_be_given(when, body, is_filled):
    function = added(key("function", "fill()"), returns="trigger", body=f"BEGIN {body}; RETURN NEW; END")
    definition = f"{when} ON public.orders FOR EACH ROW EXECUTE FUNCTION public.fill()"
    trigger = added(key("trigger", "fill_orders", "orders"), definition=definition)
    column = added(NOTE, type="text", nullable=False)

    broken = ["Column orders.note is required and has no default: INSERTs of older code fail."]

    assert messages(column, function, trigger) == ([] if is_filled else broken)


def test_two_breaks_of_one_table_are_both_in_the_detail():
    changes = [removed(key("column", name, "orders"), type="text") for name in ("note", "total")]

    [finding] = examine(recording(trip("a1", changes=changes)))

    assert finding.object == "public.orders"
    assert str(finding.detail).splitlines() == [
        "- column orders.note is dropped: code that still reads or writes it fails",
        "- column orders.total is dropped: code that still reads or writes it fails",
    ]
