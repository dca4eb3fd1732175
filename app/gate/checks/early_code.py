"""Code of this branch fails on the schema before it.

Catches
    With a base, whether the branch's own models work on the schema that its revisions meet. The statements that an ORM
    sends for them (see `breaking-change`) are tried on it, over rows. One that PostgreSQL accepts on the new schema and
    refuses on the old one is in the list, with the class and PostgreSQL's words.

Why it hurts
    Where code is started before the database is upgraded, as with an upgrade in a job of its own, or after a
    deployment, it runs on the schema before the branch. It selects the column that is not there yet, and fails until
    the upgrade is over.

How to fix
    Upgrade the database before the code is started, which is usual; or add the column in one release, and use it in the
    next one.

Stays quiet when
    No statement of the branch's models is refused on the schema before it. The check is off unless it is selected, or
    has a severity in the settings, since nearly each branch that adds a column needs the upgrade first::

        [overproof]
        severity =
            early-code = warning
"""

from __future__ import annotations

from collections.abc import Iterator

from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.checks.breaks.proof import shown
from app.gate.recording.model import Evidence, Recording
from app.gate.recording.names import shorten
from app.gate.report.verdict import Severity
from app.gate.wording import bulleted, listed

_LONGEST_LIST = 40


def examine(recording: Recording) -> Iterator[Finding]:
    if recording.running is None or recording.running.too_early is None:
        raise CheckSkipped(recording.not_observed.get("running", "there is no base, or the branch has no models"))
    refused = recording.running.too_early
    if not refused:
        return
    models = list(dict.fromkeys(each.model or shorten(each.table) for each in refused))
    yield Finding(
        f"Code of this branch fails on the schema before it, for {listed(models)}: {refused[0].failure.message}.",
        "code of the branch on the schema before it",
        revision=next(trip.revision for trip in recording.trips if trip.up is not None and trip.up.failure is None),
        detail=bulleted((f"{each.failure.message}: {shown(each)}" for each in refused), _LONGEST_LIST),
        help="Upgrade the database before this code is started, or add what it needs in a release of its own before it.",
    )


_NEEDS = frozenset({Evidence.RUNNING, Evidence.TOO_EARLY})
CHECK = Check(id="early-code", severity=Severity.NOTICE, examine=examine, needs=_NEEDS)
