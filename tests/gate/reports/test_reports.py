"""Migrations after public reports of people whom one has hurt, or whom a linter has warned of nothing, through the whole gate.

Each is a project of our own, of the reported kind and of another shape. What is right was written down before it was run.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from app.gate.errors import CannotVerify
from app.gate.judging.judge import judge
from app.gate.recorder import record
from app.gate.report.model import FindingEntry, Report
from app.gate.report.verdict import Severity, Verdict
from app.gate.server.throwaway import Server
from tests.gate.hazards.case import body
from tests.gate.projects import ENV, script, target, write_project
from tests.gate.reports import in_one_history, of_their_own
from tests.gate.reports.report import OfItsOwn, Reported

STATUS = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.ERROR: 2}
METADATA = "import sqlalchemy as sa\n\nmetadata = sa.MetaData()\n"
OF_SOME_TABLES = "metadata, include_object=lambda each, name, kind, *_: kind != 'table' or name in metadata.tables"
SHARED_ENV = ENV.replace("literal_binds=True", 'literal_binds=True, dialect_opts={"paramstyle": "named"}').replace(
    "connection=connection, target_metadata=metadata",
    f"connection=connection, transaction_per_migration=True, target_metadata={OF_SOME_TABLES}",
)


@pytest.fixture(scope="module")
def shared_report(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What the gate says of all that stand in one history."""
    place, reports = tmp_path_factory.mktemp("reports"), in_one_history.REPORTS
    before = body(*(report.before for report in reports))
    scripts, last = {"before": script("before", None, before, None)}, "before"
    for report in reports:
        last = _write(scripts, report, last)
    write_project(place, scripts, env=SHARED_ENV, models=_models(reports))
    return judge(record(target(place, timeout_s=300), server))


@pytest.mark.parametrize("reported", in_one_history.REPORTS, ids=lambda each: each.name)
def test_what_was_reported_is_judged_right(reported: Reported, shared_report: Report) -> None:
    own = {_revision(reported, number) for number in reported.revisions}
    words = re.compile("|".join(rf"\b{table}\b" for table in reported.tables))

    found = [
        each
        for each in shared_report.findings
        if each.revision in own or (each.revision is None and words.search(f"{each.object} {each.message}"))
    ]

    assert not _faults(reported, found), "\n".join([*_faults(reported, found), *map(_shown, found)])


@pytest.mark.parametrize("reported", of_their_own.REPORTS, ids=lambda each: each.name)
def test_what_was_reported_of_a_whole_project_is_judged_right(
    reported: OfItsOwn, server: Server, tmp_path: Path
) -> None:
    scripts = {name: textwrap.dedent(text) for name, text in reported.files.items()}
    if not scripts:
        scripts["before"] = script("before", None, reported.before, reported.before_downgrade)
        _write(scripts, reported, "before")
    write_project(tmp_path, scripts, env=reported.env, models=_models([reported]))
    command = (sys.executable, "-m", "alembic", *reported.command)
    project = replace(target(tmp_path, *command, timeout_s=300), environment={"DATABASE_URL": reported.url})

    if reported.status == STATUS[Verdict.ERROR]:
        with pytest.raises(CannotVerify):
            record(project, server)
        return
    report = judge(record(project, server))

    faults = _faults(reported, report.findings)
    assert not faults, "\n".join([*faults, *map(_shown, report.findings)])
    assert reported.status is None or STATUS[report.verdict] == reported.status


def _write(scripts: dict[str, str], reported: Reported, last: str) -> str:
    """Adds its revisions after that one, and returns the last of them."""
    for number, (up, down) in reported.revisions.items():
        revision = _revision(reported, number)
        scripts[revision] = script(revision, last, up, down)
        last = revision
    return last


def _revision(reported: Reported, number: str) -> str:
    return f"{re.sub(r'[^a-z]+', '_', reported.name)[:20]}_{number}"


def _models(reports: Sequence[Reported]) -> str | None:
    if not any(report.models for report in reports):
        return None
    return METADATA + "\n".join(textwrap.dedent(report.models) for report in reports)


def _faults(reported: Reported, findings: Sequence[FindingEntry]) -> list[str]:
    """What is wrong about those findings."""
    told = [each for each in findings if each.severity is not Severity.NOTICE]
    faults = [
        f"missing: {wanted}" for wanted in reported.must if not any(_is(reported, each, *wanted) for each in told)
    ]
    faults += [f"wrong: {each.check}" for each in told if each.check in reported.must_not or "" in reported.must_not]
    for check, pattern in reported.help_has:
        if not any(each.check == check and re.search(pattern, _advice(each)) for each in findings):
            faults.append(f"{check} does not say {pattern}")
    for check, pattern in reported.help_has_not:
        faults += [
            f"{check} says {pattern}" for each in findings if each.check == check and re.search(pattern, _advice(each))
        ]
    return faults


def _is(reported: Reported, finding: FindingEntry, checks: str, number: str, about: str) -> bool:
    is_there = not number or finding.revision == _revision(reported, number)
    return finding.check in checks.split("|") and is_there and about in f"{finding.object} {finding.message}"


def _advice(finding: FindingEntry) -> str:
    return finding.help or ""


def _shown(finding: FindingEntry) -> str:
    return f"{finding.check} ({finding.severity}) {finding.revision}: {finding.message}\n{finding.detail}\n{finding.help}\n"
