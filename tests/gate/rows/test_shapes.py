"""Which rows are made for a table, which rules they are to break, and in which order tables get them: by hand-made catalogs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from app.gate.recording.model import Change, Failure, Key
from app.gate.rows._attempts import may_want_json
from app.gate.rows._catalog import Catalog, CatalogTable, CheckConstraint, Column, ForeignKey, Type, UniqueKey
from app.gate.rows._hostile import Aim, breaks_rule, cause_of, failed_columns, list_aims, may_correct
from app.gate.rows._matches import Match
from app.gate.rows._plan import Labels, Plan, Rules
from app.gate.rows._shapes import Row, Shape, edge_case_rows, is_text, ordinary_rows

INTEGER = Type("int4", "integer", "base", "N")
TEXT = Type("text", "text", "base", "S")
MOOD = Type("mood", "mood", "enum", "E", labels=("sad", "ok", "glad"))


def column(name: str, type_: Type = INTEGER, *, not_null: bool = False, is_generated: bool = False) -> Column:
    return Column(1, name, type_, -1, type_.sql, not_null, is_generated=is_generated)


def table(
    *columns: Column,
    oid: int = 1,
    label: str = "t",
    is_touched: bool = True,
    keys: Sequence[Sequence[str]] = (),
    checks: Sequence[CheckConstraint] = (),
    foreign_keys: Sequence[ForeignKey] = (),
) -> CatalogTable:
    return CatalogTable(
        oid,
        "public",
        label,
        is_touched,
        is_partitioned=False,
        has_children=False,
        columns=columns,
        keys=tuple(UniqueKey(f"key_{n}", tuple(names)) for n, names in enumerate(keys)),
        checks=tuple(checks),
        foreign_keys=tuple(foreign_keys),
    )


def catalog(*tables: CatalogTable) -> Catalog:
    return Catalog({each.oid: each for each in tables}, {})


def check(name: str, *columns: str, expression: str = "") -> CheckConstraint:
    return CheckConstraint(name, columns, expression or f"{name} holds")


def names(rows: Sequence[Row]) -> list[str]:
    """Each row in one line: what it is, its number, and what differs from a row of that number."""
    return [
        f"{row.shape} {row.number}"
        + (f" but {'+'.join(sorted(row.varied))} of {row.own}" if row.varied or row.own else "")
        + (f" texts {'+'.join(sorted(row.texts))}" if row.texts else "")
        + (f" breaks {row.refused_by.name}" if row.refused_by else "")
        + (f" for {row.selected_by.name}" if row.selected_by else "")
        for row in rows
    ]


# Which rows there are.


def test_there_are_three_ordinary_rows() -> None:
    assert names(ordinary_rows()) == ["ordinary 0", "ordinary 1", "ordinary 2"]


def test_the_edge_cases_of_a_table_without_keys_and_texts() -> None:
    assert names(edge_case_rows(table(column("n")), Rules())) == ["nulls 3", "duplicate 0 but  of 4", "extreme 6"]


def test_the_edge_cases_of_a_table_with_keys() -> None:
    """A duplicate for the first column of each key, and one for the last, with other numbers than all rows before."""
    of = table(column("a"), column("b"), column("c"), keys=[["a"], ["a", "b"], ["c", "b"], []])

    assert names(edge_case_rows(of, Rules())) == [
        "nulls 3",
        "nulls 3 but  of 15",
        "duplicate 0 but a+c of 4",
        "duplicate 0 but a+b of 5",
        "extreme 6",
    ]


def test_a_second_row_has_null_where_only_that_makes_the_two_different_in_a_key() -> None:
    a, b, strict = column("a"), column("b"), column("a", not_null=True)

    def nulls(*columns: Column, keys: Sequence[Sequence[str]]) -> list[str]:
        return [name for name in names(edge_case_rows(table(*columns, keys=keys), Rules())) if name.startswith("nulls")]

    assert nulls(a, b, keys=[["a"]]) == ["nulls 3", "nulls 3 but  of 15"]
    assert nulls(strict, b, keys=[["a", "b"]]) == ["nulls 3", "nulls 3 but  of 15"]
    assert nulls(strict, b, keys=[["a"], ["a", "b"]]) == ["nulls 3", "nulls 3 but a of 15"]
    assert nulls(strict, b, column("c", not_null=True), keys=[["c", "a"], ["b"]]) == ["nulls 3", "nulls 3 but c of 15"]
    assert nulls(strict, b, keys=[["a"]]) == ["nulls 3"]
    assert nulls(a, b, keys=[]) == ["nulls 3"]


def test_the_edge_cases_of_texts() -> None:
    of = table(column("id"), column("a", TEXT), column("b", TEXT), keys=[["id"]])

    assert names(edge_case_rows(of, Rules()))[4:] == [
        "other case 0 but a+b+id of 20 texts a+b",
        "trailing blank 0 but a+b+id of 21 texts a+b",
    ]


def test_the_edge_cases_of_texts_in_keys() -> None:
    """A key of several texts has rows that differ in one of them alone."""
    of = table(column("a", TEXT), column("b", TEXT), column("c", TEXT), keys=[["a", "b"]])

    assert names(edge_case_rows(of, Rules()))[5:] == [
        "other case 0 but a+c of 20 texts a+c",
        "trailing blank 0 but a+c of 21 texts a+c",
        "inner blank 0 but a+c of 22 texts a+c",
        "other case 0 but b+c of 23 texts b+c",
        "trailing blank 0 but b+c of 24 texts b+c",
        "inner blank 0 but b+c of 25 texts b+c",
    ]


@pytest.mark.parametrize(
    ("type_", "is_generated", "expected"),
    [
        (TEXT, False, True),
        (replace(TEXT, name="varchar"), False, True),
        (replace(TEXT, name="bpchar"), False, True),
        (replace(TEXT, name="citext"), False, True),
        (replace(TEXT, name="name"), False, False),
        (INTEGER, False, False),
        (TEXT, True, False),
        (Type("label", "label", "domain", "S", of=TEXT), False, True),
    ],
)
def test_which_columns_hold_texts(type_: Type, is_generated: bool, expected: bool) -> None:
    assert is_text(column("a", type_, is_generated=is_generated)) is expected


def test_texts_without_a_key_and_keys_without_a_text_have_such_rows_as_well() -> None:
    texts = ["other case 0 but {}of 20 texts a", "trailing blank 0 but {}of 21 texts a"]

    def rows(*keys: Sequence[str]) -> list[str]:
        of = table(column("id"), column("n"), column("a", TEXT), keys=keys)
        return [each for each in names(edge_case_rows(of, Rules())) if "texts" in each]

    assert rows() == [each.format("a ") for each in texts]
    assert rows(["id", "n"]) == [each.format("a+id ") for each in texts]


def test_a_row_has_null_wherever_it_may_if_that_is_what_it_is_for() -> None:
    match = Match("a", column("a"), 90)
    rows = {
        Row(Shape.NULLS, 3): True,
        Row(Shape.ORDINARY, 0): False,
        Row(Shape.MATCHED, 90, matched=match): False,
        Row(Shape.MATCHED, 91, matched=match): True,
        Row(Shape.HOSTILE, 50, unconverted="a", is_bare=True): True,
        Row(Shape.HOSTILE, 50, unconverted="a"): False,
    }

    assert {row: row.is_sparse for row in rows} == rows


def test_each_match_has_two_rows() -> None:
    matches = (Match("a", column("a"), 90), Match("b", column("b"), 94))

    rows = edge_case_rows(table(column("a"), column("b")), Rules(matches=matches))

    assert names(rows)[3:] == ["matched 90", "matched 91", "matched 94", "matched 95"]
    assert [row.matched for row in rows[3:]] == [matches[0], matches[0], matches[1], matches[1]]


def test_a_value_that_the_revision_retires_has_a_row_for_each_rule() -> None:
    one, two = check("one", "a"), check("two", "a")
    labels = {"a": Labels(("x",), ("y",))}

    assert names(edge_case_rows(table(column("a")), Rules(narrowing=(one, two), labels=labels)))[3:] == [
        "retired value 7 breaks one",
        "retired value 8 breaks two",
    ]
    assert names(edge_case_rows(table(column("a")), Rules(labels=labels)))[3:] == ["retired value 7"]


def test_each_condition_has_two_rows_that_it_selects_and_one_that_it_does_not() -> None:
    rules = Rules(conditions=(check("one", "a"), check("two", "a")))

    assert names(edge_case_rows(table(column("a"), column("b"), keys=[["a", "b"]]), rules))[5:] == [
        "selected 60 but a of 61 for one",
        "selected 60 but a of 62 for one",
        "not selected 60 for one",
        "selected 63 but a of 64 for two",
        "selected 63 but a of 65 for two",
        "not selected 63 for two",
    ]


def test_a_value_has_the_number_of_the_row_unless_it_is_to_differ() -> None:
    row = Row(Shape.DUPLICATE, 0, frozenset({"a"}), 4)

    assert [row.number_for(["a"]), row.number_for(["b"]), row.number_for(["b", "a"]), row.number_for([])] == [
        4,
        0,
        4,
        0,
    ]


# Which rules they break.


def aims(rules: Rules, *columns: Column, **parts: Sequence[ForeignKey]) -> list[Aim]:
    plan = Plan(catalog(table(*columns, **parts)))  # type: ignore[arg-type]
    plan.rules = {1: rules}
    return list_aims(plan)


def test_each_new_check_is_broken_by_one_row_unless_an_edge_case_breaks_it() -> None:
    narrowing, of_partitions, new = check("old", "a"), check("its bounds", "a"), check("new", "a")
    rules = Rules(checks=(narrowing, of_partitions, new), narrowing=(narrowing,))

    [aim] = aims(rules, column("a"))

    assert aim == Aim(1, Row(Shape.HOSTILE, 50, refused_by=new))
    assert aim.columns == ("a",)


def test_a_new_foreign_key_is_broken_unless_its_columns_refer_to_a_table_already() -> None:
    old = ForeignKey("old", ("b",), 2, ("id",))
    new, again = ForeignKey("new", ("a",), 2, ("id",)), ForeignKey("again", ("b",), 3, ("id",))

    found = aims(Rules(foreign_keys=(again, new)), column("a"), column("b"), foreign_keys=[old])

    assert found == [Aim(1, Row(Shape.HOSTILE, 50, orphan_of=new))]
    assert found[0].columns == ("a",)


@pytest.mark.parametrize(
    ("now", "later", "is_tried"),
    [
        (TEXT, INTEGER, True),
        (INTEGER, replace(INTEGER, name="int8", sql="bigint"), False),
        (TEXT, replace(TEXT, name="varchar"), False),
        (TEXT, Type("label", "label", "domain", "S", of=TEXT), True),
        (MOOD, replace(MOOD, name="other"), True),
        (Type("label", "label", "domain", "S", of=TEXT), TEXT, False),
    ],
)
def test_a_value_of_the_older_type_is_tried_where_the_newer_may_refuse_it(
    now: Type, later: Type, is_tried: bool
) -> None:
    found = aims(Rules(types={"a": (later, -1)}), column("a", now))

    assert found == ([Aim(1, Row(Shape.HOSTILE, 50, unconverted="a"))] if is_tried else [])
    assert [each.columns for each in found] == [("a",)] * is_tried


def test_what_a_statement_converts_is_tried_in_a_row_with_nothing_else() -> None:
    found = aims(
        Rules(types={"a": (INTEGER, -1)}, converted=frozenset("a"), documents={"b": ("1", "2")}),
        column("a", TEXT),
        column("b"),
    )

    assert found == [Aim(1, Row(Shape.HOSTILE, 50, unconverted=name, is_bare=True)) for name in "ab"]


def test_no_value_of_the_older_type_is_tried_in_a_foreign_key() -> None:
    key = ForeignKey("fk", ("a",), 2, ("id",))

    assert aims(Rules(types={"a": (INTEGER, -1)}), column("a", TEXT), foreign_keys=[key]) == []


def test_so_many_rules_are_broken_and_none_of_tables_that_the_revision_does_not_touch() -> None:
    rules = Rules(checks=tuple(check(f"c{n}", "a") for n in range(5)))

    assert [aim.row.refused_by for aim in aims(rules, column("a"))] == list(rules.checks[:4])
    plan = Plan(catalog(table(column("a"), is_touched=False), table(column("a"), oid=2)))
    plan.rules = {1: rules}
    assert list_aims(plan) == []


# What a failure says.


@pytest.mark.parametrize(
    ("sqlstate", "breaks", "wants"),
    [("23505", True, False), ("22P02", True, True), ("42P01", False, False), (None, False, True), ("32000", False, False)],
)  # fmt: skip
def test_a_failure_may_be_due_to_what_rows_hold(sqlstate: str | None, breaks: bool, wants: bool) -> None:
    failure = Failure("Error", "it broke", sqlstate=sqlstate)

    assert breaks_rule(failure) is breaks
    assert may_want_json(failure) is wants


def test_two_failures_have_one_cause_by_what_was_broken_and_else_by_their_statement() -> None:
    failure = Failure("E", "m", sqlstate="23514", table="t", constraint="ck", column="a", sql="ALTER")

    assert cause_of(failure) == ("23514", "t", "ck")
    assert cause_of(replace(failure, constraint=None)) == ("23514", "t", "a")
    assert cause_of(replace(failure, constraint=None, column=None)) == ("23514", "t", "ALTER")


def test_the_columns_of_a_failure_are_its_own_and_those_of_the_constraint_that_is_new() -> None:
    key = Key("constraint", "public", "ck", "t")
    changes = [
        Change(key, None, {"columns": ["a", "b"]}),
        Change(key._replace(name="other"), None, {"columns": ["c"]}),
        Change(key._replace(name="gone"), {"columns": ["d"]}, None),
    ]
    failure = Failure("E", "m", column="z", constraint="ck")

    assert failed_columns(failure, changes) == {"a", "b", "z"}
    assert failed_columns(replace(failure, column=None), changes) == {"a", "b"}
    assert failed_columns(replace(failure, constraint=None), changes) == {"z"}
    assert failed_columns(replace(failure, constraint="gone"), changes) == {"z"}
    defined = [Change(key, None, {"definition": "CHECK ((size > 0))"})]
    assert failed_columns(replace(failure, column=None), defined) == {"CHECK", "size", "0"}
    assert failed_columns(replace(failure, column=None), [Change(key, None, {})]) == set()


@pytest.mark.parametrize(
    ("statement", "may"),
    [
        ("UPDATE t SET a = %(a)s", True),
        ("UPDATE t SET a = %s", True),
        ("UPDATE t SET a = $1", True),
        ("UPDATE t SET a = :value", True),
        ("  def correct(a): ...", True),
        ("UPDATE t SET a = 1", False),
        ("UPDATE t SET a = '1'::text", False),
        ("UPDATE t SET b = %s", False),
        ("UPDATE t SET ab = %s", False),
    ],
)
def test_a_statement_with_parameters_may_correct_the_columns_that_it_names(statement: str, may: bool) -> None:
    assert may_correct(["SELECT 1", statement], ["a", "z"]) is may


# What a revision demands of the rows of a table.


def rules_between(before: CatalogTable, after: CatalogTable, *others: CatalogTable) -> Rules:
    plan = Plan(catalog(before, *others), catalog(after, *others))
    return plan.rules[before.oid]


def test_a_table_that_stays_as_it_is_has_no_rules() -> None:
    of = table(column("a"), checks=[check("c", "a")], foreign_keys=[ForeignKey("fk", ("a",), 1, ("a",))])

    assert rules_between(of, of) == Rules()
    assert Plan(catalog(of), catalog()).rules == {}


def test_new_checks_are_rules_where_their_columns_are_there_and_keep_their_types() -> None:
    before = table(column("a"), column("b"), checks=[check("c", "a", expression="known")])
    after = table(
        column("a"),
        column("new"),
        column("b", TEXT),
        checks=[
            check("other name", "a", expression="known"),
            check("one", "a"),
            check("of a new column", "a", "new"),
            check("of another type", "a", "b"),
        ],
    )

    rules = rules_between(before, after)

    assert [each.name for each in rules.checks] == ["one"]
    assert rules.types == {"b": (TEXT, -1)}
    assert rules.narrowing == ()


def test_a_check_that_replaces_another_on_the_same_columns_narrows_it() -> None:
    before = table(
        column("a"), column("b"), checks=[check("c", "a", expression="old"), check("d", "b", expression="kept")]
    )
    new = [check("c", "a", expression="new"), check("d", "b", expression="kept"), check("e", "b", expression="more")]
    of_partitions = check("its bounds", "a")

    rules = rules_between(before, table(column("a"), column("b"), checks=[*new, of_partitions]))

    assert rules.checks == (new[0], new[2], of_partitions)
    assert rules.narrowing == (new[0],)


def test_a_domain_that_demands_more_is_a_rule_of_its_columns() -> None:
    one = Type("size", "size", "domain", "N", of=INTEGER, checks=("(VALUE > 0)",))
    two = replace(one, checks=("(VALUE > 0)", "((VALUE < 9) OR (VALUE = VALUES))"))

    rules = rules_between(
        table(column("a", one), column("b", TEXT)), table(column("new", two), column("b", two), column("a", two))
    )

    assert rules.checks == (CheckConstraint("of domain size", ("a",), '(("a" < 9) OR ("a" = VALUES))'),)
    assert rules_between(table(column("a")), table(column("a", two))).checks == ()


def test_new_checks_of_columns_with_another_type_are_rules_on_their_new_values() -> None:
    """A check that PostgreSQL prints in another way since then is not a new one."""
    before = table(
        column("a", TEXT),
        column("b"),
        column("c", TEXT),
        checks=[check("old", "a", expression="((a)::text <> ''::text)")],
    )
    after = table(
        column("a", replace(TEXT, name="varchar", sql="character varying")),
        column("b"),
        column("c", MOOD),
        column("new"),
        checks=[
            check("old", "a", expression="(a <> ''::character varying)"),
            check("one", "a", expression="a > 'x'"),
            check("both", "a", "b", expression="length(a) > b"),
            check("not retyped", "b", expression="b > 0"),
            check("to an unknown value", "a", "c", expression="a > c"),
            check("of a new column", "a", "new", expression="a > new"),
        ],
    )

    assert [(each.name, each.expression) for each in rules_between(before, after).retyped] == [
        ("one", "(\"a\")::character varying > 'x'"),
        ("both", 'length(("a")::character varying) > b'),
    ]
    whole = [replace(each, columns=each.columns[:1]) for each in (before, after)]
    assert [each.name for each in rules_between(*whole).retyped] == ["one"]


def test_labels_that_are_removed_are_rules() -> None:
    fewer, more = replace(MOOD, labels=("ok", "glad")), replace(MOOD, labels=(*MOOD.labels, "new"))

    assert rules_between(table(column("a", MOOD)), table(column("a", fewer))).labels == {
        "a": Labels(("ok", "glad"), ("sad",))
    }
    assert rules_between(table(column("a", MOOD)), table(column("a", more))).labels == {}
    assert rules_between(table(column("a", MOOD)), table(column("a", TEXT))).labels == {}
    assert rules_between(table(column("a", TEXT)), table(column("a", MOOD))).labels == {}


def test_new_foreign_keys_are_rules_where_both_sides_are_there_already() -> None:
    other = table(column("id"), oid=2, label="u")
    before = table(column("a"), column("b"), foreign_keys=[ForeignKey("old", ("b",), 2, ("id",))])
    after = table(
        column("a"),
        column("b"),
        column("new"),
        foreign_keys=[
            ForeignKey("same", ("b",), 2, ("id",)),
            ForeignKey("to nothing", ("a",), 9, ("id",)),
            ForeignKey("of a new column", ("new",), 2, ("id",)),
            ForeignKey("to a new column", ("a",), 2, ("none",)),
            ForeignKey("new", ("a",), 2, ("id",)),
        ],
    )

    assert rules_between(before, after, other).foreign_keys == (ForeignKey("new", ("a",), 2, ("id",)),)


def test_a_foreign_key_to_a_table_that_has_another_number_afterwards_is_found_by_its_name() -> None:
    later = catalog(
        table(column("a"), foreign_keys=[ForeignKey("fk", ("a",), 7, ("id",))]), table(column("id"), oid=7, label="u")
    )

    plan = Plan(catalog(table(column("a")), table(column("id"), oid=2, label="u")), later)

    assert plan.rules[1].foreign_keys == (ForeignKey("fk", ("a",), 2, ("id",)),)


# In which order.


def ordered(*keys: tuple[int, int, bool], number: int = 4) -> list[list[int]]:
    """The groups of tables 1 to `number`, by their foreign keys: (child, parent, is not null)."""
    tables = [
        table(
            *(column(f"to_{parent}", not_null=not_null) for child, parent, not_null in keys if child == oid),
            oid=oid,
            foreign_keys=[
                ForeignKey(f"fk_{parent}", (f"to_{parent}",), parent, ("id",))
                for child, parent, _ in keys
                if child == oid
            ],
        )
        for oid in range(1, number + 1)
    ]
    return [[each.oid for each in group] for group in Plan(catalog(*tables)).groups]


@pytest.mark.parametrize(
    ("keys", "groups"),
    [
        ([], [[1], [2], [3], [4]]),
        ([(1, 2, True), (2, 3, True)], [[3], [4], [2], [1]]),
        ([(1, 2, False), (2, 3, False)], [[3], [4], [2], [1]]),
        # To itself, and to a table that gets no rows.
        ([(1, 1, True), (2, 9, True)], [[1], [2], [3], [4]]),
        # A cycle is broken where a column may be NULL.
        ([(1, 2, True), (2, 1, False)], [[3], [4], [2], [1]]),
        ([(1, 2, False), (2, 1, True)], [[3], [4], [1], [2]]),
        ([(1, 2, False), (2, 1, False)], [[3], [4], [1], [2]]),
        # Else its tables are one group, and come before those that refer to them.
        ([(1, 2, True), (2, 1, True)], [[3], [4], [1, 2]]),
        ([(1, 2, True), (2, 3, True), (3, 2, True)], [[4], [2, 3], [1]]),
        ([(4, 3, True), (3, 2, True), (2, 1, True), (1, 3, True)], [[1, 2, 3], [4]]),
        ([(1, 2, True), (2, 1, True), (3, 4, True), (4, 3, True), (3, 1, True)], [[1, 2], [3, 4]]),
    ],
)
def test_parents_come_first(keys: Sequence[tuple[int, int, bool]], groups: list[list[int]]) -> None:
    assert ordered(*keys) == groups


def test_a_new_foreign_key_orders_the_tables_as_well() -> None:
    before = [table(column("a", not_null=True)), table(column("id"), oid=2, label="u")]
    after = [replace(before[0], foreign_keys=(ForeignKey("fk", ("a",), 2, ("id",)),)), before[1]]

    plan = Plan(catalog(*before), catalog(*after))

    assert [[each.label for each in group] for group in plan.groups] == [["u"], ["t"]]
    assert {oid: [each.label for each in group] for oid, group in plan.groups_of.items()} == {1: ["t"], 2: ["u"]}


def test_what_the_revision_touches_is_told_by_name() -> None:
    plan = Plan(catalog(table(column("a"), is_touched=False), table(column("a"), oid=2, label="u")))

    assert plan.touched == ["public.u"]
