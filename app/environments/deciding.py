"""May this version be deployed? A pure function from evidence to an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.environments.drift import Where, drift_sentence, unknown_sentence
from app.environments.models import DecisionAnswer, Waiver
from app.environments.schemas import (
    Difference,
    PendingRevision,
    Policy,
    Reason,
    SnapshotRead,
    Version,
    WeighedFinding,
    Weight,
)
from app.environments.versions import KnownVersion
from app.gate.report.verdict import OF_SIZE, Verdict
from app.revisions.models import Proof
from app.revisions.schemas import ProofRead
from app.revisions.service import Content

VERIFY = "run `overproof verify --submit` with a trusted token"
SNAPSHOT = "run `overproof snapshot --submit` on its database"


@dataclass(frozen=True)
class Evidence:
    """All that a decision depends on, read in one transaction."""

    asked: Version
    environment: str
    policy: Policy
    version: KnownVersion | None
    history: Sequence[tuple[str, str | None, Sequence[str]]]  # of the version: ID, SHA-256, parents
    snapshot: SnapshotRead | None
    is_snapshot_fresh: bool  # newer than the newest deployment
    at: Sequence[str] | None  # the revisions of the database; None if not known
    deployed: Mapping[str, str | None]  # SHA-256 by revision, in the current deployments
    where: Where
    differences: Sequence[Difference] | None  # of a fresh snapshot from the proved schema; None if not known
    is_blank: bool  # the database has nothing yet
    proofs: Mapping[Content, Sequence[Proof]]
    findings: Mapping[str | None, Sequence[Mapping[str, Any]]]  # of the version's run, by revision
    waivers: Mapping[str, Waiver]  # by fingerprint
    sizes: Mapping[str, Any] = field(default_factory=dict)  # {"public.orders": {"rows": 12}}


@dataclass
class Judgement:
    reasons: list[Reason] = field(default_factory=list)
    pending: list[PendingRevision] = field(default_factory=list)

    @property
    def answer(self) -> DecisionAnswer:
        answers = {reason.answer for reason in self.reasons}
        return next(
            (each for each in (DecisionAnswer.DENY, DecisionAnswer.UNKNOWN) if each in answers), DecisionAnswer.ALLOW
        )


def judge(evidence: Evidence) -> Judgement:
    judgement = Judgement()
    judgement.reasons += _reasons_of_version(evidence)
    judgement.reasons += _reasons_of_database(evidence)
    if evidence.version is not None and evidence.at is not None:
        judgement.reasons += _reasons_of_history(evidence)
        judgement.reasons += _denied(evidence, None, _weigh(evidence, evidence.findings.get(None, ())))
        if not _missing_revisions(evidence):  # else it is not known what would be applied
            _judge_pending(evidence, judgement)
    return judgement


def deny(code: str, sentence: str, clears: str, **about: str | None) -> Reason:
    return Reason(code=code, answer=DecisionAnswer.DENY, sentence=sentence, clears=clears, **about)


def unknown(code: str, sentence: str, clears: str, **about: str | None) -> Reason:
    return Reason(code=code, answer=DecisionAnswer.UNKNOWN, sentence=sentence, clears=clears, **about)


def _reasons_of_version(evidence: Evidence) -> Iterator[Reason]:
    asked, version = evidence.asked, evidence.version
    what = f"the commit {asked.commit}" if asked.commit else f"the heads {', '.join(asked.heads or [])}"
    if version is None:
        yield unknown("version-unknown", f"No report has {what}.", f"On it, {VERIFY}.")
    elif version.verdict is Verdict.ERROR:
        yield unknown("run-error", f"The newest run of {what} could verify nothing.", f"On it, {VERIFY} again.")
    elif not version.trusted and evidence.policy.trust == "trusted":
        yield unknown(
            "version-untrusted",
            f"Only reports of tokens that are not trusted have {what}.",
            f"On the protected branch, {VERIFY}.",
        )


def _reasons_of_database(evidence: Evidence) -> Iterator[Reason]:
    name, policy = evidence.environment, evidence.policy
    if evidence.at is None:
        yield unknown(
            "database-unknown",
            f"It is not known which revision the database of {name} is at.",
            f"{SNAPSHOT[0].upper()}{SNAPSHOT[1:]}, or run `overproof deployed`.",
        )
    if policy.snapshot == "required" and evidence.snapshot is None:
        yield unknown("snapshot-missing", f"There is no snapshot of {name}.", f"{SNAPSHOT[0].upper()}{SNAPSHOT[1:]}.")
    elif policy.snapshot == "required" and not evidence.is_snapshot_fresh:
        yield unknown(
            "snapshot-outdated",
            f"{name} was deployed to since its newest snapshot was taken.",
            f"{SNAPSHOT[0].upper()}{SNAPSHOT[1:]}.",
        )
    if policy.drift == "deny":
        yield from _reasons_of_drift(", ".join(evidence.where.revisions), evidence.differences)


def _reasons_of_drift(at: str, differences: Sequence[Difference] | None) -> Iterator[Reason]:
    if differences is None:
        yield unknown(
            "drift-unknown",
            unknown_sentence(at),
            f"On a commit whose head is {at}, {VERIFY}.",
        )
    elif differences:
        yield deny(
            "drift",
            drift_sentence(at, differences),
            "Undo what was changed by hand, or add it as a revision and stamp that; then send another snapshot.",
        )


def _reasons_of_history(evidence: Evidence) -> Iterator[Reason]:
    contents = {revision: sha256 for revision, sha256, _ in evidence.history}
    for revision in _missing_revisions(evidence):
        yield deny(
            "revision-missing",
            f"The database of {evidence.environment} is at {revision}, which this version does not have: "
            "its upgrade would fail.",
            f"Deploy a version that has {revision}.",
            revision=revision,
        )
    for revision, sha256 in evidence.deployed.items():
        if revision in contents and None not in (sha256, contents[revision]) and contents[revision] != sha256:
            yield deny(
                "revision-edited",
                f"The script of {revision} is not the one that was deployed: the database has the other one.",
                "Restore the script, and put the change into a new revision.",
                revision=revision,
            )


def _missing_revisions(evidence: Evidence) -> list[str]:
    """Those that the database is at, and the version does not have."""
    known = {revision for revision, _, _ in evidence.history}
    return [revision for revision in evidence.at or () if revision not in known]


def _judge_pending(evidence: Evidence, judgement: Judgement) -> None:
    """Follow the proofs from the deployed schema on: each must be of the schema that the one before it left."""
    schemas = _schemas_before(evidence)
    if schemas is None and not evidence.is_blank and pending_revisions(evidence.history, evidence.at or ()):
        judgement.reasons.append(
            unknown(
                "schema-unknown",
                f"The schema of {evidence.environment} is not known: there is no snapshot, and no proof of what is deployed.",
                f"{SNAPSHOT[0].upper()}{SNAPSHOT[1:]}.",
            )
        )
    for revision, sha256 in pending_revisions(evidence.history, evidence.at or ()):
        proofs = [each for each in evidence.proofs.get((revision, sha256 or ""), ()) if each.judged]
        trusted = [each for each in proofs if each.trusted or evidence.policy.trust == "any"]
        fitting = [each for each in trusted if schemas is None or each.schema_before in schemas]
        proof = next(iter(fitting or trusted), None)
        if not fitting:
            judgement.reasons.append(_reason_of_missing_proof(revision, proofs, trusted))
        found = proof.findings if proof else evidence.findings.get(revision, ())
        weighed = _weigh(evidence, found)
        judgement.reasons += _denied(evidence, revision, weighed)
        judgement.pending.append(
            PendingRevision(
                revision=revision,
                sha256=sha256,
                proof=None if proof is None else ProofRead.model_validate(proof),
                findings=weighed,
            )
        )
        schemas = frozenset(each.schema_after for each in fitting or trusted) or None


def _schemas_before(evidence: Evidence) -> frozenset[str] | None:
    """The digests of the schema on which the first pending revision would be applied. Drift has its own reason."""
    if evidence.where.proved:
        return evidence.where.proved
    if evidence.is_blank:  # whatever the server has there, the first revision does not expect it
        return None
    if evidence.snapshot is not None and evidence.is_snapshot_fresh:
        return frozenset({evidence.snapshot.digest})
    return None


def _reason_of_missing_proof(revision: str, proofs: Sequence[Proof], trusted: Sequence[Proof]) -> Reason:
    if trusted:
        return unknown(
            "proof-of-other-schema",
            f"{revision} was proved, but not on the schema that it would be applied to.",
            f"On a commit that follows what is deployed, {VERIFY}.",
            revision=revision,
        )
    if proofs:
        return unknown(
            "proof-untrusted",
            f"{revision} was proved only by tokens that are not trusted.",
            f"On the protected branch, {VERIFY}.",
            revision=revision,
        )
    return unknown(
        "proof-missing",
        f"{revision} was not proved with the script that this version has.",
        f"{VERIFY[0].upper()}{VERIFY[1:]}, with a base that does not have {revision}.",
        revision=revision,
    )


def pending_revisions(
    history: Sequence[tuple[str, str | None, Sequence[str]]], at: Sequence[str]
) -> list[tuple[str, str | None]]:
    """Those that are not at or below these revisions, parents before children."""
    parents = {revision: below for revision, _, below in history}
    applied: set[str] = set()
    waiting = list(at)
    while waiting:
        revision = waiting.pop()
        if revision not in applied:
            applied.add(revision)
            waiting += parents.get(revision, ())
    return [(revision, sha256) for revision, sha256, _ in history if revision not in applied]


def _weigh(evidence: Evidence, findings: Sequence[Mapping[str, Any]]) -> list[WeighedFinding]:
    weighed = []
    for finding in findings:
        rows = _rows_of(evidence, finding["object"])
        weight, why = _weight_of(evidence, finding, rows)
        weighed.append(WeighedFinding(**finding, weight=weight, why=why, rows=rows))
    return weighed


def _weight_of(evidence: Evidence, finding: Mapping[str, Any], rows: int | None) -> tuple[Weight, str | None]:
    policy = evidence.policy
    if finding["allowed"] is not None:
        return Weight.ACCEPTED, finding["allowed"]
    if not {finding["severity"], finding["check"]} & set(policy.deny):
        return Weight.NOTED, None
    if (waiver := evidence.waivers.get(finding["fingerprint"])) is not None:
        return Weight.WAIVED, waiver.reason
    if finding["check"] in OF_SIZE and rows is not None and rows < policy.small_table_rows:
        return Weight.SMALL, None
    return Weight.DENIES, None


def _rows_of(evidence: Evidence, name: str | None) -> int | None:
    """Of the table, or of the table of that object: "public.orders.note"."""
    parts = (name or "").split(".")
    for length in range(len(parts), 0, -1):
        size = evidence.sizes.get(".".join(parts[:length]))
        if size is not None:
            rows: int | None = size.get("rows")
            return rows
    return None


def _denied(evidence: Evidence, revision: str | None, weighed: Sequence[WeighedFinding]) -> Iterator[Reason]:
    for finding in weighed:
        if finding.weight is Weight.DENIES:
            size = f" The table has about {finding.rows:,} rows in {evidence.environment}." if finding.rows else ""
            yield deny(
                "finding-denied",
                f"{finding.check}: {finding.message}{size}",
                "Fix it, or accept it with a waiver of its fingerprint.",
                revision=revision,
                fingerprint=finding.fingerprint,
            )
