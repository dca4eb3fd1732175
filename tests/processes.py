"""Which tests start a program: PostgreSQL, a target's command, `overproof` itself. `tox -e quick` runs the others.

A fixture that starts one uses the fixture `processes`, from which each test that uses it gets the mark of that name. A test that starts
one itself carries the mark. No other test can start one: it fails where it tries, in every run and not only in a quick one, so the mark
is never missing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# Reads the history of a small repository, in a few milliseconds.
HARMLESS = frozenset({"git"})
EVENTS = frozenset({"subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"})


@pytest.fixture(scope="session")
def processes() -> None:
    """For fixtures that start a program: what uses them has the mark."""


class Guard:
    """Fails what starts a program while a test is under way that has not the mark."""

    def __init__(self) -> None:
        self._is_watching = False
        self._started: list[str] = []

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook: Python calls it before it starts a program, and cannot take it away again."""
        if not self._is_watching or event not in EVENTS:
            return
        command = arguments[1] if event == "subprocess.Popen" else arguments[:1]
        words = [os.fsdecode(word) for word in ([command] if isinstance(command, str | bytes) else command)]
        if words and Path(words[0]).name in HARMLESS:
            return
        self._started.append(" ".join(words))
        pytest.fail(_reason(self._started[-1]), pytrace=False)

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Fails at the end as well, since the code under test may have caught the failure, or met it in another thread."""
        self._is_watching = True
        self._started.clear()
        try:
            yield
        finally:
            self._is_watching = False
        if self._started:
            pytest.fail(_reason(self._started[0]), pytrace=False)


GUARD = Guard()


def _reason(command: str) -> str:
    return f"a test without the mark `processes` starts a program (see tests/processes.py): {command}"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "processes: starts PostgreSQL, a target's command or another program")
    sys.addaudithook(GUARD.hear)


@pytest.hookimpl(tryfirst=True)  # before the items are selected by their marks
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for item in items:
        if "processes" in getattr(item, "fixturenames", ()):
            item.add_marker("processes")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    with _watched(item):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    with _watched(item):
        yield


@contextmanager
def _watched(item: pytest.Item) -> Iterator[None]:
    if item.get_closest_marker("processes") is not None:
        yield
        return
    with GUARD.watch():
        yield
