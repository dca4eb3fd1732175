"""A revision that is already merged has been changed.

Catches
    With `--base`: a revision of the base branch whose script now does something else, one that was removed, and a new
    one that is inserted below an older one.

Why it hurts
    Databases that have run the revision never run it again. An edit therefore reaches new databases only, so that
    production and the tests differ, and nothing reports it. A revision that is inserted below an older one is never run
    where the older one has been run. A removed revision leaves databases at a revision that Alembic cannot find any
    more.

How to fix
    Restore the script from the base branch, and make the change in a new revision::

        git checkout origin/main -- migrations/versions/2026_03_01_b2_note.py
        alembic revision -m "widen the note"

    Move an inserted revision to the top: set its `down_revision` to the head of the base branch.

Stays quiet when
    Only comments, docstrings or layout differ, or the file was renamed: databases are not affected. There is no
    `--base`.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.recording.model import Divergence, Recording
from app.gate.report.verdict import Severity


def examine(recording: Recording) -> Iterator[Finding]:
    if recording.base is None:
        raise CheckSkipped("there is no base to compare with; --base names one")
    if recording.graph.problems and not recording.graph.revisions:
        raise CheckSkipped("Alembic cannot read the history; see graph-integrity")
    base = recording.base
    inserted_below = {revision for revision, _ in base.inserted_below}
    children = {
        each.revision
        for each in recording.graph.revisions
        if inserted_below.intersection((*each.down_revisions, *each.depends_on))
    }
    for revision, path in base.inserted_below:
        yield Finding(
            f"{revision} is new and comes before revisions of {base.ref}: databases that have run those will never run it.",
            "slipped-in",
            revision=revision,
            help=f"Set its down_revision to the head of {base.ref}, and restore that of the revision after it.",
            path=path,
        )
    for revision, path in base.edited:
        if revision in children:
            continue  # it now follows the inserted one, which is the finding
        yield Finding(
            f"{revision} does something else than on {base.ref}: databases that have run it will not run it again.",
            "edited",
            revision=revision,
            help=_put_back(base, path, "make the change"),
            path=path,
        )
    for revision, path in base.removed:
        yield Finding(
            f"{revision} is on {base.ref} but not here: a database at that revision cannot be upgraded any more.",
            "removed",
            revision=revision,
            help=_put_back(base, path, "undo what it did"),
            path=path,
        )


def _put_back(base: Divergence, path: str, what: str) -> str:
    return f"Restore it, and {what} in a new revision:\n\n    git checkout {base.commit[:12]} -- {path}"


CHECK = Check(id="merged-history", severity=Severity.ERROR, examine=examine)
