"""Jobs side by side: what becomes of each, and of the others."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import pytest

from app.gate.errors import CannotVerify
from app.gate.reruns._pool import JobPool, Share
from app.gate.server.throwaway import Server
from app.gate.target.runner import TargetRunner
from tests.gate.projects import target


@pytest.fixture
def told() -> list[tuple[int, int]]:
    return []


@pytest.fixture
def jobs(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, told: list[tuple[int, int]]) -> JobPool:
    monkeypatch.setattr("app.gate.reruns._pool.AT_ONCE", 2)
    return JobPool(TargetRunner(target(tmp_path), server), lambda done, total: told.append((done, total)))


def test_two_run_at_the_same_time(jobs: JobPool) -> None:
    meeting = threading.Barrier(2)

    def meet() -> None:
        meeting.wait(30)

    for _ in range(4):
        jobs.add(Share(meet))

    jobs.run()  # one that waits in vain raises BrokenBarrierError


def test_what_another_may_have_disturbed_is_done_once_more_alone(jobs: JobPool, told: list[tuple[int, int]]) -> None:
    tries: list[bool] = []

    def wants_to_be_alone() -> None:
        tries.append(threading.current_thread() is threading.main_thread())
        jobs.retry_alone()

    jobs.add(Share(wants_to_be_alone))
    jobs.add(Share(lambda: None))

    jobs.run()

    assert tries == [False, True]
    assert told[-1] == (2, 2)


def test_what_a_job_leaves_is_done_as_well_and_counts_as_part_of_it(jobs: JobPool, told: list[tuple[int, int]]) -> None:
    done: list[int] = []

    def take_one(left: int) -> list[Share]:
        done.append(left)
        halves = ((left - 1) // 2, (left - 1) - (left - 1) // 2)
        return [Share(partial(take_one, half), half) for half in halves if half]

    jobs.add(Share(partial(take_one, 9), 9))
    jobs.add(Share(lambda: None))

    jobs.run()

    assert len(done) == 9
    assert told == sorted(told)
    assert (told[0], told[-1]) == ((0, 10), (10, 10))


def test_an_error_of_one_is_raised_and_nothing_more_is_begun(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.gate.reruns._pool.AT_ONCE", 2)
    runner = TargetRunner(target(tmp_path), server)
    closed = threading.Event()
    monkeypatch.setattr(runner, "close", closed.set)
    jobs = JobPool(runner, lambda done, total: None)
    begun: list[str] = []

    def fail() -> None:
        raise LookupError("no such job")

    def outlast() -> list[Share]:
        closed.wait(30)
        return [Share(lambda: begun.append("later"))]

    jobs.add(Share(fail), Share(outlast))

    with pytest.raises(LookupError, match="no such job"):
        jobs.run()

    assert closed.is_set()
    assert begun == []


def test_what_cannot_be_verified_beside_others_is_tried_once_more_and_then_raised(jobs: JobPool) -> None:
    reasons = iter(["the port is taken"])
    done: list[str] = []

    def wants_the_port() -> None:
        for reason in reasons:
            raise CannotVerify(reason)
        done.append("it")

    def never_works() -> None:
        raise CannotVerify("no such program")

    jobs.add(Share(wants_the_port), Share(never_works))

    with pytest.raises(CannotVerify, match="no such program"):
        jobs.run()

    assert done == ["it"]
