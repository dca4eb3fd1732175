"""Jobs that share the processors: which of them waits for which."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

from app.gate.target.jobs import JobSlots, at_once_on, jobs_on, processors

T = TypeVar("T")


def test_there_are_no_more_at_the_same_time_than_there_are_slots() -> None:
    slots = JobSlots(1)
    order = []

    def second() -> None:
        with slots.taken():
            order.append("second")

    with slots.taken():
        thread = threading.Thread(target=second)
        thread.start()
        order.append("first")
    thread.join()

    assert order == ["first", "second"]


def test_what_a_job_under_way_waits_for_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = threading.Semaphore(0)

    class Condition(threading.Condition):
        def wait_for(self, predicate: Callable[[], T], timeout: float | None = None) -> T:
            waiting.release()
            return super().wait_for(predicate, timeout)

    monkeypatch.setattr(threading, "Condition", Condition)
    slots = JobSlots(1)
    order = []

    def run(name: str, is_urgent: bool) -> None:
        with slots.taken(is_urgent=is_urgent):
            order.append(name)

    threads = [threading.Thread(target=run, args=each) for each in (("early", False), ("segment", True))]
    with slots.taken():
        for each in threads:
            each.start()
        for _ in range(3):  # with the slot that is taken
            waiting.acquire()
    for each in threads:
        each.join()

    assert order == ["segment", "early"]


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
