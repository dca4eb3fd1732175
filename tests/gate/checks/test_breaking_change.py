"""What older code stumbles on."""

from __future__ import annotations

import pytest

from app.gate.checks.breaking_change import examine
from app.gate.report.verdict import Severity
from tests.gate.checks.builders import added, altered, key, recording, removed, revision, snapshot, statement, trip

TABLE = key("table", "orders")
NOTE = key("column", "note", "orders")
TEXT = {"type": "text", "nullable": True}
PRIMARY = {"type": "primary key", "columns": ["id"], "definition": "PRIMARY KEY (id)"}
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

    renamed = [(TABLE, key("table", "purchases")), (NOTE, key("column", "note", "purchases"))]

    assert messages(*changes, renamed=renamed) == [
        "Table orders is renamed to purchases: code that still uses it fails."
    ]
    # However alike a new table is, it is not the one that is gone.
    assert messages(*changes) == ["Table orders is dropped: code that still uses it fails."]


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

    renamed = [(TABLE, key("table", "Purchases")), (NOTE, key("column", "remark", "Purchases"))]

    [finding] = examine(recording(trip(statements=statements, changes=changes, renamed=renamed)))

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

    renamed = [(NOTE, key("column", "remark", "orders"))]

    assert messages(*changes, statements=[rename], renamed=renamed) == [
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
            altered(TABLE, {"partition_of": "public.sales FOR VALUES IN (1)"}, {"partition_of": "public.sold DEFAULT"}),
            altered(TABLE, {"inherits": ["a"]}, {"inherits": ["a", "b"]}),
        ],
        [
            removed(key("constraint", "orders_pkey", "orders"), **PRIMARY),
            altered(TABLE, {}, {"partition_of": "public.sales DEFAULT"}),
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
        "another parent in the place of one, or besides",
        "a key that is now its parent's",
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


def severities(*changes, **fields):
    return {finding.message: finding.severity for finding in examine(recording(trip(changes=changes, **fields)))}


CK = key("constraint", "ck", "orders")
UQ = key("constraint", "uq", "orders")
UNIQUE = {"type": "unique", "columns": ["number"], "definition": "UNIQUE (number)"}
AUDIT = key("trigger", "audit", "orders")
AUDITS = {"definition": "AFTER INSERT ON public.orders FOR EACH ROW EXECUTE FUNCTION public.audit()"}
TOTALS = key("view", "totals")
FROM = "orders\n  WHERE (a > 0);"
VIEW = {"definition": f" SELECT a,\n    b\n   FROM {FROM}"}
TOUCH = key("function", "total(integer)")


@pytest.mark.parametrize(
    ("changes", "statements", "message"),
    [
        (
            [added(CK, type="check", definition="CHECK ((total > 0)) NOT VALID")],
            [],
            "Check constraint ck on orders is new",
        ),
        ([added(UQ, **UNIQUE)], [], "Unique constraint uq on orders is new"),
        ([altered(key("index", "ix", "orders"), {}, {"unique": True})], [], "Index ix on orders is new"),
        ([altered(NOTE, TEXT, {**TEXT, "nullable": False})], [], "Column orders.note is now NOT NULL"),
        ([removed(AUDIT, **AUDITS)], ["DROP TRIGGER audit ON orders"], "Trigger audit on orders is dropped"),
        (
            [
                altered(TABLE, {"partition_of": "public.sales DEFAULT"}, {}),
                added(CK, type="check", definition="CHECK (true)"),
            ],
            [],
            "Table orders is detached from sales",
        ),
        ([altered(TABLE, {}, {"replica_identity": "full"})], [], "Table orders has REPLICA IDENTITY FULL"),
        (
            [altered(TOTALS, VIEW, {"definition": f" SELECT a,\n    b\n   FROM {FROM.replace('0', '1')}"})],
            ["CREATE OR REPLACE VIEW totals AS SELECT a, b FROM orders WHERE a > 1"],
            "View totals has another query",
        ),
        (
            [altered(TOUCH, {"body": "SELECT 1"}, {"body": "SELECT 2"})],
            ["CREATE OR REPLACE FUNCTION total(a integer) …"],
            "Function total(integer) has another body",
        ),
        (
            [altered(NOTE, {**TEXT, "generated": "lower(a)"}, {**TEXT, "generated": "upper(a)"})],
            [],
            "Column orders.note is generated from another expression",
        ),
        ([removed(key("domain", "amount"), type="integer")], [], "Domain amount is dropped"),
        ([removed(key("enum", "status"), labels=["new"])], [], "Enum status is dropped"),
    ],
)
def test_what_older_code_may_or_may_not_mind_is_a_notice(changes, statements, message):
    found = severities(*changes, statements=[statement(sql) for sql in statements])

    assert [(words.partition(":")[0], severity) for words, severity in found.items()] == [(message, Severity.NOTICE)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            [removed(UQ, **UNIQUE)],
            "Unique constraint uq on orders is dropped: ON CONFLICT (number) of older code fails, and duplicates are accepted.",
        ),
        (
            [
                removed(
                    key("index", "ix", "orders"), unique=True, definition="USING btree (lower(note)) WHERE (total > 0)"
                )
            ],
            "Index ix on orders is dropped: ON CONFLICT (lower(note) WHERE (total > 0)) of older code fails, and duplicates are accepted.",
        ),
        (
            [removed(key("constraint", "pk", "orders"), **PRIMARY)],
            "Primary key pk on orders is dropped: ON CONFLICT (id) of older code fails, and several rows of the same key are accepted.",
        ),
        (
            [altered(UQ, UNIQUE, {**UNIQUE, "columns": ["number", "shop"], "definition": "UNIQUE (number, shop)"})],
            "Unique constraint uq on orders is dropped: ON CONFLICT (number) of older code fails, and duplicates are accepted.",
        ),
        (
            [altered(NOTE, {**TEXT, "identity": "by default"}, {**TEXT, "identity": "always"})],
            "Column orders.note is now GENERATED ALWAYS: older code that writes it fails.",
        ),
        (
            [altered(NOTE, {**TEXT, "generated": "lower(a)"}, TEXT)],
            "Column orders.note is no longer generated: rows that older code writes have no value in it.",
        ),
        (
            [altered(NOTE, {"nullable": False, "generated": "lower(a)"}, {"nullable": False})],
            "Column orders.note is no longer generated: INSERTs of older code fail.",
        ),
        (
            [altered(TABLE, {"inherits": ["places", "shop.things"]}, {"inherits": ["places"]})],
            "Table orders no longer inherits from shop.things: queries on that do not return its rows.",
        ),
        (
            [removed(AUDIT, **AUDITS)],
            "Trigger audit on orders is gone, and no statement drops it: what older code writes no longer passes through it.",
        ),
        (
            [removed(key("sequence", "numbers"))],
            "Sequence numbers is dropped: older code that draws numbers from it fails.",
        ),
        (
            [removed(key("extension", "pgcrypto", schema=""))],
            "Extension pgcrypto is dropped: code that calls its functions or names its types fails.",
        ),
        (
            [altered(TOUCH, {"returns": "integer"}, {"returns": "bigint"})],
            "Function total(integer) returns bigint in place of integer: code that still calls it fails.",
        ),
        (
            [
                removed(key("schema", "shop", schema="")),
                removed(key("table", "a", schema="shop")),
                removed(key("view", "b", schema="shop")),
            ],
            "Schema shop is dropped, with 2 tables: code that still uses what was in it fails.",
        ),
    ],
)
def test_a_promise_that_older_code_relies_on_is_a_warning(changes, message):
    assert severities(*changes) == {message: None}


