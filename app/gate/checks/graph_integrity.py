"""A history that Alembic cannot read, or reads in a way that was not intended.

Catches
    A revision that follows one which no script defines, two scripts with the same revision id, revisions that form a
    cycle, a branch label that is in use already, and a script that cannot be imported.

Why it hurts
    Alembic stops before it connects to the database, whatever the command. A duplicate is worse: Alembic warns, uses
    one of the two scripts, and never runs the other.

How to fix
    A missing parent is usually a revision that was renamed, or left on another branch: restore its file, or name an
    existing revision::

        down_revision = "a1b2c3"  # a revision that exists

    If two scripts have the same id, give the newer one another id (any twelve hexadecimal digits) and set the
    down_revision of the scripts that follow it to the new id::

        revision = "5f2e9c81d7a4"

Stays quiet when
    The scripts can be read. single-head reports several heads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.gate.checks.base import Check, Finding
from app.gate.recording.model import GraphProblem, GraphProblemKind, Recording
from app.gate.report.verdict import Severity
from app.gate.wording import first_line

_HELP = {
    GraphProblemKind.MISSING_PARENT: "Restore the missing script (was it renamed, or left on another branch?), or name an "
    "existing revision instead.",
    GraphProblemKind.DUPLICATE: "Give the newer of the two scripts another id, and set the down_revision of the scripts that follow it to that id.",
    GraphProblemKind.CYCLE: "Every revision must descend from one without a parent. Set the down_revision of the oldest of these to the revision "
    "that came before it, or to None.",
    GraphProblemKind.LABEL_IN_USE: "Branch labels and revision ids are names of one kind, each of which stands for one revision: give the branch "
    "another label.",
    GraphProblemKind.UNREADABLE: "Alembic imports every script before it does anything else. A script must import only what is installed "
    "wherever it runs, and no application code that can change or be removed.",
}


# Alembic's words, which do not lead to the script: "Revision a1 referenced from a1 -> b2 (head), note is not present".
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
            help=_help(problem),
            path=problem.path,
            line=problem.line,
        )


def _help(problem: GraphProblem) -> str | None:
    if problem.kind is GraphProblemKind.UNREADABLE and not problem.message.startswith(_CANNOT_IMPORT):
        return "Alembic imports every script before it does anything else, so every command stops here. Correct the script."
    return _HELP.get(problem.kind)


_CANNOT_IMPORT = ("ImportError", "ModuleNotFoundError")


CHECK = Check(id="graph-integrity", severity=Severity.ERROR, examine=examine)
