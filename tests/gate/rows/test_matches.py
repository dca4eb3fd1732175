"""Which columns of two tables the statements of a revision compare, and which tables they read, judging by their text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.gate.rows._catalog import Column, ForeignKey, Type
from app.gate.rows._matches import Match, matches_of, read_tables
from tests.gate.rows.test_casts import INTEGER, JSONB, TEXT, table


@pytest.mark.parametrize(
    ("sql", "pair"),
    [
        ("UPDATE t SET ref = (SELECT id FROM u WHERE u.code = t.code)", ("code", "code")),
        ('UPDATE t SET ref = (SELECT u.id FROM u WHERE u.code = t."Name")', ("Name", "code")),
        ("UPDATE public.t AS one SET ref = other.id FROM u other WHERE other.code = one.code", ("code", "code")),
        ("INSERT INTO v SELECT * FROM t JOIN u ON t.ref = u.id", ("ref", "id")),
        ("INSERT INTO v SELECT * FROM t, u WHERE t.ref = u.id", None),  # the last of the list has no alias
        ("DELETE FROM t USING u WHERE t.code = u.code AND u.ref = 1", ("code", "code")),
        ("UPDATE t SET ref = (SELECT id FROM u WHERE u.code = t.ref)", None),
        ("UPDATE t SET ref = (SELECT id FROM u WHERE code = 'a')", None),
        ("UPDATE t SET code = 'u.code = t.code' FROM u", None),
        ("UPDATE t SET ref = 1 FROM v, u other WHERE other.code = t.code", ("code", "code")),
        ("UPDATE t SET ref = 1 FROM v, public.u AS other WHERE other.code = t.code", ("code", "code")),
        ("UPDATE t SET ref = 1 FROM v, shop.u other WHERE other.code = t.code", None),
        ("EXPLAIN DELETE FROM t USING u WHERE t.code = u.code", None),
        ("ALTER TABLE t ADD CHECK (code = code)", None),
    ],
)
def test_the_columns_that_a_statement_compares_are_found(sql, pair):
    found = matches_of([table("t"), table("u", oid=2)], [sql])

    assert {oid: [each.column for each in some] for oid, some in found.items()} == (
        {1: [pair[0]], 2: [pair[1]]} if pair else {}
    )


def test_tables_of_one_name_are_compared_within_their_schemas():
    tables = [
        table(label, schema=schema, oid=oid) for oid, (schema, label) in enumerate([("a", "t"), ("a", "u"), ("b", "t")])
    ]

    assert matches_of(tables, ["UPDATE t SET ref = u.id FROM u WHERE u.code = t.code"]).keys() == {0, 1}


def test_columns_of_a_foreign_key_get_their_values_from_it():
    child = table("t", foreign_keys=(ForeignKey("fk", ("ref",), 2, ("id",)),))

    assert matches_of([child, table("u", oid=2)], ["INSERT INTO v SELECT 1 FROM t JOIN u ON t.ref = u.id"]) == {}


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("INSERT INTO v SELECT 1 FROM a.t", {("a", "t")}),
        ("INSERT INTO v SELECT 1 FROM t JOIN a.u ON true", {(None, "t"), ("a", "u")}),
        ("DELETE FROM t USING u WHERE t.a = u.a", {(None, "t"), (None, "u")}),
        ("INSERT INTO v SELECT 1 FROM a.t x, b.u y, w z WHERE true", {("a", "t"), ("b", "u"), (None, "w")}),
        ("INSERT INTO v SELECT '1 FROM t'", set()),
        ("EXPLAIN SELECT 1 FROM t", set()),
        ("UPDATE t SET a = 1", set()),
        ("CREATE INDEX ix ON t (a)", set()),
    ],
)
def test_the_tables_that_a_statement_reads_are_found(sql, tables):
    assert read_tables(sql) == tables


def test_the_first_pairs_get_rows_of_their_own():
    one, other = table("t"), table("u", oid=2)
    sql = "UPDATE t SET ref = 1 FROM u WHERE t.code = u.code AND t.ref = u.ref AND u.id = t.id AND t.extra = u.extra"

    found = matches_of([one, other], [sql, sql])

    assert found == {
        1: tuple(
            Match(name, of.get_column(name), number)
            for name, of, number in (("code", one, 90), ("ref", one, 94), ("id", other, 98))
        ),
        2: tuple(
            Match(name, of.get_column(name), number)
            for name, of, number in (("code", one, 90), ("ref", one, 94), ("id", other, 98))
        ),
    }
    assert found[1][0].numbers == (90, 91)


@pytest.mark.parametrize(
    ("sql", "pair"),
    [
        ("UPDATE t SET id = u.id FROM u WHERE code = name", ("code", "name")),
        ("UPDATE t SET id = u.id FROM u WHERE code = id", None),
        ("UPDATE t SET id = u.id FROM u WHERE code = none", None),
    ],
)
def test_a_column_without_its_table_is_that_of_the_only_table_that_has_it(sql, pair):
    id_, code = table("t").columns[:2]
    tables = [
        replace(table("t"), columns=(id_, code)),
        replace(table("u", oid=2), columns=(id_, replace(code, name="name"))),
    ]

    found = matches_of(tables, [sql])

    assert {oid: [each.column for each in some] for oid, some in found.items()} == (
        {1: [pair[0]], 2: [pair[1]]} if pair else {}
    )


@pytest.mark.parametrize(
    ("one", "other", "is_compared"),
    [
        (TEXT, replace(TEXT, name="varchar"), True),
        (INTEGER, replace(INTEGER, name="int8"), True),
        (JSONB, JSONB, True),
        (Type("date", "date", "base", "D"), Type("timestamp", "timestamp", "base", "D"), False),
        (TEXT, INTEGER, False),
        (Type("label", "label", "domain", "S", of=TEXT), TEXT, True),
    ],
)
def test_columns_of_one_kind_get_the_same_value(one, other, is_compared):
    tables = [
        replace(table(label, oid=oid), columns=(Column(1, "a", type_, -1, type_.sql, False),))
        for oid, (label, type_) in enumerate((("t", one), ("u", other)))
    ]

    assert bool(matches_of(tables, ["DELETE FROM t USING u WHERE t.a = u.a"])) is is_compared
