"""What a JSON text holds, told from its bytes."""

from __future__ import annotations

import json
import time
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.runs import bounds
from app.runs.bounds import MOST_LEVELS, MOST_VALUES, require_bounded
from app.runs.errors import ReportRefused
from app.runs.posted import read_report
from tests.factories import finding, report

texts = st.text(st.sampled_from('[]{},:"\\ab\x00é'), max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(texts, children, max_size=4),
    max_leaves=20,
)


def commas_and_brackets(value: Any) -> int:
    if not isinstance(value, list | dict):
        return 0
    children = value.values() if isinstance(value, dict) else value
    return 1 + max(0, len(value) - 1) + sum(map(commas_and_brackets, children))


def levels(value: Any) -> int:
    if not isinstance(value, list | dict):
        return 0
    return 1 + max(map(levels, value.values() if isinstance(value, dict) else value), default=0)


@given(value=values, ascii_only=st.booleans(), size=st.integers(1, 100))
def test_what_stands_in_a_text_is_not_counted(value: Any, ascii_only: bool, size: int) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "SLICE_BYTES", size)
        structure = bounds._structure_of(body)

    assert sum(map(structure.count, (b",", b"[", b"{"))) == commas_and_brackets(value)


def test_a_million_values_and_a_half_are_read_and_no_more() -> None:
    require_bounded(b"[" + b"1," * (MOST_VALUES - 1) + b"1]")

    with pytest.raises(ReportRefused) as refused:
        require_bounded(b"[" + b"1," * MOST_VALUES + b"1]")

    assert str(MOST_VALUES) in refused.value.errors[0][1]


@pytest.mark.parametrize(("begin", "end"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
def test_a_text_is_read_to_a_depth_and_no_deeper(begin: bytes, end: bytes) -> None:
    times = MOST_LEVELS // (2 if begin[:2] == b"[{" else 1)
    require_bounded(begin * times + b"1" + end * times)

    with pytest.raises(ReportRefused, match="not a valid report") as refused:
        require_bounded(begin * (times + 1) + b"1" + end * (times + 1))

    assert str(MOST_LEVELS) in refused.value.errors[0][1]


@given(value=values)
def test_depth_is_what_a_parser_would_find(value: Any) -> None:
    wrapped = value
    for _ in range(MOST_LEVELS - levels(value)):
        wrapped = [wrapped]

    require_bounded(json.dumps(wrapped).encode())
    with pytest.raises(ReportRefused):
        require_bounded(json.dumps([wrapped]).encode())


EXPENSIVE = {
    "empty objects in place of findings": b'"findings": [' + b"{}," * 1_000_000 + b"{}]",
    "empty lists in place of objects": b'"snapshot": [' + b"[]," * 1_000_000 + b"[]]",
    "a list of heads without end": b'"graph": {"heads": [' + b'"a",' * 1_000_000 + b'"a"]}',
    "objects in objects": b'"snapshot": [' + b'{"a":' * 500_000 + b"1" + b"}" * 500_000 + b"]",
    "one long reason": b'"reason": "' + b"x" * 3_000_000 + b'"',
}


@pytest.mark.parametrize("part", EXPENSIVE.values(), ids=EXPENSIVE)
def test_a_body_that_is_refused_takes_memory_in_proportion_to_its_size(part: bytes) -> None:
    """Of what Python allocates; a parser that made objects of these would take thirty to a thousand times their size."""
    body = json.dumps(report()).encode()[:-1] + b", " + part + b"}"
    tracemalloc.start()
    try:
        with pytest.raises(ReportRefused):
            read_report([body])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 25 * len(body)


def test_an_honest_report_of_five_thousand_revisions_is_read() -> None:
    statement = {"sql": "ALTER TABLE orders ADD COLUMN note text", "duration_ms": 0.5, "locks": []}
    step = {"revision": "a", "direction": "upgrade", "duration_ms": 1.0, "statements": [statement] * 4}
    content = report(
        findings=[finding(line=7)] * 10_000,
        steps=[step] * 15_000,
        graph={"revisions": [{"revision": f"{n:012x}", "path": f"versions/{n}.py"} for n in range(5_000)]},
        snapshot=[{"key": ["column", "public", "orders", f"note_{n}"], "definition": {"n": n}} for n in range(50_000)],
    )

    assert len(read_report([json.dumps(content).encode()]).view.findings) == 10_000


@pytest.mark.parametrize("part", EXPENSIVE.values(), ids=EXPENSIVE)
def test_a_body_that_is_refused_takes_no_more_time_than_an_honest_one_of_its_size(part: bytes) -> None:
    honest = json.dumps(report(findings=[finding(detail="x" * 500)] * 5_000)).encode()
    body = json.dumps(report()).encode()[:-1] + b", " + part + b"}"

    refused_s, read_s = least_time(body), least_time(honest)

    assert refused_s / len(body) < 5 * read_s / len(honest)


def test_what_a_finding_costs_does_not_grow_with_their_number() -> None:
    few, many = (json.dumps(report(findings=[finding()] * number)).encode() for number in (5_000, 50_000))

    assert least_time(many) < 50 * least_time(few)  # ten times as many; were it their square, a hundred


def test_more_findings_than_the_limit_are_refused_before_each_is_looked_at() -> None:
    most, more = (json.dumps(report(findings=[finding()] * number)).encode() for number in (50_000, 200_000))

    assert least_time(more) < 4 * least_time(most)


def least_time(body: bytes) -> float:
    """Of the processor, in seconds: the least of three, since others use the machine too."""
    times = []
    for _ in range(3):
        began = time.process_time()
        with suppress(ReportRefused):
            read_report([body])
        times.append(time.process_time() - began)
    return min(times)
