"""Upgrades that fail over rows, and which rows are to blame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from app.gate.checks.base import CheckSkipped
from app.gate.checks.populated_upgrade import examine
from app.gate.recording.model import (
    Change,
    Direction,
    Failure,
    FailureInHistory,
    Populated,
    Recording,
    RefusedInsert,
    Rename,
    RoundTrip,
    RowKind,
    Statement,
    Step,
)
from app.gate.report.verdict import Severity
from tests.gate.checks.builders import added, altered, failure, key, python_failure, recording, revision, snapshot, trip

NEW_COLUMN = added(key("column", "channel", "orders"), type="text", nullable=False)
NOT_NULL = altered(
    key("column", "note", "orders"), {"type": "text", "nullable": True}, {"type": "text", "nullable": False}
)
UNIQUE = added(key("constraint", "uq_note", "orders"), type="unique", columns=["note"], definition="UNIQUE (note)")
NULLS = failure(
    'column "note" of relation "orders" contains null values',
    sqlstate="23502",
    sql="ALTER …",
    line=12,
    table="public.orders",
    column="note",
)
OF_CHANNEL = {"sqlstate": "23502", "table": "public.orders", "column": "channel"}
OF_UQ_NOTE = {"sqlstate": "23505", "table": "public.orders", "constraint": "uq_note"}


def over_rows(
    changes: list[Change],
    failed: Failure | None,
    rows: RowKind = RowKind.EDGE_CASES,
    tables: Mapping[str, int] | None = None,
) -> RoundTrip:
    """A trip whose upgrade was tried on a table `orders` with six rows."""
    step = Step("a1", Direction.UPGRADE, 1.0, failure=failed)
    return replace(trip("a1", changes=changes), populated=Populated(step, rows, tables or {"public.orders": 6}))


def of(one: RoundTrip, **fields: object) -> Recording:
    return recording(one, revisions=[revision("a1", **fields)])  # type: ignore[arg-type]


def test_a_column_that_no_existing_row_can_have_is_an_error_and_the_help_gives_it_a_default():
    message = 'column "channel" of relation "orders" contains null values'

    [finding] = examine(of(over_rows([NEW_COLUMN], failure(message, **OF_CHANNEL, line=7), RowKind.ORDINARY)))

    assert finding.severity is Severity.ERROR
    assert finding.message == f"a1 fails as soon as orders has rows: {message}."
    assert finding.object == "public.orders.channel"
    assert finding.line == 7
    assert "op.execute(\"ALTER TABLE orders ADD COLUMN channel text NOT NULL DEFAULT ''\")" in str(finding.help)
    assert finding.assumption is not None
    assert finding.assumption.sql == "SELECT * FROM orders LIMIT 10"


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("character varying(20)", "''"),
        ("numeric(10,2)", "0"),
        ("integer[]", "'{}'"),
        ("boolean", "false"),
        ("timestamp with time zone", "now()"),
        ("date", "current_date"),
        ("interval", "'0'"),
    ],
)
def test_the_default_for_advice_is_of_the_columns_type(type_: str, value: str):
    column = added(key("column", "channel", "orders"), type=type_, nullable=False)
    failed = failure('column "channel" of relation "orders" contains null values', **OF_CHANNEL)

    [finding] = examine(of(over_rows([column], failed, RowKind.ORDINARY)))

    assert f'"ALTER TABLE orders ADD COLUMN channel {type_} NOT NULL DEFAULT {value}"' in str(finding.help)


def test_for_a_type_of_which_no_value_is_known_there_is_no_code():
    column = added(key("column", "channel", "orders"), type="mood", nullable=False)
    failed = failure('column "channel" of relation "orders" contains null values', **OF_CHANNEL)

    [finding] = examine(of(over_rows([column], failed, RowKind.ORDINARY)))

    assert str(finding.help).startswith("Give such rows of orders a value first, by a default or an UPDATE.")
    assert "op." not in str(finding.help)


def test_not_null_over_nulls_is_a_warning_and_the_help_fills_them():
    [finding] = examine(of(over_rows([NOT_NULL], NULLS)))

    assert finding.severity is Severity.WARNING
    assert finding.message.startswith("a1 fails where orders.note is NULL, which the older schema allows: ")
    assert finding.detail == "ALTER …"
    assert "op.execute(\"UPDATE orders SET note = '' WHERE note IS NULL\")" in str(finding.help)
    assert 'op.alter_column("orders", "note", nullable=False)' in str(finding.help)


OWNER_KEY = {
    "type": "foreign key",
    "columns": ["note"],
    "definition": 'FOREIGN KEY (note) REFERENCES public."user"(id) ON DELETE CASCADE',
}


def test_a_column_of_a_foreign_key_is_filled_with_a_value_that_exists():
    head = snapshot({key("constraint", "fk", "orders"): OWNER_KEY})

    [finding] = examine(recording(over_rows([NOT_NULL], NULLS), head=head))

    assert str(finding.help).startswith("Let each row refer to an existing one")
    assert 'UPDATE orders SET note = (SELECT id FROM \\"user\\" LIMIT 1) WHERE note IS NULL' in str(finding.help)


def test_a_new_column_of_a_foreign_key_gets_no_made_up_default():
    foreign_key = added(key("constraint", "fk", "orders"), **{**OWNER_KEY, "columns": ["channel"]})
    failed = failure('column "channel" of relation "orders" contains null values', **OF_CHANNEL)

    [finding] = examine(of(over_rows([NEW_COLUMN, foreign_key], failed, RowKind.ORDINARY)))

    assert "DEFAULT" not in str(finding.help)
    assert 'op.execute("ALTER TABLE orders ADD COLUMN channel text")' in str(finding.help)
    assert "UPDATE orders SET channel = (SELECT id FROM" in str(finding.help)


def test_a_new_column_that_is_filled_in_part_is_reported_as_such():
    column = added(key("column", "note", "orders"), type="text", nullable=False)
    failed = replace(NULLS, sql="ALTER TABLE orders ALTER COLUMN note SET NOT NULL")

    [finding] = examine(of(over_rows([column], failed)))

    assert finding.message.startswith("a1 fails where it leaves the new orders.note NULL: ")
    assert "op.execute(\"UPDATE orders SET note = '' WHERE note IS NULL\")" in str(finding.help)


@pytest.mark.parametrize("rows", [RowKind.EDGE_CASES, RowKind.ORDINARY])
@pytest.mark.parametrize(
    "filled",
    [
        "UPDATE orders SET note=(SELECT runs.note FROM runs WHERE runs.id = orders.run_id)",
        "update \"orders\"\n  set done = true, note = 'x'\n where label in ('a', 'b')",
    ],
)
def test_what_an_update_fills_from_elsewhere_or_for_rows_that_it_knows_is_not_certain_to_fail(
    rows: RowKind, filled: str
):
    # Airflow's 7b2661a43ba3 and FitTrackee's 9842464bb885: in use, no row is without the other, or has another label.
    column = added(key("column", "note", "orders"), type="text", nullable=False)
    failed = replace(NULLS, sql="ALTER TABLE orders ALTER COLUMN note SET NOT NULL")
    one = over_rows([column], failed, rows)
    assert one.up is not None
    statements = tuple(Statement(sql, 1.0) for sql in (filled, failed.sql or ""))

    [finding] = examine(of(replace(one, up=replace(one.up, statements=statements))))

    assert finding.severity is Severity.WARNING
    assert finding.message.startswith("a1 fails where its UPDATE leaves orders.note NULL: ")


@pytest.mark.parametrize(
    "other",
    [
        "UPDATE lines SET note = ''",
        "UPDATE orders SET done = true WHERE note IS NULL",
        "ALTER TABLE orders ALTER COLUMN note SET NOT NULL",
    ],
)
def test_an_update_of_something_else_makes_nothing_less_certain(other: str):
    column = added(key("column", "note", "orders"), type="text", nullable=False)
    failed = replace(NULLS, sql="ALTER TABLE orders ALTER COLUMN note SET NOT NULL")
    one = over_rows([column], failed, RowKind.ORDINARY)
    assert one.up is not None
    statements = tuple(Statement(sql, 1.0) for sql in (other, failed.sql or "", "UPDATE orders SET note = ''"))

    [finding] = examine(of(replace(one, up=replace(one.up, statements=statements))))

    assert finding.severity is Severity.ERROR


def test_duplicates_of_what_is_no_text_get_no_suffix_for_advice():
    failed = failure('could not create unique index "uq_note"', **OF_UQ_NOTE)
    head = snapshot({key("column", "note", "orders"): {"type": "integer"}})

    [finding] = examine(recording(over_rows([UNIQUE], failed), head=head))

    assert str(finding.help).startswith("Make such rows of orders differ first, or keep one of them.")


def test_a_key_of_a_new_column_gets_no_default_for_advice():
    column = added(key("column", "note", "orders"), type="text", nullable=False)
    failed = replace(NULLS, sql="ALTER TABLE orders ADD CONSTRAINT pk PRIMARY KEY (note)")

    [finding] = examine(of(over_rows([column], failed, RowKind.ORDINARY)))

    assert "op.execute" not in str(finding.help)


def test_the_table_is_the_one_that_the_statement_changes():
    failed = failure(
        "value too long for type character varying(9)",
        sqlstate="22001",
        sql="ALTER TABLE users ALTER COLUMN name TYPE varchar(9)",
    )
    narrowed = [
        altered(key("column", "name", table), {"type": "text"}, {"type": "varchar(9)"}) for table in ("orders", "users")
    ]

    [finding] = examine(of(over_rows(narrowed, failed, tables={"public.orders": 6, "public.users": 6})))

    assert finding.object == "public.users.name"
    assert "texts in users.name are as long as their type allows" in finding.message


@pytest.mark.parametrize(
    ("message", "sqlstate"),
    [
        ('duplicate key value violates unique constraint "orders_pkey"', "23505"),
        ('insert or update on table "orders" violates foreign key constraint "orders_user_fkey"', "23503"),
    ],
)
def test_a_script_whose_inserts_meet_made_up_keys_is_not_blamed(message: str, sqlstate: str):
    failed = failure(message, sqlstate=sqlstate, sql="INSERT INTO orders …")

    [finding] = examine(of(over_rows([], failed, RowKind.ORDINARY)))

    assert finding.severity is Severity.NOTICE


def test_a_unique_key_over_duplicates_is_a_warning_that_names_the_columns():
    failed = failure('could not create unique index "uq_note"', **OF_UQ_NOTE)

    [finding] = examine(of(over_rows([UNIQUE], failed)))

    assert finding.severity is Severity.WARNING
    assert finding.message.startswith("a1 fails where rows of orders are equal in note, which the older schema allows")
    assert "row_number() OVER (PARTITION BY note)" in str(finding.help)


def test_of_an_exclusion_constraint_the_columns_are_named_without_their_operators():
    rule = added(
        key("constraint", "no_overlap", "orders"),
        type="exclude",
        definition='EXCLUDE USING gist ("Room" WITH =, nights WITH &&)',
    )
    failed = failure("no", sqlstate="23P01", table="public.orders", constraint="no_overlap")

    [finding] = examine(of(over_rows([rule], failed)))

    assert "rows of orders are equal in Room and nights, which" in finding.message


@pytest.mark.parametrize(
    ("sql", "severity"),
    [
        ("CREATE UNIQUE INDEX CONCURRENTLY uq_note ON orders (note)", Severity.NOTICE),
        ("CREATE UNIQUE INDEX uq_note ON orders (note)", Severity.WARNING),
    ],
)
def test_a_unique_index_over_duplicates_that_no_session_waits_for_is_a_notice(sql, severity):
    duplicates = failure('could not create unique index "uq_note"', sql=sql, **OF_UQ_NOTE)

    [finding] = examine(of(over_rows([UNIQUE], duplicates)))

    assert finding.severity is severity
    assert "are equal in note, which the older schema allows" in finding.message


def test_what_fails_in_a_table_of_the_revision_s_own_is_reported_of_the_older_rows_that_lead_to_it():
    changes = [added(key("table", "sessions")), added(key("index", "ix_id", "sessions"), definition="USING btree (id)")]
    failed = failure(
        'duplicate key value violates unique constraint "ix_id"',
        sqlstate="23505",
        table="public.sessions",
        constraint="ix_id",
        sql="INSERT INTO sessions (id) SELECT session_id FROM orders",
    )

    [finding] = examine(of(over_rows(changes, failed, tables={"public.lines": 6, "public.orders": 6})))

    assert finding.message.startswith("a1 fails where rows of orders lead to equal id in the new sessions: duplicate")
    assert str(finding.help).startswith("Leave such rows of orders out of the new sessions, or give them there what")
    assert "If rows of orders look different" in str(finding.help)


@pytest.mark.parametrize(
    ("rows", "start"),
    [
        (RowKind.EDGE_CASES, "a1 fails where rows of lines and orders lead to NULL in the new sessions.title: "),
        (RowKind.ORDINARY, "a1 fails as soon as lines and orders have rows: "),
    ],
)
def test_no_rows_of_a_table_of_the_revision_s_own_are_blamed_for_a_null_in_it(rows, start):
    changes = [added(key("table", "sessions")), NOT_NULL]
    failed = failure(
        'null value in column "title" of relation "sessions" violates …',
        sqlstate="23502",
        table="public.sessions",
        column="title",
    )

    [finding] = examine(of(over_rows(changes, failed, rows, tables={"public.lines": 6, "public.orders": 6})))

    assert finding.message.startswith(start)
    assert "ALTER TABLE" not in str(finding.help)


@pytest.mark.parametrize(
    ("failed", "words"),
    [
        (failure("value too long for type character varying(10)", sqlstate="22001"), "texts in orders are as long as"),
        (failure("integer out of range", sqlstate="22003"), "numbers in orders are as large as"),
        (failure('invalid input value for enum mood: "sad"', sqlstate="22P02"), "a row of orders holds 'sad', which"),
        (
            failure("cannot extract elements from a scalar", sqlstate="22023"),
            "orders holds NULLs, duplicates or extreme",
        ),
    ],
)
def test_what_the_rows_have_is_said_as_far_as_the_error_tells(failed, words):
    [finding] = examine(of(over_rows([NOT_NULL], failed)))

    assert words in finding.message


def test_a_rule_that_older_rows_may_break_is_a_warning_with_the_query_that_finds_them():
    rule = added(key("constraint", "ck", "orders"), type="check", definition="CHECK ((total >= 0))")
    words = 'check constraint "ck" of relation "orders" is violated by some row'
    broken = failure(
        words, sqlstate="23514", table="public.orders", constraint="ck", sql="ALTER TABLE orders …", line=9
    )
    one = over_rows([rule], None)
    assert one.populated is not None

    [finding] = examine(of(replace(one, populated=replace(one.populated, assumptions=(broken,)))))

    assert finding.severity is Severity.WARNING
    assert finding.message == f"a1 fails where a row of orders breaks ck, which the older schema allows: {words}."
    assert (finding.object, finding.line, finding.subject) == ("public.orders", 9, "assumption 23514 ck")
    assert finding.assumption is not None
    assert finding.assumption.sql == "SELECT * FROM orders WHERE NOT (total >= 0) LIMIT 10"
    assert finding.assumption.sql in str(finding.help)


def test_texts_that_become_equal_are_reported_as_such_and_get_no_code_that_misses_them():
    index = added(key("index", "uq", "orders"), unique=True, definition="USING btree (lower(note))")
    words = failure('could not create unique index "uq"', sqlstate="23505", table="public.orders", constraint="uq")

    [finding] = examine(of(over_rows([index], words)))

    assert finding.message.startswith(
        "a1 fails where texts in orders differ in case or blanks only, which the older schema"
    )
    assert "op.execute" not in str(finding.help)
    assert finding.assumption is not None
    assert finding.assumption.sql.startswith(
        "SELECT lower(note), count(*) FROM orders WHERE lower(note) IS NOT NULL GROUP BY"
    )


def test_null_in_a_column_is_an_assumption_with_the_query_that_finds_them():
    [finding] = examine(of(over_rows([NOT_NULL], NULLS)))

    assert finding.assumption is not None
    assert finding.assumption.sql == "SELECT * FROM orders WHERE note IS NULL LIMIT 10"


def test_a_value_that_was_made_up_is_called_so():
    change = altered(key("column", "note", "orders"), {"type": "text"}, {"type": "integer"})
    refused = failure(
        'invalid input syntax for type integer: "note-51"',
        sqlstate="22P02",
        sql="ALTER TABLE orders ALTER note TYPE integer",
    )
    one = over_rows([change], None)
    assert one.populated is not None

    [finding] = examine(of(replace(one, populated=replace(one.populated, assumptions=(refused,)))))

    assert finding.message.endswith('invalid input syntax for type integer: "note-51" (a generated value).')
    assert finding.object == "public.orders.note"


BEHIND = RefusedInsert(
    "public.orders",
    failure('duplicate key value violates unique constraint "orders_pkey"', sqlstate="23505", sql="INSERT …"),
    "id",
    "public.orders_id_seq",
    next_value=1,
    highest_value=1006,
)


@pytest.mark.parametrize(("next_value", "severity"), [(1, Severity.ERROR), (41, Severity.WARNING)])
def test_a_sequence_behind_its_rows_is_reported_with_the_code_that_moves_it(next_value: int, severity: Severity):
    restart = Statement("ALTER SEQUENCE orders_id_seq RESTART", 1.0, line=8)
    one = over_rows([], None)
    assert one.populated is not None
    assert one.up is not None
    refused = replace(BEHIND, next_value=next_value)
    one = replace(
        one, up=replace(one.up, statements=(restart,)), populated=replace(one.populated, refused_inserts=(refused,))
    )

    [finding] = examine(of(one))

    assert finding.severity is severity
    assert finding.message.startswith(
        f"After a1 the next INSERT into orders takes id {next_value} from its sequence, while"
    )
    assert (finding.object, finding.line) == ("public.orders.id", 8)
    assert "SELECT setval('orders_id_seq', max(id)) FROM orders HAVING max(id) IS NOT NULL" in str(finding.help)


@pytest.mark.parametrize(
    ("statements", "detail"),
    [
        (["ALTER TABLE shop.orders ADD a int", "ALTER TABLE shop.users ADD b int"], "ALTER TABLE shop.orders ADD a int"),
        (["ALTER TABLE orders ADD a int", "CREATE TRIGGER t ON ORDERS", "SELECT 1"], "CREATE TRIGGER t ON ORDERS"),
        (["ALTER TABLE orders ADD a int", "ALTER TABLE old_orders ADD b int"], "ALTER TABLE orders ADD a int"),
        (["SELECT setval('s', 1)", "ALTER TABLE shop.users ADD b int"], "SELECT setval('s', 1)"),
        (["SELECT nextval('s')", "SELECT 1.5"], "SELECT nextval('s')"),
        (["ALTER SEQUENCE s RESTART", "SELECT 1.5"], "ALTER SEQUENCE s RESTART"),
        (["ALTER TABLE a.b ALTER id ADD GENERATED ALWAYS AS IDENTITY", "SELECT 1.5"],
         "ALTER TABLE a.b ALTER id ADD GENERATED ALWAYS AS IDENTITY"),
        (["ALTER TABLE shop.users ADD b int"], None),
        (["ALTER SEQUENCE orders_id_seq RESTART", "ALTER SEQUENCE users_id_seq RESTART"], "ALTER SEQUENCE orders_id_seq RESTART"),
        (["ALTER SEQUENCE old_seq RESTART", "ALTER SEQUENCE old_seq RENAME TO orders_id_seq", "ALTER TABLE orders ADD a int"],
         "ALTER SEQUENCE old_seq RESTART"),
        (["ALTER SEQUENCE old_seq RENAME TO orders_id_seq"], "ALTER SEQUENCE old_seq RENAME TO orders_id_seq"),
    ],
)  # fmt: skip
def test_a_refused_insert_is_shown_with_the_last_statement_on_its_table_or_on_a_sequence(
    statements: list[str], detail: str | None
):
    one = over_rows([], None)
    assert one.populated is not None
    assert one.up is not None
    renamed = (Rename(key("sequence", "old_seq"), key("sequence", "orders_id_seq")),)
    made = tuple(Statement(sql, 1.0, line=8 + at) for at, sql in enumerate(statements))
    up = replace(one.up, statements=made, renamed=renamed if "RENAME" in str(statements) else ())

    [finding] = examine(of(replace(one, up=up, populated=replace(one.populated, refused_inserts=(BEHIND,)))))

    assert finding.detail == detail
    assert finding.line == (None if detail is None else 8 + statements.index(detail))


def test_an_insert_that_is_refused_for_another_reason_is_reported_with_postgresql_s_words():
    refused = RefusedInsert(
        "public.orders", failure('record "new" has no field "gone"', sqlstate="42703", sql="INSERT …")
    )
    one = over_rows([], None)
    assert one.populated is not None

    [finding] = examine(of(replace(one, populated=replace(one.populated, refused_inserts=(refused,)))))

    assert finding.severity is Severity.ERROR
    assert finding.message == 'After a1 an ordinary INSERT into orders fails: record "new" has no field "gone".'


@pytest.mark.parametrize(("type_", "severity"), [("uuid", Severity.WARNING), ("integer", Severity.ERROR)])
def test_a_key_that_loses_its_default_with_its_type_is_perhaps_given_by_new_code(type_: str, severity: Severity):
    without = failure('null value in column "id"', sqlstate="23502", sql="INSERT …")
    refused = RefusedInsert("public.orders", without, column="id")
    change = altered(
        key("column", "id", "orders"), {"type": "integer", "default": "nextval('orders_id_seq')"}, {"type": type_}
    )
    one = over_rows([change], None)
    assert one.populated is not None

    [finding] = examine(of(replace(one, populated=replace(one.populated, refused_inserts=(refused,)))))

    assert finding.severity is severity
    assert finding.message.startswith("After a1 an INSERT into orders that leaves id to its default fails: null value")


@pytest.mark.parametrize(
    ("in_one_go", "words"),
    [
        ((), "a1 fails on a database with rows from a0 on: it broke."),
        (("a0",), "a1 fails over rows from a0 on in one transaction with a0: it broke."),
        (("a0", "b0", "c0"), "a1 fails over rows from a0 on in one transaction with a0 to c0: it broke."),
    ],
)
def test_what_fails_only_over_older_rows_is_an_error(in_one_go: tuple[str, ...], words: str):
    failed = failure("it broke", sqlstate="23505", table="public.orders", sql="INSERT INTO orders (note) VALUES ('x')")
    one = replace(over_rows([], None), in_history=FailureInHistory(failed, {"public.orders": "a0"}, in_one_go))

    [finding] = examine(of(one))

    assert (finding.severity, finding.message, finding.object) == (Severity.ERROR, words, "public.orders")


def test_no_table_is_blamed_that_neither_the_error_nor_the_statement_names():
    failed = failure("division by zero", sqlstate="22012", sql="SELECT refresh_totals()")

    [finding] = examine(of(over_rows([NOT_NULL], failed, tables={"public.lines": 6, "public.orders": 6})))

    assert finding.object is None
    assert finding.message.startswith("a1 fails where what it divides by is 0 in lines and orders")


def test_a_table_that_held_no_made_up_rows_is_blamed_if_postgresql_names_it():
    failed = failure(
        "null value …", sqlstate="23502", table="public.audit", column="who", sql="UPDATE orders SET note = ''"
    )

    [finding] = examine(of(over_rows([NOT_NULL], failed)))

    assert finding.object == "public.audit.who"


def test_a_check_in_the_place_of_another_is_reported_as_what_it_no_longer_allows():
    status = key("constraint", "ck_status", "orders")
    change = altered(status, {"type": "check", "definition": "CHECK (a)"}, {"type": "check", "definition": "CHECK (b)"})
    failed = failure(
        'check constraint "ck_status" of relation "orders" is violated by some row',
        sqlstate="23514",
        table="public.orders",
        constraint="ck_status",
    )

    [finding] = examine(of(over_rows([change], failed)))

    assert finding.message.startswith("a1 fails where a row of orders holds what ck_status no longer allows, which")
    assert str(finding.help).startswith("Give such rows of orders another value first, by an UPDATE.")


@pytest.mark.parametrize("sqlstate", ["23503", "23514", "23P01"])
def test_what_depends_on_rows_that_belong_together_is_no_error(sqlstate):
    failed = failure('insert or update on table "orders" violates …', sqlstate=sqlstate)

    [finding] = examine(of(over_rows([NOT_NULL], failed, RowKind.ORDINARY)))

    assert finding.severity is Severity.WARNING
    assert finding.message.startswith("a1 fails on the rows that were generated for orders: ")
    assert "overproof_rows/a1.sql, next to the script" in str(finding.help)


@pytest.mark.parametrize(
    "failed",
    [
        failure("invalid input syntax for type integer", sqlstate="22P02"),
        failure("Wrong key or corrupt data", sqlstate="39000", sql="UPDATE orders SET note = pgp_sym_decrypt(…)"),
        python_failure("KeyError", "'sku'"),
    ],
)
def test_a_script_that_reads_what_made_up_values_do_not_hold_is_a_notice(failed):
    tables = {"public.orders": 3, "public.lines": 3}

    [finding] = examine(of(over_rows([NOT_NULL], failed, RowKind.ORDINARY, tables)))

    assert finding.severity is Severity.NOTICE
    assert finding.message.startswith(
        "Could not verify a1 over rows in orders and lines: it fails on the generated rows"
    )


def test_what_an_update_works_out_of_made_up_contents_is_no_error():
    message = 'null value in column "note" of relation "orders" violates not-null constraint'
    failed = failure(message, sqlstate="23502", sql="UPDATE orders SET note = jsonb_set(note, '{a}', note -> 'a')")

    [finding] = examine(of(over_rows([], failed, RowKind.ORDINARY)))

    assert finding.severity is Severity.WARNING
    assert finding.message.startswith("a1 fails on the rows that were generated for orders: ")


def test_a_value_in_the_wrong_quotes_is_not_reported_as_a_column():
    failed = failure('column "O\'Neill id-7" does not exist', sqlstate="42703", sql="UPDATE orders SET note = …")

    [finding] = examine(of(over_rows([], failed)))

    assert finding.object == "public.orders"
    assert finding.message.startswith("a1 fails where orders holds NULLs, duplicates or extreme values")


def test_the_project_s_own_rows_are_always_right():
    [finding] = examine(of(over_rows([NOT_NULL], NULLS, RowKind.OWN)))

    assert finding.severity is Severity.ERROR
    assert finding.message.startswith("a1 fails on the rows of overproof_rows/a1.sql: ")


def test_rows_of_the_project_that_cannot_be_loaded_are_an_error():
    one = replace(over_rows([NOT_NULL], None), rows_failure=failure('relation "order" does not exist'))

    [finding] = examine(of(one))

    assert finding.severity is Severity.ERROR
    assert finding.message == 'overproof_rows/a1.sql cannot be loaded before a1: relation "order" does not exist.'


def test_a_table_without_rows_is_one_notice_however_many_revisions_touch_it():
    reason = {"public.orders": "no values were found that satisfy CHECK ck (is_prime(id))"}
    trips = [replace(trip(name, changes=[NOT_NULL]), tables_without_rows=reason) for name in ("a1", "b2", "c3")]

    [finding] = examine(recording(*trips))

    assert finding.severity is Severity.NOTICE
    assert finding.revision == "a1"
    assert finding.message == (
        "Could not verify a1 and 2 later revisions over rows in orders: "
        "no values were found that satisfy CHECK ck (is_prime(id))."
    )


def test_tables_without_rows_for_one_reason_are_one_notice():
    reason = "it commits by itself"
    trips = [
        replace(trip("a1", changes=[NOT_NULL]), tables_without_rows={"public.orders": reason, "public.lines": reason}),
        replace(
            trip("b2", changes=[NOT_NULL]), tables_without_rows={"public.notes": reason, "public.users": "another"}
        ),
    ]

    [finding, other] = examine(recording(*trips))

    assert finding.message == (
        "Could not verify a1 and 1 later revision over rows in orders, lines and notes: it commits by itself."
    )
    assert finding.detail == "- a1: orders, lines\n- b2: notes"
    assert "INSERT INTO orders (…) VALUES (…);\n    INSERT INTO lines (…) VALUES (…);" in str(finding.help)
    assert other.message == "Could not verify b2 over rows in users: another."


def test_the_table_is_named_with_its_schema_and_quoted_where_it_must_be():
    column = added(key("column", "Kind", "Order", "shop"), type="integer", nullable=False)
    failed = failure(
        'column "Kind" of relation "Order" contains null values', sqlstate="23502", table="shop.Order", column="Kind"
    )

    [finding] = examine(of(over_rows([column], failed, RowKind.ORDINARY, {"shop.Order": 3})))

    assert finding.object == "shop.Order.Kind"
    assert 'ALTER TABLE shop.\\"Order\\" ADD COLUMN \\"Kind\\" integer NOT NULL DEFAULT 0' in str(finding.help)
    assert 'op.alter_column("Order", "Kind", server_default=None, schema="shop")' in str(finding.help)


@pytest.mark.parametrize(
    "one",
    [
        of(over_rows([NOT_NULL], None)),
        of(trip("a1", changes=[NOT_NULL])),
        of(over_rows([NOT_NULL], NULLS), is_new=False),
        of(replace(over_rows([NOT_NULL], None), tables_without_rows={"public.orders": "…"}), is_new=False),
    ],
    ids=["an upgrade that passed", "no older table", "a revision of the base", "an uncovered table of the base"],
)
def test_stays_quiet_about(one):
    assert list(examine(one)) == []


def test_is_skipped_where_no_rows_could_be_tried():
    with pytest.raises(CheckSkipped, match="no upgrade was tried over rows: the connection commits"):
        list(examine(recording(not_observed={"populated": "the connection commits by itself"})))


def test_an_update_that_a_trigger_ends_is_reported_with_its_function_and_the_statement_that_is_the_reason():
    broken = failure('column "at" of relation "log" does not exist', sqlstate="42703", sql="UPDATE orders SET …")
    broken = replace(broken, context="PL/pgSQL function log_it() line 1 at SQL statement")
    one = over_rows([], None)
    assert one.populated is not None
    assert one.up is not None
    rename = Statement("ALTER TABLE log RENAME at TO logged_at", 1.0, line=9)
    up = replace(one.up, statements=(rename,))
    refused = RefusedInsert("public.orders", broken, verb="UPDATE")

    [finding] = examine(of(replace(one, up=up, populated=replace(one.populated, refused_inserts=(refused,)))))

    assert finding.message == (
        'After a1 an ordinary UPDATE of orders fails: column "at" of relation "log" does not exist.'
    )
    assert (finding.subject, finding.line) == ("next-update 42703", 9)
    assert finding.detail == f"{rename.sql}\nCONTEXT:  PL/pgSQL function log_it() line 1 at SQL statement"
    assert "CREATE OR REPLACE FUNCTION" in str(finding.help)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE orders SET total = note::int", "a1 fails where a row of orders holds what it cannot convert"),
        ("ALTER TABLE orders ALTER note TYPE int USING note::int", "holds what its new type refuses"),
    ],
)
def test_what_an_update_cannot_convert_is_not_called_a_new_type(sql: str, words: str):
    broken = failure('invalid input syntax for type integer: "note-51"', sqlstate="22P02", sql=sql)
    one = over_rows([], None)
    assert one.populated is not None

    [finding] = examine(of(replace(one, populated=replace(one.populated, assumptions=(broken,)))))

    assert words in finding.message


def test_a_null_that_an_update_computes_is_not_called_one_of_the_older_schema():
    broken = failure(
        'null value in column "total"', sqlstate="23502", sql="UPDATE orders SET total = NULL", column="total"
    )

    [finding] = examine(of(over_rows([], replace(broken, table="public.orders"))))

    assert finding.message.startswith("a1 fails where its UPDATE makes orders.total NULL: null value")


def test_equal_rows_that_an_insert_makes_are_not_called_those_of_the_older_schema():
    broken = failure(
        'duplicate key value violates unique constraint "uq"',
        sqlstate="23505",
        sql="INSERT INTO orders (note) SELECT o.note FROM orders o JOIN lines l ON l.id = o.id",
        table="public.orders",
        constraint="uq",
    )

    [finding] = examine(of(over_rows([], broken)))

    assert finding.message.startswith("a1 fails where its INSERT puts equal rows into orders: duplicate key")
