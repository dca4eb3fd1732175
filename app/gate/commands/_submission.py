"""Post a report to the record, with the context that the CI describes.

The record must not stop a build: whatever goes wrong is one line, and fails the command only with `--submit-required`.
"""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from app.gate.errors import GateError, UsageError
from app.gate.reporters import renderer_for

if TYPE_CHECKING:
    from app.gate.report.model import Report

TOKEN: Final = "OVERPROOF_TOKEN"
TIMEOUT_S: Final = 30.0  # for the connection, and for each part of the answer
PAUSES_S: Final = (1.0, 4.0)  # before the second and the third try
LONGEST_PAUSE_S: Final = 20.0  # however long the record says to wait
WORTH_ANOTHER_TRY: Final = frozenset({429, 500, 502, 503, 504})
ANSWER_BYTES: Final = 1024 * 1024

Sleep = Callable[[float], None]


class NotSubmitted(GateError):
    """The record does not have the report. The message says why, in one line."""


@dataclass(frozen=True)
class Destination:
    """A project in a record, and the token that may report on it."""

    project_url: str  # https://overproof.example/api/v1/projects/shop
    token: str | None

    @property
    def runs_url(self) -> str:
        return f"{self.project_url.rstrip('/')}/runs"


def read_destination(text: str, environ: Mapping[str, str]) -> Destination:
    """The project that --submit names. Raises UsageError."""
    url = urlsplit(text)
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
        raise UsageError(f"--submit: {text!r} is not the URL of a project: https://HOST/api/v1/projects/SLUG")
    if url.username is not None or url.password is not None:
        raise UsageError(f"--submit: put the token into {TOKEN}, not into the URL")
    if not re.search(r"/projects/[a-z0-9-]+/?$", url.path):
        raise UsageError(f"--submit: {text!r} names no project: it must end in /api/v1/projects/SLUG")
    return Destination(text, environ.get(TOKEN, "").strip() or None)


def submit(report: Report, destination: Destination, environ: Mapping[str, str], sleep: Sleep = time.sleep) -> str:
    """Post the report. Returns the URL of its run. Raises NotSubmitted."""
    if destination.token is None:
        raise NotSubmitted(f"{TOKEN} is not set")
    query = urlencode(read_context(report, environ))
    request = Request(  # noqa: S310 - the scheme is checked in read_destination
        f"{destination.runs_url}?{query}",
        data=gzip.compress(renderer_for("json")(report).encode()),
        headers={
            "Authorization": f"Bearer {destination.token}",
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            "Accept": "application/json",
            "User-Agent": f"overproof/{report.tool.version}",
        },
        method="POST",
    )
    run = _post(request, sleep)
    return f"{destination.runs_url}/{run}"


def _post(request: Request, sleep: Sleep) -> str:
    """The ID of the run. A report that was stored by a try whose answer was lost is found again by the next one."""
    opener = build_opener(_NoRedirect)
    for pause_s in (*PAUSES_S, None):
        try:
            with opener.open(request, timeout=TIMEOUT_S) as answer:
                return _run_of(answer)
        except HTTPError as refused:
            with refused:
                reason = _reason_of(refused)
                asked_s = _retry_after_s(refused)
            if refused.code not in WORTH_ANOTHER_TRY or pause_s is None:
                raise NotSubmitted(reason) from None
            sleep(min(max(pause_s, asked_s), LONGEST_PAUSE_S))
        except (OSError, HTTPException) as error:
            if pause_s is None:
                raise NotSubmitted(f"no answer from the record: {getattr(error, 'reason', None) or error}") from None
            sleep(pause_s)
    raise AssertionError("the last try returns or raises")


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would send the token to another place."""

    def redirect_request(self, *arguments: object) -> None:
        return None


def _run_of(answer: IO[bytes]) -> str:
    try:
        return str(json.loads(answer.read(ANSWER_BYTES))["id"])
    except (ValueError, KeyError, TypeError):
        raise NotSubmitted("the answer is not that of a record: is the URL right?") from None


def _reason_of(refused: HTTPError) -> str:
    """The detail of the record's answer, or the status of another server's."""
    try:
        detail = str(json.loads(refused.read(ANSWER_BYTES))["detail"])
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return f"the answer is {refused.code} {refused.reason}"
    return f"{detail[0].lower()}{detail[1:]}".rstrip(".") if detail else f"the answer is {refused.code}"


def _retry_after_s(refused: HTTPError) -> float:
    text = refused.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0


def read_context(report: Report, environ: Mapping[str, str]) -> dict[str, str]:
    """The context as query parameters: what the environment has, if the record would accept it."""
    if environ.get("GITHUB_ACTIONS") == "true":
        found = _github(environ)
    elif environ.get("GITLAB_CI") == "true":
        found = _gitlab(environ)
    else:
        found = {}
    found.setdefault("head_sha", report.target.commit)
    return dict(_usable(found))


def _github(environ: Mapping[str, str]) -> dict[str, str | None]:
    """GITHUB_SHA of a pull request is a merge commit that is on no branch; its head is in the event."""
    server, repository, run = (environ.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    ci_url = f"{server}/{repository}/actions/runs/{run}" if server and repository and run else None
    pull_request = _event(environ).get("pull_request")
    if isinstance(pull_request, dict):
        head, base = (pull_request.get(side) or {} for side in ("head", "base"))
        return {
            "head_sha": head.get("sha"),
            "branch": environ.get("GITHUB_HEAD_REF") or head.get("ref"),
            "change": str(pull_request.get("number") or ""),
            "base_sha": base.get("sha"),
            "ci_url": ci_url,
        }
    is_branch = environ.get("GITHUB_REF_TYPE") == "branch"
    branch = environ.get("GITHUB_REF_NAME") if is_branch else None
    return {"head_sha": environ.get("GITHUB_SHA"), "branch": branch, "ci_url": ci_url}


def _event(environ: Mapping[str, str]) -> dict[str, Any]:
    try:
        event = json.loads(Path(environ.get("GITHUB_EVENT_PATH", "")).read_bytes())
    except (OSError, ValueError):
        return {}
    return event if isinstance(event, dict) else {}


def _gitlab(environ: Mapping[str, str]) -> dict[str, str | None]:
    """CI_COMMIT_SHA of a merged-results pipeline is a merge commit; the head is in a variable of its own."""
    return {
        "head_sha": environ.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or environ.get("CI_COMMIT_SHA"),
        "branch": environ.get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME") or environ.get("CI_COMMIT_BRANCH"),
        "change": environ.get("CI_MERGE_REQUEST_IID"),
        "base_sha": environ.get("CI_MERGE_REQUEST_DIFF_BASE_SHA"),
        "ci_url": environ.get("CI_JOB_URL") or environ.get("CI_PIPELINE_URL"),
    }


# As the record limits them. A value that it would refuse is not worth the refusal of the whole report.
_FORMS: Final = {
    "head_sha": re.compile(r"[0-9a-f]{7,64}"),
    "branch": re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,255}"),
    "change": re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}"),
    "base_sha": re.compile(r"[0-9a-f]{7,64}"),
    "ci_url": re.compile(r"(?=.{1,500}$)https?://[^\s\x00-\x1f\x7f-\x9f]+"),
}


def _usable(found: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
    for name, form in _FORMS.items():
        value = found.get(name)
        if isinstance(value, str) and form.fullmatch(value):
            yield name, value