@pytest.mark.parametrize(
    "changes",
    [
        [removed(UQ, **{**UNIQUE, "definition": "UNIQUE (number) DEFERRABLE"})],
        [removed(key("index", "ix", "orders"), unique=True, valid=False, definition="USING btree (number)")],
        [removed(UQ, **UNIQUE), removed(key("column", "number", "orders"), type="integer"), removed(TABLE)],
        [
            removed(UQ, **UNIQUE),
            added(key("index", "ix", "orders"), unique=True, definition="USING btree (number DESC)"),
        ],
        [
            removed(key("index", "ix", "orders"), unique=True, definition="USING btree (number) WHERE (number > 0)"),
            added(key("index", "ux", "orders"), unique=True, definition="USING btree (number, a)"),
            altered(UQ, {**UNIQUE, "comment": "x"}, UNIQUE),
            removed(key("index", "uy", "orders"), unique=True, definition="USING btree (a, number)"),
        ],
        [removed(key("sequence", "orders_id_seq"), owned_by="public.orders.id")],
        [
            removed(key("sequence", "numbers")),
            altered(NOTE, {"default": "nextval('numbers'::regclass)"}, {"identity": "by default"}),
        ],
        [removed(AUDIT, **AUDITS), added(key("trigger", "audit_2", "orders"), **AUDITS)],
        [altered(TOTALS, VIEW, {"definition": " SELECT b AS a\n   FROM sales"})],
        [altered(TOTALS, VIEW, {"definition": f" SELECT a,\n    upper(b) AS c,\n    b\n   FROM {FROM}"})],
        [altered(TOUCH, {"body": "SELECT  1"}, {"body": "SELECT 1"})],
        [
            removed(TOUCH, returns="integer"),
            added(key("function", "total(integer, text)"), arguments="a integer, b text DEFAULT 'x'::text"),
        ],
        [removed(key("domain", "amount"), type="integer"), altered(NOTE, {"type": "amount"}, {"type": "integer"})],
    ],
    ids=[
        "a key that ON CONFLICT cannot name",
        "an index that was never built to the end",
        "a key of a table that is gone",
        "a key that another one replaces",
        "a key on some rows where one on all is left",
        "the sequence of a column",
        "the sequence of a column that has an identity in its place",
        "a trigger by another name",
        "a view that a rename has changed",
        "a view with one column more",
        "a body that differs in blanks",
        "a function with one more argument that has a default",
        "a domain whose columns keep their values",
    ],
)
def test_a_promise_is_kept_by(changes):
    assert [message for message in messages(*changes) if "Table orders is dropped" not in message] == []


