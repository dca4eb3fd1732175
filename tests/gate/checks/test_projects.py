"""Every check on a pair of small Alembic projects, through the real gate: `bad` has its finding and no other, `good` has none.

Of `bad` is recorded what the check says that it needs, and nothing more; of `good` everything.

A project is put together from three folders, each over the one before: `projects/shared`, `projects/<check>/both` and
`projects/<check>/bad` or `good`. So what is in the last of them is what the check is about; `good` is the advice of its
documentation, followed.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from app.gate.checks.base import Check
from app.gate.checks.registry import ALL_CHECKS
from app.gate.judging.judge import judge
from app.gate.recorder import record
from app.gate.recording.model import ALL_EVIDENCE, Evidence
from app.gate.report.model import Report
from app.gate.report.verdict import Severity, Verdict
from app.gate.server.throwaway import Server
from app.gate.target.target import Target

PROJECTS = Path(__file__).parent / "projects"
IDS = [check.id for check in ALL_CHECKS if (PROJECTS / check.id.replace("-", "_")).exists()]

# What needs more than a folder to be shown.
ELSEWHERE = {
    "early-code",
    "merged-history",
    "same-schema",
}  # a git history: tests/gate/history, tests/gate/reruns/test_other_history.py, tests/gate/reruns/test_running_code.py


@pytest.mark.parametrize("check", [check for check in ALL_CHECKS if check.id in IDS], ids=lambda check: check.id)
def test_the_bad_project_has_this_finding_and_no_other(check: Check, server: Server, tmp_path: Path):
    report = verify(check.id, "bad", server, tmp_path, check.needs)

    assert [finding.check for finding in report.findings if finding.allowed is None] == [check.id], as_text(report)
    assert report.verdict is not Verdict.ERROR, as_text(report)  # no check crashes for want of what was not observed
    assert_distinct(report)


@pytest.mark.parametrize("check", IDS)
def test_the_good_project_has_none(check: str, server: Server, tmp_path: Path):
    report = verify(check, "good", server, tmp_path, ALL_EVIDENCE)

    assert [finding for finding in report.findings if finding.allowed is None] == [], as_text(report)
    assert {entry.id for entry in report.checks if entry.outcome == "skipped"} <= ELSEWHERE, as_text(report)


@pytest.mark.parametrize("check", ALL_CHECKS, ids=lambda check: check.id)
def test_every_check_has_a_pair(check):
    folder = PROJECTS / check.id.replace("-", "_")

    assert (folder / "bad").is_dir() or (folder / "good").is_dir() or check.id in ELSEWHERE


def assert_distinct(report: Report) -> None:
    """Findings of one identity are equal in everything but their words."""
    places: dict[tuple[str | None, ...], set[tuple[object, ...]]] = {}
    for each in report.findings:
        identity = (each.check, each.revision, each.object, each.subject)
        places.setdefault(identity, set()).add((each.severity, each.path, each.line))
    assert {identity: found for identity, found in places.items() if len(found) > 1} == {}


def verify(check: str, kind: str, server: Server, directory: Path, evidence: frozenset[Evidence]) -> Report:
    """The gate's report on one project."""
    folder = PROJECTS / check.replace("-", "_")
    shutil.copytree(PROJECTS / "shared", directory, dirs_exist_ok=True)
    for layer in (folder / "both", folder / kind):
        for source in layer.rglob("*.py"):
            inner = source.relative_to(layer)
            parent = directory / ("migrations" if inner.parts[0] in ("versions", "env.py") else "shop")
            (parent / inner).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, parent / inner)
    target = Target(
        command=(sys.executable, "-m", "alembic", "upgrade", "head"),
        environment={"DATABASE_URL": "{url+psycopg2}", "PYTHONDONTWRITEBYTECODE": "1"},
        directory=directory,
        timeout_s=60,
    )
    return judge(record(target, server, evidence=evidence))


def as_text(report: Report) -> str:
    """What a failing test shows."""
    findings = [
        f"{each.severity.value}: {each.check}: {each.message} [{each.path}:{each.line}]\n{each.detail}\n{each.help}"
        for each in sorted(report.findings, key=lambda each: list(Severity).index(each.severity))
    ]
    skipped = [f"skipped: {each.id}: {each.reason}" for each in report.checks if each.outcome == "skipped"]
    return "\n".join([str(report.reason or ""), *findings, *skipped])
