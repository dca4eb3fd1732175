"""Where a walk is cut into segments that are walked at the same time.

A segment costs a start of the command and the plain upgrade to its beginning, before its first revision is walked; the
last one has the walk's own run of the command, which has been started already, and compares the models at the end.
What is known in advance is how long that start took, and the scripts. How much longer the visit of one takes than that
of another, and than its plain upgrade, was measured (see docs/decisions/segments.md); how long they take in this
project and on this machine, the first ones show.

Where a segment takes longer than that, a job that is done with its own takes over the tail of it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from app.gate.postgres.statements import is_cluster_wide
from app.gate.recording.model import Evidence
from app.gate.walk.plan import Beside
from app.gate.walk.state import Walk

# In seconds, by the pace of a certain machine: of a revision, and of each operation in it.
_VISIT_S, _VISIT_OF_OPERATION_S = 0.012, 0.009
_PLAIN_S, _PLAIN_OF_OPERATION_S = 0.002, 0.001
_GROWTH = 0.2  # a visit takes longer with the tables that are there: with that power of the number of revisions
_OPERATION = re.compile(r"\bop\s*\.|\bexecute\(")
_PRECISION_S = 1e-9  # of the search for the shortest time
_AT_A_TIME = 10  # revisions
_SHARE_OF_START = 0.5  # of the time that a start of the command takes, after which the pace is known
_FEWEST = 20  # revisions that may be worth a cut
_GAIN = 0.95  # another segment has to shorten the walk to that
_COMPARISON_OF_START = 0.6  # how long the comparison with the models takes, in starts of the command
_WORTH_OF_START = 0.1  # how much sooner a walk has to end where a tail is taken over, in starts of the command


@dataclass(frozen=True)
class Segment:
    """A part of a plan, by the indexes of its first revision and of the one after its last."""

    begin: int
    end: int


class Times(NamedTuple):
    """How long each revision of a plan takes, in seconds."""

    visits: Sequence[float]
    plain: Sequence[float]  # upgrades

    def at(self, pace: float) -> Times:
        """Where everything takes so many times as long."""
        return Times([each * pace for each in self.visits], [each * pace for each in self.plain])


class Underway(NamedTuple):
    """How far a segment has been walked."""

    at: int  # the revision that is visited now
    end: int
    visited_from: int  # on the database that it has now
    upgraded_from: int  # plainly, before that
    took_s: float  # all that
    ends_at_head: bool  # its database is to get there


class Pace:
    """How long the visits of the first revisions take, a few at a time until that is known well enough."""

    def __init__(self, walk: Walk, begin: int, beside: Beside) -> None:
        self.texts = _texts_to_cut(walk, begin, beside)
        self.index = begin  # up to which the plan has been walked
        self.start_s = walk.arrival.start_s
        compares = walk.arrival.has_metadata and Evidence.DRIFT in walk.evidence
        self.comparison_s = _COMPARISON_OF_START * self.start_s if compares else 0.0
        self._begin = begin
        self._estimated = estimate(self.texts)
        self._noted: list[float] = []  # the time at the beginning of each visit, and at the end of the last
        self._enough_s = _SHARE_OF_START * self.start_s

    @property
    def next_index(self) -> int:
        """Up to where the plan is to be walked before it is cut: no further, if the pace is known or of no use."""
        is_known = bool(self._noted) and self._noted[-1] - self._noted[0] >= self._enough_s
        left = len(self.texts) - self.index
        return self.index if is_known or left < _FEWEST else self.index + _AT_A_TIME

    def note(self, index: int) -> None:
        """To be called as the visit of each begins, and at the end, with its index."""
        self.index = index
        self._noted[index - self._begin :] = [time.monotonic()]

    @property
    def factor(self) -> float:
        """How many times as long as estimated they take: the later ones, since PostgreSQL has its catalogs to load."""
        visited = len(self._noted) - 1
        if visited < 2:
            return 1.0
        first = visited // 2
        estimated = sum(self._estimated.visits[self._begin + first : self._begin + visited])
        return (self._noted[visited] - self._noted[first]) / estimated

    @property
    def times(self) -> Times:
        """What the visits so far make of the estimate."""
        return self._estimated.at(self.factor)

    def take_over(self, index: int, left: Underway) -> int | None:
        """From where on a job whose database is at that index of the plan is to take what a segment has left. None:
        it would not be worth it."""
        expected = sum(self._estimated.plain[left.upgraded_from : left.visited_from])
        expected += sum(self._estimated.visits[left.visited_from : left.at])
        times = self._estimated.at(left.took_s / expected if left.at > left.visited_from else self.factor)
        last_s = self.comparison_s if left.ends_at_head else 0.0
        alone_s = sum(times.visits[left.at : left.end]) + last_s
        tails = range(left.at + 1, left.end)
        longer_s, best = min(
            ((_longer_s(times, index, left, tail, last_s), tail) for tail in tails), default=(alone_s, 0)
        )
        return best if alone_s - longer_s > max((1 - _GAIN) * alone_s, _WORTH_OF_START * self.start_s) else None


def _longer_s(times: Times, index: int, left: Underway, tail: int, last_s: float) -> float:
    """How long the longer one takes where another job takes over that tail."""
    visits, plain = times
    giver_s = sum(visits[left.at : tail]) + last_s + (sum(plain[tail : left.end]) if left.ends_at_head else 0.0)
    return max(giver_s, sum(plain[index:tail]) + sum(visits[tail : left.end]))


def choose_segments(walk: Walk, beside: Beside, pace: Pace) -> list[Segment]:
    """The segments for what is left of that walk. One where others would be in its way."""
    whole = [Segment(pace.index, len(walk.plan))]
    if len(pace.texts) - pace.index < _FEWEST:
        return whole
    segments = cut(pace.times, pace.index, beside.jobs, pace.start_s, pace.comparison_s)
    return segments if len(segments) == 1 or beside.may_be_cut() else whole


def _texts_to_cut(walk: Walk, begin: int, beside: Beside) -> list[str]:
    """The scripts in the order of the plan. None where it cannot be cut from that index on."""
    if beside.jobs < 2 or not walk.arrival.is_transactional or len(walk.plan) - begin < _FEWEST:
        return []
    try:
        texts = [walk.arrival.paths[name].read_text("utf-8", "replace") for name in walk.plan]
    except OSError:
        return []
    return [] if any(map(is_cluster_wide, texts)) else texts


def estimate(texts: Sequence[str]) -> Times:
    """By the pace of a certain machine, from the scripts in the order of the plan."""
    operations = [len(_OPERATION.findall(text)) for text in texts]
    visits = [
        (_VISIT_S + _VISIT_OF_OPERATION_S * each) * (n / 100.0) ** _GROWTH for n, each in enumerate(operations, 1)
    ]
    return Times(visits, [_PLAIN_S + _PLAIN_OF_OPERATION_S * each for each in operations])


def cut(times: Times, begin: int, jobs: int, start_s: float, comparison_s: float = 0.0) -> list[Segment]:
    """The segments into which the plan is best cut from that index on, at most one for each job.

    `start_s` is how long the command takes to reach Alembic, `comparison_s` what follows in its own run after the end.
    """
    best, least = [Segment(begin, len(times.visits))], sum(times.visits[begin:]) + comparison_s
    for count in range(2, jobs + 1):
        segments, longest = _shortest(times, begin, count, start_s, comparison_s)
        if longest < _GAIN * least:
            best, least = segments, longest
    return best


def _shortest(times: Times, begin: int, count: int, start_s: float, last_s: float) -> tuple[list[Segment], float]:
    """So many segments, of which the longest takes as little time as possible, and that time."""
    low, high = 0.0, sum(times.visits[begin:]) + sum(times.plain) + start_s + last_s
    segments = [Segment(begin, len(times.visits))]
    while high - low > _PRECISION_S:
        middle = (low + high) / 2
        found = _within(middle, times, begin, count, start_s, last_s)
        if found is None:
            low = middle
        else:
            segments, high = found, middle
    return segments, high


def _within(
    limit_s: float, times: Times, begin: int, count: int, start_s: float, last_s: float
) -> list[Segment] | None:
    """So many segments that take no longer than that, each as long as possible. None if there are none. The last one
    comes before what takes `last_s`."""
    visits, before = times.visits, [0.0, *accumulate(times.plain)]
    segments = []
    for number in range(count):
        is_last = number == count - 1
        left = limit_s - before[begin] - (last_s if is_last else start_s)
        end = begin
        while end < len(visits) and visits[end] <= left:
            left -= visits[end]
            end += 1
        segments.append(Segment(begin, end))
        begin = end
    return [each for each in segments if each.begin < each.end] if begin == len(visits) else None
