"""Each kind of object as lines of a script: created, dropped and altered."""

from __future__ import annotations

from typing import Any

import pytest

from app.gate.checks.support import ddl
from tests.gate.checks.builders import key

Definition = dict[str, Any]


@pytest.mark.parametrize(
    ("kind", "name", "table", "definition", "lines"),
    [
        ('constraint', 'ck', 'orders', {'type': 'check', 'definition': 'CHECK ((a > 0))'}, ['op.create_check_constraint("ck", "orders", "a > 0")']),
        ('constraint', 'ck', 'orders', {'type': 'check', 'definition': 'CHECK (((a) + (b)))'}, ['op.create_check_constraint("ck", "orders", "(a) + (b)")']),
        ('constraint', 'ck', 'orders', {'type': 'check', 'definition': 'CHECK ((a) > (b)) NOT VALID'}, ['op.execute("ALTER TABLE orders ADD CONSTRAINT ck CHECK ((a) > (b)) NOT VALID")']),
        ('constraint', 'uq', 'orders', {'type': 'unique', 'columns': ['a', 'b'], 'definition': 'UNIQUE (a, b)'}, ['op.create_unique_constraint("uq", "orders", ["a", "b"])']),
        ('constraint', 'uq', 'orders', {'type': 'unique', 'columns': ['a'], 'definition': 'UNIQUE (a) DEFERRABLE'}, ['op.execute("ALTER TABLE orders ADD CONSTRAINT uq UNIQUE (a) DEFERRABLE")']),
        ('constraint', 'pk', 'orders', {'type': 'primary key', 'columns': ['id'], 'definition': 'PRIMARY KEY (id)'}, ['op.create_primary_key("pk", "orders", ["id"])']),
        ('constraint', 'pk', 'orders', {'type': 'primary key', 'columns': ['id'], 'definition': 'PRIMARY KEY (id) INCLUDE (a)'}, ['op.execute("ALTER TABLE orders ADD CONSTRAINT pk PRIMARY KEY (id) INCLUDE (a)")']),
        ('constraint', 'fk', 'orders', {'type': 'foreign key', 'columns': ['a'], 'definition': 'FOREIGN KEY (a) REFERENCES users(id)'}, ['op.execute("ALTER TABLE orders ADD CONSTRAINT fk FOREIGN KEY (a) REFERENCES users(id)")']),
        ('index', 'ix', 'orders', {'definition': 'USING btree (a, b)'}, ['op.create_index("ix", "orders", ["a", "b"])']),
        ('index', 'ix', 'orders', {'definition': 'USING btree (a)', 'unique': True}, ['op.create_index("ix", "orders", ["a"], unique=True)']),
        ('index', 'ix', 'orders', {'definition': 'USING gin (a);', 'unique': False}, ['op.execute("CREATE INDEX ix ON orders USING gin (a)")']),
        ('index', 'ix', 'orders', {'definition': 'USING btree (lower(a))', 'unique': True}, ['op.execute("CREATE UNIQUE INDEX ix ON orders USING btree (lower(a))")']),
        ('view', 'v', '', {'definition': 'SELECT 1;', 'options': ['security_invoker=true', 'x=1']}, ['op.execute("CREATE VIEW v WITH (security_invoker=true, x=1) AS SELECT 1")']),
        ('materialized view', 'v', '', {'definition': 'SELECT 1', 'populated': False}, ['op.execute("CREATE MATERIALIZED VIEW v AS SELECT 1 WITH NO DATA")']),
        ('materialized view', 'v', '', {'definition': 'SELECT 1', 'populated': True}, ['op.execute("CREATE MATERIALIZED VIEW v AS SELECT 1")']),
        ('column', 'c', 'orders', {'type': 'int'}, ['op.execute("ALTER TABLE orders ADD COLUMN c int")']),
        ('domain constraint', 'ck', 'amount', {'definition': 'CHECK ((VALUE > 0))'}, ['op.execute("ALTER DOMAIN amount ADD CONSTRAINT ck CHECK ((VALUE > 0))")']),
        ('enum', 'status', '', {'labels': ['new', "it's"]}, ['op.execute("CREATE TYPE status AS ENUM (\'new\', \'it\'\'s\')")']),
        ('extension', 'citext', '', {}, ['op.execute("CREATE EXTENSION IF NOT EXISTS citext")']),
        ('schema', 'shop', '', {}, ['op.execute("CREATE SCHEMA shop")']),
        ('owner of a sequence', 's', '', {'owned_by': 'orders.id'}, ['op.execute("ALTER SEQUENCE s OWNED BY orders.id")']),
        ('sequence', 's', '', {}, ['op.execute("CREATE SEQUENCE s AS bigint")']),
        ('sequence', 's', '', {'type': 'integer'}, ['op.execute("CREATE SEQUENCE s AS integer")']),
        ('trigger', 'tr', 'orders', {'definition': 'AFTER INSERT ON orders EXECUTE FUNCTION f()'}, ['op.execute("CREATE TRIGGER tr AFTER INSERT ON orders EXECUTE FUNCTION f()")']),
        ('trigger', 'tr', 'orders', {'constraint': True, 'definition': 'AFTER INSERT ON orders EXECUTE FUNCTION f()'}, ['op.execute("CREATE CONSTRAINT TRIGGER tr AFTER INSERT ON orders EXECUTE FUNCTION f()")']),
        ('policy', 'p', 'orders', {}, []),
    ],
)  # fmt: skip
def test_an_object_is_created(kind: str, name: str, table: str, definition: Definition, lines: list[str]) -> None:
    assert ddl.create(key(kind, name, table, schema=""), definition) == lines


