"""What a column holds after the statements of a revision, as an expression in what it held before."""

from __future__ import annotations

import pytest

from app.gate.checks.support.column_order import filled_columns
from app.gate.checks.support.older import Older, UnknownRows
from app.gate.checks.support.sql_text import clauses, enclosed, in_parentheses, split_list
from tests.gate.checks.builders import statement, trip


def held(update: str, column: str = "a") -> str | None:
    return Older(trip(statements=[statement(update), statement("SELECT 'end'")]), "public.t", "SELECT 'end'").value(
        column
    )


@pytest.mark.parametrize(
    ("update", "value"),
    [
        ("UPDATE t SET a = lower(a)", "lower(a)"),
        ('UPDATE ONLY public."t" SET "a" = \'x\';', "'x'"),
        ("UPDATE t SET a = lower(a) WHERE a <> lower(a)", "lower(a)"),
        ("UPDATE t SET a = lower(a) WHERE a != lower(a)", "lower(a)"),
        ("UPDATE t SET a = lower(a) WHERE a IS DISTINCT\n FROM lower(a)", "lower(a)"),
        ("UPDATE t SET a = b WHERE a IS DISTINCT FROM b", "b"),
        ("UPDATE t SET a = b WHERE a <> b", "CASE WHEN a <> b THEN b ELSE a END"),  # where b is NULL, a stays
        ("UPDATE t SET a = coalesce(a, 'x') WHERE a <> coalesce(a, 'x')", "CASE WHEN a <> coalesce(a, 'x') THEN coalesce(a, 'x') ELSE a END"),
        ("UPDATE t SET a = lower(a) WHERE a <> lower(b)", "CASE WHEN a <> lower(b) THEN lower(a) ELSE a END"),
        ("UPDATE t SET a = lower(a) WHERE n > 1", "CASE WHEN n > 1 THEN lower(a) ELSE a END"),
        ("UPDATE t SET a = n, n = 1 WHERE b IS DISTINCT FROM 'x'", "CASE WHEN b IS DISTINCT FROM 'x' THEN n ELSE a END"),
        ("UPDATE t SET n = 1, a = concat(a, ',', n)", "concat(a, ',', n)"),
        ("UPDATE t SET a = a || '%%'", "a || '%'"),
        ("UPDATE t SET n = 1", "a"),
        ("UPDATE t AS x SET a = lower(x.b) WHERE x.n > t.m", "CASE WHEN n > m THEN lower(b) ELSE a END"),
        ("UPDATE t x SET a = x.b", "b"),
        (
            "UPDATE t SET a = u.b FROM u WHERE u.id = t.n",
            "CASE WHEN EXISTS (SELECT FROM u WHERE u.id = t.n) THEN (SELECT u.b FROM u WHERE u.id = t.n) ELSE a END",
        ),
        (
            "UPDATE public.t AS x SET a = y.b FROM u AS y JOIN v ON v.x = y.b WHERE y.id = x.n",
            (
                "CASE WHEN EXISTS (SELECT FROM u AS y JOIN v ON v.x = y.b WHERE y.id = t.n)"
                " THEN (SELECT y.b FROM u AS y JOIN v ON v.x = y.b WHERE y.id = t.n) ELSE a END"
            ),
        ),
        ("UPDATE u SET a = 'x'", "a"),
        ("INSERT INTO u (a) SELECT a FROM t", "a"),
        ("ALTER TABLE t ADD UNIQUE (a)", "a"),
        ("SELECT 1", "a"),
    ],
)  # fmt: skip
def test_an_update_says_what_its_column_holds(update: str, value: str | None) -> None:
    assert held(update) == value


@pytest.mark.parametrize(
    "update",
    [
        "UPDATE t SET a = u.b FROM u",
        "UPDATE t SET a = u.b, n = %(value)s FROM u WHERE u.id = t.n",
        "UPDATE t SET a = %(value)s",
        "UPDATE t SET a = $1",
        "UPDATE t SET a = :value",
        "UPDATE t SET (a, n) = ('x', 1)",
        "MERGE INTO t USING u ON true WHEN MATCHED THEN UPDATE SET a = 'x'",
        "WITH u AS (SELECT 1) UPDATE t SET a = 'x'",
        "DO $$ BEGIN UPDATE t SET a = 'x'; END $$",
        "CALL change('t')",
        "DELETE FROM t",
    ],
)
def test_what_other_rows_or_the_driver_give_is_not_known(update: str) -> None:
    with pytest.raises(UnknownRows):
        held(update)


