"""Comments that allow a check, judged: those that name no check, and those that allow nothing any more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from app.gate.checks import allowance as allowances
from app.gate.checks.base import Check, Finding
from app.gate.checks.registry import UnknownCheck, get_check
from app.gate.history.allowances import FORM
from app.gate.judging.weighing import CheckRun, WeightedFinding
from app.gate.recording.model import Recording
from app.gate.report.verdict import Severity


def judge_allowances(
    recordings: Iterable[Recording],
    examinations: Iterable[CheckRun],
    weighed: Iterable[WeightedFinding],
    checks: Sequence[Check],
) -> Iterator[CheckRun]:
    """What the comments cannot tell by themselves: the ones that name no check, and those that accept nothing."""
    used = {(each.check.id, each.finding.revision) for each in weighed}
    completed = {(each.check.id, id(each.recording)) for each in examinations if not (each.skipped or each.crash)}
    for recording in recordings:
        walked = {trip.revision for trip in recording.trips if trip.up is not None and trip.skipped_because is None}
        findings = []
        for revision in recording.graph.revisions:
            for allowance in revision.allowances:
                if not allowance.check or not allowance.reason:
                    continue  # Already told of by the check itself.
                about = Finding("", "unused", revision=revision.revision, object=allowance.check, line=allowance.line)
                try:
                    check = get_check(allowance.check, checks)
                except UnknownCheck as unknown:
                    findings.append(
                        replace(
                            about,
                            message=f"This comment allows {allowance.check}, and there is no such check.",
                            subject="unknown-check",
                            help=f"Write `{FORM.replace('<check>', unknown.suggestion)}`."
                            if unknown.suggestion
                            else "`overproof explain` lists the checks.",
                        )
                    )
                    continue
                judged = revision.revision in walked and (check.id, id(recording)) in completed
                if judged and not used & {(check.id, revision.revision), (check.id, None)}:
                    findings.append(
                        replace(
                            about,
                            message=f"This comment allows {allowance.check}, and nothing is left to allow.",
                            help="Remove the comment.",
                            severity=Severity.NOTICE,
                        )
                    )
        yield CheckRun(allowances.CHECK, recording, tuple(findings))
