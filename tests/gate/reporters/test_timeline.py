"""Which locks a step holds when, and the picture of it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from app.gate.report.model import StatementEntry, StepEntry
from app.gate.reporters.html.timeline import MOST_ROWS, Span, lock_rows, lock_timeline

EXCLUSIVE, SHARE, GENTLE = "AccessExclusiveLock", "ShareLock", "ShareUpdateExclusiveLock"


def step(*statements: StatementEntry) -> StepEntry:
    return StepEntry(revision="a1", direction="upgrade", duration_ms=1.0, statements=list(statements))


def statement(*locks: tuple[str, str], sql: str = "ALTER TABLE t", **fields: object) -> StatementEntry:
    taken = [{"table": table, "mode": mode} for table, mode in locks]
    return StatementEntry.model_validate({"sql": sql, "duration_ms": 1.0, "locks": taken, **fields})


def test_a_lock_is_held_until_its_transaction_ends() -> None:
    rows = lock_rows(step(statement(), statement(("t", EXCLUSIVE)), statement(), statement(("u", SHARE))))

    assert [(row.table, row.mode, row.spans) for row in rows] == [
        ("t", EXCLUSIVE, [Span(1, 3)]),
        ("u", SHARE, [Span(3, 3)]),
    ]


def test_outside_a_transaction_each_lock_ends_with_its_statement_and_so_do_those_before() -> None:
    rows = lock_rows(
        step(
            statement(("t", SHARE)),
            statement(),
            statement(("t", GENTLE), transactional=False),
            statement(("u", GENTLE), transactional=False),
            statement(("t", SHARE)),
            statement(),
        )
    )

    assert [(row.table, row.mode, row.spans) for row in rows] == [
        ("t", SHARE, [Span(0, 1), Span(4, 5)]),
        ("t", GENTLE, [Span(2, 2)]),
        ("u", GENTLE, [Span(3, 3)]),
    ]


def test_a_commit_of_the_script_ends_a_lock() -> None:
    rows = lock_rows(step(statement(("t", SHARE)), statement(sql="commit"), statement()))

    assert rows[0].spans == [Span(0, 0)]


def test_a_rewrite_and_a_scan_are_marked_at_the_strongest_lock_that_is_held() -> None:
    rows = lock_rows(
        step(
            statement(("t", SHARE)),
            statement(("t", EXCLUSIVE), rewrites=["t"], scans=["t"]),
            statement(scans=["t", "unlocked"]),
        )
    )

    assert [(row.table, row.mode, row.rewrites, row.scans) for row in rows] == [
        ("t", EXCLUSIVE, [1], [2]),
        ("t", SHARE, [], []),
        ("unlocked", "", [], [2]),
    ]


def test_the_locks_of_every_query_are_left_out() -> None:
    assert lock_rows(step(statement(("t", "RowExclusiveLock"), ("u", "AccessShareLock")))) == []
    assert [row.table for row in lock_rows(step(statement(("t", "RowExclusiveLock"), ("u", SHARE))))] == ["u"]


@pytest.mark.parametrize(
    ("mode", "blocks", "label"),
    [
        (EXCLUSIVE, "reads", "t · ACCESS EXCLUSIVE · blocks reads and writes"),
        (SHARE, "writes", "t · SHARE · blocks writes"),
        (GENTLE, "nothing", "t · SHARE UPDATE EXCLUSIVE"),
        ("", "nothing", "t"),
    ],
)
def test_what_a_lock_blocks_is_said_in_words(mode: str, blocks: str, label: str) -> None:
    (row,) = lock_rows(step(statement(("t", mode))))

    assert (row.blocks, row.label) == (blocks, label)


def test_each_statement_is_a_link_with_its_text() -> None:
    picture = ElementTree.fromstring(
        lock_timeline(step(statement(("t", EXCLUSIVE), sql="SELECT '<'"), statement()), "r-1")
    )

    links = picture.findall("a")
    assert [each.get("href") for each in links] == ["#r-1-1", "#r-1-2"]
    assert links[0].findtext("title") == "1. SELECT '<' (1.0 ms)"
    bars = [each for each in picture.findall("rect") if "bar" in (each.get("class") or "")]
    assert [(each.get("class"), each.get("x"), each.get("width")) for each in bars] == [
        ("bar blocks-reads", "1", "158")
    ]


def test_no_picture_where_nothing_is_locked() -> None:
    assert lock_timeline(step(statement()), "r") == ""


@pytest.mark.parametrize("number", [1, 30, 200, 2000])
def test_everything_is_within_the_picture(number: int) -> None:
    last = statement(("t", EXCLUSIVE), rewrites=["t"])
    picture = ElementTree.fromstring(lock_timeline(step(*[statement() for _ in range(number - 1)], last), "r"))

    width = float(picture.get("width") or 0)
    for each in picture.iter("rect"):
        x, length = float(each.get("x") or 0), float(each.get("width") or 0)
        assert length > 0
        assert 0 <= x <= x + length <= width


def test_what_does_not_fit_is_counted() -> None:
    picture = lock_timeline(step(*(statement((f"t{number}", SHARE)) for number in range(MOST_ROWS + 3))), "r")

    assert "… 3 more" in picture
    assert f"t{MOST_ROWS - 1} " in picture
    assert f"t{MOST_ROWS} " not in picture


def test_a_picture_is_as_wide_as_its_columns_and_at_least_640_pixels() -> None:
    def size(number: int) -> tuple[str | None, str | None, int]:
        last = statement(("t", EXCLUSIVE))
        picture = ElementTree.fromstring(lock_timeline(step(*[statement() for _ in range(number - 1)], last), "r"))
        columns = [each for each in picture.iter("rect") if each.get("class") == "column"]
        return picture.get("viewBox"), columns[0].get("width"), len(picture.findall("a/text"))

    assert size(1) == ("0 0 640 58", "80", 1)
    assert size(9) == ("0 0 640 58", "71", 9)
    assert size(32) == ("0 0 640 58", "20", 32)
    assert size(33) == ("0 0 640 58", "19", 0)
    assert size(200) == ("0 0 800 58", "4", 0)


def test_where_everything_is_in_a_picture() -> None:
    rewriting = statement(("t", EXCLUSIVE), ("u", SHARE), rewrites=["t"], scans=["u"], sql="ALTER")
    picture = ElementTree.fromstring(
        lock_timeline(step(statement(sql="SELECT"), rewriting, statement(sql="SELECT")), "r")
    )

    rectangles = [
        tuple(each.get(name) for name in ("class", "x", "y", "width", "height")) for each in picture.findall("rect")
    ]
    assert rectangles == [
        ("bar blocks-reads", "81", "40", "158", "12"), ("rewrite", "81", "38", "78", "16"),
        ("bar blocks-writes", "81", "76", "158", "12"), ("scan", "81", "74", "78", "16"),
    ]  # fmt: skip
    assert [(each.get("class"), each.get("x"), each.get("y"), each.text) for each in picture.findall("text")] == [
        ("label", "2", "35", "t · ACCESS EXCLUSIVE · blocks reads and writes"), ("mark on-rewrite", "120", "50", "R"),
        ("label", "2", "71", "u · SHARE · blocks writes"), ("mark on-scan", "120", "86", "S"),
    ]  # fmt: skip


def test_a_narrow_column_has_marks_of_two_pixels_without_letters() -> None:
    last = statement(("t", EXCLUSIVE), rewrites=["t"])
    picture = ElementTree.fromstring(lock_timeline(step(*[statement() for _ in range(199)], last), "r"))

    (mark,) = [each for each in picture.findall("rect") if each.get("class") == "rewrite"]
    assert (mark.get("x"), mark.get("width")) == ("797", "2")
    assert [each.get("class") for each in picture.findall("text")] == ["label"]


@pytest.mark.parametrize(("number", "rest", "height"), [(40, None, 1462), (41, "… 1 more", 1498)])
def test_forty_rows_are_drawn(number: int, rest: str | None, height: int) -> None:
    picture = ElementTree.fromstring(lock_timeline(step(*(statement((f"t{at}", SHARE)) for at in range(number))), "r"))

    (*_, last) = picture.findall("text")
    assert ((last.text, last.get("x"), last.get("y")) == (rest, "2", "1476")) is (rest is not None)
    assert picture.get("height") == str(height)


@pytest.mark.parametrize(
    ("sql", "ends"),
    [
        ("COMMIT", True),
        (" commit;", True),
        ("ROLLBACK;", True),
        ("end; x", True),
        ("ROLLBACK TO a", False),
        ("ENDLESS", False),
        ("", False),
    ],
)
def test_what_ends_a_transaction(sql: str, ends: bool) -> None:
    assert lock_rows(step(statement(("t", SHARE)), statement(sql=sql)))[0].spans == [Span(0, 0 if ends else 1)]


def test_rows_are_in_the_order_of_the_tables_and_the_strongest_mode_first() -> None:
    modes = ["strange", "ShareRowExclusiveLock", GENTLE, SHARE, "ExclusiveLock", EXCLUSIVE]

    rows = lock_rows(step(statement(("b", SHARE)), *(statement(("a", mode)) for mode in modes)))

    assert [(row.table, row.mode) for row in rows] == [
        ("b", SHARE), ("a", EXCLUSIVE), ("a", "ExclusiveLock"), ("a", "ShareRowExclusiveLock"), ("a", SHARE), ("a", GENTLE), ("a", "strange"),
    ]  # fmt: skip
    assert rows[-1].label == "a · strange"


def test_a_mark_is_at_a_lock_that_is_held_then_and_has_a_row_of_its_own_where_none_is() -> None:
    rows = lock_rows(
        step(
            statement(("t", SHARE), transactional=False),
            statement(scans=["t"], transactional=False),
            statement(("t", "strange"), scans=["t"]),
        )
    )

    assert [(row.mode, row.scans) for row in rows] == [(SHARE, []), ("strange", []), ("", [1, 2])]


def test_names_and_statements_that_are_long_are_cut() -> None:
    long = statement(("t" * 200, "m" * 200), sql="\n".join(["s" * 500] * 9))

    picture = ElementTree.fromstring(
        lock_timeline(StepEntry(revision="r" * 200, direction="upgrade", duration_ms=1, statements=[long]), "r")
    )

    assert picture.findtext("title") == f"Locks of revision {'r' * 130}, a column for each statement"
    assert picture.findtext("text") == f"{'t' * 130} · {'m' * 130}"
    assert picture.findtext("a/title") == "1. " + f"{'s' * 400}… " * 8 + "… 1 more line (1.0 ms)"


def test_a_lock_without_a_table_or_a_mode_is_drawn_as_far_as_it_is_known() -> None:
    odd = StatementEntry(sql="", duration_ms=1, locks=[{"mode": SHARE}, {"table": "t"}])

    assert [(row.table, row.mode) for row in lock_rows(step(odd))] == [("", SHARE), ("t", "")]
