"""`overproof can-deploy`, `deployed` and `snapshot --submit`: what is asked, and what is printed."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from app.cli import main
from app.gate.commands import snapshot
from tests.gate.commands.conftest import Record

COMMIT = "6dcb09b5b57875f334f61aebed695e2e4193db5e"


@pytest.fixture(autouse=True)
def environ(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OVERPROOF_RECORD", record.url)
    monkeypatch.setenv("OVERPROOF_TOKEN", "ovp_secret")


def sent(record: Record, method: str = "POST") -> tuple[str, Any]:
    """The path and the content of the only request."""
    ((path, headers, body),) = record.requests
    assert record.methods == [method]
    assert headers["Authorization"] == "Bearer ovp_secret"
    return path.removeprefix("/api/v1/projects/shop"), json.loads(gzip.decompress(body))


FINDING = {
    "check": "blocking-index",
    "severity": "warning",
    "object": "public.orders",
    "message": "slow",
    "fingerprint": "f00d",
    "allowed": None,
    "weight": "waived",
    "why": "at night",
    "rows": 12_000_000,
}
REASON = {"code": "drift", "answer": "deny", "sentence": "It is\nanother schema.", "clears": "Undo it."}


def decision(answer: str, **parts: Any) -> dict[str, Any]:
    return {"id": "0000", "answer": answer, "reasons": [], "pending": [], **parts}


@pytest.mark.parametrize(("answer", "status"), [("allow", 0), ("deny", 1), ("unknown", 2)])
def test_the_exit_status_is_the_answer(
    record: Record, capsys: pytest.CaptureFixture[str], answer: str, status: int
) -> None:
    record.answers = [(201, {}, decision(answer))]

    assert main(["can-deploy", "--to", "production", "--commit", COMMIT]) == status

    assert sent(record) == ("/environments/production/decisions", {"commit": COMMIT, "dry_run": False})
    out = capsys.readouterr().out
    assert "6dcb09b5b578" in out.splitlines()[0]
    assert "No revision is pending." in out


def test_each_reason_has_what_clears_it_and_each_pending_revision_its_findings(
    record: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    pending = [
        {"revision": "b2", "proof": {"passed": True}, "findings": [FINDING]},
        {"revision": "c3", "proof": None, "findings": [FINDING | {"rows": None, "why": None, "weight": "denies"}]},
    ]
    reasons = [REASON | {"fingerprint": None}, REASON | {"code": "finding-denied", "fingerprint": "f00d"}]
    record.answers = [(201, {}, decision("deny", reasons=reasons, pending=pending))]

    main(["can-deploy", "--to", "production", "--commit", COMMIT])

    assert capsys.readouterr().out == (
        "DENIED: 6dcb09b5b578 may not be deployed to production.\n"
        "\n"
        "  deny drift: It is another schema.\n"
        "    To clear it: Undo it.\n"
        "\n"
        "  deny finding-denied: It is another schema.\n"
        "    To clear it: Undo it.\n"
        "    Fingerprint: f00d\n"
        "\n"
        "2 revisions are pending:\n"
        "  b2: proved\n"
        "    warning blocking-index (waived, about 12,000,000 rows: at night)\n"
        "  c3: not proved\n"
        "    warning blocking-index (denies)\n"
        "Decision 0000\n"
    )


def test_a_dry_run_stores_nothing_and_names_no_decision(record: Record, capsys: pytest.CaptureFixture[str]) -> None:
    record.answers = [(201, {}, decision("allow", id=None))]

    main(["can-deploy", "--to", "production", "--commit", COMMIT, "--dry-run"])

    assert sent(record)[1]["dry_run"] is True
    assert "Decision" not in capsys.readouterr().out


def test_the_decision_as_json(record: Record, capsys: pytest.CaptureFixture[str]) -> None:
    record.answers = [(201, {}, decision("unknown"))]

    assert main(["can-deploy", "--to", "production", "--commit", COMMIT, "--json"]) == 2
    assert json.loads(capsys.readouterr().out) == decision("unknown")


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ((409, {}, {"detail": "No report has it."}), "overproof: no report has it\n"),
        ((200, {}, {"id": "0000"}), "overproof: the answer is not that of a record: is the URL right?\n"),
    ],
)
def test_a_refusal_is_one_line_and_never_allows(
    record: Record, capsys: pytest.CaptureFixture[str], answer: Any, line: str
) -> None:
    record.answers = [answer]

    assert main(["can-deploy", "--to", "production", "--commit", COMMIT]) == 2
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["can-deploy", "--to", "Production!"], "--to: 'Production!' is not the name of an environment"),
        (["deployed", "--to", "Production!"], "overproof: --to: 'Production!' is not the name of an environment"),
        (
            ["snapshot", "postgresql:///x", "--submit", "--environment", "Production!"],
            "overproof: --environment: 'Production!' is not the name of an environment",
        ),
        (["can-deploy", "--to", "production", "--commit", "HEAD"], "--commit: 'HEAD' is not the SHA of a commit"),
        (["deployed", "--to", "production", "--commit", COMMIT, "--id", "a b"], "--id: 'a b' must be"),
        (["deployed", "--to", "production", "--record", "shop"], "--record: 'shop' is not the URL of a project"),
        (["snapshot", "postgresql:///x", "--submit"], "--submit needs the environment whose database it is"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    record: Record, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    assert main(arguments) == 2

    assert line in capsys.readouterr().err
    assert record.requests == []


def test_without_a_record_it_is_named_how_to_give_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OVERPROOF_RECORD")

    assert main(["can-deploy", "--to", "production", "--commit", COMMIT]) == 2
    assert "add --record https://HOST/api/v1/projects/SLUG, or set OVERPROOF_RECORD" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variables", "arguments", "deployment"),
    [
        ({}, ["--id", "release-42"], "release-42"),
        ({"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "77", "GITHUB_RUN_ATTEMPT": "2"}, [], "github-77-2"),
        ({"GITLAB_CI": "true", "CI_PIPELINE_ID": "88"}, [], "gitlab-88"),
    ],
)
def test_a_deployment_has_the_id_of_its_ci_run(
    record: Record,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variables: dict[str, str],
    arguments: list[str],
    deployment: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    record.answers = [(201, {}, {"id": deployment, "heads": ["b2"]})]

    command = ["deployed", "--to", "production", "--commit", COMMIT, "--status", "rolling", *arguments]
    assert main(command) == 0

    path = f"/environments/production/deployments/{deployment}"
    assert sent(record, "PUT") == (path, {"commit": COMMIT, "status": "rolling"})
    line = f"overproof: 6dcb09b5b578 (b2) is rolling in production, as deployment {deployment}\n"
    assert capsys.readouterr().err == line


def test_a_deployment_elsewhere_has_an_id_of_its_commit_and_the_time(record: Record) -> None:
    record.answers = [(201, {}, {"id": "x"})]

    main(["deployed", "--to", "production", "--commit", COMMIT])

    assert sent(record, "PUT")[0].startswith("/environments/production/deployments/6dcb09b5b578-20")


@pytest.mark.parametrize(("answer", "status"), [((201, {}, {"id": "0000"}), 0), ((403, {}, {"detail": "No."}), 2)])
def test_a_snapshot_is_sent_instead_of_printed(
    record: Record,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: Any,
    status: int,
) -> None:
    taken = {"format": "overproof-snapshot/1", "revisions": {}, "digest": "0"}
    monkeypatch.setattr(snapshot, "take", lambda *arguments: taken)
    record.answers = [answer]

    assert main(["snapshot", "postgresql:///shop", "--submit", "--environment", "production"]) == status

    assert sent(record) == ("/environments/production/snapshots", taken)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert ("submitted the snapshot 0000 of production" in printed.err) is (status == 0)
