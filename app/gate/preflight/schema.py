"""Whether the schema of a live database is the one that was proved for its revisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.gate.preflight.look import Look
from app.gate.preflight.plan import Plan
from app.gate.recording.model import Change, Snapshot
from app.gate.recording.serialization import digest
from app.gate.report.drift import is_of_server
from app.gate.snapshot.describe import describe_all
from app.gate.snapshot.difference import difference

# What those who run a database set on what a migration has made: no upgrade depends on it.
_OF_OPERATORS = frozenset(
    {
        *("privileges", "owner", "comment", "options", "toast_options", "statistics", "tablespace", "index_tablespace"),
        *("clustered", "storage", "compression", "replica_identity", "index_options"),
    }
)


@dataclass(frozen=True)
class Drift:
    """What differs. Where that is not known, why, and what would clear it."""

    differences: Sequence[Change] = ()
    of_operators: Sequence[str] = ()  # what is no reason not to go, in words
    why_unknown: str | None = None
    clears: str | None = None

    @property
    def lines(self) -> list[str]:
        return describe_all(self.differences)

    @property
    def state(self) -> str:
        return "unknown" if self.why_unknown is not None else "drifted" if self.differences else "none"


def find_drift(look: Look, plan: Plan) -> Drift:
    if not plan.is_known:
        return Drift(why_unknown="it is not known which revisions are pending")
    if look.schema is None:
        return Drift(why_unknown=f"the schema could not be read: {look.why_no_schema}", clears="Try again later.")
    digests = plan.expected_digests()
    if digest(look.schema) in digests:
        return Drift()
    expected = plan.expected()
    if expected is None or (digests and digest(expected) not in digests):
        return Drift(
            why_unknown="the report does not have the schema of these revisions",
            clears="Run overproof verify with --base and the commit that is deployed, or with --base none.",
        )
    return _compared(look, plan, expected, look.schema)


def _compared(look: Look, plan: Plan, expected: Snapshot, found: Snapshot) -> Drift:
    changes = [
        each
        for each in difference(expected, found)
        if not is_of_server(each.key.kind, each.key.name, each.before, each.after)
    ]
    by_operators = [each for each in changes if _is_of_operators(each)]
    differences = [each for each in changes if not _is_of_operators(each)]
    majors = {str(version).partition(".")[0] for version in (look.server.version, plan.report.postgres)}
    texts_only = all(each.before is not None and each.after is not None for each in differences)
    if differences and texts_only and len(majors) > 1:
        return Drift(
            of_operators=describe_all(by_operators),
            why_unknown=f"the report is of PostgreSQL {plan.report.postgres}, and the database runs {look.server.version}, which"
            f" prints definitions in another way ({describe_all(differences)[0]})",
            clears="Run overproof verify on the version of the database: OVERPROOF_PG_BINDIR, or --database-url.",
        )
    return Drift(differences, describe_all(by_operators))


def _is_of_operators(change: Change) -> bool:
    if change.before is None or change.after is None:
        return False
    fields = change.before.keys() | change.after.keys()
    return {each for each in fields if change.before.get(each) != change.after.get(each)} <= _OF_OPERATORS
