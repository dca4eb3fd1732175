"""One comment on the pull request, while there are errors or warnings: edited in place, and removed afterwards.

It never fails the job. Without the permission (`pull-requests: write`, which the token of a pull request from a fork
does not have) it is one line.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

AUTHOR = "github-actions[bot]"  # whose token the job has; a comment of somebody else is never edited
PAGE = 100
PAGES = 30
TIMEOUT_S = 30.0
PERMISSION = ". It needs the permission pull-requests: write, which a pull request from a fork cannot have"


class Refused(Exception):
    """GitHub did not do what was asked."""


def main() -> int:
    number = find_pull_request()
    if number is None:
        return 0
    report = json.loads(Path(os.environ["REPORT"]).read_text("utf-8"))
    try:
        keep(number, body(report) if has_findings(report) else None)
    except Refused as refused:
        print(f"::warning title=Overproof::the comment on the pull request was left alone: {refused}")
    return 0


def find_pull_request() -> int | None:
    """Its number, or None where the job is not about one."""
    try:
        event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    number = (event.get("pull_request") or {}).get("number")
    return number if isinstance(number, int) else None


def has_findings(report: dict[str, Any]) -> bool:
    """Notices alone are in the job's summary."""
    severities = {each["severity"] for each in report["findings"] if each["allowed"] is None}
    return report["verdict"] != "pass" or bool(severities & {"error", "warning"})


def marker() -> str:
    """Tells the comment from those about another project of the same repository."""
    return f"<!-- overproof verify {hashlib.sha256(os.environ['SUBJECT'].strip().encode()).hexdigest()[:12]} -->"


def body(report: dict[str, Any]) -> str:
    server, repository, run = (os.environ[f"GITHUB_{name}"] for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    links = [f"[The job]({server}/{repository}/actions/runs/{run})"]
    if run_url := os.environ.get("RUN_URL"):
        links.append(f"[the run in the record]({run_url})")
    markdown = Path(os.environ["MARKDOWN"]).read_text("utf-8").strip()
    return f"{marker()}\n{markdown}\n\n{', '.join(links)}"


def keep(number: int, wanted: str | None) -> None:
    """One comment with that text, or none. Raises Refused."""
    issue = f"/repos/{os.environ['GITHUB_REPOSITORY']}/issues"
    found = list(find_comments(f"{issue}/{number}/comments"))
    for each in found[1:] if wanted is not None else found:  # two jobs at the same time may each have made one
        ask("DELETE", f"{issue}/comments/{each['id']}")
    if wanted is None:
        return
    if not found:
        ask("POST", f"{issue}/{number}/comments", {"body": wanted})
    elif found[0]["body"].replace("\r\n", "\n") != wanted:
        ask("PATCH", f"{issue}/comments/{found[0]['id']}", {"body": wanted})


def find_comments(path: str) -> Iterator[dict[str, Any]]:
    for page in range(1, PAGES + 1):
        comments = ask("GET", f"{path}?per_page={PAGE}&page={page}")
        for each in comments:
            if (each.get("user") or {}).get("login") == AUTHOR and (each.get("body") or "").startswith(marker()):
                yield each
        if len(comments) < PAGE:
            return


def ask(method: str, path: str, content: dict[str, str] | None = None) -> Any:
    request = Request(  # noqa: S310 - GitHub names it
        f"{os.environ['GITHUB_API_URL']}{path}",
        data=None if content is None else json.dumps(content).encode(),
        headers={
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}",
            "Content-Type": "application/json",
            "User-Agent": "overproof",
            "X-GitHub-Api-Version": "2022-11-28",
        },
        method=method,
    )
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            text = answer.read()
        return json.loads(text) if text else None
    except HTTPError as error:
        with error:
            advice = PERMISSION if error.code in (401, 403, 404) else ""
            raise Refused(f"GitHub answers {error.code} {error.reason}{advice}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise Refused(f"no answer from GitHub ({getattr(error, 'reason', None) or error})") from None


if __name__ == "__main__":
    sys.exit(main())
