"""A revision that was merged already has been changed.

Catches
    With `--base`: a revision of the base branch whose script does other things now, one that is gone, and a new one that comes
    before an older one.

Why it hurts
    Databases that have run the revision never run it again. What was edited in it reaches new databases only, so that production
    and the tests are no longer the same, and nothing says so. A revision that slips in below an older one is never run where
    the older one was. One that is gone leaves databases at a revision that Alembic cannot find any more.

How to fix
    Put the script back as it is on the base branch, and say what is to be different in a revision of its own::

        git checkout origin/main -- migrations/versions/2026_03_01_b2_note.py
        alembic revision -m "widen the note"

    A new revision that slipped in belongs on top: set its `down_revision` to the head of the base branch.

Stays quiet when
    Only comments, docstrings or layout differ, or the file was renamed: databases do not see that. And without `--base`.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.recording.model import Divergence, Recording
from app.gate.report.verdict import Severity


def examine(recording: Recording) -> Iterator[Finding]:
    if recording.base is None:
        raise CheckSkipped("there is no base to compare with; --base names one")
    base = recording.base
    inserted_below = {revision for revision, _ in base.inserted_below}
    children = {
        each.revision
        for each in recording.graph.revisions
        if inserted_below.intersection((*each.down_revisions, *each.depends_on))
    }
    for revision, path in base.inserted_below:
        yield Finding(
            f"{revision} is new and comes before revisions of {base.ref}: databases that have those will never run it.",
            "slipped-in",
            revision=revision,
            help=f"Set its down_revision to the head of {base.ref}, and that of the revision after it back to what it was there.",
            path=path,
        )
    for revision, path in base.edited:
        if revision in children:
            continue  # it was pointed at the one that slipped in, which is the finding
        yield Finding(
            f"{revision} does other things than on {base.ref}: databases that have run it will not run it again.",
            "edited",
            revision=revision,
            help=_put_back(base, path, "what is to be different"),
            path=path,
        )
    for revision, path in base.removed:
        yield Finding(
            f"{revision} is on {base.ref} and gone here: a database that is at it cannot be upgraded any more.",
            "removed",
            revision=revision,
            help=_put_back(base, path, "what it did and should not have"),
            path=path,
        )


def _put_back(base: Divergence, path: str, what: str) -> str:
    return f"Put it back, and say {what} in a new revision:\n\n    git checkout {base.commit[:12]} -- {path}"


CHECK = Check(id="merged-history", severity=Severity.ERROR, examine=examine)
