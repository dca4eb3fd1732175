"""`overproof verify --submit`: what is posted where, and that a record that is down stops no build."""

from __future__ import annotations

import gzip
import json
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from app import __version__
from app.gate.commands._record import LONGEST_PAUSE_S, PAUSES_S, Destination, RecordFailed, read_destination
from app.gate.commands._submission import read_context, submit
from app.gate.errors import UsageError
from app.gate.report.model import Report, TargetEntry, Tool
from app.gate.report.verdict import Verdict
from tests.gate.commands.conftest import Answer, Record

COMMIT = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
MERGE = "f" * 40
BASE = "9d2b1f0c5a7e4d3f8b6a1c2e3d4f5a6b7c8d9e0f"


def report(commit: str | None = COMMIT) -> Report:
    return Report(
        verdict=Verdict.PASS,
        tool=Tool(name="overproof", version="0.1.0"),
        target=TargetEntry(command=["alembic", "upgrade", "head"], commit=commit),
        started_at=datetime(2026, 11, 22, tzinfo=UTC),
        duration_ms=1.0,
    )


STORED: Answer = (201, {}, {"id": "0000"})
DOWN: Answer = (503, {}, {"detail": "Too many requests are waiting."})


def test_the_report_is_posted_with_its_context_and_the_url_of_its_run_comes_back(record: Record) -> None:
    record.answers = [STORED]

    submitted = record.submit(
        report(), {"GITLAB_CI": "true", "CI_COMMIT_SHA": COMMIT, "CI_COMMIT_BRANCH": "größe & more"}
    )

    ((path, headers, body),) = record.requests
    assert urlsplit(path).path == "/api/v1/projects/shop/runs"
    assert dict(parse_qsl(urlsplit(path).query)) == {"head_sha": COMMIT, "branch": "größe & more"}
    assert record.methods == ["POST"]
    assert {name: headers[name] for name in ("Authorization", "Accept", "User-Agent", "Content-Type")} == {
        "Authorization": "Bearer ovp_secret",
        "Accept": "application/json",
        "User-Agent": f"overproof/{__version__}",
        "Content-Type": "application/json",
    }
    assert headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(body))["target"]["commit"] == COMMIT
    assert submitted.run_url.endswith("/api/v1/projects/shop/runs/0000")
    assert submitted.forks == []


@pytest.mark.parametrize(
    ("answered", "path"),
    [
        ({"page": "/projects/shop/runs/0000"}, "/projects/shop/runs/0000"),
        ({}, "/api/v1/projects/shop/runs/0000"),
        ({"page": "https://evil.example/"}, "/api/v1/projects/shop/runs/0000"),
        ({"page": 7}, "/api/v1/projects/shop/runs/0000"),
    ],
)
def test_what_is_shown_of_a_run_is_its_page(record: Record, answered: dict[str, Any], path: str) -> None:
    record.answers = [(201, {}, {"id": "0000", **answered})]

    submitted = record.submit(report())

    site, _, _ = submitted.run_url.partition("/api/v1/")
    assert submitted.page_url == f"{site}{path}"


def test_the_forks_that_come_back_are_one_line_each(record: Record) -> None:
    fork = {"sentence": "2 open pull requests add a revision on a1.", "command": "overproof rebase origin/main", "x": 1}
    record.answers = [(200, {}, {"id": "0000", "forks": [fork, {"sentence": "Rebase."}, {}, "unheard of"]})]

    assert record.submit(report()).forks == [
        "2 open pull requests add a revision on a1. (overproof rebase origin/main)",
        "Rebase. (overproof rebase)",
    ]


@pytest.mark.parametrize("failure", [(None, {}, None), *((status, {}, b"") for status in (429, 500, 502, 503, 504))])
def test_what_may_pass_is_tried_again(record: Record, failure: Any) -> None:
    record.answers = [failure, failure, STORED]

    assert record.submit(report()).run_url.endswith("/0000")
    assert record.paused == list(PAUSES_S)


@pytest.mark.parametrize("failure", [DOWN, (None, {}, None)])
def test_the_third_failure_is_the_last(record: Record, failure: Any) -> None:
    record.answers = [failure] * 4

    with pytest.raises(RecordFailed):
        record.submit(report())

    assert len(record.requests) == 3


@pytest.mark.parametrize(("asked", "paused"), [("9", 9.0), ("9999", LONGEST_PAUSE_S), ("soon", PAUSES_S[0])])
def test_it_waits_as_long_as_the_record_says_within_a_bound(record: Record, asked: str, paused: float) -> None:
    record.answers = [(503, {"Retry-After": asked}, b""), STORED]

    record.submit(report())

    assert record.paused == [paused]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((401, {}, {"detail": "The token is unknown or was revoked."}), "the token is unknown or was revoked"),
        (
            (422, {}, {"detail": "It is invalid.", "errors": [{"where": "verdict", "message": "is fail"}]}),
            "it is invalid: verdict is fail",
        ),
        ((404, {}, b"<html>no such page</html>"), "the answer is 404 Not Found"),
        ((404, {}, {"detail": ""}), "the answer is 404"),
        ((422, {}, {"detail": "It is invalid.", "errors": [7]}), "the answer is 422 Unprocessable .*"),
        ((400, {}, {"detail": "It is invalid.", "errors": []}), "it is invalid"),
        *(((status, {}, {"detail": "No."}), "no") for status in (428, 430, 499, 501, 505)),
        ((200, {}, {"detail": "x"}), "the answer is not that of a record: is the URL right?"),
        ((307, {"Location": "http://127.0.0.1:1/elsewhere"}, b""), "the answer is 307 Temporary Redirect"),
        ((200, {}, b"<html>welcome</html>"), "the answer is not that of a record: is the URL right?"),
        ((200, {}, []), "the answer is not that of a record: is the URL right?"),
    ],
)
def test_what_will_not_pass_is_not_tried_again(record: Record, answer: Any, reason: str) -> None:
    record.answers = [answer]

    with pytest.raises(RecordFailed, match=f"^{reason.replace('?', '[?]')}$"):
        record.submit(report())

    assert len(record.requests) == 1
    assert record.paused == []


