"""The findings that an existing project accepted when it adopted the gate, so that only new ones fail it.

A JSON file next to the migrations, `overproof-baseline/2`. Only the fingerprints count; the rest is for reviewers of
the file, who see what is being accepted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.gate.errors import BaselineError
from app.gate.report.verdict import IN_BASELINE, Outcome

if TYPE_CHECKING:
    from app.gate.report.model import FindingEntry, Report


FORMAT = "overproof-baseline/2"


@dataclass(frozen=True, order=True)
class Known:
    """One accepted finding."""

    check: str
    revision: str
    object: str
    subject: str
    message: str
    fingerprint: str


@dataclass(frozen=True)
class Baseline:
    """Accepted findings, and the reason that a report gives for accepting them."""

    name: str  # of the file, as the user wrote it
    known: frozenset[Known] = frozenset()

    @property
    def fingerprints(self) -> frozenset[str]:
        return frozenset(each.fingerprint for each in self.known)

    @property
    def reason(self) -> str:
        return f"{IN_BASELINE} {self.name}"


def read_baseline(path: Path, name: str) -> Baseline:
    """Raises BaselineError."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BaselineError(f"there is no baseline {name}: create it with --write-baseline") from None
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise BaselineError(f"the baseline {name} cannot be read: {error}") from error
    try:
        if document["format"] != FORMAT:
            raise BaselineError(
                f"the baseline {name} has the format {document['format']!r}, not {FORMAT!r}: "
                "remove it, and recreate it with --write-baseline"
            )
        return Baseline(name, frozenset(Known(**each) for each in document["findings"]))
    except (KeyError, TypeError):
        raise BaselineError(f"{name} is not a baseline: remove it, and recreate it with --write-baseline") from None


def renew(baseline: Baseline, report: Report) -> Baseline:
    """The baseline after a run: what the run found, and what was accepted for checks that it did not run."""
    judged = {check.id for check in report.checks if check.outcome is not Outcome.SKIPPED}
    kept = (each for each in baseline.known if each.check not in judged)
    return Baseline(baseline.name, frozenset([*kept, *map(_known, report.open_findings)]))


def _known(finding: FindingEntry) -> Known:
    return Known(
        check=finding.check,
        revision=finding.revision or "",
        object=finding.object or "",
        subject=finding.subject,
        message=finding.message,
        fingerprint=finding.fingerprint,
    )


def render_baseline(known: Iterable[Known]) -> str:
    """The file's text: one finding per line, sorted, so that a change to it is easy to review."""
    lines = ",\n".join(f"    {json.dumps(asdict(each), ensure_ascii=False)}" for each in sorted(known))
    return f'{{\n  "format": "{FORMAT}",\n  "findings": [\n{lines}\n  ]\n}}\n'