@pytest.mark.parametrize(
    ("kind", "name", "table", "definition", "lines"),
    [
        ('table', 't', '', {}, ['op.drop_table("t")']),
        ('column', 'c', 'orders', {}, ['op.drop_column("orders", "c")']),
        ('index', 'ix', 'orders', {}, ['op.drop_index("ix", table_name="orders")']),
        ('constraint', 'c', 'orders', {'type': 'primary key'}, ['op.drop_constraint("c", "orders", type_="primary")']),
        ('constraint', 'c', 'orders', {'type': 'foreign key'}, ['op.drop_constraint("c", "orders", type_="foreignkey")']),
        ('constraint', 'c', 'orders', {'type': 'unique'}, ['op.drop_constraint("c", "orders", type_="unique")']),
        ('constraint', 'c', 'orders', {'type': 'check'}, ['op.drop_constraint("c", "orders", type_="check")']),
        ('constraint', 'c', 'orders', {'type': 'exclude'}, ['op.drop_constraint("c", "orders")']),
        ('domain constraint', 'ck', 'amount', {}, ['op.execute("ALTER DOMAIN amount DROP CONSTRAINT ck")']),
        ('trigger', 'p', 'orders', {}, ['op.execute("DROP TRIGGER p ON orders")']),
        ('policy', 'p', 'orders', {}, ['op.execute("DROP POLICY p ON orders")']),
        ('rule', 'p', 'orders', {}, ['op.execute("DROP RULE p ON orders")']),
        ('enum', 'n', '', {}, ['op.execute("DROP TYPE n")']),
        ('composite type', 'n', '', {}, ['op.execute("DROP TYPE n")']),
        ('range type', 'n', '', {}, ['op.execute("DROP TYPE n")']),
        ('base type', 'n', '', {}, ['op.execute("DROP TYPE n")']),
        ('view', 'n', '', {}, ['op.execute("DROP VIEW n")']),
        ('materialized view', 'n', '', {}, ['op.execute("DROP MATERIALIZED VIEW n")']),
        ('foreign table', 'n', '', {}, ['op.execute("DROP FOREIGN TABLE n")']),
        ('sequence', 'n', '', {}, ['op.execute("DROP SEQUENCE n")']),
        ('domain', 'n', '', {}, ['op.execute("DROP DOMAIN n")']),
        ('extension', 'n', '', {}, ['op.execute("DROP EXTENSION n")']),
        ('schema', 'n', '', {}, ['op.execute("DROP SCHEMA n")']),
        ('statistics', 'n', '', {}, ['op.execute("DROP STATISTICS n")']),
        ('publication', 'n', '', {}, []),
        ('function', 'f(integer)', '', {}, ['op.execute("DROP FUNCTION f(integer)")']),
        ('procedure', 'f(integer)', '', {}, ['op.execute("DROP PROCEDURE f(integer)")']),
        ('aggregate', 'f(integer)', '', {}, ['op.execute("DROP AGGREGATE f(integer)")']),
    ],
)  # fmt: skip
def test_an_object_is_dropped(kind: str, name: str, table: str, definition: Definition, lines: list[str]) -> None:
    assert ddl.drop(key(kind, name, table, schema=""), definition) == lines


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ({'type': 'text'}, {'type': 'integer'}, ['op.execute("ALTER TABLE orders ALTER COLUMN c TYPE integer USING c::text::integer")']),
        ({'type': 'text', 'default': "'1'"}, {'type': 'integer', 'default': '1'}, ['op.execute("ALTER TABLE orders ALTER COLUMN c DROP DEFAULT")', 'op.execute("ALTER TABLE orders ALTER COLUMN c TYPE integer USING c::text::integer")', 'op.alter_column("orders", "c", server_default=sa.text("1"))']),
        ({'type': 'text', 'default': '1'}, {'type': 'integer', 'default': '1'}, ['op.execute("ALTER TABLE orders ALTER COLUMN c DROP DEFAULT")', 'op.execute("ALTER TABLE orders ALTER COLUMN c TYPE integer USING c::text::integer")', 'op.execute("ALTER TABLE orders ALTER COLUMN c SET DEFAULT 1")']),
        ({'type': 'integer'}, {'type': 'bigint'}, ['op.execute("ALTER TABLE orders ALTER COLUMN c TYPE bigint")']),
        ({'type': 'date'}, {'type': 'timestamp with time zone'}, ['op.execute("ALTER TABLE orders ALTER COLUMN c TYPE timestamp with time zone")']),
        ({'type': 'date'}, {'type': 'time with time zone'}, ['op.execute("ALTER TABLE orders ALTER COLUMN c TYPE time with time zone USING c::text::time with time zone")']),
        ({'type': 'text'}, {'type': 'character varying(7)'}, ['# A longer text stops this, so look first: SELECT * FROM orders WHERE length(c) > 7', 'op.execute("ALTER TABLE orders ALTER COLUMN c TYPE character varying(7)")']),
        ({'type': 'character varying(9)'}, {'type': 'character varying(7)'}, ['# A longer text stops this, so look first: SELECT * FROM orders WHERE length(c) > 7', 'op.execute("ALTER TABLE orders ALTER COLUMN c TYPE character varying(7)")']),
        ({'type': 'character varying(7)'}, {'type': 'character varying(7)', 'collation': '"C"'}, ['op.execute("ALTER TABLE orders ALTER COLUMN c TYPE character varying(7) COLLATE \\"C\\"")']),
        ({'type': 'character varying(5)'}, {'type': 'character varying(7)'}, ['op.execute("ALTER TABLE orders ALTER COLUMN c TYPE character varying(7)")']),
        ({'type': 'integer', 'nullable': False}, {'type': 'integer', 'nullable': True}, ['op.alter_column("orders", "c", nullable=True)']),
        ({'default': '1'}, {'default': None}, ['op.alter_column("orders", "c", server_default=None)']),
        ({}, {'default': 'now()'}, ['op.alter_column("orders", "c", server_default=sa.text("now()"))']),
        ({}, {'comment': 'why'}, ['op.alter_column("orders", "c", comment="why")']),
        ({'comment': 'why'}, {}, ['op.alter_column("orders", "c", comment=None)']),
        ({'identity': 'always', 'sequence': {'start': 1}}, {'sequence': None}, ['op.execute("ALTER TABLE orders ALTER COLUMN c DROP IDENTITY")']),
        ({}, {'identity': 'by default', 'sequence': {'start': 5}, 'nullable': False}, ['op.alter_column("orders", "c", nullable=False)', 'op.execute("ALTER TABLE orders ALTER COLUMN c ADD GENERATED BY DEFAULT AS IDENTITY (START WITH 5)")']),
        ({'identity': 'always'}, {'identity': 'by default'}, ['op.execute("ALTER TABLE orders ALTER COLUMN c SET GENERATED BY DEFAULT")']),
        ({'identity': 'always', 'nullable': False}, {'nullable': True}, ['op.execute("ALTER TABLE orders ALTER COLUMN c DROP IDENTITY")', 'op.alter_column("orders", "c", nullable=True)']),
        ({'generated': 'a'}, {'generated': 'b'}, []),
        ({'identity': 'always', 'sequence': {'start': 1}}, {'identity': 'always', 'sequence': {'start': 2}}, []),
        ({'not_null': 'n'}, {'not_null': 'm'}, []),
        ({}, {}, []),
        ({'type': 'json'}, {'type': 'jsonb'}, ['op.execute("ALTER TABLE orders ALTER COLUMN c TYPE jsonb")']),
        ({'type': 'cidr'}, {'type': 'inet'}, ['op.execute("ALTER TABLE orders ALTER COLUMN c TYPE inet")']),
        ({'type': 'bit(3)'}, {'type': 'bit varying(3)'}, ['op.execute("ALTER TABLE orders ALTER COLUMN c TYPE bit varying(3)")']),
        ({'type': 'time without time zone'}, {'type': 'time with time zone'}, ['op.execute("ALTER TABLE orders ALTER COLUMN c TYPE time with time zone")']),
        ({'type': 'double precision'}, {'type': 'smallint'}, ['op.execute("ALTER TABLE orders ALTER COLUMN c TYPE smallint")']),
        ({'type': 'real'}, {'type': 'json'}, ['op.execute("ALTER TABLE orders ALTER COLUMN c TYPE json USING c::text::json")']),
    ],
)  # fmt: skip
def test_a_column_is_altered_or_nothing_is_said_where_only_dropping_it_would_do(
    before: Definition, after: Definition, lines: list[str]
) -> None:
    assert ddl.alter_column(key("column", "c", "orders", schema=""), before, after) == lines


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (['a', 'c'], ['a', 'b', 'c', 'd'], ['with op.get_context().autocommit_block():', '    op.execute("ALTER TYPE e ADD VALUE IF NOT EXISTS \'b\' BEFORE \'c\'")', '    op.execute("ALTER TYPE e ADD VALUE IF NOT EXISTS \'d\'")']),
        (['a', 'b'], ['b', 'a'], []),
        (['a', 'b'], ['a'], []),
        ([], ["x'"], ['with op.get_context().autocommit_block():', '    op.execute("ALTER TYPE e ADD VALUE IF NOT EXISTS \'x\'\'\'")']),
    ],
)  # fmt: skip
def test_an_enum_gets_labels_and_never_loses_one(before: list[str], after: list[str], lines: list[str]) -> None:
    assert ddl.alter_enum(key("enum", "e", schema=""), {"labels": before}, {"labels": after}) == lines


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ({'partition_of': 'events FOR VALUES IN (1)'}, {}, ['op.execute("ALTER TABLE events DETACH PARTITION t")']),
        ({}, {'partition_of': '"My s".events FOR VALUES IN (1)'}, ['op.execute("ALTER TABLE \\"My s\\".events ATTACH PARTITION t FOR VALUES IN (1)")']),
        ({'partition_of': 'a DEFAULT'}, {'partition_of': 'b DEFAULT'}, ['op.execute("ALTER TABLE a DETACH PARTITION t")', 'op.execute("ALTER TABLE b ATTACH PARTITION t DEFAULT")']),
        ({'inherits': ['a', 'b']}, {'inherits': ['b', 'c']}, ['op.execute("ALTER TABLE t NO INHERIT a")', 'op.execute("ALTER TABLE t INHERIT c")']),
        ({}, {'row_security': 'enabled'}, ['op.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY")']),
        ({}, {'row_security': 'forced'}, ['op.execute("ALTER TABLE t DISABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")']),
        ({}, {'row_security': 'enabled and forced'}, ['op.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")']),
        ({'row_security': 'enabled'}, {}, ['op.execute("ALTER TABLE t DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY")']),
        ({'row_security': 'enabled'}, {'comment': 'x'}, []),
        ({}, {}, []),
    ],
)  # fmt: skip
def test_a_table_is_altered_in_what_it_is_a_part_of_and_whose_rows_are_seen(
    before: Definition, after: Definition, lines: list[str]
) -> None:
    assert ddl.alter_table(key("table", "t", schema=""), before, after) == lines