def test_a_type_that_is_renamed_is_one_finding_and_not_one_for_each_column():
    columns = [key("column", "status", f"t{number}") for number in range(33)]
    changes = [
        removed(key("enum", "status"), labels=["new"]),
        added(key("enum", "order_status"), labels=["new"]),
        *(altered(each, {"type": "status"}, {"type": "order_status"}) for each in columns[:32]),
        altered(columns[32], {"type": "status[]"}, {"type": "order_status[]"}),
    ]
    renamed = [(key("enum", "status"), key("enum", "order_status"))]

    assert messages(*changes, renamed=renamed) == [
        "Enum status is renamed to order_status: code that names it, as in a cast, fails."
    ]


def test_a_schema_that_is_renamed_is_one_finding():
    tables = [f"t{number}" for number in range(33)]
    changes = [
        removed(key("schema", "shop", schema="")),
        added(key("schema", "store", schema="")),
        *(removed(key("table", name, schema="shop")) for name in tables),
        *(added(key("table", name, schema="store")) for name in tables),
    ]
    renamed = [(key("schema", "shop", schema=""), key("schema", "store", schema=""))]

    assert messages(*changes, renamed=renamed) == [
        "Schema shop is renamed to store, with 33 tables: code that still uses what was in it fails."
    ]


def test_many_tables_of_one_revision_are_one_finding_with_a_list():
    changes = [removed(key("column", "note", f"t{number:02}"), **TEXT) for number in range(50)]

    [finding] = examine(recording(trip(changes=changes)))

    assert finding.message == "Code of the previous release breaks on 50 objects: t00, t01, t02 and 47 more."
    assert finding.object is None
    lines = str(finding.detail).splitlines()
    assert (lines[0], lines[-1]) == (
        "- column t00.note is dropped: code that still reads or writes it fails",
        "- and 10 more",
    )


def test_warnings_and_notices_of_one_table_are_two_findings():
    found = severities(removed(NOTE, **TEXT), added(UQ, **UNIQUE))

    assert list(found.values()) == [None, Severity.NOTICE]


def test_a_key_of_which_another_one_is_left_is_not_missed():
    walk = recording(trip(changes=[removed(UQ, **UNIQUE)]), head=snapshot({key("constraint", "u2", "orders"): UNIQUE}))

    assert list(examine(walk)) == []


