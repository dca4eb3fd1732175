"""Statements that failed, and whose errors the script swallowed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from app.gate.checks.base import Finding
from app.gate.checks.support.failures import exists_already
from app.gate.checks.support.locks import upgrades
from app.gate.checks.support.naming import failure_reason
from app.gate.checks.support.refused import different, refusals
from app.gate.checks.support.subjects import cause, together
from app.gate.recording.model import Failure, Recording
from app.gate.report.verdict import Severity
from app.gate.wording import bulleted, counted, listed

_MANY = 3  # revisions: more of them are one finding


def swallowed_errors(recording: Recording) -> Iterator[Finding]:
    """One finding for each line of a script whose statement fails, and one for what a revision makes that is there."""
    there_already: dict[str, list[Failure]] = {}
    for revision, step, _ in upgrades(recording):
        by_line: dict[int | None, list[Failure]] = {}
        for failure in step.swallowed:
            if exists_already(failure):
                there_already.setdefault(revision.revision, []).append(failure)
            else:
                by_line.setdefault(failure.line, []).append(failure)
        for line, failures in by_line.items():
            yield _swallowed_finding(revision.revision, line, different(failures))
    if len(there_already) > _MANY:
        yield _found_in_many(there_already)
    else:
        for revision_id, failures in there_already.items():
            yield _found_there(revision_id, different(failures))


def _swallowed_finding(revision: str, line: int | None, failures: Sequence[Failure]) -> Finding:
    what = "a statement that failed" if len(failures) == 1 else f"{len(failures)} statements that failed"
    return Finding(
        f"{revision} continues after {what}, as if nothing were wrong: {failure_reason(failures[0])}.",
        _subject(failures),
        revision=revision,
        detail=refusals(failures),
        help=_SWALLOWED,
        line=line,
        severity=Severity.WARNING,
    )


def _found_there(revision: str, failures: Sequence[Failure]) -> Finding:
    more = f" (and {counted(len(failures) - 1, 'more statement')})" if len(failures) > 1 else ""
    return Finding(
        f"{revision} makes what is there already, and swallows the error: {failure_reason(failures[0])}{more}.",
        _subject(failures),
        revision=revision,
        detail=refusals(failures),
        help=_THERE_ALREADY,
        line=failures[0].line,
        severity=Severity.NOTICE,
    )


def _found_in_many(failures_by_revision: Mapping[str, Sequence[Failure]]) -> Finding:
    revisions = list(failures_by_revision)
    return Finding(
        f"{counted(len(revisions), 'revision')} make what is there already, and swallow the error: {listed(revisions)}.",
        "swallows exists-already",
        detail=bulleted(
            f"{revision}: {listed([failure_reason(each) for each in different(failures)])}"
            for revision, failures in failures_by_revision.items()
        ),
        help=_THERE_ALREADY,
        severity=Severity.NOTICE,
        is_of_all=True,
    )


def _subject(failures: Sequence[Failure]) -> str:
    return together(f"swallows {cause(each)} {_beginning(each)}" for each in failures)


def _beginning(failure: Failure) -> str:
    """`ALTER TABLE orders`, which tells one statement from another."""
    return " ".join((failure.sql or "").split()[:3])


_SWALLOWED = (
    "What failed is missing from the schema, and the revision counts as applied. If the error is expected, have PostgreSQL not raise it "
    "(IF EXISTS, IF NOT EXISTS, ON CONFLICT), or look first (sa.inspect(op.get_bind())); if not, let it end the upgrade."
)
_THERE_ALREADY = (
    "On an empty database an earlier revision has made it, often one that creates the tables of today's models: what this revision does "
    "to a database that lacks it was not tried. Create the tables in the first revision as they were then (op.create_table)."
)
