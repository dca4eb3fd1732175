"""Jobs that share the processors: which of them waits for which."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

from app.gate.target.jobs import JobSlots

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
