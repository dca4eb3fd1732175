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

    Move an inserted revision to the top: restore the script that follows it now, and type `overproof rebase`.

Stays quiet when
    Only comments, docstrings or layout differ, or the file was renamed: databases are not affected. There is no
    `--base`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.recording.model import Divergence, Recording
from app.gate.report.verdict import Severity
from app.gate.wording import indented


def examine(recording: Recording) -> Iterator[Finding]:
    if recording.base is None:
        raise CheckSkipped("there is no base to compare with; --base names one")
    if recording.graph.problems and not recording.graph.revisions:
        raise CheckSkipped("Alembic cannot read the history; see graph-integrity")
    base = recording.base
    children = {revision: _edited_children(recording, revision) for revision, _ in base.inserted_below}
    for revision, path in base.inserted_below:
        yield Finding(
            f"{revision} is new and comes before revisions of {base.ref}: databases that have run those will never run it.",
            "slipped-in",
            revision=revision,
            help=_move_to_the_top(base, revision, list(children[revision].values())),
            path=path,
        )
    moved = {child for each in children.values() for child in each}
    for revision, path in base.edited:
        if revision in moved:
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


def _edited_children(recording: Recording, revision: str) -> dict[str, str]:
    """The paths of the merged revisions that were edited to come after that one, by revision."""
    edited = dict(recording.base.edited) if recording.base is not None else {}
    followers = [each for each in recording.graph.revisions if revision in (*each.down_revisions, *each.depends_on)]
    return {each.revision: edited[each.revision] for each in followers if each.revision in edited}


def _move_to_the_top(base: Divergence, revision: str, edited: Sequence[str]) -> str:
    restore = f"git checkout {base.commit[:12]} -- {shlex.join(edited)}\n" if edited else ""
    return f"Put {revision} after the head of {base.ref}:\n\n" + indented(
        f"{restore}overproof rebase {shlex.quote(base.ref)}"
    )


def _put_back(base: Divergence, path: str, what: str) -> str:
    return f"Restore it, and {what} in a new revision:\n\n    git checkout {base.commit[:12]} -- {shlex.quote(path)}"


CHECK = Check(id="merged-history", severity=Severity.ERROR, examine=examine)
