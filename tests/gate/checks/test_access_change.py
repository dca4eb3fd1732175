"""Someone may do more or less than before. What PostgreSQL does is tried by tests/gate/hazards/access.py."""

from __future__ import annotations

import pytest

from app.gate.checks.access_change import examine
from app.gate.checks.support.access import grant
from app.gate.report.verdict import Severity
from app.gate.server.database import Database
from app.gate.snapshot.difference import difference
from app.gate.snapshot.read import read
from tests.gate.checks.builders import added, altered, key, recording, removed, revision, snapshot, statement, trip

ORDERS = key("table", "orders")
VIEW = key("view", "open_orders")
READER = {"privileges": {"reader": "SELECT"}}


def test_the_finding_names_the_role_what_it_lost_and_the_code_that_gives_it_back():
    revoke = statement("REVOKE SELECT ON orders FROM reader", line=12)

    [finding] = examine(recording(trip("a1", changes=[altered(ORDERS, READER, {})], statements=[revoke])))

    assert finding.message == "Role reader has lost SELECT on table orders."
    assert (finding.revision, finding.object, finding.line) == ("a1", "public.orders", 12)
    assert finding.detail == "REVOKE SELECT ON orders FROM reader"
    assert 'op.execute("GRANT SELECT ON TABLE orders TO reader")' in str(finding.help)
    assert finding.subject == "lost table public.orders reader loses SELECT"


def test_one_cause_is_one_finding_however_many_tables_it_is_about():
    changes = [altered(key("table", f"t{number}"), READER, {}) for number in range(80)]

    [finding] = examine(recording(trip("a1", changes=changes)))

    assert finding.message == "Role reader has lost SELECT on table t0 (and 79 more such changes)."
    assert str(finding.detail).count("\n") == 79
    assert "# … and 68 more" in str(finding.help)


def test_two_changes_of_one_statement_are_listed_and_one_is_shown_as_it_is_written():
    revoke = statement(" REVOKE SELECT ON orders, users FROM reader ")
    orders, users = altered(ORDERS, READER, {}), altered(key("table", "users"), READER, {})

    [both] = examine(recording(trip("a1", changes=[orders, users], statements=[revoke])))
    [one] = examine(recording(trip("a1", changes=[orders], statements=[revoke])))
    [alone] = examine(recording(trip("a1", changes=[orders])))

    assert both.message == "Role reader has lost SELECT on table orders (and 1 more such change)."
    assert both.object is None
    assert both.detail == "- role reader has lost SELECT on table orders\n- role reader has lost SELECT on table users"
    assert one.detail == "REVOKE SELECT ON orders, users FROM reader"
    assert (alone.detail, alone.line) == (None, None)


def test_a_view_in_the_place_of_another_kind_of_view_has_lost_the_grants():
    changes = [removed(VIEW, **READER), added(key("materialized view", "open_orders"))]

    [finding] = examine(recording(trip("a1", changes=changes)))

    assert finding.message == "Role reader has lost SELECT on materialized view open_orders."


def test_what_a_named_role_gains_is_a_notice_and_what_every_role_gains_a_warning():
    after = {"privileges": {"PUBLIC": "SELECT", "reader": "SELECT, UPDATE"}}

    public, named = sorted(
        examine(recording(trip("a1", changes=[altered(ORDERS, READER, after)]))), key=lambda each: str(each.severity)
    )

    assert (public.message, public.severity) == ("Every role (PUBLIC) now has SELECT on table orders.", None)
    assert (named.message, named.severity) == ("Role reader now has UPDATE on table orders.", Severity.NOTICE)


def test_a_grant_option_that_goes_is_a_privilege_that_is_lost():
    before = {"privileges": {"reader": "SELECT with grant option"}}

    [finding] = examine(recording(trip("a1", changes=[altered(ORDERS, before, READER)])))

    assert finding.message == "Role reader has lost GRANT SELECT on table orders."


def test_row_security_that_comes_with_its_policies_is_one_change():
    policy = added(key("policy", "own", "orders"), command="all", using="(id > 0)")
    changes = [altered(ORDERS, {}, {"row_security": "enabled"}), policy]

    [finding] = examine(recording(trip("a1", changes=changes)))

    assert "see and change only the rows that policies allow" in finding.message


def test_an_owner_that_changes_is_named():
    [finding] = examine(recording(trip("a1", changes=[altered(ORDERS, {}, {"owner": "app"})])))

    assert finding.message == "Table orders belongs to app from now on."


def test_stays_quiet_about_a_new_table_whose_grants_are_for_named_roles():
    assert list(examine(recording(trip("a1", changes=[added(ORDERS, **READER)])))) == []


def test_stays_quiet_where_default_privileges_have_already_given_it_to_every_role():
    public = {"privileges": {"PUBLIC": "SELECT"}}
    head = snapshot({key("default privileges", "tables by app", schema=""): public})

    assert list(examine(recording(trip("a1", changes=[added(ORDERS, **public)]), head=head))) == []


