"""The answer of a preflight for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from app.gate.preflight.judge import (
    Answer,
    Evidence,
    Reason,
    answer_of,
    notes_of,
    work_of,
)
from app.gate.preflight.plan import Plan
from app.gate.recording.names import shorten
from app.gate.reporters.escaping import one_line
from app.gate.wording import counted, listed, readable_bytes, readable_number

_HEADLINES = {
    Answer.GO: "GO: nothing on {database} is in the way of the upgrade.",
    Answer.NO: "NO: the upgrade should not be run on {database}.",
    Answer.UNKNOWN: "UNKNOWN: it cannot be said whether the upgrade may be run on {database}.",
}
_MOST_DIFFERENCES = 20


def lines_of(evidence: Evidence, reasons: Sequence[Reason]) -> Iterator[str]:
    look, plan = evidence.look, evidence.plan
    yield _HEADLINES[answer_of(reasons)].format(database=one_line(look.server.database))
    for reason in reasons:
        yield ""
        yield f"  {reason.answer} {reason.code}: {one_line(reason.sentence)}"
        yield f"    To clear it: {one_line(reason.clears)}"
    differences = evidence.drift.lines if plan.is_known else []
    if len(differences) > 1:
        yield ""
        yield "Drift:"
        for line in differences[:_MOST_DIFFERENCES]:
            yield f"  {one_line(line)}"
        if len(differences) > _MOST_DIFFERENCES:
            yield f"  … and {counted(len(differences) - _MOST_DIFFERENCES, 'more difference')}"
    yield ""
    yield f"PostgreSQL {look.server.version}{', a standby' if look.server.is_standby else ''}, at {_place(plan)}"
    yield from _pending(evidence)
    for note in notes_of(evidence):
        yield f"Note: {one_line(note)}"


def _place(plan: Plan) -> str:
    if plan.at:
        return f"revision {listed([one_line(each) for each in plan.at])}"
    return "no revision" if plan.is_known else "a revision that is not known"


def _pending(evidence: Evidence) -> Iterator[str]:
    pending = evidence.plan.pending
    if not pending:
        yield "Which revisions are pending is not known." if not evidence.plan.is_known else "No revision is pending."
        return
    yield f"{counted(len(pending), 'revision')} {'is' if len(pending) == 1 else 'are'} pending:"
    for revision in pending:
        yield f"  {one_line(f'{revision.revision} {revision.message}')}"
        for work in work_of(evidence, revision.revision):
            yield f"    {one_line(_work(work))}"
        for answer in evidence.answers:
            if answer.finding.revision == revision.revision:
                yield f"    assumption {answer.state}: {one_line(answer.sql or answer.finding.message)}"


def _work(work: dict[str, Any]) -> str:
    does = [word for word, is_so in (("rewrites", work["rewritten"]), ("scans", work["scanned"])) if is_so]
    strongest = [mode for mode in work["modes"] if mode in _STRONG]
    does += [f"locks ({listed(strongest)})"] if strongest else []
    return f"{listed(does)} {shorten(work['table'])}: {size_of(work)}"


_STRONG = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")


def size_of(work: dict[str, Any]) -> str:
    if not work["exists"]:
        return "not there yet"
    rows = "rows never counted" if work["rows"] is None else f"about {readable_number(work['rows'])} rows"
    return f"{rows}, {readable_bytes(work['bytes'])}"
