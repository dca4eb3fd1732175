"""Findings about the comments that accept findings: those that name no check, and those that accept nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from app.gate.checks import allowance
from app.gate.checks.base import Check, Finding
from app.gate.checks.registry import UnknownCheck, get_check
from app.gate.history.allowances import FORM
from app.gate.judging.weighing import CheckRun, WeightedFinding
from app.gate.recording.model import Allowance, Recording
from app.gate.report.verdict import Severity


def judge_allowances(
    recordings: Iterable[Recording],
    runs: Iterable[CheckRun],
    weighed: Iterable[WeightedFinding],
    checks: Sequence[Check],
) -> Iterator[CheckRun]:
    """What needs the results of the other checks: comments that name no check, and comments that accept nothing."""
    used = {(each.check.id, each.finding.revision) for each in weighed}
    completed = {(each.check.id, id(each.recording)) for each in runs if not (each.skipped or each.crash)}
    for recording in recordings:
        walked = {trip.revision for trip in recording.trips if trip.up is not None and trip.skipped_because is None}
        findings = []
        for revision, comment in _complete_allowances(recording):
            try:
                check = get_check(comment.check, checks)
            except UnknownCheck as unknown:
                findings.append(_unknown(revision, comment, unknown.suggestion))
                continue
            was_judged = revision in walked and (check.id, id(recording)) in completed
            if was_judged and not used & {(check.id, revision), (check.id, None)}:
                findings.append(_unused(revision, comment))
        yield CheckRun(allowance.CHECK, recording, tuple(findings))


def _complete_allowances(recording: Recording) -> Iterator[tuple[str, Allowance]]:
    """Those with a check and a reason, each with its revision. The check `allowance` itself reports the others."""
    for revision in recording.graph.revisions:
        for comment in revision.allowances:
            if comment.check and comment.reason:
                yield revision.revision, comment


def _unknown(revision: str, comment: Allowance, suggestion: str | None) -> Finding:
    return Finding(
        f"This comment allows {comment.check}, but there is no such check.",
        "unknown-check",
        revision=revision,
        object=comment.check,
        help=f"Write `{FORM.replace('<check>', suggestion)}`."
        if suggestion
        else "`overproof explain` lists the checks.",
        line=comment.line,
    )


def _unused(revision: str, comment: Allowance) -> Finding:
    return Finding(
        f"This comment allows {comment.check}, but there is no such finding.",
        "unused",
        revision=revision,
        object=comment.check,
        help="Remove the comment.",
        line=comment.line,
        severity=Severity.NOTICE,
    )
