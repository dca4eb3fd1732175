"""Without a terminal, a line now and then says where the run is."""

from __future__ import annotations

import io
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
