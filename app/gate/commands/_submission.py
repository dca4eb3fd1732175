"""Post a report to the record, with the context that the CI describes.

The record must not stop a build: whatever goes wrong is one line, and fails the command only with `--submit-required`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from app.gate.commands._record import Destination, Sleep, ask
from app.gate.reporters import renderer_for

if TYPE_CHECKING:
    from app.gate.report.model import Report


class Submitted(NamedTuple):
    run_url: str  # in the API
    page_url: str  # in a browser; the same for a record without pages
    forks: list[str]  # a line for each fork of the history that the pull request is part of


def submit(
    report: Report, destination: Destination, environ: Mapping[str, str], sleep: Sleep = time.sleep
) -> Submitted:
    """Post the report. A report that was stored by a try whose answer was lost is found again by the next one.

    Raises RecordFailed."""
    content = renderer_for("json")(report)
    run = ask(destination, "POST", "/runs", content, query=read_context(report, environ), sleep=sleep)
    run_url = destination.url(f"/runs/{run['id']}")
    return Submitted(run_url, _page_url(run_url, run.get("page")), list(_lines_for(run.get("forks"))))


def _page_url(run_url: str, page: object) -> str:
    """An older record answers no page."""
    site, api, _ = run_url.partition("/api/v1/")
    return f"{site}{page}" if api and isinstance(page, str) and page.startswith("/") else run_url


def _lines_for(forks: Any) -> Iterator[str]:
    """An older record answers none, and a newer one may answer more than is known here."""
    for fork in forks if isinstance(forks, list) else ():
        if isinstance(fork, dict) and fork.get("sentence"):
            yield f"{fork['sentence']} ({fork.get('command') or 'overproof rebase'})"


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
