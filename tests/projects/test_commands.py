"""What `overproof token` says, without a database."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from app.cli import CommandFailed, main
from app.projects.commands import MOST_DAYS, _first_error, _state_of, create_token
from app.projects.models import ApiToken, Scope
from app.projects.schemas import TokenCreate

PAST, FUTURE = datetime(2020, 1, 2, tzinfo=UTC), datetime(2999, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("parts", "state"),
    [
        ({}, "valid"),
        ({"expires_at": FUTURE}, "valid until 2999-01-02"),
        ({"environment": "staging"}, "valid for staging"),
        ({"trusted": True}, "valid trusted"),
        ({"expires_at": FUTURE, "environment": "a", "trusted": True}, "valid until 2999-01-02 for a trusted"),
        ({"expires_at": PAST}, "expired 2020-01-02"),
        ({"revoked_at": PAST, "expires_at": PAST}, "revoked 2020-01-02"),
    ],
)
def test_the_state_of_a_token_in_words(parts: dict[str, Any], state: str) -> None:
    assert _state_of(ApiToken(name="x", scope=Scope.READ, digest=b"", hint="", **parts)) == state


def arguments(**parts: Any) -> argparse.Namespace:
    values = {"project": None, "scope": "admin", "trusted": False, "expires_in_days": None, "environment": None}
    return argparse.Namespace(**{**values, "name": "CI", **parts})


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ({"scope": "report"}, "a token with the scope 'report' belongs to a project: add --project SLUG"),
        ({"expires_in_days": 0}, f"--expires-in-days must be a whole number from 1 to {MOST_DAYS}, not 0"),
        ({"expires_in_days": 36_501}, "--expires-in-days must be a whole number from 1 to 36500, not 36501"),
        ({"name": " "}, "--name ' ': String should have at least 1 character"),
        ({"environment": "A", "scope": "deploy", "project": "shop"}, "--environment 'A': String should match pattern"),
        ({"environment": "staging"}, "only a token with the scope deploy can be for one environment"),
    ],
)
def test_what_is_wrong_with_a_token_is_told_before_a_database_is_asked(
    monkeypatch: pytest.MonkeyPatch, parts: dict[str, Any], line: str
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)

    with pytest.raises(CommandFailed) as failed:
        create_token(arguments(**parts))

    assert str(failed.value).startswith(line)


@pytest.mark.parametrize("days", [1, 36_500, None])
def test_a_token_may_last_a_day_or_a_century(monkeypatch: pytest.MonkeyPatch, days: int | None) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)

    with pytest.raises(CommandFailed, match="DATABASE_URL is not set"):
        create_token(arguments(expires_in_days=days))


def test_of_several_errors_the_first_is_told_by_its_option() -> None:
    with pytest.raises(ValidationError) as error:
        TokenCreate(name="", scope=Scope.READ, environment="A")

    assert _first_error(error.value, arguments(name="")).startswith("--name '': ")


def test_a_token_is_for_a_scope_or_an_administrator(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["token", "create", "--project", "shop"])

    assert "one of the arguments --scope --admin is required" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["token"])


def test_it_expires_that_many_days_from_now(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[TokenCreate] = []
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setattr("app.projects.schemas.TokenCreate", lambda **parts: made.append(TokenCreate(**parts)))

    with pytest.raises(CommandFailed):
        create_token(arguments(expires_in_days=30, trusted=True))

    assert made[0].expires_at is not None
    assert abs(made[0].expires_at - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=5)
    assert (made[0].name, made[0].scope, made[0].trusted) == ("CI", Scope.ADMIN, True)
