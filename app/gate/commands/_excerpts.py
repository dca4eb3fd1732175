"""The lines of the scripts that findings are about, as they are on disk."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from app.gate.judging.redaction import redact

if TYPE_CHECKING:
    from app.gate.report.model import Excerpt, FindingEntry, Report

BEFORE, AFTER = 1, 2  # lines
COLUMNS = 200


def with_excerpts(report: Report, root: Path) -> Report:
    """The report, in which each finding with a place has the lines around it. `root`: what paths are relative to."""
    findings = [each.model_copy(update={"excerpt": _excerpt(each, root)}) for each in report.findings]
    return report.model_copy(update={"findings": findings})


def _excerpt(finding: FindingEntry, root: Path) -> Excerpt | None:
    from app.gate.report.model import Excerpt

    if finding.path is None or finding.line is None:
        return None
    lines = _lines_of(root / finding.path)
    if finding.line > len(lines):
        return None
    first = max(1, finding.line - BEFORE)
    shown = list(lines[first - 1 : finding.line + AFTER])
    while shown and not shown[-1].strip():
        shown.pop()
    while len(shown) > 1 and not shown[0].strip():
        first += 1
        del shown[0]
    return Excerpt(first_line=first, lines=[redact(line[:COLUMNS]) for line in shown])


@lru_cache(maxsize=64)
def _lines_of(path: Path) -> tuple[str, ...]:
    with suppress(OSError):
        return tuple(path.read_text("utf-8", "replace").splitlines())
    return ()
