"""Go, no or unknown: each reason against going, with what would clear it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.gate.preflight.assumptions import MOST_ROWS, AssumptionRun
from app.gate.preflight.look import Holder, Look, OlderTransaction
from app.gate.preflight.plan import Plan, Work
from app.gate.preflight.schema import Drift
from app.gate.recording.model import Key
from app.gate.recording.names import shorten
from app.gate.report.verdict import Verdict
from app.gate.snapshot.describe import named
from app.gate.wording import counted, duration, listed, readable_bytes


class Answer(StrEnum):
    """What the preflight says."""

    GO = "go"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Reason:
    """Why the answer is not `go`."""

    code: str  # stable, for programs
    answer: Answer  # what the answer is for this reason alone
    sentence: str
    clears: str  # what would clear it
    revision: str | None = None


@dataclass(frozen=True)
class Evidence:
    """All that the answer rests on."""

    look: Look
    plan: Plan
    drift: Drift
    answers: Sequence[AssumptionRun]
    holders: Sequence[Holder] | None  # in the way for longer than they may be; None: the role may not look
    migrator: str | None  # the role that runs the upgrade
    accepts_drift: bool = False
    longest_s: float = 0.0


def answer_of(reasons: Sequence[Reason]) -> Answer:
    answers = {each.answer for each in reasons}
    return next((each for each in (Answer.NO, Answer.UNKNOWN) if each in answers), Answer.GO)


def reasons_of(evidence: Evidence) -> list[Reason]:
    return [
        *_of_report(evidence.plan),
        *_of_revisions(evidence),
        *_of_drift(evidence),
        *_of_objects(evidence),
        *_of_assumptions(evidence),
        *_of_locks(evidence),
        *_of_owners(evidence),
    ]


def _no(code: str, sentence: str, clears: str, revision: str | None = None) -> Reason:
    return Reason(code, Answer.NO, sentence, clears, revision)


def _unknown(code: str, sentence: str, clears: str, revision: str | None = None) -> Reason:
    return Reason(code, Answer.UNKNOWN, sentence, clears, revision)


def _of_report(plan: Plan) -> Iterator[Reason]:
    report = plan.report
    if report.verdict is Verdict.ERROR:
        yield _unknown(
            "report-error",
            f"The report could verify nothing: {report.reason or 'it does not say why'}.",
            "Run overproof verify again.",
        )
    elif report.verdict is Verdict.FAIL:
        yield _no("report-failed", "The report failed.", "Fix what it found, and run overproof verify again.")


def _of_revisions(evidence: Evidence) -> Iterator[Reason]:
    look, plan = evidence.look, evidence.plan
    for table, revisions in look.revisions.items():
        if revisions is None and not plan.is_known:
            yield _unknown(
                "revision-unreadable",
                f"The role {look.server.role} may not read {shorten(table)}, so it is not known at which revision the"
                " database is.",
                f"GRANT SELECT ON {shorten(table)} TO {look.server.role}.",
            )
    for revision in plan.missing if plan.report.graph.revisions else ():
        yield _no(
            "revision-missing",
            f"The database is at {revision}, which the report does not have: the upgrade would fail.",
            f"Deploy a version that has {revision}.",
            revision,
        )
    if plan.untried and not plan.missing and plan.report.verdict is not Verdict.ERROR:
        names = listed([each.revision for each in plan.untried])
        yield _unknown(
            "revision-not-tried",
            f"{names} {'is' if len(plan.untried) == 1 else 'are'} pending, and the report did not try what that means for rows"
            " and locks.",
            "Run overproof verify with --base and the commit that is deployed, or with --base none.",
        )


def _of_drift(evidence: Evidence) -> Iterator[Reason]:
    drift, at = evidence.drift, listed(evidence.plan.at) or "an empty database"
    plan = evidence.plan
    if evidence.accepts_drift or plan.missing or plan.untried or not plan.is_known:
        return
    if drift.why_unknown is not None:
        yield _unknown(
            "drift-unknown",
            f"It is not known whether the schema is the one that was proved for {at}: {drift.why_unknown}.",
            drift.clears or "Try again.",
        )
    elif drift.differences:
        first = drift.lines[0]
        others = f", and {counted(len(drift.lines) - 1, 'more difference')}" if len(drift.lines) > 1 else ""
        yield _no(
            "drift",
            f"The schema is not the one that was proved for {at}: {first}{others}.",
            "Undo what was changed by hand, or make a revision of it; --accept-drift goes all the same.",
        )


def _of_objects(evidence: Evidence) -> Iterator[Reason]:
    objects = evidence.look.schema.objects if evidence.look.schema is not None else {}
    made: dict[Key, str] = {}
    for revision, key in evidence.plan.made():
        made.setdefault(key, revision)
    wholes = {(key.schema, key.name) for key in made if key in objects and not key.table}
    for key, revision in made.items():
        if key in objects and key.kind not in ("extension", "schema") and (key.schema, key.table) not in wholes:
            is_invalid = objects[key].get("valid") is False
            yield _no(
                "object-exists",
                f"{revision} makes {named(key)}, which is there already"
                + (" and INVALID: a CREATE INDEX CONCURRENTLY was interrupted." if is_invalid else "."),
                f"Drop {named(key)}, or stamp the revision that made it.",
                revision,
            )
    for name in evidence.look.unavailable:
        yield _no(
            "extension-unavailable",
            f"A pending revision creates the extension {name}, which the server does not have.",
            f"Install {name} on the server.",
        )


def _of_assumptions(evidence: Evidence) -> Iterator[Reason]:
    for answer in evidence.answers:
        finding = answer.finding
        where = shorten(finding.object or "") or "rows"
        if answer.rows is None:
            yield _unknown(
                "assumption-unknown",
                f"It is not known whether {finding.revision} fails over the rows of {where}: {answer.reason}.",
                _clears(answer),
                finding.revision,
            )
        elif answer.rows:
            yield _no(
                "assumption-broken",
                f"{finding.revision} would fail: {_rows(answer.rows)} of {where} {'breaks' if answer.rows == 1 else 'break'} what it"
                f" assumes. {finding.message}",
                f"Correct what this gives: {answer.sql}",
                finding.revision,
            )


def _clears(run: AssumptionRun) -> str:
    if run.is_later:
        return f"Upgrade to the revision before {run.finding.revision}, and run preflight again."
    if run.is_locked:
        return "Wait until that is over, and run preflight again."
    if run.sql is None:
        return f"Look at them by hand: {run.finding.message}"
    return "Run preflight as a role that may read them, or with a longer --timeout."


def _rows(number: int) -> str:
    return f"at least {MOST_ROWS} rows" if number >= MOST_ROWS else counted(number, "row")


def _of_locks(evidence: Evidence) -> Iterator[Reason]:
    if evidence.holders is None:
        yield _unknown(
            "locks-unknown",
            f"The role {evidence.look.server.role} may not see who holds locks.",
            f"GRANT pg_read_all_stats TO {evidence.look.server.role}, and SELECT on pg_locks and pg_stat_activity.",
        )
    for holder in evidence.holders or ():
        yield _no(
            "lock-held",
            f"{described(holder)} {'waits for' if holder.waits else 'holds'} {listed(holder.modes)} on {shorten(holder.table)},"
            f" {_since(holder, evidence.longest_s)}: the upgrade would wait for it, and all other queries behind the upgrade.",
            "Wait until that is over, or end it."
            if holder.pid is not None
            else f"Commit it or roll it back: ROLLBACK PREPARED '{holder.name}'.",
        )


def described(holder: Holder) -> str:
    if holder.pid is None:
        return f"The prepared transaction {holder.name} of {holder.user}"
    return _process(holder)


def _process(holder: Holder | OlderTransaction) -> str:
    parts = [
        f"Process {holder.pid}",
        f"of {holder.user}" if holder.user else "",
        f"({holder.application})" if holder.application else "",
    ]
    return " ".join(part for part in parts if part)


def _since(holder: Holder, longest_s: float) -> str:
    if holder.since is None or holder.age_s is None:
        return f"for more than {duration(longest_s)} (since when is not visible to this role)"
    state = f", {holder.state}" if holder.state else ""
    return f"in a transaction of {duration(holder.age_s)}, since {holder.since:%Y-%m-%d %H:%M:%S %Z}{state}"


def _of_owners(evidence: Evidence) -> Iterator[Reason]:
    changed = evidence.plan.changed()
    for (schema, table), owner in evidence.look.owners.items():
        revision = changed.get((schema, table))
        name = shorten(f"{schema}.{table}")
        yield _no(
            "owned-by-other",
            f"{revision} changes {name}, which belongs to {owner}: {evidence.migrator} may not.",
            f"ALTER TABLE {name} OWNER TO {evidence.migrator}, or GRANT {owner} TO {evidence.migrator}; if another role runs the"
            " upgrade, name it with --role.",
            revision,
        )


def notes_of(evidence: Evidence) -> list[str]:
    """What a reader should know, and what cannot be known."""
    look = evidence.look
    notes = [*_room(evidence), *(f"Not counted as drift: {line}." for line in evidence.drift.of_operators)]
    if look.server.is_standby:
        notes.append("This is a standby: the locks and the sessions of the primary are not visible here.")
    if not look.server.sees_sessions:
        notes.append(
            f"The role {look.server.role} is no member of pg_read_all_stats: since when other roles' sessions hold a lock is not"
            " visible to it."
        )
    concurrent = next(
        (each.revision for each in evidence.plan.tried if evidence.plan.is_concurrent(each.revision)), None
    )
    notes += [
        f"{_process(each)} has a transaction of {duration(each.age_s)}: what {concurrent} does CONCURRENTLY waits for it."
        for each in (look.older if concurrent is not None else ())
    ]
    notes += [
        f"The replication slot {slot.name} is not in use and keeps {readable_bytes(slot.kept_bytes)} of WAL: what the upgrade"
        " writes is kept too."
        for slot in look.slots
        if slot.kept_bytes is not None
    ]
    return notes


def _room(evidence: Evidence) -> Iterator[str]:
    sizes = evidence.look.sizes
    rewritten: dict[str, int] = {}
    for revision in evidence.plan.tried:
        for work in evidence.plan.work_of(revision.revision):
            if work.is_rewritten and work.table in sizes:
                rewritten[work.table] = sizes[work.table].bytes
    if sum(rewritten.values()) >= 2**30:
        names = listed([f"{shorten(name)} ({readable_bytes(size)})" for name, size in rewritten.items()])
        yield f"While it is rewritten a table takes its room twice, and as much WAL: {names}. Free disk space cannot be read by SQL."


def work_of(evidence: Evidence, revision: str) -> list[dict[str, Any]]:
    """Each table that the revision locks, rewrites or scans, with its size there."""
    return [_entry(work, evidence.look.sizes) for work in evidence.plan.work_of(revision)]


def _entry(work: Work, sizes: Mapping[str, Any]) -> dict[str, Any]:
    size = sizes.get(work.table)
    return {
        "table": work.table,
        "modes": sorted(work.modes),
        "rewritten": work.is_rewritten,
        "scanned": work.is_scanned,
        "exists": size is not None,
        "rows": size.rows if size else None,
        "bytes": size.bytes if size else None,
    }


def as_json(evidence: Evidence, reasons: Sequence[Reason]) -> dict[str, Any]:
    look, plan = evidence.look, evidence.plan
    return {
        "format": "overproof-preflight/1",
        "answer": answer_of(reasons),
        "database": look.server.database,
        "postgres": look.server.version,
        "role": look.server.role,
        "standby": look.server.is_standby,
        "taken_at": look.taken_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "revisions": dict(look.revisions),
        "reasons": [dataclasses.asdict(each) for each in reasons],
        "pending": None
        if not plan.is_known
        else [
            {
                "revision": each.revision,
                "message": each.message,
                "tried": each in plan.tried,
                "tables": work_of(evidence, each.revision),
                "assumptions": [_assumption(one) for one in evidence.answers if one.finding.revision == each.revision],
            }
            for each in plan.pending
        ],
        "drift": {
            "state": evidence.drift.state,
            "reason": evidence.drift.why_unknown,
            "differences": evidence.drift.lines,
            "of_operators": evidence.drift.of_operators,
        },
        "locks": [
            {**dataclasses.asdict(each), "since": each.since and each.since.isoformat()}
            for each in evidence.holders or ()
        ],
        "notes": notes_of(evidence),
    }


def _assumption(answer: AssumptionRun) -> dict[str, Any]:
    return {
        "state": answer.state,
        "rows": answer.rows,
        "sql": answer.sql,
        "reason": answer.reason,
        "finding": answer.finding.message,
        "fingerprint": answer.finding.fingerprint,
    }