def test_columns_that_exchange_their_names_are_a_break_and_tables_that_do_a_notice():
    a, b, new = key("column", "a", "orders"), key("column", "b", "orders"), key("table", "orders_new")
    changes = [removed(new), added(key("table", "orders_old"))]

    swapped = severities(renamed=[(a, b), (b, a)])
    replaced = severities(
        *changes,
        renamed=[(TABLE, key("table", "orders_old")), (new, TABLE), (NOTE, key("column", "note", "orders_old"))],
    )

    assert swapped == {
        "Code of the previous release breaks on orders in 2 ways: column orders.a is called b now, and another one has its name and "
        "column orders.b is called a now, and another one has its name.": None
    }
    assert replaced == {
        "Table orders_new is renamed to orders: code that still uses it fails.": None,
        "Table orders is called orders_old now, and another one has its name: older code reads and writes other values.": Severity.NOTICE,
    }


def test_a_materialized_view_needs_its_unique_index_to_be_refreshed_concurrently():
    index = key("index", "ux", "totals")
    head = snapshot({key("materialized view", "totals"): {}})

    [finding] = examine(
        recording(trip(changes=[removed(index, unique=True, definition="USING btree (id)")]), head=head)
    )

    assert (
        finding.message == "Index ux on totals is dropped: REFRESH MATERIALIZED VIEW CONCURRENTLY of older code fails."
    )


def branch(*changes):
    """b2, the first revision of a branch, adds a column; c3 makes the changes."""
    return recording(
        trip("a1"),
        trip("b2", changes=[added(NOTE, **TEXT)]),
        trip("c3", changes=changes),
        revisions=[revision("a1", is_new=False), revision("b2", "a1"), revision("c3", "b2")],
    )


@pytest.mark.parametrize(
    "change",
    [
        added(CK, type="check", definition="CHECK ((note <> ''::text))"),
        added(UQ, type="unique", columns=["note"], definition="UNIQUE (note)"),
        altered(NOTE, TEXT, {"type": "integer", "nullable": True}),
        altered(NOTE, TEXT, {**TEXT, "nullable": False, "default": "''"}),
        removed(NOTE, **TEXT),
    ],
    ids=["a CHECK", "a unique key", "another type", "NOT NULL with a default", "its end"],
)
def test_older_code_does_not_mind_what_happens_to_a_column_of_the_same_branch(change):
    assert list(examine(branch(change))) == []


def test_a_column_of_the_same_branch_that_becomes_required_is_a_break():
    [finding] = examine(branch(altered(NOTE, TEXT, {**TEXT, "nullable": False})))

    assert (
        finding.message
        == "Column orders.note, which is new, is now required and has no default: INSERTs of older code fail."
    )
    assert finding.severity is None


PUBLICATION = key("publication", "feed", schema="")
WRITES = {"publish": "insert, update, delete, truncate"}


@pytest.mark.parametrize(
    ("publication", "changes", "refused"),
    [
        (
            {**WRITES, "tables": ["orders"]},
            [removed(key("constraint", "pk", "orders"), **PRIMARY)],
            "UPDATE and DELETE",
        ),
        ({**WRITES, "all_tables": True}, [removed(key("constraint", "pk", "orders"), **PRIMARY)], "UPDATE and DELETE"),
        ({**WRITES, "schemas": ["public"]}, [altered(TABLE, {"replica_identity": "full"}, {})], "UPDATE and DELETE"),
        (
            {"publish": "insert, delete", "tables": ["public.orders (id) WHERE (id > 0)"]},
            [removed(key("index", "uq", "orders"), unique=True), altered(TABLE, {"replica_identity": "index uq"}, {})],
            "DELETE",
        ),
        (
            {**WRITES, "tables": ["orders"]},
            [
                removed(key("index", "uq", "orders"), unique=True),
                altered(TABLE, {"replica_identity": "index uq"}, {"replica_identity": "an index that is gone"}),
            ],
            "UPDATE and DELETE",
        ),
        ({"publish": "insert", "tables": ["orders"]}, [removed(key("constraint", "pk", "orders"), **PRIMARY)], None),
        ({**WRITES, "tables": ["others"]}, [removed(key("constraint", "pk", "orders"), **PRIMARY)], None),
    ],
    ids=[
        "the table",
        "all tables",
        "its schema",
        "by its index",
        "by an index that is gone",
        "only INSERT",
        "another table",
    ],
)
def test_a_published_table_without_a_replica_identity_is_named_with_what_is_refused(publication, changes, refused):
    table = next((each.after for each in changes if each.key == TABLE), None) or {}
    head = snapshot({TABLE: table, PUBLICATION: publication})

    found = [
        each
        for each in examine(recording(trip(changes=changes), head=head))
        if "identity" in f"{each.detail}{each.message}"
    ]

    words = f"table orders is published and has no replica identity: PostgreSQL refuses {refused} on it"
    assert [words.lower() in f"{each.detail} {each.message}".lower() for each in found] == ([True] if refused else [])


