"""How many jobs share the processors."""

from __future__ import annotations

import os

import pytest

from app.gate.target.jobs import at_once_on, jobs_on, processors


@pytest.mark.parametrize(
    ("processors", "jobs", "at_once"), [(1, 1, 2), (2, 2, 2), (3, 3, 3), (4, 4, 4), (5, 4, 4), (64, 4, 4)]
)
def test_there_are_as_many_jobs_as_processors_and_no_more_than_four(processors: int, jobs: int, at_once: int) -> None:
    assert (jobs_on(processors), at_once_on(processors)) == (jobs, at_once)


def test_the_processors_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", {0: {3, 5, 7}}.get, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 9)
    assert processors() == 3

    monkeypatch.delattr(os, "sched_getaffinity")
    assert processors() == 9
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processors() == 1