@pytest.mark.parametrize(
    "earlier",
    ["UPDATE u SET b = 'x'", "CREATE TABLE u (id integer, b text)", "UPDATE t SET n = 1", 'ALTER TABLE "u" ADD b text'],
)
def test_what_a_join_gives_is_not_known_where_an_earlier_statement_has_changed_it(earlier: str) -> None:
    joined = "UPDATE t SET a = u.b FROM u WHERE u.id = t.n"

    with pytest.raises(UnknownRows):
        Older(trip(statements=[statement(earlier), statement(joined), statement("SELECT 1")]), "public.t", "SELECT 1")


@pytest.mark.parametrize(
    ("create", "query", "columns"),
    [
        ("CREATE TABLE n (k text, m integer)", "SELECT a, b FROM t", ["k", "m"]),
        ('CREATE TABLE IF NOT EXISTS public.n (\n\tk text, \n\t"M" numeric(2, 1))', "SELECT a FROM t", ["k"]),
        ("CREATE TABLE n (k text, m integer, CHECK (m > 0), PRIMARY KEY (k))", "(SELECT DISTINCT f(a, b), 1)", ["k", "m"]),
        ("CREATE TABLE n (k text, m integer)", "SELECT * FROM only_two AS t WHERE true", ["k", "m"]),
        ("CREATE TABLE n (k text)", "SELECT * FROM only_two", None),
        ("CREATE TABLE n (k text, m integer)", "SELECT t.* FROM only_two AS t", None),
        ("CREATE TABLE n (k text, m integer)", "SELECT * FROM only_two, other", None),
        ("CREATE TABLE n (k text, m integer)", "WITH x AS (SELECT 1) SELECT 1 FROM x", None),
        ("CREATE TABLE n (LIKE t)", "SELECT a FROM t", None),
        ("CREATE TABLE n (k text) INHERITS (t)", "SELECT a FROM t", None),
        ("CREATE TABLE n (k text); ALTER TABLE n ADD m integer", "SELECT a FROM t", None),
        ("CREATE TABLE n (k text); ALTER TABLE only_two DROP x", "SELECT * FROM only_two", None),
        ("CREATE TABLE other (k text)", "SELECT a FROM t", None),
    ],
)  # fmt: skip
def test_an_insert_without_a_list_fills_the_first_columns(create: str, query: str, columns: list[str] | None) -> None:
    assert filled_columns("public.n", query, create.split("; "), {"public.only_two": 2}.get) == columns


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("UPDATE t SET a = 1 WHERE b", {"SET": "a = 1", "WHERE": "b"}),
        ("update t set a = (SELECT 1 FROM u WHERE c) where b", {"SET": "a = (SELECT 1 FROM u WHERE c)", "WHERE": "b"}),
        ("UPDATE t SET a = 'FROM' WHERE b", {"SET": "a = 'FROM'", "WHERE": "b"}),
        ('UPDATE t SET "FROM" = 1', {"SET": '"FROM" = 1'}),
        ("UPDATE t SET a = u.b FROM u WHERE c", {"SET": "a = u.b", "FROM": "u", "WHERE": "c"}),
        ("UPDATE t SET a = 1 WHERE a IS NOT DISTINCT FROM 2", {"SET": "a = 1", "WHERE": "a IS NOT DISTINCT FROM 2"}),
        ("TABLE t", {}),
    ],
)
def test_the_clauses_of_a_statement_are_told_apart(sql: str, expected: dict[str, str]) -> None:
    assert clauses(sql, "SET", "FROM", "WHERE") == expected


@pytest.mark.parametrize(
    ("sql", "members"),
    [("", []), ("a", ["a"]), ("a, f(b, c), d", ["a", "f(b, c)", "d"]), ("x[1, 2], ','", ["x[1, 2]", "','"]), ("a,,b", ["a", "b"])],
)  # fmt: skip
def test_a_list_is_divided_at_its_own_commas(sql: str, members: list[str]) -> None:
    assert split_list(sql) == members


@pytest.mark.parametrize(
    ("sql", "inner", "whole"),
    [("(a)", "a", "(a)"), ("(a) + (b)", "a", "((a) + (b))"), ("((a) + b)", "(a) + b", "((a) + b)"), ("(')')", "')'", "(')')"), ("(a", None, "((a)")],
)  # fmt: skip
def test_parentheses_are_closed_by_their_own(sql: str, inner: str | None, whole: str) -> None:
    assert in_parentheses(sql, 0) == inner
    assert enclosed(sql) == whole
