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
