"""What the command prints with `--sql`, and why there may be nothing: by a command that is played."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.gate.recording.model import COMMAND_FAILED, Failure
from app.gate.reruns._offline import OfflineSql, print_offline_sql
from app.gate.target.runner import TargetRunner

NO_OFFLINE_MODE = OfflineSql(not_supported="the command does not take --sql")


class Played:
    """A command that starts Alembic so many times, with these answers, and ends so."""

    def __init__(self, *answers: dict[str, Any], status: int = 0, output: str = "", as_sql: bool = True) -> None:
        self.sessions = 0
        self.asked: list[tuple[str, object]] = []
        self._waiting = list(answers)
        self._status, self._output, self._as_sql = status, output, as_sql

    def next_session(self) -> SimpleNamespace | None:
        if not self._waiting:
            return None
        self.sessions += 1
        answer = self._waiting.pop(0)

        def request(do: str, timeout_s: float | None = None, **arguments: Any) -> Any:
            self.asked.append((do, arguments.get("start")))
            return answer

        return SimpleNamespace(handshake={"as_sql": self._as_sql}, request=request)

    def wait(self, timeout_s: float) -> int:
        return self._status

    def output(self) -> str:
        return self._output

    def last_words(self) -> str:
        return self._output.splitlines()[-1] if self._output else ""


def printed(process: Played) -> OfflineSql:
    runner = SimpleNamespace(
        database=lambda: nullcontext(None),
        process=lambda database, *words: nullcontext(process if words == ("--sql",) else None),
        target=SimpleNamespace(timeout_s=9.0),
    )
    return print_offline_sql(cast(TargetRunner, runner), ["a1"])


def test_the_pieces_of_all_sessions_are_in_order() -> None:
    process = Played({"pieces": [["a1", "SELECT 1"]]}, {"pieces": [["b2", "SELECT 2"], [None, "SELECT 3"]]})

    assert printed(process) == OfflineSql([["a1", "SELECT 1"], ["b2", "SELECT 2"], [None, "SELECT 3"]])  # type: ignore[list-item]
    assert process.asked == [("offline", ["a1"]), ("skip", None), ("offline", ["a1"]), ("skip", None)]


@pytest.mark.parametrize(
    "output",
    [
        "Error: no such option: --sql",
        "alembic: error: unrecognized arguments: --sql",
        "Error: No such option '--SQL'",
        "manage: No Such Option",
        "Got unexpected extra argument",
        "Usage: migrate [--head]",
        "Usage: migrate\nwhat else?",
    ],
)
@pytest.mark.parametrize("status", [0, 2])
def test_a_command_that_does_not_know_the_option_has_no_offline_mode(output: str, status: int) -> None:
    assert printed(Played(status=status, output=output)) == NO_OFFLINE_MODE


def test_a_command_that_migrates_all_the_same_has_no_offline_mode() -> None:
    assert printed(Played({"pieces": []}, as_sql=False)) == NO_OFFLINE_MODE


@pytest.mark.parametrize(
    "process",
    [
        Played(status=1, output="starts\nKeyError: 'url'"),
        Played(status=0, output="starts\nKeyError: 'url'"),
        Played({"pieces": []}, status=1, output="usage: shop\nKeyError: 'url'"),
    ],
    ids=["it fails", "it does nothing", "it fails after Alembic"],
)
def test_any_other_end_is_a_failure_of_the_command(process: Played) -> None:
    found = printed(process)

    assert found == OfflineSql(failure=Failure(COMMAND_FAILED, "KeyError: 'url'"))
    assert found.is_command_failure
    assert not found.stays_in_database


def test_a_revision_that_fails_is_no_failure_of_the_command() -> None:
    found = printed(Played({"pieces": [], "failure": {"error": "NameError", "message": "no"}}))

    assert found == OfflineSql(failure=Failure("NameError", "no"))
    assert not found.is_command_failure


@pytest.mark.parametrize(
    ("found", "stays"),
    [
        (OfflineSql([(None, "CREATE TABLE t ()")]), True),
        (OfflineSql([(None, "CREATE TABLE t ()"), ("a1", "CREATE ROLE reader")]), False),
        (OfflineSql(failure=Failure("NameError", "no")), False),
        (NO_OFFLINE_MODE, False),
    ],
)
def test_what_is_about_the_whole_server_does_not_run_next_to_others(found: OfflineSql, stays: bool) -> None:
    assert found.stays_in_database is stays
