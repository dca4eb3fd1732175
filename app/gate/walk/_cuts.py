"""Where a walk is cut into segments that are walked at the same time.

A segment costs a start of the command and the plain upgrade to its beginning, before its first revision is walked; the
last one has the walk's own run of the command, which has been started already, and the job of the first one has other
runs of the command to do as well. What is known in advance is how long that start took, and the scripts. What the visit
of a revision takes, against its plain upgrade, was measured (see docs/decisions/segments.md).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from app.gate.postgres.statements import is_cluster_wide
from app.gate.walk.plan import Beside
from app.gate.walk.state import Walk

# Processor time of the command, PostgreSQL and the gate, in seconds: of a revision, and of each operation in it.
_VISIT_S, _VISIT_OF_OPERATION_S = 0.012, 0.009
_PLAIN_S, _PLAIN_OF_OPERATION_S = 0.002, 0.001
_GROWTH = 0.2  # a visit takes longer with the tables that are there: with that power of the number of revisions
_OPERATION = re.compile(r"\bop\s*\.|\bexecute\(")
_PRECISION_S = 1e-9  # of the search for the shortest time


@dataclass(frozen=True)
class Segment:
    """A part of a plan, by the indexes of its first revision and of the one after its last."""

    begin: int
    end: int


def choose_segments(walk: Walk, begin: int, beside: Beside) -> list[Segment]:
    """The segments for what is left of that walk. One where others would be in its way."""
    whole = [Segment(begin, len(walk.plan))]
    if beside.jobs < 2 or not walk.arrival.is_transactional or len(walk.plan) - begin < 2:
        return whole
    try:
        texts = [walk.arrival.paths[name].read_text("utf-8", "replace") for name in walk.plan]
    except OSError:
        return whole
    if any(map(is_cluster_wide, texts)):
        return whole
    segments = cut(texts, begin, beside, walk.arrival.start_s)
    return segments if len(segments) == 1 or beside.may_be_cut() else whole


def cut(texts: Sequence[str], begin: int, beside: Beside, start_s: float) -> list[Segment]:
    """The segments into which the plan is best cut from that index on, at most one for each job.

    `texts` are the scripts in the order of the plan, and `start_s` is how long the command takes to reach Alembic.
    """
    operations = [len(_OPERATION.findall(text)) for text in texts]
    work = [(_VISIT_S + _VISIT_OF_OPERATION_S * each) * (n / 100.0) ** _GROWTH for n, each in enumerate(operations, 1)]
    work[:begin] = [0.0] * begin
    plain = [_PLAIN_S + _PLAIN_OF_OPERATION_S * each for each in operations]
    others_s = beside.starts * start_s + beside.passes * sum(plain)
    best, least = [Segment(begin, len(texts))], max(sum(work), others_s)
    for count in range(2, beside.jobs + 1):
        segments, longest = _shortest(work, plain, begin, count, start_s, others_s)
        # What is done more often has to be worth it for the other runs of the command, which have fewer processors.
        extra = sum(start_s + sum(plain[: each.begin]) for each in segments[1:])
        if longest + extra / beside.jobs < least:
            best, least = segments, longest + extra / beside.jobs
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
