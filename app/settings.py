"""What the process is told from outside, read once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import URL

from app.database import database_url


class SettingRefused(Exception):
    """A setting that cannot be used as it stands. The message is one line and says what to set instead."""


@dataclass(frozen=True)
class Settings:
    """`repr` shows no password: that of a `URL` leaves it out."""

    database_url: URL
    pool_size: int = 10  # requests that each process works on at once, each with a connection of its own
    queue_length: int = 200  # requests that may wait for one of them; more are answered by 503
    queue_timeout_s: float = 10.0  # how long a request waits before it is answered by 503
    statement_timeout_s: float = 30.0  # PostgreSQL ends a statement of ours that takes longer
    idle_timeout_s: float = 30.0  # PostgreSQL ends a transaction of ours in which nothing happens for longer
    max_body_bytes: int = 64 * 1024  # of every request but the posted reports
    max_report_bytes: int = 32 * 1024 * 1024  # holds every statement of every revision
    max_bodies_bytes: int = 64 * 1024 * 1024  # of all reports that are being read at once
    body_timeout_s: float = 60.0  # for a body to arrive
    max_answers_bytes: int = 32 * 1024 * 1024  # of all reports that are being sent; one more may begin below that
    answer_timeout_s: float = 120.0  # for a report to be read

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Raises DatabaseRefused or SettingRefused."""
        return cls(
            database_url=database_url(environment),
            pool_size=whole_number(environment, "OVERPROOF_POOL_SIZE", cls.pool_size, least=1),
            max_report_bytes=whole_number(environment, "OVERPROOF_MAX_REPORT_BYTES", cls.max_report_bytes, least=1),
        )


def whole_number(environment: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    """The value of a variable, or `default` where it is unset or empty. Raises SettingRefused."""
    text = environment.get(name, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise SettingRefused(f"{name} must be a whole number of at least {least}, and is {text!r}.")
    return int(text)
