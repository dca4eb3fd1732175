"""Revisions that do not apply."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.gate.checks.base import CheckSkipped
from app.gate.checks.upgrade import _IN_ONE_GO_HELP, _LOST_HELP, _lost, examine
from app.gate.recording.model import RoundTrip
from app.gate.report.verdict import Severity
from tests.gate.checks.builders import (
    added,
    attempt,
    failure,
    key,
    problem,
    python_failure,
    recording,
    removed,
    revision,
    statement,
    trip,
)


def test_the_revision_that_fails_is_named_with_postgres_own_words_the_statement_and_the_line():
    broken = failure('relation "users" does not exist', sql="ALTER TABLE users ADD note text", line=14)

    [finding] = examine(recording(trip("a1"), trip("b2", up_failure=broken)))

    assert finding.message == 'b2 does not apply: relation "users" does not exist.'
    assert (finding.revision, finding.detail, finding.line) == ("b2", "ALTER TABLE users ADD note text", 14)
    assert "--prepare" in str(finding.help)


def test_an_error_of_the_script_itself_is_named_with_its_class():
    [finding] = examine(
        recording(trip("a1", up_failure=python_failure("ModuleNotFoundError", "No module named 'shop'")))
    )

    assert finding.message == "a1 does not apply: ModuleNotFoundError: No module named 'shop'."
    assert "Copy what it needs" in str(finding.help)


def test_a_step_that_never_ends_is_a_finding():
    hung = python_failure("Timeout", "it had not ended after 300 seconds", sql="SELECT pg_sleep(1000)")

    [finding] = examine(recording(trip("a1", up_failure=hung)))

    assert finding.message == "a1 does not apply: it had not ended after 300 seconds."
    assert "--timeout" in str(finding.help)


@pytest.mark.parametrize(
    ("sqlstate", "message", "advice"),
    [
        ("25001", "VACUUM cannot run inside a transaction block", "autocommit_block"),
        ("42P07", 'relation "users" already exists', "metadata.create_all"),
        ("42804", 'default for column "a" cannot be cast automatically to type integer', "server_default=None"),
        ("42P16", "cannot drop columns from view", "DROP VIEW first"),
        ("2BP01", "cannot drop column a of table t because other objects depend on it", "CASCADE drops"),
        ("42601", "cannot insert multiple commands into a prepared statement", "an op.execute() for each"),
        ("42710", 'constraint "ck" for relation "users" already exists', "An earlier statement or revision"),
    ],
)
def test_errors_with_a_usual_cause_get_advice(sqlstate, message, advice):
    [finding] = examine(recording(trip("a1", up_failure=failure(message, sqlstate=sqlstate))))

    assert advice in str(finding.help)


def test_what_postgres_says_beyond_its_message_is_shown():
    said = failure(
        "no",
        sqlstate="0A000",
        sql="ALTER …",
        detail="rule _RETURN on view v",
        hint="Use a new name.",
        context="line 3 at SQL",
    )

    [finding] = examine(recording(trip("a1", up_failure=said)))

    assert finding.help is None  # the SQLSTATE alone says nothing
    assert str(finding.detail).splitlines() == [
        "ALTER …",
        "DETAIL:  rule _RETURN on view v",
        "HINT:  Use a new name.",
        "CONTEXT:  line 3 at SQL",
    ]


def test_an_autocommit_block_in_somebody_else_s_transaction_is_explained():
    said = python_failure(
        "AssertionError", "`assert …`, in autocommit_block", raised_in="alembic.runtime.migration.autocommit_block"
    )

    [finding] = examine(recording(trip("a1", up_failure=said)))

    assert "before context.configure()" in str(finding.help)


def test_two_branches_that_fail_are_two_findings():
    broken = recording(
        trip("a1"),
        trip("b2", up_failure=failure()),
        trip("c3", up_failure=failure()),
        revisions=[revision("a1"), revision("b2", "a1"), revision("c3", "a1")],
    )

    assert [finding.revision for finding in examine(broken)] == ["b2", "c3"]


def test_revisions_that_were_not_tried_because_one_before_them_failed_are_counted():
    late = [RoundTrip(name, skipped_because="it comes after a1, which does not apply") for name in ("b2", "c3")]

    [finding] = examine(recording(trip("a1", up_failure=failure()), *late))

    assert finding.revision == "a1"
    assert finding.message.endswith(". 2 revisions after it could not be tried.")


def test_stays_quiet_about_a_second_upgrade_that_fails():
    assert list(examine(recording(trip("a1", again_failure=failure())))) == []


def test_stays_quiet_about_an_empty_history():
    assert list(examine(recording())) == []


def test_a_target_that_is_in_no_script_is_a_finding():
    [finding] = examine(recording(revisions=[revision("a1")], refusal="Can't locate revision identified by 'ff'"))

    assert finding.message == "Alembic refuses to upgrade: Can't locate revision identified by 'ff'."


def test_is_skipped_when_alembic_cannot_read_the_history():
    with pytest.raises(CheckSkipped, match="graph-integrity"):
        list(examine(recording(problems=(problem("cycle", "Cycle is detected"),))))


def test_is_skipped_with_the_reason_when_nothing_was_run():
    with pytest.raises(CheckSkipped, match="the heads must be merged first"):
        list(examine(recording(revisions=[revision("a1")], not_observed={"trips": "the heads must be merged first"})))


# Statements that are refused, or fail, and after which the upgrade goes on.

TRIGGERS = failure(
    'permission denied: "RI_ConstraintTrigger_c_16433" is a system trigger',
    error="psycopg2.errors.InsufficientPrivilege",
    sqlstate="42501",
    sql="ALTER TABLE orders DISABLE TRIGGER ALL",
    line=14,
)


def went_on(name="a1", *, refused=(), swallowed=()):
    gone = trip(name)
    assert gone.up is not None
    return replace(gone, up=replace(gone.up, refused=tuple(refused), swallowed=tuple(swallowed)))


def test_what_applies_only_as_a_superuser_is_a_warning_in_postgres_own_words():
    [finding] = examine(recording(went_on(refused=[TRIGGERS])))

    assert finding.message == (
        "a1 applies only as a superuser, which no user of a hosted database is:"
        ' permission denied: "RI_ConstraintTrigger_c_16433" is a system trigger.'
    )
    assert (finding.revision, finding.line, finding.severity) == ("a1", 14, Severity.WARNING)
    assert finding.detail == "ALTER TABLE orders DISABLE TRIGGER ALL"
    assert "DISABLE TRIGGER USER" in str(finding.help)


def test_several_such_statements_of_a_revision_are_one_finding():
    others = [replace(TRIGGERS, sql=f"ALTER TABLE t{number} DISABLE TRIGGER ALL", line=14) for number in range(80)]

    [finding] = examine(recording(went_on(refused=[*others, *others])))

    assert "(and 79 more statements)" in finding.message
    assert str(finding.detail).count("ALTER TABLE") == 80
    assert str(finding.help).count("DISABLE TRIGGER USER") == 1


@pytest.mark.parametrize(
    ("statement", "advice"),
    [
        ("ALTER TABLE orders OWNER TO app", 'op.execute("GRANT app TO CURRENT_USER")'),
        ('CREATE SCHEMA shop AUTHORIZATION "Shop Owner"', 'GRANT \\"Shop Owner\\" TO CURRENT_USER'),
        ("SET LOCAL session_replication_role = replica", "parents before children"),
        ("CREATE EXTENSION file_fdw", "no rights once it is there"),
        ("CREATE PUBLICATION p FOR ALL TABLES", "FOR TABLE"),
        ("CREATE PUBLICATION p FOR TABLES IN SCHEMA shop", "FOR TABLE"),
        ("COPY orders FROM '/tmp/orders.csv'", "FROM STDIN"),
        ("ALTER SYSTEM SET work_mem = '64MB'", "server's administrator"),
    ],
)
def test_the_advice_is_about_what_the_statement_asks_for(statement, advice):
    [finding] = examine(recording(went_on(refused=[replace(TRIGGERS, sql=statement)])))

    assert advice in str(finding.help)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE EXTENSION postgis",
        'CREATE EXTENSION IF NOT EXISTS "uuid-ossp"',
        "ALTER EXTENSION vector UPDATE",
        "COMMENT ON EXTENSION pg_stat_statements IS 'x'",
        "DROP EXTENSION IF EXISTS postgres_fdw CASCADE",
    ],
)
def test_stays_quiet_about_extensions_that_users_of_hosted_databases_may_create(statement):
    assert list(examine(recording(went_on(refused=[replace(TRIGGERS, sql=statement)])))) == []


def test_a_command_that_reaches_alembic_only_as_a_superuser_is_a_warning_at_its_env_py():
    [finding] = examine(recording(trip("a1"), refused_before_alembic="permission denied", env_path="migrations/env.py"))

    assert finding.message.startswith("The command reaches Alembic only as a superuser")
    assert (finding.path, finding.severity) == ("migrations/env.py", Severity.WARNING)


def test_a_statement_whose_error_the_script_swallows_is_a_warning_at_its_line():
    swallowed = failure('relation "users" does not exist', sql="ALTER TABLE users ADD note text", line=14)

    [finding] = examine(recording(went_on(swallowed=[swallowed])))

    assert finding.message == (
        'a1 continues after a statement that failed, as if nothing were wrong: relation "users" does not exist.'
    )
    assert (finding.revision, finding.line, finding.severity) == ("a1", 14, Severity.WARNING)
    assert finding.subject == "swallows 42P01 ALTER TABLE users"


def test_statements_of_one_line_are_one_finding_and_those_of_another_line_another():
    loop = [failure(sql=f"ALTER TABLE t{number} ADD note text", line=14) for number in range(3)]

    first, second = examine(recording(went_on(swallowed=[*loop, failure(sql="DROP TABLE users", line=20)])))

    assert first.message.startswith("a1 continues after 3 statements that failed")
    assert second.line == 20


def created_with(*constraints):
    made = [
        added(key("table", "users")),
        *(added(key("constraint", name, "users"), type=kind) for name, kind in constraints),
    ]
    return trip("a1", changes=made)


@pytest.mark.parametrize(
    ("name", "constraints", "told"),
    [
        ("PRIMARY", [("users_pkey", "primary key")], "PRIMARY is MySQL's name of a primary key. PostgreSQL's, of users, is users_pkey."),
        ("fk_x", [("users_shop_fkey", "foreign key"), ("users_pkey", "primary key")], "users has users_pkey (primary key) and users_shop_fkey (foreign key). "),
        ("fk_x", [], "No earlier revision creates it"),
    ],
)  # fmt: skip
def test_a_constraint_that_has_another_name_is_found_among_those_that_the_table_has(name, constraints, told):
    broken = failure(f'constraint "{name}" of relation "users" does not exist', sqlstate="42704")

    [finding] = examine(recording(created_with(*constraints), trip("b2", up_failure=broken)))

    assert str(finding.help).startswith(told)


THERE = [
    failure('column "note" of relation "users" already exists', sqlstate="42701", sql="ALTER TABLE users ADD note text", line=14),
    failure('relation "ix_users" already exists', sqlstate="42P07", sql="CREATE INDEX ix_users ON users (id)", line=20),
]  # fmt: skip


def test_what_is_made_although_it_is_there_is_one_notice_for_a_revision():
    [finding] = examine(recording(went_on(swallowed=THERE)))

    assert finding.message == (
        'a1 makes what is there already, and swallows the error: column "note" of relation "users" already exists (and 1 more'
        " statement)."
    )
    assert (finding.revision, finding.line, finding.severity) == ("a1", 14, Severity.NOTICE)


def test_where_many_revisions_make_what_is_there_it_is_one_notice():
    names = ["a1", "b2", "c3", "d4"]
    trips = [went_on(name, swallowed=THERE) for name in names]
    revisions = [revision(name) for name in names]

    [finding] = examine(recording(*trips, revisions=revisions))
    some = list(examine(recording(*trips[:3], revisions=revisions[:3])))

    assert finding.message == "4 revisions make what is there already, and swallow the error: a1, b2, c3 and d4."
    assert (finding.revision, finding.is_of_all) == (None, True)
    assert '- d4: column "note" of relation "users" already exists and relation "ix_users" already exists' in str(
        finding.detail
    )
    assert [each.revision for each in some] == names[:3]


def test_what_is_dropped_and_is_not_there_stays_a_warning():
    missing = failure(
        'constraint "uq" of relation "users" does not exist',
        sqlstate="42704",
        sql="ALTER TABLE users DROP CONSTRAINT uq",
    )

    [finding] = examine(recording(went_on(swallowed=[missing])))

    assert finding.severity is Severity.WARNING


def test_stays_quiet_about_both_in_revisions_that_are_on_the_base():
    merged = revision("a1", is_new=False)

    assert list(examine(recording(went_on(refused=[TRIGGERS], swallowed=[TRIGGERS]), revisions=[merged]))) == []


LONG = "ix_" + "a" * 70


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        (f"CREATE INDEX {LONG.upper()} ON orders (id)", LONG[:63]),
        (f'CREATE INDEX "{LONG}é" ON orders (id)', LONG[:63]),
        (f'CREATE INDEX "{"é" * 40}" ON orders (id)', "é" * 31),
    ],
    ids=["a bare name", "a quoted name", "a name in letters of two bytes"],
)
def test_a_name_that_postgresql_cuts_is_a_notice(sql, name):
    made = added(key("index", name, "orders"), definition="USING btree (id)")

    [finding] = examine(recording(trip("a1", changes=[made], statements=[statement(sql, line=12)])))

    assert finding.message.startswith("a1 applies, but PostgreSQL keeps only the first 63 bytes of a name: index ")
    assert (finding.severity, finding.line) == (Severity.NOTICE, 12)
    assert f"is now {name}" in str(finding.detail)


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        (f"CREATE INDEX {LONG[:63]} ON orders (id)", LONG[:63]),
        (f"CREATE INDEX ix ON orders (id) -- {LONG}", LONG[:63]),
        (f"COMMENT ON TABLE orders IS '{LONG}'", LONG[:63]),
        (f"CREATE INDEX IF NOT EXISTS {LONG} ON orders (id)", "ix"),
    ],
    ids=["of 63 bytes", "in a comment", "in a literal", "of what was there before"],
)
def test_stays_quiet_about_a_name(sql, name):
    made = added(key("index", name, "orders"), definition="USING btree (id)")

    assert list(examine(recording(trip("a1", changes=[made], statements=[statement(sql)])))) == []


@pytest.mark.parametrize(
    ("path", "message", "subject", "helps"),
    [
        (
            attempt(failure()),
            "Each revision applies in a separate transaction, but the whole command fails on an empty database: it broke.",
            "whole-command fails 42P01",
            "Set transaction_per_migration=True in env.py's context.configure(), if it runs all revisions in one transaction.",
        ),
        (
            attempt(differences=[removed(key("table", "orders"))]),
            "The command succeeds, but nothing of what it did remains: table orders.",
            "not-committed ",
            _LOST_HELP,
        ),
        (
            attempt(differences=[removed(key("table", "orders")), added(key("table", "users"))]),
            "In a single run, the history gives a different schema than revision by revision: table orders and table users.",
            "in-one-go ",
            _IN_ONE_GO_HELP,
        ),
    ],
    ids=["it fails", "nothing remains", "another schema"],
)
def test_what_the_whole_command_does_in_another_way_is_a_finding_about_env_py(path, message, subject, helps):
    [finding] = _lost(path, "an empty database", "migrations/env.py")

    assert (finding.message, finding.help, finding.path) == (message, helps, "migrations/env.py")
    assert finding.subject.startswith(subject)
    assert list(_lost(attempt(), "an empty database", None)) == []


@pytest.mark.parametrize(
    ("broken", "advice"),
    [
        (
            failure('type "mood" does not exist', sqlstate="42704", sql="ALTER TABLE t ADD COLUMN m mood"),
            ".create(op.get_bind()",
        ),
        (failure('type "mood" does not exist', sqlstate="42704", sql="DROP TYPE mood"), "No earlier revision"),
        (
            failure(
                "column roles.later does not exist",
                sqlstate="42703",
                sql="SELECT roles.id AS roles_id, roles.later AS roles_later FROM roles",
            ),
            "uses a model as it is today",
        ),
        (
            failure("column roles.later does not exist", sqlstate="42703", sql="SELECT roles.later FROM roles"),
            "No earlier revision",
        ),
        (python_failure("InvalidRequestError", "A value is required for bind parameter '28'"), "\\:"),
    ],
)
def test_the_words_and_the_statement_together_tell_what_went_wrong(broken, advice):
    [finding] = examine(recording(trip("a1", up_failure=broken)))

    assert advice in str(finding.help)


@pytest.mark.parametrize(
    ("error", "told"), [("zlib.error", "zlib.error"), ("a.b.Error", "b.Error"), ("a.KeyError", "KeyError")]
)
def test_an_error_whose_class_is_called_error_is_named_with_its_module(error, told):
    [finding] = examine(recording(trip("a1", up_failure=python_failure(error, "incorrect header check"))))

    assert finding.message == f"a1 does not apply: {told}: incorrect header check."