def test_stays_quiet_about_a_table_that_another_revision_of_the_branch_created():
    history = recording(
        trip("a1"),
        trip("b2", changes=[added(ORDERS, **READER)]),
        trip("c3", changes=[altered(ORDERS, READER, {"row_security": "enabled"})]),
        revisions=[revision("a1", is_new=False), revision("b2", "a1"), revision("c3", "b2")],
    )

    assert list(examine(history)) == []


def test_stays_quiet_about_what_is_dropped():
    policy = removed(key("policy", "own", "orders"), command="all", using="(id > 0)")

    assert list(examine(recording(trip("a1", changes=[removed(ORDERS, **READER), policy])))) == []


@pytest.mark.parametrize(
    ("made", "object_", "right"),
    [
        ('CREATE TABLE "Order" (id int)', key("table", "Order"), "SELECT"),
        ('CREATE TABLE shop."select" (id int)', key("table", "select", schema="shop"), "SELECT"),
        ("CREATE VIEW v AS SELECT 1 AS id", key("view", "v"), "SELECT"),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1 AS id", key("materialized view", "v"), "SELECT"),
        ('CREATE TABLE t ("Note" text)', key("column", "Note", "t"), "UPDATE"),
        ("CREATE SEQUENCE shop.s", key("sequence", "s", schema="shop"), "USAGE"),
        ('CREATE FUNCTION "F"(a int, b text) RETURNS int LANGUAGE sql AS $$SELECT 1$$', key("function", "F(integer, text)"), "EXECUTE"),
        ("CREATE PROCEDURE p(a int) LANGUAGE sql AS $$SELECT 1$$", key("procedure", "p(integer)"), "EXECUTE"),
        ("CREATE AGGREGATE g(int) (SFUNC = int4pl, STYPE = int)", key("aggregate", "g(integer)"), "EXECUTE"),
        ("CREATE TYPE state AS ENUM ('new')", key("enum", "state"), "USAGE"),
        ("CREATE DOMAIN mail AS text", key("domain", "mail"), "USAGE"),
        ("CREATE TYPE pair AS (a int, b int)", key("composite type", "pair"), "USAGE"),
        ('CREATE SCHEMA "Later"', key("schema", "Later", schema=""), "CREATE"),
    ],
)  # fmt: skip
def test_the_code_gives_back_what_was_taken(made, object_, right, blank_database: Database):
    # What the owner may do is followed for tables.
    roles = ["PUBLIC", "pg_monitor", *(["the owner"] if object_.kind in ("table", "view", "materialized view") else [])]
    with blank_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA shop")
        cursor.execute(made)
        for role in roles:
            given = grant(object_, {right}, role)
            cursor.execute(given)
            before = read(connection)
            cursor.execute(given.replace("GRANT ", "REVOKE ").replace(" TO ", " FROM "))
            [finding] = examine(recording(trip("a1", changes=difference(before, read(connection)))))
            cursor.execute(str(finding.help).partition('op.execute("')[2].rpartition('")')[0].replace('\\"', '"'))

            assert read(connection).objects == before.objects


def test_the_place_is_the_statement_about_access_that_names_the_object():
    statements = [
        statement("GRANT SELECT ON users TO reader", line=11),
        statement("CREATE INDEX ix ON orders (id)", line=12),
        statement("REVOKE SELECT ON orders FROM reader", line=13),
        statement("COMMENT ON TABLE orders IS 'x'", line=14),
    ]

    def line(*those):
        [finding] = examine(recording(trip("a1", changes=[altered(ORDERS, READER, {})], statements=those)))
        return finding.line

    assert line(*statements) == 13
    assert line(statements[0], statements[1], statements[3]) == 14
    assert line(statements[0]) == 11
    assert line(statement("SELECT 1", line=15)) is None


@pytest.mark.parametrize(
    ("before", "after", "whose"),
    [
        ({}, {"security_definer": True}, "its owner (SECURITY DEFINER)"),
        ({"security_definer": True}, {}, "its caller (SECURITY INVOKER)"),
    ],
)
def test_a_function_that_has_the_rights_of_another_role_says_of_whom(before, after, whose):
    function = altered(key("function", "total()"), before, after)

    [finding] = examine(recording(trip("a1", changes=[function])))

    assert finding.message == f"Function total() runs with the rights of {whose} from now on."


def test_two_policies_that_change_alike_are_not_taken_for_one_with_another_name():
    before, after = {"using": "true"}, {"using": "false"}
    policies = [altered(key("policy", name, "orders"), before, after) for name in ("own", "shared")]

    [finding] = examine(recording(trip("a1", changes=policies)))

    assert "policy own" in str(finding.detail)
    assert "policy shared" in str(finding.detail)
