"""Settings from the environment, read once."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import URL

from app.database import database_url

SECRET_KEY = "OVERPROOF_SECRET_KEY"
SHORTEST_KEY = 32  # characters


def new_secret_key() -> str:
    return secrets.token_urlsafe(32)


class SettingRefused(Exception):
    """A setting has an invalid value. The message is one line and says which values are valid."""


@dataclass(frozen=True)
class Settings:
    """Its `repr` shows no password, since that of a `URL` does not."""

    database_url: URL
    pool_size: int = 10  # requests that each process handles concurrently, each with its own connection
    queue_length: int = 200  # requests that may wait for a free connection; further ones get a 503
    queue_timeout_s: float = 10.0  # how long a request waits before it gets a 503
    requests_per_minute: int = 6_000  # of one token, or of one who is signed in, in each process; 0: no limit
    requests_per_minute_of_address: int = 12_000  # of one client's address, in each process; 0: no limit
    sign_ins_per_minute_of_address: int = 60  # with a token, right or wrong
    statement_timeout_s: float = 30.0  # PostgreSQL cancels a statement that takes longer
    idle_timeout_s: float = 30.0  # PostgreSQL ends a session whose transaction is idle for longer
    max_body_bytes: int = 64 * 1024  # of every request except a posted report
    max_report_bytes: int = 32 * 1024 * 1024  # a report has every statement of every revision
    max_bodies_bytes: int = 64 * 1024 * 1024  # of all reports that are being received concurrently
    body_timeout_s: float = 60.0  # for a body to arrive
    max_answers_bytes: int = (
        32 * 1024 * 1024
    )  # of all reports that are being sent; another one may start while they are below it
    answer_timeout_s: float = 120.0  # for a client to receive a report
    # Signs the cookies of the pages. Without one, sign-ins end with the process, and hold in no other one.
    secret_key: str = field(default_factory=new_secret_key, repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Raises DatabaseRefused or SettingRefused."""
        return cls(
            database_url=database_url(environment),
            pool_size=whole_number(environment, "OVERPROOF_POOL_SIZE", cls.pool_size, least=1),
            requests_per_minute=whole_number(
                environment, "OVERPROOF_REQUESTS_PER_MINUTE", cls.requests_per_minute, least=0
            ),
            requests_per_minute_of_address=whole_number(
                environment,
                "OVERPROOF_REQUESTS_PER_MINUTE_OF_ADDRESS",
                cls.requests_per_minute_of_address,
                least=0,
            ),
            max_report_bytes=whole_number(environment, "OVERPROOF_MAX_REPORT_BYTES", cls.max_report_bytes, least=1),
            secret_key=secret_key(environment),
        )


def secret_key(environment: Mapping[str, str]) -> str:
    """Of `OVERPROOF_SECRET_KEY`, or a random one where it is unset or empty. Raises SettingRefused."""
    key = environment.get(SECRET_KEY, "").strip()
    if not key:
        return new_secret_key()
    if len(key) < SHORTEST_KEY:
        raise SettingRefused(f"{SECRET_KEY} must have at least {SHORTEST_KEY} characters, chosen at random")
    return key


def whole_number(environment: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    """The value of a variable, or `default` where it is unset or empty. Raises SettingRefused."""
    text = environment.get(name, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise SettingRefused(f"{name} must be a whole number of at least {least}, not {text!r}")
    return int(text)
