"""Several jobs at the same time: the end of each, and of the others."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import pytest

from app.gate.errors import CannotVerify, ServerUnavailable
from app.gate.reruns._pool import Job, JobPool
from app.gate.server.throwaway import Server
from app.gate.target.runner import TargetRunner
from tests.gate.projects import target


@pytest.fixture
def reported() -> list[tuple[int, int]]:
    return []


@pytest.fixture
def jobs(tmp_path: Path, server: Server, reported: list[tuple[int, int]]) -> JobPool:
    runner = TargetRunner(target(tmp_path), server)
    return JobPool(runner, lambda done, total: reported.append((done, total)), at_once=2)


def test_two_run_at_the_same_time(jobs: JobPool) -> None:
    meeting = threading.Barrier(2)

    def meet() -> None:
        meeting.wait(30)

    for _ in range(4):
        jobs.add(Job(meet))

    jobs.run()  # one that waits in vain raises BrokenBarrierError


def test_what_another_may_have_disturbed_is_run_once_more_alone(jobs: JobPool, reported: list[tuple[int, int]]) -> None:
    tries: list[bool] = []

    def wants_to_be_alone() -> None:
        tries.append(threading.current_thread() is threading.main_thread())
        jobs.retry_alone()

    jobs.add(Job(wants_to_be_alone))
    jobs.add(Job(lambda: None))

    jobs.run()

    assert tries == [False, True]
    assert reported[-1] == (2, 2)


def test_what_a_job_leaves_is_run_as_well_and_counts_as_part_of_it(
    jobs: JobPool, reported: list[tuple[int, int]]
) -> None:
    done: list[int] = []

    def take_one(left: int) -> list[Job]:
        done.append(left)
        halves = ((left - 1) // 2, (left - 1) - (left - 1) // 2)
        return [Job(partial(take_one, half), half) for half in halves if half]

    jobs.add(Job(partial(take_one, 9), 9))
    jobs.add(Job(lambda: None))

    jobs.run()

    assert len(done) == 9
    assert reported == sorted(reported)
    assert (reported[0], reported[-1]) == ((0, 10), (10, 10))


def test_an_error_of_one_is_raised_and_nothing_more_is_begun(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = TargetRunner(target(tmp_path), server)
    closed = threading.Event()
    monkeypatch.setattr(runner, "close", closed.set)
    jobs = JobPool(runner, lambda done, total: None, at_once=2)
    begun: list[str] = []

    def fail() -> None:
        raise LookupError("no such job")

    def outlast() -> list[Job]:
        closed.wait(30)
        return [Job(lambda: begun.append("later"))]

    jobs.add(Job(fail), Job(outlast))

    with pytest.raises(LookupError, match="no such job"):
        jobs.run()

    assert closed.is_set()
    assert begun == []


def test_what_cannot_be_verified_next_to_others_is_tried_once_more_and_then_raised(jobs: JobPool) -> None:
    reasons = iter(["the port is taken"])
    done: list[str] = []

    def wants_the_port() -> None:
        for reason in reasons:
            raise CannotVerify(reason)
        done.append("it")

    def never_works() -> None:
        raise CannotVerify("no such program")

    jobs.add(Job(wants_the_port), Job(never_works))

    with pytest.raises(CannotVerify, match="no such program"):
        jobs.run()

    assert done == ["it"]


def test_a_lost_server_is_no_reason_to_try_once_more(jobs: JobPool) -> None:
    tries: list[str] = []

    def loses_the_server() -> None:
        tries.append("it")
        raise ServerUnavailable("the server is gone")

    jobs.add(Job(loses_the_server), Job(lambda: None))

    with pytest.raises(ServerUnavailable, match="the server is gone"):
        jobs.run()

    assert tries == ["it"]
