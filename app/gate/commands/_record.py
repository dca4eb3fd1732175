"""Requests to a project of the record, with retries. The answer is JSON, and a refusal is one line."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import IO, Any, Final
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from app import __version__
from app.gate.errors import GateError, UsageError

TOKEN: Final = "OVERPROOF_TOKEN"
TIMEOUT_S: Final = 30.0  # for the connection, and for each part of the answer
PAUSES_S: Final = (1.0, 4.0)  # before the second and the third try
LONGEST_PAUSE_S: Final = 20.0  # however long the record says to wait
WORTH_ANOTHER_TRY: Final = frozenset({429, 500, 502, 503, 504})
ANSWER_BYTES: Final = 64 * 1024 * 1024  # a report may have 32 MiB

Sleep = Callable[[float], None]


class RecordFailed(GateError):
    """The record did not do what was asked. The message says why, in one line."""


@dataclass(frozen=True)
class Destination:
    """A project in a record, and the token with which it is asked."""

    project_url: str  # https://overproof.example/api/v1/projects/shop
    token: str | None

    def url(self, path: str) -> str:
        return f"{self.project_url.rstrip('/')}{path}"


def read_destination(text: str, environ: Mapping[str, str], option: str = "--submit") -> Destination:
    """The project that the option names. Raises UsageError."""
    url = urlsplit(text)
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
        raise UsageError(f"{option}: {text!r} is not the URL of a project: https://HOST/api/v1/projects/SLUG")
    if url.username is not None or url.password is not None:
        raise UsageError(f"{option}: put the token into {TOKEN}, not into the URL")
    if not re.search(r"/projects/[a-z0-9-]+/?$", url.path):
        raise UsageError(f"{option}: {text!r} names no project: it must end in /api/v1/projects/SLUG")
    return Destination(text, environ.get(TOKEN, "").strip() or None)


def ask(
    destination: Destination,
    method: str,
    path: str,
    content: str | None = None,
    *,
    query: Mapping[str, str] | None = None,
    sleep: Sleep = time.sleep,
) -> dict[str, Any]:
    """The answer to one request. The content is JSON. Raises RecordFailed.

    A request is sent again after what may pass, so it must be one that changes nothing the second time."""
    if destination.token is None:
        raise RecordFailed(f"{TOKEN} is not set")
    url = destination.url(path)
    request = Request(  # noqa: S310 - the scheme is checked in read_destination
        f"{url}?{urlencode(query)}" if query else url,
        data=None if content is None else gzip.compress(content.encode()),
        headers={
            "Authorization": f"Bearer {destination.token}",
            "Accept": "application/json",
            "User-Agent": f"overproof/{__version__}",
            **({} if content is None else {"Content-Type": "application/json", "Content-Encoding": "gzip"}),
        },
        method=method,
    )
    return _send(request, sleep)


def _send(request: Request, sleep: Sleep) -> dict[str, Any]:
    opener = build_opener(_NoRedirect)
    pauses_s = iter(PAUSES_S)
    while True:
        pause_s = next(pauses_s, None)
        try:
            with opener.open(request, timeout=TIMEOUT_S) as answer:
                return _content_of(answer)
        except HTTPError as refused:
            with refused:
                reason = _reason_of(refused)
                asked_s = _retry_after_s(refused)
            if refused.code not in WORTH_ANOTHER_TRY or pause_s is None:
                raise RecordFailed(reason) from None
            sleep(min(max(pause_s, asked_s), LONGEST_PAUSE_S))
        except (OSError, HTTPException) as error:
            if pause_s is None:
                cause = getattr(error, "reason", None) or error
                raise RecordFailed(
                    f"no answer from the record ({cause}): is its URL right, and is it running?"
                ) from None
            sleep(pause_s)


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would send the token to another place."""

    def redirect_request(self, *arguments: object) -> None:
        return None


def _content_of(answer: IO[bytes]) -> dict[str, Any]:
    try:
        content = json.loads(answer.read(ANSWER_BYTES))
    except ValueError:
        content = None
    # One thing, a page of several, or a snapshot.
    if not isinstance(content, dict) or content.keys().isdisjoint({"id", "items", "format"}):
        raise RecordFailed("the answer is not that of a record: is the URL right?")
    return content


def _reason_of(refused: HTTPError) -> str:
    """The detail of the record's answer, or the status of another server's."""
    try:
        content = json.loads(refused.read(ANSWER_BYTES))
        detail = str(content["detail"])
        if errors := content.get("errors"):
            detail = f"{detail.rstrip('.')}: {errors[0]['where']} {errors[0]['message']}"
    except (OSError, HTTPException, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return f"the answer is {refused.code} {refused.reason}"
    return f"{detail[0].lower()}{detail[1:]}".rstrip(".") if detail else f"the answer is {refused.code}"


def _retry_after_s(refused: HTTPError) -> float:
    text = refused.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0
