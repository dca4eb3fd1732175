"""What two states of some tables, written down by hand, say of what was lost between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from app.gate.recording.model import Loss, LossKind
from app.gate.rows._contents import Contents, RowOf, TableContents, Value
from app.gate.rows._losses import losses

TYPES = {"id": "integer", "a": "text", "b": "text"}


def table(
    *rows: RowOf,
    name: str = "t",
    types: Mapping[str, str] = TYPES,
    key: Sequence[str] = ("id",),
    generated: Sequence[str] = (),
    count: int | None = None,
    made: int | None = None,
) -> TableContents:
    counted = len(rows) if count is None else count
    return TableContents(
        f"public.{name}", types, tuple(key), frozenset(generated), tuple(map(dict, rows)), counted, made
    )


def contents(*tables: TableContents, now: str = "", unreadable: Sequence[str] = ()) -> Contents:
    return Contents({each.name: each for each in tables}, now, frozenset(unreadable))


def row(id_: int | str, a: Value = None, b: Value = None) -> RowOf:
    return {"id": str(id_), "a": a, "b": b}


def deleted(count: int, of: int, example: str, key: tuple[str, ...] = ("id",), name: str = "t") -> Loss:
    return Loss(f"public.{name}", None, LossKind.ROWS_DELETED, count, of, example, None, key)


ROWS = [row(n, f"note-{n}", f"mark-{n}") for n in range(1, 5)]


# Which rows are gone.


def test_nothing_is_lost_where_nothing_has_changed() -> None:
    assert losses(contents(table(*ROWS)), contents(table(*ROWS))) == ()


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        # All rows are known: those that are gone are counted.
        ({}, {}, deleted(1, 4, "id = 4")),
        # Of a larger table, the difference of the numbers is what was deleted.
        ({"count": 400}, {"count": 390}, deleted(10, 400, "id = 4")),
        ({"count": 400}, {"count": 399}, deleted(1, 400, "id = 4")),
        # It has as many rows as before, and the one that is not among those that were read may be another one of them.
        ({"count": 400}, {"count": 400}, None),
        ({"count": 400}, {"count": 401}, None),
        # Only the first of them are test rows.
        ({"made": 4, "count": 9}, {"count": 3}, deleted(1, 9, "id = 4")),
        ({"made": 3}, {}, None),
    ],
)
def test_rows_that_are_gone_are_counted(before: dict[str, int], after: dict[str, int], lost: Loss | None) -> None:
    found = losses(contents(table(*ROWS, **before)), contents(table(*ROWS[:3], **after)))  # type: ignore[arg-type]

    assert found == ((lost,) if lost else ())


def test_no_more_rows_are_lost_than_there_were() -> None:
    others = [row(n, f"other-{n}", f"thing-{n}") for n in range(11, 13)]

    found = losses(contents(table(*ROWS)), contents(table(*others)), is_return=True)

    assert [(loss.kind, loss.count, loss.total) for loss in found][:1] == [(LossKind.ROWS_DELETED, 2, 4)]


def test_what_a_script_has_put_in_is_not_lost() -> None:
    of_script = contents(table(*ROWS, made=0))

    assert losses(of_script, contents()) == ()
    assert losses(of_script, contents(table())) == ()
    assert losses(contents(table(*ROWS, made=2)), contents(table(*ROWS[:2]))) == ()
    changed = [row(3, "other-3", "mark-3"), row(4, None, "mark-4")]
    assert losses(contents(table(*ROWS, made=2)), contents(table(*ROWS[:2], *changed))) == ()


def test_a_table_that_says_nothing_hides_no_other() -> None:
    before = contents(table(*ROWS, made=0), table(*ROWS, name="u"), table(*ROWS, name="v"))
    after = contents(unreadable=["public.u"])

    assert [loss.table for loss in losses(before, after)] == ["public.v"]


def test_a_column_that_only_rows_of_a_script_had_filled_is_not_lost() -> None:
    without = table({"id": "1"}, {"id": "2"}, types={"id": "integer"})
    rows = [row(1), row(2, "note-2")]

    assert losses(contents(table(*rows, made=1)), contents(without)) == ()
    assert [loss.column for loss in losses(contents(table(*rows)), contents(without))] == ["a"]


def test_rows_that_are_elsewhere_have_moved() -> None:
    before = contents(table(*ROWS), table(name="u"))
    moved = contents(table(*ROWS[:3]), table(row(40, "note-4", "mark-4"), name="u"))
    half_moved = contents(table(*ROWS[:3]), table(row(40, "note-4", "other"), name="u"))

    assert losses(before, moved) == ()
    assert losses(before, half_moved) == (deleted(1, 4, "id = 4"),)
    assert losses(before, moved, is_return=True) == (deleted(1, 4, "id = 4"),)


def test_a_row_of_which_the_key_alone_is_filled_has_moved_with_its_key() -> None:
    rows = [row("key-1"), row("key-2")]
    there = {"of": "key-2"}
    before = contents(table(*rows), table(name="u", types={"of": "text"}, key=()))

    moved = contents(table(rows[0]), table(there, name="u", types={"of": "text"}, key=()))

    assert losses(before, moved) == ()
    assert losses(before, contents(table(rows[0]), table(name="u"))) == (deleted(1, 2, "id = key-2"),)


def test_one_of_two_rows_that_are_equal_but_for_their_ids_goes_for_a_new_key() -> None:
    rows = [row(1, "note"), row(2, "note"), row(3, "other")]
    before = contents(table(*rows, count=100))

    kept = contents(table(rows[0], rows[2], count=99))
    assert losses(before, kept, with_new_key=["public.t"]) == ()
    assert losses(before, kept, with_new_key=["public.u"]) == (deleted(1, 100, "id = 2"),)

    fewer = contents(table(rows[0], count=90))
    assert losses(before, fewer, with_new_key=["public.t"]) == (deleted(9, 100, "id = 3"),)


def test_a_row_is_named_by_its_key_or_else_by_its_first_columns() -> None:
    both = table(row(1, "x"), key=("id", "b"))
    none = table(row(1, "x"), key=())
    long = table(row("9" * 61), key=())

    assert losses(contents(both), contents(table(key=("id", "b"))))[0].old == "id = 1, b = NULL"
    assert losses(contents(none), contents(table(key=())))[0].old == "id = 1, a = x"
    assert losses(contents(long), contents(table(key=())))[0].old == f"id = {'9' * 57}..., a = NULL"


# Tables.


def test_a_table_that_is_dropped_with_values_in_it() -> None:
    dropped = Loss("public.t", None, LossKind.TABLE_DROPPED, 4, 4, "id = 1", None, ("id",))

    assert losses(contents(table(*ROWS)), contents()) == (dropped,)
    assert losses(contents(table(*ROWS)), contents(unreadable=["public.t"])) == ()
    assert losses(contents(table()), contents()) == ()


@pytest.mark.parametrize(
    ("types", "there", "is_lost"),
    [
        # All of its values are in another table that was there before.
        (TYPES, ("note-1", "mark-1"), False),
        (TYPES, ("note-1", "other"), True),
        # What is computed, and the key, are not asked for where there are other columns.
        ({"id": "integer"}, ("note-1", "mark-1"), True),
    ],
)
def test_a_table_whose_values_are_all_elsewhere_is_not_lost(
    types: Mapping[str, str], there: tuple[str, str], is_lost: bool
) -> None:
    of_other = {"of": "integer", "x": "text", "y": "text"}
    rows = [{name: value for name, value in row(701, "note-1", "mark-1").items() if name in types}]
    before = contents(table(*rows, types=types), table(name="u", types=of_other, key=()))
    after = contents(table({"of": "1", "x": there[0], "y": there[1]}, name="u", types=of_other, key=()))

    assert bool(losses(before, after)) is is_lost


def test_what_is_computed_goes_with_what_it_is_computed_from() -> None:
    before = contents(table(*ROWS, generated=["b"]))

    assert losses(before, contents(table(*(row(n, f"note-{n}") for n in range(1, 5)), generated=["b"]))) == ()
    without = [{"id": each["id"], "a": each["a"]} for each in ROWS]
    assert losses(before, contents(table(*without, types={"id": "integer", "a": "text"}))) == ()
    first = contents(table(*ROWS, generated=["a"]))
    assert [loss.column for loss in losses(first, contents(table(*(row(n) for n in range(1, 5)))))] == ["b"]


@pytest.mark.parametrize(
    ("columns", "is_same"),
    [
        (("id", "a", "b"), True),
        (("id", "a"), True),  # half of the columns, and more
        (("id",), False),
        (("x", "y"), False),
    ],
)
def test_a_table_has_another_name_if_half_of_its_columns_are_the_same(columns: Sequence[str], is_same: bool) -> None:
    types = {**TYPES, "c": "text"}
    rows = [{**each, "c": None} for each in ROWS]
    later = [{name: each.get(name, "1") for name in columns} for each in rows]
    key = ("id",) if "id" in columns else ()

    found = losses(
        contents(table(*rows, types=types)),
        contents(table(*later, name="u", types=dict.fromkeys(columns, "text"), key=key)),
        is_return=True,
    )

    assert (LossKind.TABLE_DROPPED not in {loss.kind for loss in found}) is is_same


@pytest.mark.parametrize(
    ("alike", "is_same"), [(4, True), (2, True), (1, False), (0, False)], ids=["all", "half", "fewer", "none"]
)
def test_a_table_has_another_name_if_half_of_its_rows_are_the_same(alike: int, is_same: bool) -> None:
    later = [each if n < alike else row(n + 1, "x", "y") for n, each in enumerate(ROWS)]

    found = losses(contents(table(*ROWS)), contents(table(*later, name="u")), is_return=True)

    assert (LossKind.TABLE_DROPPED not in {loss.kind for loss in found}) is is_same


@pytest.mark.parametrize(("alike", "is_same"), [(2, True), (1, False)], ids=["half", "fewer"])
def test_a_row_is_the_same_if_half_of_its_values_are(alike: int, is_same: bool) -> None:
    types = {**TYPES, "c": "text"}
    rows = [{**each, "c": f"word-{each['id']}"} for each in ROWS]
    kept = ("id", "a", "b", "c")[:alike]
    later = [{name: value if name in kept else "x" for name, value in each.items()} for each in rows]

    found = losses(contents(table(*rows, types=types)), contents(table(*later, name="u", types=types)), is_return=True)

    assert (LossKind.TABLE_DROPPED not in {loss.kind for loss in found}) is is_same


def test_each_new_table_is_looked_at() -> None:
    others = table(*(row(n, "x", "y") for n in range(1, 5)), name="u")

    assert losses(contents(table(*ROWS)), contents(others, table(*ROWS, name="v")), is_return=True) == ()


def test_a_table_has_another_name_only_if_no_row_is_missing() -> None:
    found = losses(contents(table(*ROWS)), contents(table(*ROWS[:3], name="u")), is_return=True)

    assert [loss.kind for loss in found] == [LossKind.TABLE_DROPPED]


def test_each_new_table_is_the_later_state_of_one() -> None:
    before = contents(table(*ROWS), table(*ROWS, name="u"))

    found = losses(before, contents(table(*ROWS, name="v")), is_return=True)

    assert [(loss.table, loss.kind) for loss in found] == [("public.u", LossKind.TABLE_DROPPED)]
    assert losses(before, contents(table(*ROWS, name="v"), table(*ROWS, name="w")), is_return=True) == ()


def test_a_table_that_was_there_is_not_the_later_state_of_another() -> None:
    found = losses(contents(table(*ROWS), table(name="u")), contents(table(*ROWS, name="u")), is_return=True)

    assert [loss.kind for loss in found] == [LossKind.TABLE_DROPPED]


# Columns.


def test_a_column_that_is_dropped_with_values_in_it_is_counted_with_its_first_value() -> None:
    rows = [row(1), row(2, "note-2"), row(3, "note-3")]
    without = table(*({"id": each["id"]} for each in rows), types={"id": "integer"})

    found = losses(contents(table(*rows)), contents(without))

    assert found == (Loss("public.t", "a", LossKind.COLUMN_DROPPED, 2, 3, "note-2", None, ("id",)),)


def test_a_column_whose_values_are_all_in_a_new_one_has_another_name() -> None:
    later = [{"id": each["id"], "x": each["b"], "y": each["a"]} for each in ROWS]
    types = {"id": "integer", "x": "text", "y": "text"}

    assert losses(contents(table(*ROWS)), contents(table(*later, types=types)), is_return=True) == ()


@pytest.mark.parametrize("value", ["other", None])
def test_a_column_is_not_the_one_that_has_another_value(value: Value) -> None:
    later = [{"id": each["id"], "x": each["a"], "b": each["b"]} for each in ROWS[:3]]
    later.append({"id": "4", "x": value, "b": "mark-4"})

    found = losses(
        contents(table(*ROWS)),
        contents(table(*later, types={"id": "integer", "x": "text", "b": "text"})),
        is_return=True,
    )

    assert [(loss.column, loss.kind, loss.count) for loss in found] == [("a", LossKind.COLUMN_DROPPED, 4)]


def test_one_new_column_is_the_later_state_of_one_alone() -> None:
    rows = [row(n, "same", "same") for n in range(3)]
    later = [{"id": each["id"], "x": "same"} for each in rows]

    found = losses(
        contents(table(*rows)), contents(table(*later, types={"id": "integer", "x": "text"})), is_return=True
    )

    assert [(loss.column, loss.kind) for loss in found] == [("b", LossKind.COLUMN_DROPPED)]


def test_a_value_that_is_the_time_of_the_migration_is_no_loss() -> None:
    types = {"id": "integer", "a": "timestamp with time zone"}
    before = contents(table({"id": "1", "a": "2001-02-03 00:00:00+00"}, types=types))
    later = table({"id": "1", "a": "2030-01-01 01:00:00+01"}, types=types)
    as_text = table({"id": "1", "a": "2030-01-01 01:00:00+01"}, types={"id": "integer", "a": "text"})

    of_domain = table({"id": "1", "a": "2030-01-01 01:00:00+01"}, types={"id": "integer", "a": "event_time"})

    assert losses(before, contents(later, now="2030-01-01T00:00:00+00:00"), is_return=True) == ()
    assert losses(before, contents(of_domain, now="2030-01-01T00:00:00+00:00"), is_return=True) == ()
    assert losses(before, contents(later, now="2030-01-01T00:00:01+00:00"), is_return=True)
    assert losses(before, contents(later), is_return=True)
    assert losses(before, contents(as_text, now="2030-01-01 01:00:00+01"), is_return=True)


def test_the_values_of_a_column_that_changed_are_counted_by_what_happened_to_them() -> None:
    rows = [row(1, "a long note"), row(2, "another note"), row(3, "note-3"), row(4, "note-4")]
    later = [row(1, "a long"), row(2, "another"), row(3), row(4, "other-4")]

    found = losses(contents(table(*rows)), contents(table(*later)), is_return=True)

    assert {(loss.kind, loss.count, loss.total, loss.old, loss.new) for loss in found} == {
        (LossKind.VALUES_TRUNCATED, 2, 4, "a long note", "a long"),
        (LossKind.VALUES_REMOVED, 1, 4, "note-3", None),
        (LossKind.VALUES_CHANGED, 1, 4, "note-4", "other-4"),
    }
    assert {loss.column for loss in found} == {"a"}


@pytest.mark.parametrize(
    ("later", "lost"),
    [
        (["red", "red", "green"], [(LossKind.VALUES_MERGED, 1)]),
        (["x", "x", "y"], [(LossKind.VALUES_MERGED, 2)]),
        (["x", "y", "z"], []),
    ],
    ids=["one became another", "two became the same", "all stay different"],
)
def test_values_that_are_now_the_same(later: Sequence[str], lost: list[tuple[LossKind, int]]) -> None:
    rows = [row(n, value) for n, value in enumerate(("red", "blue", "green"))]

    found = losses(contents(table(*rows)), contents(table(*(row(n, value) for n, value in enumerate(later)))))

    assert [(loss.kind, loss.count) for loss in found] == lost


def test_values_that_differed_in_case_and_blanks_alone_may_become_the_same() -> None:
    rows = [row(1, "Ann"), row(2, " ann"), row(3, None)]

    assert losses(contents(table(*rows)), contents(table(row(1, "x"), row(2, "x"), row(3, "x")))) == ()


@pytest.mark.parametrize(("value", "shown"), [("x" * 60, "x" * 60), ("x" * 61, "x" * 57 + "...")])
def test_a_long_value_is_shown_in_part(value: str, shown: str) -> None:
    [loss] = losses(contents(table(row(1, value))), contents(table(row(1, "y" + value))), is_return=True)

    assert (loss.old, loss.new) == (shown, "y" + value[:56] + "...")


# What is elsewhere.


def elsewhere(lost: Sequence[str], *columns: Sequence[str], was_there: Sequence[str] = ()) -> bool:
    """Whether the values of a dropped column count as kept by new columns of another table."""
    rows = [row(n, value) for n, value in enumerate(lost)]
    types = {f"c{n}": "text" for n in range(len(columns))}
    before = contents(table(*rows), table(*({"c0": each} for each in was_there), name="u", types=types, key=()))
    longest = max(map(len, columns))
    others = [
        {f"c{n}": (*column, *[None] * longest)[place] for n, column in enumerate(columns)} for place in range(longest)
    ]
    without = table(*({"id": each["id"]} for each in rows), types={"id": "integer"})
    return losses(before, contents(without, table(*others, name="u", types=types, key=()))) == ()


@pytest.mark.parametrize(
    ("lost", "columns", "is_kept"),
    [
        # Distinctive: of five characters, or of three with a letter and a digit. It may be anywhere, in part of a text too.
        (["abcde", "fghij"], [["xabcdex"], ["fghij"]], True),
        (["abcde", "fghij"], [["abcde"]], False),
        (["ab1", "cd2"], [["ab1"], ["x-cd2"]], True),
        (["12345"], [["x12345"]], True),
        # Not distinctive: one column must have all of them.
        (["abcd", "efgh"], [["abcd", "efgh"]], True),
        (["abcd", "efgh"], [["abcd"], ["efgh"]], False),
        (["abcd"], [["xabcdx"]], False),
        (["a1"], [["xa1"]], False),
        (["123"], [["1234"]], False),
        (["abc"], [["abcd"]], False),
        (["true", "abcde"], [["true"], ["abcde"]], False),
        # A text that was taken apart.
        (["alpha-beta"], [["alpha"], ["beta"]], True),
        (["alpha-beta"], [["alpha"]], False),
        (["alpha_beta"], [["alpha"], ["beta"]], False),
        (["(alpha)"], [["alpha"]], False),
        # Blanks at the end mean nothing.
        (["abcd  "], [["abcd"]], True),
    ],
)  # fmt: skip
def test_values_that_are_in_new_columns_are_kept(
    lost: Sequence[str], columns: Sequence[Sequence[str]], is_kept: bool
) -> None:
    assert elsewhere(lost, *columns) is is_kept


def test_a_value_that_was_there_before_is_no_copy() -> None:
    assert elsewhere(["abcde"], ["abcde"])
    assert not elsewhere(["abcde"], ["abcde"], was_there=["abcde"])


def test_a_column_holds_no_copy_of_itself() -> None:
    rows = [row(1, "note-1"), row(2, "note-2")]

    swapped = losses(contents(table(*rows)), contents(table(row(1, "note-2"), row(2, "note-3"))), is_return=False)
    kept = losses(contents(table(*rows)), contents(table(row(1, None, "note-1"), row(2, None, "note-2"))))

    assert swapped == ()
    assert kept == ()
    assert losses(contents(table(*rows)), contents(table(row(1, "x note-1"), row(2, None)))) == (
        Loss("public.t", "a", LossKind.VALUES_REMOVED, 1, 2, "note-2", None, ("id",)),
    )


# Which row is which.


def test_keys_that_differ_in_blanks_at_their_end_are_different_keys() -> None:
    types = {"id": "text", "a": "text"}
    rows = [{"id": "k", "a": "note-1"}, {"id": "k ", "a": "note-2"}]

    assert losses(contents(table(*rows, types=types)), contents(table(*rows, types=types)), is_return=True) == ()
    [loss] = losses(contents(table(*rows, types=types)), contents(table(rows[0], types=types)), is_return=True)
    assert (loss.column, loss.new) == ("a", "note-1")  # the second one is taken for the first, without its blank


def test_keys_are_the_same_in_another_type() -> None:
    later = table(*({**each, "id": f"{each['id']}.0"} for each in ROWS), types={**TYPES, "id": "numeric"})

    assert losses(contents(table(*ROWS)), contents(later), is_return=True) == ()


def test_where_no_key_is_the_same_rows_are_compared_by_what_is_in_them() -> None:
    later = [{**each, "id": f"uuid-{each['id']}"} for each in reversed(ROWS)]
    changed = [later[0], later[1], {**later[2], "b": "other"}, later[3]]

    found = losses(contents(table(*ROWS)), contents(table(*later)), is_return=True)
    assert [(loss.column, loss.kind, loss.count) for loss in found] == [("id", LossKind.VALUES_CHANGED, 4)]
    found = losses(contents(table(*ROWS)), contents(table(*changed)), is_return=True)
    assert [(loss.column, loss.old) for loss in found] == [("id", "1"), ("b", "mark-2")]


def test_without_a_key_equal_rows_are_each_other_s_later_state() -> None:
    rows = [row(1, "note"), row(1, "note"), row(2, "other")]

    once = losses(contents(table(*rows, key=())), contents(table(rows[0], rows[2], key=())), is_return=True)
    none = losses(contents(table(*rows, key=())), contents(table(rows[2], key=())), is_return=True)

    assert once == ()
    assert [(loss.kind, loss.count) for loss in none] == [(LossKind.ROWS_DELETED, 2)]


def test_rows_that_are_equal_but_for_what_is_computed_are_equal() -> None:
    rows = [row(1, "note", "note-1"), row(1, "note", "note-2")]
    once = table(row(1, "note", "note-3"), key=(), generated=["b"])
    without = table({"id": "1", "a": "note"}, types={"id": "integer", "a": "text"}, key=())

    assert losses(contents(table(*rows, key=(), generated=["b"])), contents(once), is_return=True) == ()
    found = losses(contents(table(*rows, key=())), contents(without), is_return=True)
    assert [(loss.column, loss.kind) for loss in found] == [
        (None, LossKind.ROWS_DELETED),
        ("b", LossKind.COLUMN_DROPPED),
    ]


def test_of_two_rows_that_are_as_much_alike_the_one_with_the_same_blanks_is_meant() -> None:
    later = [row(1, "x", "other"), row(1, "x ", "right")]

    found = losses(contents(table(row(1, "x ", "note"), key=())), contents(table(*later, key=())), is_return=True)

    assert [(loss.column, loss.new) for loss in found] == [("b", "right")]


@pytest.mark.parametrize(
    ("number", "now", "column"), [(60, 60, "a"), (61, 61, None), (2, 60, "a"), (2, 61, None), (61, 2, None)]
)
def test_up_to_so_many_rows_are_compared_with_each_other(number: int, now: int, column: str | None) -> None:
    rows = [row(n, f"note-{n}", f"mark-{n}") for n in range(number)]
    later = [row(n, f"other-{n}", f"mark-{n}") for n in range(now)]

    found = losses(contents(table(*rows, key=())), contents(table(*later, key=())), is_return=True)

    assert {loss.column for loss in found} == {column}
