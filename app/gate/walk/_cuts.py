"""Where a walk is cut into segments that are walked at the same time.

A segment costs a start of the command and the plain upgrade to its beginning, before its first revision is walked; the
last one has the walk's own run of the command, which has been started already, and the job of the first one has other
runs of the command to do as well. What is known in advance is how long that start took, and the scripts. How much
longer the visit of one takes than that of another, and than its plain upgrade, was measured (see
docs/decisions/segments.md); how long they take in this project and on this machine, the first ones show.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from app.gate.postgres.statements import is_cluster_wide
from app.gate.walk.plan import Beside, OtherRuns
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


@dataclass(frozen=True)
class Segment:
    """A part of a plan, by the indexes of its first revision and of the one after its last."""

    begin: int
    end: int


class Pace:
    """How long the visits of the first revisions take, a few at a time until that is known well enough."""

    def __init__(self, walk: Walk, begin: int, beside: Beside) -> None:
        self.texts = _texts_to_cut(walk, begin, beside)
        self.index = begin  # up to which the plan has been walked
        self._begin = begin
        self._estimated, _ = estimate(self.texts)
        self._times: list[float] = []  # at the beginning of each visit, and at the end of the last
        self._enough_s = _SHARE_OF_START * walk.arrival.start_s

    @property
    def next_index(self) -> int:
        """Up to where the plan is to be walked before it is cut: no further, if the pace is known or of no use."""
        is_known = bool(self._times) and self._times[-1] - self._times[0] >= self._enough_s
        left = len(self._estimated) - self.index
        return self.index if is_known or left < _FEWEST else self.index + _AT_A_TIME

    def note(self, index: int) -> None:
        """To be called as the visit of each begins, and at the end, with its index."""
        self.index = index
        self._times[index - self._begin :] = [time.monotonic()]

    @property
    def factor(self) -> float:
        """How many times as long as estimated they take: the later ones, since PostgreSQL has its catalogs to load."""
        visited = len(self._times) - 1
        if visited < 2:
            return 1.0
        first = visited // 2
        estimated = sum(self._estimated[self._begin + first : self._begin + visited])
        return (self._times[visited] - self._times[first]) / estimated


def choose_segments(walk: Walk, beside: Beside, pace: Pace) -> list[Segment]:
    """The segments for what is left of that walk. One where others would be in its way."""
    whole = [Segment(pace.index, len(walk.plan))]
    if len(pace.texts) - pace.index < _FEWEST:
        return whole
    segments = cut(pace.texts, pace.index, beside.jobs, beside.others(), walk.arrival.start_s, pace.factor)
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


def estimate(texts: Sequence[str]) -> tuple[list[float], list[float]]:
    """How long the visit of each revision takes, and how long its plain upgrade."""
    operations = [len(_OPERATION.findall(text)) for text in texts]
    visits = [
        (_VISIT_S + _VISIT_OF_OPERATION_S * each) * (n / 100.0) ** _GROWTH for n, each in enumerate(operations, 1)
    ]
    return visits, [_PLAIN_S + _PLAIN_OF_OPERATION_S * each for each in operations]


def cut(
    texts: Sequence[str], begin: int, jobs: int, others: OtherRuns, start_s: float, pace: float = 1.0
) -> list[Segment]:
    """The segments into which the plan is best cut from that index on, at most one for each job.

    `texts` are the scripts in the order of the plan, `start_s` is how long the command takes to reach Alembic, and
    `pace` how many times as long as estimated everything else takes.
    """
    work, plain = ([each * pace for each in estimated] for estimated in estimate(texts))
    work[:begin] = [0.0] * begin
    others_s = others.starts * start_s + others.passes * sum(plain)
    best, least = [Segment(begin, len(texts))], max(sum(work), others_s)
    for count in range(2, jobs + 1):
        segments, longest = _shortest(work, plain, begin, count, start_s, others_s)
        if longest < _GAIN * least:
            best, least = segments, longest
    return best


def _shortest(
    work: Sequence[float], plain: Sequence[float], begin: int, count: int, start_s: float, others_s: float
) -> tuple[list[Segment], float]:
    """So many segments, of which the longest takes as little time as possible, and that time."""
    low, high = 0.0, sum(work) + sum(plain) + start_s + others_s
    segments = [Segment(begin, len(work))]
    while high - low > _PRECISION_S:
        middle = (low + high) / 2
        found = _within(middle, work, plain, begin, count, start_s, others_s)
        if found is None:
            low = middle
        else:
            segments, high = found, middle
    return segments, high


def _within(
    limit_s: float,
    work: Sequence[float],
    plain: Sequence[float],
    begin: int,
    count: int,
    start_s: float,
    others_s: float,
) -> list[Segment] | None:
    """So many segments that take no longer than that, each as long as possible. None if there are none. The first one
    comes after the other runs of the command, which take `others_s`."""
    before = [0.0, *accumulate(plain)]
    segments = []
    for number in range(count):
        is_last = number == count - 1
        left = limit_s - before[begin] - (0.0 if is_last else start_s) - (others_s if number == 0 else 0.0)
        end = begin
        while end < len(work) and work[end] <= left:
            left -= work[end]
            end += 1
        segments.append(Segment(begin, end))
        begin = end
    return [each for each in segments if each.begin < each.end] if begin == len(work) else None