@pytest.mark.parametrize(
    ("definition", "condition"),
    [
        ("CHECK ((a) > 0)", "(a) > 0"),
        ("CHECK ((a = '(') OR b)", "(a = '(') OR b"),
        ("CHECK (a)", "a"),
        ("CHECK (((a)))", "(a)"),
    ],
)
def test_parentheses_around_a_condition_go_if_they_match_each_other(definition: str, condition: str) -> None:
    made = ddl.create(key("constraint", "ck", "orders", ""), {"type": "check", "definition": definition})

    assert made == [f'op.create_check_constraint("ck", "orders", "{condition}")']


def test_what_is_in_a_schema_is_named_with_it() -> None:
    index = key("index", "ix", "orders", "shop")

    assert ddl.create_index(index, {"definition": "USING btree (a)"}, is_concurrent=True) == (
        'op.create_index("ix", "orders", ["a"], postgresql_concurrently=True, schema="shop")'
    )
    assert ddl.create_index(index, {"definition": "USING gin (a)"}, is_concurrent=True) == (
        'op.execute("CREATE INDEX CONCURRENTLY ix ON shop.orders USING gin (a)")'
    )
    assert ddl.drop(index, {}) == ['op.drop_index("ix", table_name="orders", schema="shop")']
    assert ddl.drop(key("function", "f(integer)", schema="shop"), {}) == ['op.execute("DROP FUNCTION shop.f(integer)")']
    assert ddl.drop(key("view", "v", schema="shop"), {}) == ['op.execute("DROP VIEW shop.v")']