def test_without_a_token_nothing_is_sent(record: Record) -> None:
    with pytest.raises(RecordFailed, match="OVERPROOF_TOKEN is not set"):
        submit(report(), Destination(f"http://127.0.0.1:{record.server.server_port}/projects/shop", None), {})

    assert record.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop",
        "ftp://h/api/v1/projects/shop",
        "https://h",
        "https://h/api/v1/projects/shop?a=b",
        "file:///projects/a",
    ],
)
def test_a_url_that_names_no_project_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match=r"^--submit: "):
        read_destination(url, {})


@pytest.mark.parametrize("login", ["ann:opensesame", "opensesame", ":opensesame"])
def test_a_secret_in_the_url_is_refused_and_not_repeated(login: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_destination(f"https://{login}@h/api/v1/projects/shop", {})

    assert str(refused.value) == "--submit: put the token into OVERPROOF_TOKEN, not into the URL"


def test_a_record_that_does_not_run_is_told_with_its_reason() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/api/v1/projects/shop"

        with pytest.raises(
            RecordFailed, match=r"^no answer from the record \(\[Errno \d+\] Connection refused\): is its URL"
        ):
            submit(report(), Destination(url, "ovp_secret"), {}, lambda pause_s: None)


@pytest.mark.parametrize("end", ["", "/"])
def test_a_url_may_end_in_a_slash(end: str) -> None:
    destination = read_destination(f"https://h/api/v1/projects/shop{end}", {"OVERPROOF_TOKEN": " ovp_x\n"})

    assert destination.url("/runs") == "https://h/api/v1/projects/shop/runs"
    assert destination.token == "ovp_x"


GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "acme/shop",
    "GITHUB_RUN_ID": "1658821493",
    "GITHUB_SHA": MERGE,
}
CI_URL = "https://github.com/acme/shop/actions/runs/1658821493"


def test_a_pull_request_of_github_has_the_head_of_its_branch_and_not_the_merge_commit(tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    head, base = {"sha": COMMIT, "ref": "orders"}, {"sha": BASE, "ref": "main"}
    event.write_text(json.dumps({"pull_request": {"number": 42, "head": head, "base": base}}))
    environ = GITHUB | {"GITHUB_EVENT_PATH": str(event), "GITHUB_HEAD_REF": "orders", "GITHUB_REF_NAME": "42/merge"}

    assert read_context(report(MERGE), environ) == {
        "head_sha": COMMIT,
        "branch": "orders",
        "change": "42",
        "base_sha": BASE,
        "ci_url": CI_URL,
    }


@pytest.mark.parametrize(("kind", "branch"), [("branch", {"branch": "main"}), ("tag", {})])
def test_a_push_to_github_has_its_branch_if_it_is_one(tmp_path: Path, kind: str, branch: dict[str, str]) -> None:
    event = tmp_path / "event.json"
    event.write_text('{"ref": "refs/heads/main"}')
    environ = GITHUB | {"GITHUB_REF_TYPE": kind, "GITHUB_REF_NAME": "main", "GITHUB_EVENT_PATH": str(event)}

    assert read_context(report(), environ) == {"head_sha": MERGE, "ci_url": CI_URL} | branch


@pytest.mark.parametrize("event", [None, "", "[]", '{"pull_request": {"head": null}}'])
def test_an_event_that_cannot_be_read_leaves_the_rest(tmp_path: Path, event: str | None) -> None:
    path = tmp_path / "event.json"
    if event is not None:
        path.write_text(event)

    assert read_context(report(), GITHUB | {"GITHUB_EVENT_PATH": str(path)})["ci_url"] == CI_URL


def test_a_merge_request_of_gitlab_has_the_head_of_its_branch() -> None:
    environ = {
        "GITLAB_CI": "true",
        "CI_COMMIT_SHA": MERGE,
        "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": COMMIT,
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "orders",
        "CI_MERGE_REQUEST_IID": "7",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": BASE,
        "CI_JOB_URL": "https://gitlab.com/acme/shop/-/jobs/1",
    }

    assert read_context(report(MERGE), environ) == {
        "head_sha": COMMIT,
        "branch": "orders",
        "change": "7",
        "base_sha": BASE,
        "ci_url": "https://gitlab.com/acme/shop/-/jobs/1",
    }


def test_elsewhere_the_commit_is_all_that_is_known() -> None:
    assert read_context(report(), {"GITHUB_SHA": MERGE}) == {"head_sha": COMMIT}
    assert read_context(report(None), {}) == {}


def test_what_the_record_would_refuse_is_left_out() -> None:
    environ = {
        "GITLAB_CI": "true",
        "CI_COMMIT_SHA": "HEAD",
        "CI_COMMIT_BRANCH": "b" * 300,
        "CI_JOB_URL": "javascript:1",
    }

    assert read_context(report(None), environ) == {}
