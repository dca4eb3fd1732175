"""From recordings to a report: runs the checks, gives each finding its severity, and decides the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from app import __version__
from app.gate.checks import allowance, breaking_change
from app.gate.checks.base import Check
from app.gate.checks.registry import CHECKS
from app.gate.configuration import NO_CHECK_SELECTED, Configuration
from app.gate.judging.allowances import judge_allowances
from app.gate.judging.baseline import Baseline
from app.gate.judging.deployed import weigh_by_size
from app.gate.judging.entries import (
    check_entry,
    deployed_entry,
    finding_entries,
    graph_entry,
    judged_entry,
    observed_steps,
    script_locations,
    step_entry,
)
from app.gate.judging.redaction import redact
from app.gate.judging.sizes import Deployed
from app.gate.judging.weighing import (
    CheckRun,
    WeightedFinding,
    accept_by_comments,
    is_nothing_new,
    run_checks,
    weigh,
    without_repetitions,
)
from app.gate.recording.model import Recording
from app.gate.recording.serialization import digest, to_json
from app.gate.report.model import CheckEntry, FindingEntry, Report, TargetEntry, Tool
from app.gate.report.verdict import Outcome, Verdict
from app.gate.wording import listed

TOOL = Tool(name="overproof", version=__version__)


def judge(
    recordings: Sequence[Recording],
    configuration: Configuration | None = None,
    *,
    target: TargetEntry | None = None,
    not_covered: Sequence[str] = (),
    baseline: Baseline | None = None,
    deployed: Deployed | None = None,
    started_at: datetime | None = None,
    duration_ms: float = 0.0,
    checks: Sequence[Check] = CHECKS,
) -> Report:
    """The report on one verification: a recording for each walk that the project's command made.

    A check that crashes gives the verdict `error`, as nothing is proved; the others' findings are there all the same.
    """
    configuration = configuration or Configuration()
    runs = run_checks(recordings, configuration, checks)
    weighed = _weigh(recordings, configuration, runs, checks)
    unweighed = weigh_by_size(weighed, deployed, configuration.severities) if deployed is not None else []
    findings = finding_entries(weighed, baseline, deployed)
    nothing_new = is_nothing_new(recordings)
    entries = [check_entry(check, configuration, runs, findings, nothing_new=nothing_new) for check in checks]
    verdict, reason = _conclude(configuration, runs, findings, None if nothing_new else entries)
    return Report(
        verdict=verdict,
        reason=reason and redact(reason),
        tool=TOOL,
        target=target or TargetEntry(command=[], script_location=script_locations(recordings)),
        judged=judged_entry(recordings),
        deployed=deployed_entry(deployed),
        not_covered=[redact(each) for each in (*not_covered, *unweighed, *_guesses(recordings, configuration))],
        started_at=started_at or datetime.now(UTC),
        duration_ms=duration_ms,
        graph=graph_entry(recordings),
        checks=entries,
        findings=findings,
        steps=[step_entry(step, rows) for recording in recordings for step, rows in observed_steps(recording)],
        **_of_last(recordings),
    )


def _of_last(recordings: Sequence[Recording]) -> dict[str, Any]:
    """What the last walk ran on, and the schema at the last head that was reached."""
    last = recordings[-1] if recordings else None
    head = next((each.head for each in reversed(recordings) if each.head is not None), None)
    fields: dict[str, Any] = {name: getattr(last, name, None) for name in ("postgres", "alembic", "sqlalchemy")}
    return fields if head is None else {**fields, "snapshot": to_json(head), "digest": digest(head)}


def _guesses(recordings: Sequence[Recording], configuration: Configuration) -> list[str]:
    """Why breaking-change, with a base, could not ask the models of that."""
    if configuration.deselects(breaking_change.CHECK) is not None:
        return []
    reasons = [each.not_observed.get("running") for each in recordings if each.base is not None and each.base.is_start]
    return [f"breaking-change goes by the schema alone: {reason}" for reason in dict.fromkeys(reasons) if reason]


def _weigh(
    recordings: Sequence[Recording], configuration: Configuration, runs: Sequence[CheckRun], checks: Sequence[Check]
) -> list[WeightedFinding]:
    """The findings of all checks, each once, with those about the comments that accept findings last."""
    weighed = without_repetitions(weigh(runs, configuration))
    accept_by_comments(weighed)
    if configuration.deselects(allowance.CHECK) is None:
        weighed += weigh(judge_allowances(recordings, runs, weighed, checks), configuration)
    return weighed


def _conclude(
    configuration: Configuration,
    runs: Iterable[CheckRun],
    findings: Iterable[FindingEntry],
    entries: Sequence[CheckEntry] | None,
) -> tuple[Verdict, str | None]:
    """The verdict, and why it is `error` if it is. `entries` None: there is nothing that could be judged."""
    crashes = dict.fromkeys(f"{each.check.id} ({each.crash})" for each in runs if each.crash)
    if crashes:
        return Verdict.ERROR, f"a check crashed, which is a defect of Overproof: {'; '.join(crashes)}"
    is_failing = any(configuration.fail_on.fails(each.severity) for each in findings if each.allowed is None)
    if is_failing:
        return Verdict.FAIL, None
    nothing = _why_nothing_was_judged(entries) if entries is not None else None
    return (Verdict.ERROR, nothing) if nothing else (Verdict.PASS, None)


def _why_nothing_was_judged(entries: Sequence[CheckEntry]) -> str | None:
    """A run in which every selected check was skipped proves nothing. None if one was judged."""
    selected = [each for each in entries if not each.is_deselected]
    if any(each.outcome is not Outcome.SKIPPED for each in selected):
        return None
    reasons = listed([f"{each.id} ({each.reason})" for each in selected])
    return f"nothing was checked: no selected check could be judged: {reasons}" if reasons else NO_CHECK_SELECTED


def report_error(
    reason: str, *, target: TargetEntry, started_at: datetime, duration_ms: float, postgres: str | None = None
) -> Report:
    """The report when nothing could be verified."""
    return Report(
        verdict=Verdict.ERROR,
        reason=redact(reason),
        tool=TOOL,
        target=target,
        postgres=postgres,
        started_at=started_at,
        duration_ms=duration_ms,
    )
