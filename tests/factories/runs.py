"""Runs with their checks and findings."""

from __future__ import annotations

import gzip
import secrets
from datetime import UTC, datetime, timedelta

from factory.declarations import LazyAttribute, LazyFunction, Sequence, SubFactory

from app.gate.report.verdict import Outcome, Severity, Verdict
from app.runs.models import Report, Run, RunCheck, RunFinding
from tests.factories.base import StoredFactory
from tests.factories.projects import ProjectFactory


class RunFactory(StoredFactory):
    """Runs that are made one after the other were received one minute after the other."""

    class Meta:
        model = Run
        exclude = ("project",)

    project = SubFactory(ProjectFactory)
    project_id = LazyAttribute(lambda run: run.project.id)
    digest = LazyFunction(lambda: secrets.token_bytes(32))
    verdict = Verdict.PASS
    tool_version = "0.1.0"
    started_at = LazyAttribute(lambda run: run.received_at)
    duration_ms = 1234.5
    received_at = Sequence(lambda n: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=n))


class ReportFactory(StoredFactory):
    class Meta:
        model = Report
        exclude = ("run",)

    run = SubFactory(RunFactory)
    project_id = LazyAttribute(lambda report: report.run.project_id)
    run_id = LazyAttribute(lambda report: report.run.id)
    content = gzip.compress(b"{}")


class RunCheckFactory(StoredFactory):
    class Meta:
        model = RunCheck
        exclude = ("run",)

    run = SubFactory(RunFactory)
    project_id = LazyAttribute(lambda check: check.run.project_id)
    run_id = LazyAttribute(lambda check: check.run.id)
    position = Sequence(lambda n: n)
    check = "round-trip"
    outcome = Outcome.PASS
    duration_ms = 3.5


class RunFindingFactory(StoredFactory):
    class Meta:
        model = RunFinding
        exclude = ("run",)

    run = SubFactory(RunFactory)
    project_id = LazyAttribute(lambda finding: finding.run.project_id)
    run_id = LazyAttribute(lambda finding: finding.run.id)
    position = Sequence(lambda n: n)
    check = "round-trip"
    severity = Severity.ERROR
    message = "The downgrade leaves an index behind."
    fingerprint = Sequence(lambda n: f"{n:016x}")
