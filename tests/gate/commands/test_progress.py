"""Without a terminal, a line now and then says where the run is."""

from __future__ import annotations

import io
import re
import threading

import pytest

from app.gate.commands._progress import progress_on


class Log(io.StringIO):
    """A log that can be waited for."""

    def __init__(self, enough: str) -> None:
        super().__init__()
        self._enough = enough
        self.is_enough = threading.Event()

    def write(self, text: str) -> int:
        if self._enough in text:
            self.is_enough.set()
        return super().write(text)


@pytest.fixture(autouse=True)
def no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


def test_a_long_run_says_where_it_is_and_a_short_one_says_nothing() -> None:
    log = Log("revision 3 of 20")
    with progress_on(log, interval_s=0.001) as on_progress:
        on_progress("walk", 2, 20)
        assert log.is_enough.wait(30)
    assert log.getvalue().splitlines()[-1].startswith("overproof: after ")
    assert "upgrading, downgrading and upgrading again: revision 3 of 20" in log.getvalue()

    short = io.StringIO()
    with progress_on(short) as on_progress:
        on_progress("walk", 2, 20)
    assert short.getvalue() == ""


def test_quiet_says_nothing_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    log = io.StringIO()

    with progress_on(log, is_quiet=True, interval_s=0.001) as on_progress:
        on_progress("walk", 2, 20)

    assert log.getvalue() == ""


def test_a_log_that_is_closed_does_not_end_the_run() -> None:
    log = io.StringIO()
    with progress_on(log, interval_s=0.001) as on_progress:
        log.close()
        on_progress("walk", 2, 20)


def test_in_a_ci_job_each_phase_is_told_once_with_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    log = io.StringIO()

    with progress_on(log) as on_progress:
        for phase, done, total in (
            ("server", 0, 1), ("walk", 0, 0), ("walk", 1, 20), ("walk", 2, 20), ("walk", 0, 21), ("jobs", 0, 1), ("other", 0, 2)
        ):  # fmt: skip
            on_progress(phase, done, total)

    assert log.getvalue().splitlines() == [
        "overproof: preparing PostgreSQL: 1 server",
        "overproof: upgrading, downgrading and upgrading again: 20 revisions",
        "overproof: upgrading, downgrading and upgrading again: 21 revisions",
        "overproof: running extra trials: 1 trial",
        "overproof: other: 2 steps",
    ]


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (("walk", 20, 20), ": upgrading, downgrading and upgrading again: revision 20 of 20"),
        (("base", 0, 1), ": building the schema of the base"),
        (("start", 0, 2), ": starting the command: command 1 of 2"),
        (None, ": preparing PostgreSQL"),
    ],
)
def test_where_a_run_is_is_told_after_so_many_seconds(progress: tuple[str, int, int] | None, line: str) -> None:
    log = Log("after")

    with progress_on(log, interval_s=0.001) as on_progress:
        if progress is not None:
            on_progress(*progress)
        log.is_enough.clear()
        assert log.is_enough.wait(30)

    assert re.fullmatch(rf"overproof: after \d+ s{line}", log.getvalue().splitlines()[-1])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_there_is_one_bar_for_the_phase_that_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    terminal = Terminal()

    with progress_on(terminal) as on_progress:
        on_progress("walk", 3, 20)
        on_progress("jobs", 1, 4)
        on_progress("other", 2, 5)

    last = terminal.getvalue().rpartition("Running extra trials")
    assert "Upgrading, downgrading and upgrading again" not in last[2]
    assert "2/5" in terminal.getvalue()


def test_a_terminal_that_can_do_nothing_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("CI", "true")
    terminal = Terminal()

    with progress_on(terminal) as on_progress:
        on_progress("jobs", 1, 4)

    assert terminal.getvalue() == "overproof: running extra trials: 4 trials\n"
