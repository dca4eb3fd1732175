"""What is known of a table when code for it is printed."""

from __future__ import annotations

import pytest

from app.gate.checks.support.schema import Schema, SchemaHistory, bounds_of, parent_of
from app.gate.postgres.quoting import unquoted
from app.gate.recording.model import Key
from tests.gate.checks.builders import added, altered, failure, key, recording, removed, snapshot, statement, trip

ORDERS, USERS = key("table", "orders"), key("table", "users")
NOTE = key("column", "note", "orders")


def test_the_schema_of_a_revision_is_what_the_ones_before_it_left():
    walk = recording(
        trip("a1", changes=[added(ORDERS), added(NOTE, type="text")]),
        trip("b2", changes=[altered(NOTE, {"type": "text"}, {"type": "int"})]),
        trip("c3", changes=[removed(ORDERS)], up_failure=failure()),
        start=snapshot({USERS: {}}),
    )
    history = SchemaHistory(walk)

    assert set(history.before("a1").objects) == {USERS}
    assert history.before("b2").objects[NOTE] == {"type": "text"}
    assert history.after("b2").objects[NOTE] == {"type": "int"}
    assert ORDERS in history.after("c3").objects  # it failed
    assert set(history.before("a1").objects) == {USERS}  # again, after a later one


def test_without_the_start_it_follows_from_head():
    walk = recording(trip("a1", changes=[added(ORDERS)]), head=snapshot({ORDERS: {}, USERS: {}}))

    assert set(SchemaHistory(walk).before("a1").objects) == {USERS}


@pytest.mark.parametrize(
    ("sql", "implied"),
    [
        ("CREATE TABLE orders (id int)", {"public", "blue"}),
        ("CREATE TABLE blue.orders (id int)", {"public"}),
        ('CREATE TABLE "blue"."orders" (id int)', {"public"}),
        ("CREATE TABLE orders (user_id int REFERENCES public.users)", {"blue"}),
        ("CREATE TABLE things (id int)", {"public"}),
    ],
)
def test_a_schema_that_no_statement_names_is_left_out(sql: str, implied: set[str]):
    changes = [added(key("table", "orders", schema="blue"))]

    history = SchemaHistory(recording(trip("a1", changes=changes, statements=[statement(sql)])))

    assert history.after("a1").implied == implied


@pytest.mark.parametrize(
    ("sql", "short"),
    [
        ("REFERENCES blue.users(id)", "REFERENCES users(id)"),
        ('REFERENCES "blue"."User"(id)', 'REFERENCES "User"(id)'),
        ("nextval('blue.orders_id_seq'::regclass)", "nextval('orders_id_seq'::regclass)"),
        ("url <> 'http://blue.example'", "url <> 'http://blue.example'"),
        ("note <> 'blue.x'::text", "note <> 'blue.x'::text"),
        ("light_blue.orders.id", "light_blue.orders.id"),
        ("red.users", "red.users"),
    ],
)
def test_names_lose_a_schema_that_search_path_gives_and_texts_stay(sql: str, short: str):
    assert Schema(implied=frozenset({"blue"})).unqualified(sql) == short


def test_partitions_and_children_are_found_through_all_levels():
    bounds = "FOR VALUES FROM (1) TO (2)"
    schema = Schema(
        {
            key("table", "hit"): {"partition_by": "RANGE (id)"},
            key("table", "a"): {"partition_of": f"public.hit {bounds}", "partition_by": "LIST (b)"},
            key("table", "A 1", schema="Shop"): {"partition_of": "public.a DEFAULT"},
            key("table", "child"): {"inherits": ["public.parent"]},
            key("table", "grandchild"): {"inherits": ["public.child", "public.parent"]},
            key("table", "parent"): {},
        }
    )

    assert schema.leaves("public.hit") == ["Shop.A 1"]
    assert schema.with_children("public.parent") == ["public.parent", "public.child", "public.grandchild"]
    assert parent_of({"partition_of": 'shop."Hit 1" DEFAULT'}) == "shop.Hit 1"
    assert bounds_of({"partition_of": f'shop."Hit 1" {bounds}'}) == bounds
    assert unquoted('"a""b".c') == 'a"b.c'


def test_views_come_before_those_that_read_them():
    schema = Schema(
        {
            key("view", "a"): {"definition": " SELECT note\n   FROM public.z;"},
            key("materialized view", "z"): {"definition": " SELECT orders.note\n   FROM public.orders;"},
            key("view", "other"): {"definition": " SELECT note FROM public.orders_old;"},
        }
    )

    assert [view.name for view in schema.views_on("public.orders", "note")] == ["z", "a"]
    assert schema.views_on("public.orders", "total") == []


def test_a_domain_counts_if_it_has_constraints():
    mail, free = Key("domain", "shop", "Mail"), key("domain", "free")
    rule = Key("domain constraint", "shop", "ck", "Mail")
    schema = Schema({mail: {"type": "text"}, free: {"type": "text"}, rule: {"definition": "CHECK (VALUE <> '')"}})

    assert schema.domain_of('shop."Mail"') == mail
    assert schema.domain_of("public.free") is None
    assert schema.domain_of("integer") is None
