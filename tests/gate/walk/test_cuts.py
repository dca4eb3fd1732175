"""Into how many segments a walk is cut, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.gate.walk._cuts import Pace, Segment, Times, Underway, _shortest, _within, choose_segments, cut, estimate
from app.gate.walk.plan import Beside
from app.gate.walk.state import Walk
from tests.gate.walk.walks import arrival, line_of, walk

SMALL = "op.add_column()\nop.drop_column()"
LARGE = SMALL * 50
START_S = 0.4


@pytest.mark.parametrize("revisions", [0, 1, 5])
def test_a_short_history_is_walked_in_one(revisions: int) -> None:
    assert cut(estimate([SMALL] * revisions), 0, 4, START_S) == [Segment(0, revisions)]


def test_one_job_walks_alone() -> None:
    assert cut(estimate([SMALL] * 500), 0, 1, START_S) == [Segment(0, 500)]


@pytest.mark.parametrize("jobs", [2, 3, 4])
def test_a_long_history_has_a_segment_for_each_job(jobs: int) -> None:
    segments = cut(estimate([SMALL] * 500), 0, jobs, START_S)

    assert len(segments) == jobs
    assert [each.end for each in segments] == [*(each.begin for each in segments[1:]), 500]


def test_a_segment_is_shorter_where_more_comes_before_it() -> None:
    first, *middle, last = cut(estimate([SMALL] * 500), 0, 4, START_S)

    lengths = [each.end - each.begin for each in (first, *middle)]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > last.end - last.begin


def test_what_takes_longer_counts_for_more() -> None:
    first, second = cut(estimate([LARGE] * 20 + [SMALL] * 100), 0, 2, START_S)

    assert first.end - first.begin < second.end - second.begin


def test_a_command_that_takes_long_to_start_is_started_less_often() -> None:
    assert len(cut(estimate([SMALL] * 100), 0, 4, 10.0)) == 1
    assert len(cut(estimate([SMALL] * 100), 0, 4, 0.1)) > 1


def test_what_continues_is_cut_from_there() -> None:
    segments = cut(estimate([SMALL] * 500), 300, 2, START_S)

    assert (segments[0].begin, segments[-1].end, len(segments)) == (300, 500, 2)


def test_segments_that_fit_into_a_time_are_each_as_long_as_possible() -> None:
    times = Times([1.0] * 4, [0.25] * 4)

    def within(limit_s: float, count: int, begin: int = 0, last_s: float = 0.0) -> list[tuple[int, int]] | None:
        found = _within(limit_s, times, begin, count, 0.5, last_s)
        return None if found is None else [(each.begin, each.end) for each in found]

    assert within(2.5, 2) == [(0, 2), (2, 4)]
    assert within(2.25, 2) is None
    assert within(10.0, 3) == [(0, 4)]
    assert within(2.5, 1) is None
    assert within(2.75, 2, 2) == [(2, 3), (3, 4)]
    assert within(2.5, 2, last_s=0.5) is None
    assert within(3.5, 2, last_s=1.0) == [(0, 3), (3, 4)]
    segments, longest = _shortest(times, 0, 2, 0.5, 0.0)
    assert segments == [Segment(0, 2), Segment(2, 4)]
    assert longest == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("texts", "begin", "jobs", "start_s", "ends"),
    [
        ([SMALL] * 500, 0, 3, 0.4, [218, 367, 500]),
        ([LARGE] * 12, 0, 2, 0.1, [7, 12]),
        ([LARGE] * 4, 0, 3, 0.05, [2, 3, 4]),
        ([SMALL] * 10 + [LARGE] * 10, 5, 4, 0.02, [13, 16, 18, 20]),
        ([LARGE] * 3, 0, 2, 0.4, [1, 3]),
        ([LARGE] * 3, 0, 2, 0.8, [1, 3]),
        ([LARGE] * 3, 0, 2, 1.6, [3]),
        ([LARGE] * 4, 0, 3, 0.8, [1, 2, 4]),
        ([LARGE] * 4, 0, 3, 2.0, [4]),
    ],
)
def test_where_plans_are_cut(texts: list[str], begin: int, jobs: int, start_s: float, ends: list[int]) -> None:
    assert [each.end for each in cut(estimate(texts), begin, jobs, start_s)] == ends


@pytest.mark.parametrize("text", [SMALL, "connection.execute(x)\n" * 2, "op . f()\nop\t.g()"])
def test_operations_are_known_by_their_text(text: str) -> None:
    assert cut(estimate([text] * 500), 0, 2, START_S) == cut(estimate([SMALL] * 500), 0, 2, START_S)
    assert cut(estimate(["stop.it()\nexecutes()"] * 500), 0, 2, START_S) == cut(estimate([""] * 500), 0, 2, START_S)


def of_scripts(place: Path, text: str = LARGE, count: int = 40, *, is_transactional: bool = True) -> Walk:
    names = [f"r{n}" for n in range(count)]
    paths = {name: place / f"{name}.py" for name in names}
    for path in paths.values():
        path.write_bytes(b"# \xff caf\xc3\xa9\n" + text.encode())
    return walk(arrives=arrival(*line_of(*names), paths=paths, is_transactional=is_transactional, start_s=0.1))


def chosen(of: Walk, begin: int = 0, jobs: int = 2, *, may_be: bool = True) -> tuple[int, bool]:
    """How many segments there are, and whether it was asked whether there may be several."""
    asked: list[bool] = []

    def may_be_cut() -> bool:
        asked.append(True)
        return may_be

    beside = Beside(jobs, may_be_cut)
    segments = choose_segments(of, beside, Pace(of, begin, beside))
    assert (segments[0].begin, segments[-1].end) == (begin, len(of.plan))
    return len(segments), bool(asked)


def test_a_walk_is_cut_where_that_is_worth_it_and_allowed(tmp_path: Path) -> None:
    long = of_scripts(tmp_path)

    assert chosen(long) == (2, True)
    assert chosen(long, may_be=False) == (1, True)
    assert chosen(long, jobs=1) == (1, False)
    assert chosen(long, 39) == (1, False)
    assert chosen(of_scripts(tmp_path, LARGE * 4, 20)) == (2, True)
    assert chosen(of_scripts(tmp_path, LARGE * 4, 19)) == (1, False)


def test_a_walk_that_others_would_disturb_is_taken_in_one(tmp_path: Path) -> None:
    assert chosen(of_scripts(tmp_path, "op.f()", 3)) == (1, False)
    assert chosen(of_scripts(tmp_path, is_transactional=False)) == (1, False)
    roles = of_scripts(tmp_path)
    (tmp_path / "r30.py").write_text("op.execute('CREATE ROLE reader')")
    assert chosen(roles) == (1, False)
    (tmp_path / "r30.py").unlink()
    assert chosen(roles) == (1, False)


def paced(monkeypatch: pytest.MonkeyPatch, of: Walk, *times: float, begin: int = 0) -> tuple[list[int], float]:
    """Up to which indexes the plan is walked before it is cut, and the pace, where visits begin at these times."""
    clock = iter(times)
    monkeypatch.setattr("app.gate.walk._cuts.time.monotonic", lambda: next(clock))
    pace, ends = Pace(of, begin, Beside(2)), []
    while (end := pace.next_index) > pace.index:
        for index in range(pace.index, end + 1):
            pace.note(index)
        ends.append(end)
    return ends, pace.factor


def test_the_first_visits_show_the_pace_of_the_later_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    of = of_scripts(tmp_path)
    visits, _ = estimate([LARGE] * 40)
    slow = [9.0 * n for n in range(6)]  # what is slow at first does not count

    ends, factor = paced(monkeypatch, of, *slow, *(45.0 + 3.0 * sum(visits[5 : 5 + n]) for n in range(1, 6)))

    assert ends == [10]
    assert factor == pytest.approx(3.0)


def test_more_are_visited_where_that_takes_no_time_beside_a_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    of = of_scripts(tmp_path)  # whose start takes 0.1 s

    assert paced(monkeypatch, of, *(0.001 * n for n in range(50)))[0] == [10, 20, 30]  # and then too few are left
    assert paced(monkeypatch, of, *(0.003 * n for n in range(50)))[0] == [10, 20]
    assert paced(monkeypatch, of, *(0.003 * n for n in range(50)), begin=20)[0] == [30]


def test_where_a_plan_is_not_cut_no_pace_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert paced(monkeypatch, of_scripts(tmp_path, count=19)) == ([], 1.0)
    assert paced(monkeypatch, of_scripts(tmp_path, "CREATE ROLE reader")) == ([], 1.0)


def test_a_slow_project_is_cut_where_a_fast_one_is_not() -> None:
    assert len(cut(estimate([SMALL] * 40), 0, 2, 1.0)) == 1
    assert len(cut(estimate([SMALL] * 40).at(5.0), 0, 2, 1.0)) == 2


def of_even_times(place: Path) -> Pace:
    """Of 40 revisions, whose visits take 1 s each, and plain upgrades 0.1 s; a start 0.5 s."""
    pace = Pace(of_scripts(place), 0, Beside(2))
    pace._estimated = Times([1.0] * 40, [0.1] * 40)
    pace.start_s, pace.comparison_s = 0.5, 0.0
    return pace


def underway(at: int, end: int = 40, *, took_s: float = 0.0, ends_at_head: bool = False) -> Underway:
    return Underway(at, end, visited_from=20, upgraded_from=0, took_s=took_s, ends_at_head=ends_at_head)


def test_a_job_that_is_done_takes_over_as_much_as_makes_both_end_together(tmp_path: Path) -> None:
    pace = of_even_times(tmp_path)

    assert pace.take_over(20, underway(24, took_s=6.0)) == 33  # 9 s there, and here 0.1 s for each of 13 and then 7 s
    assert pace.take_over(24, underway(24, took_s=6.0)) == 32
    # What the giver upgrades plainly at the end is counted as well, and the comparison.
    assert pace.take_over(20, underway(22, took_s=4.0, ends_at_head=True)) == 31
    assert pace.take_over(20, underway(22, took_s=4.0)) == 32
    pace.comparison_s = 4.0
    assert pace.take_over(20, underway(20, ends_at_head=True)) == 28
    assert pace.take_over(20, underway(20)) == 30


def test_a_job_takes_over_nothing_where_it_would_not_end_sooner(tmp_path: Path) -> None:
    pace = of_even_times(tmp_path)

    assert pace.take_over(20, underway(38, took_s=20.0)) is None
    assert pace.take_over(20, underway(36, took_s=18.0)) == 39
    assert pace.take_over(0, underway(36, took_s=18.0)) is None  # whose database is too far behind
    pace.start_s = 10.0
    assert pace.take_over(20, underway(36, took_s=18.0)) is None  # it would end 1 s sooner


def test_how_long_a_segment_takes_is_seen_from_what_it_has_taken(tmp_path: Path) -> None:
    pace = of_even_times(tmp_path)

    assert pace.take_over(20, underway(36, took_s=18.0 * 0.04)) is None  # 16 visits in 0.64 s
    pace.start_s = 0.0
    assert pace.take_over(20, underway(36, took_s=18.0 * 0.04)) == 39


def test_the_comparison_with_the_models_takes_its_time_from_the_last_segment(tmp_path: Path) -> None:
    of = of_scripts(tmp_path)
    times = estimate([LARGE] * 40)

    assert Pace(of, 0, Beside(2)).comparison_s == pytest.approx(0.06)
    of.evidence = frozenset()
    assert Pace(of, 0, Beside(2)).comparison_s == 0.0
    soon, late = (cut(times, 0, 2, START_S, comparison_s)[0].end for comparison_s in (0.0, 4.0))
    assert soon < late
