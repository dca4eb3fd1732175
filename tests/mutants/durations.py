"""A plugin for pytest: writes down how long each test that passed took, and which of them start no program."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

_durations: dict[str, float] = {}
_quick: set[str] = set()
_failed: set[str] = set()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _durations[report.nodeid] = _durations.get(report.nodeid, 0.0) + report.duration
    if report.outcome != "passed":
        _failed.add(report.nodeid)
    if "processes" not in report.keywords:
        _quick.add(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput"):  # the process that collects the reports writes them down
        return
    passed = {test: duration for test, duration in _durations.items() if test not in _failed}
    told = {"durations": passed, "quick": sorted(_quick & passed.keys())}
    Path(os.environ["REACH_FILE"]).write_text(json.dumps(told))