def test_a_table_that_is_published_without_a_replica_identity_is_a_break_with_the_statement_that_helps():
    head = snapshot({TABLE: {}, PUBLICATION: {**WRITES, "tables": ["orders"]}})

    [finding] = examine(recording(trip(changes=[added(PUBLICATION, **WRITES, tables=["orders"])]), head=head))

    assert finding.message.startswith("Table orders is published and has no replica identity")
    assert '    op.execute("ALTER TABLE orders REPLICA IDENTITY FULL")' in str(finding.help)


def test_what_partitions_and_children_have_from_their_parent_is_one_finding():
    tables = ["events", "events_2024", "events_2025", "events_2025_1", "old_events"]
    changes = [removed(key("column", "note", name), **TEXT) for name in tables]
    head = snapshot(
        {
            key("table", "events"): {"partition_by": "RANGE (day)"},
            key("table", "events_2024"): {"partition_of": "events FOR VALUES FROM (1) TO (2)"},
            key("table", "events_2025"): {"partition_of": "public.events DEFAULT", "partition_by": "RANGE (day)"},
            key("table", "events_2025_1"): {"partition_of": '"events_2025" DEFAULT'},
            key("table", "old_events"): {"inherits": ["events"]},
        }
    )

    [finding] = examine(recording(trip(changes=changes), head=head))

    assert finding.message == "Column events.note is dropped: code that still reads or writes it fails."


@pytest.mark.parametrize(
    ("number", "objects"), [(3, ["public.t0.note", "public.t1.note", "public.t2.note"]), (4, [None])]
)
def test_three_tables_are_a_finding_each_and_more_are_one(number, objects):
    changes = [removed(key("column", "note", f"t{at}"), **TEXT) for at in range(number)]

    assert [each.object for each in examine(recording(trip(changes=changes)))] == objects


TOTAL = removed(key("function", "total(integer)"), returns="integer")


@pytest.mark.parametrize(
    ("new", "arguments", "takes_its_calls"),
    [
        (key("function", "total(integer, text)"), "a integer, b text DEFAULT 'x'::text", True),
        (
            key("function", "total(integer, text, date)"),
            "a integer, b text DEFAULT 'x'::text, c date DEFAULT now()",
            True,
        ),
        (key("function", "total(integer, text, date)"), "a integer, b text, c date DEFAULT now()", False),
        (key("function", "total(integer, text)"), "a integer, b text", False),
        (key("function", "total(text, integer)"), "a text, b integer DEFAULT 1", False),
        (key("function", "sum(integer, text)"), "a integer, b text DEFAULT 'x'::text", False),
        (key("function", "total(integer, text)", schema="shop"), "a integer, b text DEFAULT 'x'::text", False),
        (key("procedure", "total(integer, text)"), "a integer, b text DEFAULT 'x'::text", False),
    ],
)
def test_a_function_with_more_arguments_takes_the_calls_of_the_old_one_if_they_have_defaults(
    new, arguments, takes_its_calls
):
    others = [altered(NOTE, TEXT, {**TEXT, "comment": "x"}), added(key("function", "other()"))]

    found = messages(TOTAL, *others, added(new, arguments=arguments))

    assert found == ([] if takes_its_calls else ["Function total(integer) is dropped: code that still calls it fails."])
