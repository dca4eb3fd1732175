"""What `overproof serve` tells the server, without one."""

from __future__ import annotations

import os
from typing import Any

import pytest
import uvicorn

from app import factory
from app.cli import CommandFailed, main
from app.logs import config
from app.serve import number, serve
from app.settings import SECRET_KEY


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What uvicorn is called with, and when the settings are looked at."""
    calls: list[Any] = []
    monkeypatch.setattr(uvicorn, "run", lambda *of, **named: calls.append((of, named)))
    monkeypatch.setattr(factory, "settings_that_work_or_exit", lambda: calls.append("settings"))
    for name in ("PORT", "WEB_CONCURRENCY", SECRET_KEY):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return calls


def test_the_server_makes_the_application_itself(served: list[Any]) -> None:
    assert main(["serve"]) == 0

    ((of, named),) = served
    assert of == ("app.factory:create_app",)
    assert named == {
        "factory": True,
        "host": "127.0.0.1",
        "port": 8000,
        "workers": 1,
        "log_config": config("text"),
        "timeout_graceful_shutdown": 5,
    }
    assert SECRET_KEY not in os.environ


def test_several_processes_have_one_secret_and_start_only_if_they_can_work(served: list[Any]) -> None:
    serve("0.0.0.0", 80, 2, "json")

    looked, (_, named) = served
    assert looked == "settings"
    assert (named["host"], named["port"], named["workers"]) == ("0.0.0.0", 80, 2)
    assert named["log_config"] == config("json")
    assert len(os.environ[SECRET_KEY]) == 43


def test_a_secret_that_is_given_stays(served: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET_KEY, "k" * 32)

    serve("127.0.0.1", 80, 2, "text")

    assert os.environ[SECRET_KEY] == "k" * 32


@pytest.mark.parametrize(
    ("given", "variable", "expected"),
    [
        (None, None, 8000),
        (None, " ", 8000),
        (None, " 5000 ", 5000),
        (80, "5000", 80),
        (1, None, 1),
        (65535, None, 65535),
    ],
)
def test_a_number_is_that_of_the_option_the_variable_or_the_default(
    monkeypatch: pytest.MonkeyPatch, given: int | None, variable: str | None, expected: int
) -> None:
    monkeypatch.delenv("PORT", raising=False)
    if variable is not None:
        monkeypatch.setenv("PORT", variable)

    assert number("--port", given, "PORT", 8000, most=65535) == expected


@pytest.mark.parametrize(
    ("given", "variable", "line"),
    [
        (0, None, "--port must be a whole number from 1 to 65535, not '0'"),
        (65536, "80", "--port must be a whole number from 1 to 65535, not '65536'"),
        (-1, None, "--port must be a whole number from 1 to 65535, not '-1'"),
        (None, "0", "PORT must be a whole number from 1 to 65535, not '0'"),
        (None, "²", "PORT must be a whole number from 1 to 65535, not '²'"),
        (None, "http", "PORT must be a whole number from 1 to 65535, not 'http'"),
    ],
)
def test_a_number_that_cannot_be_is_named_with_its_source(
    monkeypatch: pytest.MonkeyPatch, given: int | None, variable: str | None, line: str
) -> None:
    monkeypatch.setenv("PORT", variable or "")

    with pytest.raises(CommandFailed) as failed:
        number("--port", given, "PORT", 8000, most=65535)

    assert str(failed.value) == line


@pytest.mark.parametrize(("workers", "status"), [("1000", 0), ("1001", 2), ("0", 2)])
def test_there_are_a_thousand_processes_at_most(served: list[Any], workers: str, status: int) -> None:
    assert main(["serve", "--workers", workers]) == status
    assert bool(served) is (status == 0)
