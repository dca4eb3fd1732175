"""A history that Alembic cannot read, or reads otherwise than it was meant.

Catches
    A revision that follows one which no script defines, two scripts with the same revision id, revisions that follow each
    other in a circle, and a script that cannot be imported.

Why it hurts
    Alembic stops before it has looked at the database, for whatever command. A duplicate is worse: Alembic warns,
    takes one of the two scripts, and the other is never run.

How to fix
    A missing parent is most often a revision that was renamed, or left behind on another branch: bring its file
    back, or point at the revision that comes before ::

        down_revision = "a1b2c3"  # a revision that is there

    Of two scripts with one id, give the newer another one (twelve hexadecimal digits of your own do) and point
    whatever follows it at the new id ::

        revision = "5f2e9c81d7a4"

Stays quiet when
    The scripts can be read. Several heads are for single-head to judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.gate.checks.base import Check, Finding
from app.gate.recording.model import GraphProblemKind, Recording
from app.gate.report.verdict import Severity
from app.gate.wording import first_line

_HELP = {
    GraphProblemKind.MISSING_PARENT: "Bring the missing script back (was it renamed, or left on another branch?), or set down_revision to a "
    "revision that is there.",
    GraphProblemKind.DUPLICATE: "Give the newer of the two scripts another id, and point the down_revision of whatever follows it at that id.",
    GraphProblemKind.CYCLE: "Each revision must lead down to one without a parent. Set the down_revision of the oldest of these to the revision "
    "that truly came before it, or to None.",
    GraphProblemKind.UNREADABLE: "Alembic imports every script before it does anything. A script must import nothing that is not installed "
    "wherever it runs, and no application code that can change or go away.",
}


# Alembic's words, with which nobody finds the script: "Revision a1 referenced from a1 -> b2 (head), note is not present".
_MISSING = re.compile(r"Revision (?P<parent>\S+) referenced from .* is not present", re.DOTALL)


def examine(recording: Recording) -> Iterator[Finding]:
    for problem in recording.graph.problems:
        missing = _MISSING.search(problem.message) if problem.revision else None
        yield Finding(
            f"{problem.revision} follows {missing['parent']}, which no script defines."
            if missing
            else f"{first_line(problem.message)}.",
            f"{problem.kind} {missing['parent']}" if missing else problem.kind,
            revision=problem.revision,
            object=problem.revision or problem.path,
            detail=problem.message if "\n" in problem.message.strip() else None,
            help=_HELP.get(problem.kind),
            path=problem.path,
            line=problem.line,
        )


CHECK = Check(id="graph-integrity", severity=Severity.ERROR, examine=examine)
