"""Into how many segments a walk is cut, and where."""

from __future__ import annotations

import pytest

from app.gate.walk._cuts import Segment, cut

SMALL = "op.add_column()\nop.drop_column()"
LARGE = SMALL * 50
START_S = 0.4


@pytest.mark.parametrize("revisions", [0, 1, 5])
def test_a_short_history_is_walked_in_one(revisions: int) -> None:
    assert cut([SMALL] * revisions, 0, 4, START_S) == [Segment(0, revisions)]


def test_one_job_walks_alone() -> None:
    assert cut([SMALL] * 500, 0, 1, START_S) == [Segment(0, 500)]


@pytest.mark.parametrize("jobs", [2, 3, 4])
def test_a_long_history_has_a_segment_for_each_job(jobs: int) -> None:
    segments = cut([SMALL] * 500, 0, jobs, START_S)

    assert len(segments) == jobs
    assert [each.end for each in segments] == [*(each.begin for each in segments[1:]), 500]


def test_a_segment_is_shorter_where_more_comes_before_it() -> None:
    first, *middle, last = cut([SMALL] * 500, 0, 4, START_S)

    lengths = [each.end - each.begin for each in (first, *middle)]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > last.end - last.begin


def test_what_takes_longer_counts_for_more() -> None:
    first, second = cut([LARGE] * 20 + [SMALL] * 100, 0, 2, START_S)

    assert first.end - first.begin < second.end - second.begin


def test_a_command_that_takes_long_to_start_is_started_less_often() -> None:
    assert len(cut([SMALL] * 100, 0, 4, 10.0)) == 1
    assert len(cut([SMALL] * 100, 0, 4, 0.1)) > 1


def test_what_continues_is_cut_from_there() -> None:
    segments = cut([SMALL] * 500, 300, 2, START_S)

    assert (segments[0].begin, segments[-1].end, len(segments)) == (300, 500, 2)
