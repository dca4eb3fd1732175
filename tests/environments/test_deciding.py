"""What a decision says, for each state of the evidence: a pure function."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from app.environments.deciding import Evidence, judge, pending_revisions
from app.environments.drift import Where
from app.environments.models import Waiver
from app.environments.schemas import Difference, Policy, SnapshotRead, Version
from app.environments.versions import KnownVersion
from app.gate.report.verdict import Verdict
from app.revisions.models import Proof

RUN = UUID(int=7)
NOW = datetime(2026, 12, 1, tzinfo=UTC)
COMMIT = "b" * 40
Script = tuple[str, str, list[str]]
A1: Script = ("a1", "1" * 64, [])
B2: Script = ("b2", "2" * 64, ["a1"])
C3: Script = ("c3", "3" * 64, ["b2"])
VERSION = KnownVersion(RUN, True, Verdict.PASS, "of the history", ["b2"])
SNAPSHOT = SnapshotRead(id=RUN, digest="schema of a1", revisions=["a1"], postgres="18", taken_at=NOW, received_at=NOW)

VERIFY = "run `overproof verify --submit` with a trusted token"
TAKE = "Run `overproof snapshot --submit` on its database"


def proof(revision: Script = B2, before: str = "schema of a1", **parts: Any) -> Proof:
    name, sha256, _ = revision
    values = {"trusted": True, "schema_after": f"schema of {name}", "judged": True, "passed": True, "findings": []}
    values |= {"revision": name, "sha256": sha256, "schema_before": before, "run_id": RUN, "proved_at": NOW}
    return Proof(**{**values, **parts})


def proofs(*of: Proof) -> dict[tuple[str, str], list[Proof]]:
    found: dict[tuple[str, str], list[Proof]] = {}
    for each in of:
        found.setdefault((each.revision, each.sha256), []).append(each)
    return found


def finding(**parts: Any) -> dict[str, Any]:
    values = {"check": "data-loss", "severity": "error", "object": "public.orders", "message": "It loses rows."}
    return {**values, "fingerprint": "f00d", "allowed": None, **parts}


def evidence(**parts: Any) -> Evidence:
    """`a1` is deployed, `b2` is proved and pending, and there is nothing against it."""
    values: dict[str, Any] = {
        "asked": Version(commit=COMMIT),
        "environment": "production",
        "policy": Policy(),
        "version": VERSION,
        "history": [A1, B2],
        "snapshot": SNAPSHOT,
        "is_snapshot_fresh": True,
        "at": ["a1"],
        "deployed": {"a1": A1[1]},
        "where": Where(["a1"], frozenset({"schema of a1"})),
        "differences": [],
        "is_blank": False,
        "proofs": proofs(proof()),
        "findings": {},
        "waivers": {},
    }
    return Evidence(**{**values, **parts})


def reasons(**parts: Any) -> list[dict[str, Any]]:
    return [reason.model_dump(mode="json", exclude_none=True) for reason in judge(evidence(**parts)).reasons]


def unknown(code: str, sentence: str, clears: str, **about: str) -> list[dict[str, Any]]:
    return [{"code": code, "answer": "unknown", "sentence": sentence, "clears": clears, **about}]


def deny(code: str, sentence: str, clears: str, **about: str) -> list[dict[str, Any]]:
    return [{"code": code, "answer": "deny", "sentence": sentence, "clears": clears, **about}]


def test_with_nothing_against_it_a_version_is_allowed() -> None:
    judgement = judge(evidence())

    assert (judgement.answer, judgement.reasons) == ("allow", [])
    (pending,) = judgement.pending
    assert (pending.revision, pending.sha256, pending.findings) == ("b2", B2[1], [])
    assert pending.proof is not None
    assert (pending.proof.run_id, pending.proof.schema_before) == (RUN, "schema of a1")


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        (Version(commit=COMMIT), f"the commit {COMMIT}"),
        (Version(heads=["b2", "x9"]), "the heads b2, x9"),
    ],
)
def test_what_is_said_of_a_version(asked: Version, what: str) -> None:
    assert reasons(asked=asked, version=None) == unknown(
        "version-unknown", f"No report has {what}.", f"On it, {VERIFY}."
    )
    assert reasons(asked=asked, version=VERSION._replace(verdict=Verdict.ERROR, trusted=False)) == unknown(
        "run-error", f"The newest run of {what} could verify nothing.", f"On it, {VERIFY} again."
    )
    assert reasons(asked=asked, version=VERSION._replace(trusted=False)) == unknown(
        "version-untrusted",
        f"Only reports of tokens that are not trusted have {what}.",
        f"On the protected branch, {VERIFY}.",
    )
    assert reasons(asked=asked, version=VERSION._replace(trusted=False), policy=Policy(trust="any")) == []


def test_of_a_version_that_is_not_known_nothing_else_is_said() -> None:
    judgement = judge(evidence(version=None, findings={None: [finding()]}, history=[]))

    assert [reason.code for reason in judgement.reasons] == ["version-unknown"]
    assert judgement.pending == []


MISSING = unknown("snapshot-missing", "There is no snapshot of production.", f"{TAKE}.")
OUTDATED = unknown("snapshot-outdated", "production was deployed to since its newest snapshot was taken.", f"{TAKE}.")
NOT_KNOWN = unknown(
    "database-unknown",
    "It is not known which revision the database of production is at.",
    f"{TAKE}, or run `overproof deployed`.",
)
OPTIONAL = Policy(snapshot="optional")


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param({"snapshot": None, "is_snapshot_fresh": False}, MISSING, id="no snapshot"),
        pytest.param({"is_snapshot_fresh": False}, OUTDATED, id="an old one"),
        pytest.param({"snapshot": None, "policy": OPTIONAL}, [], id="none is needed"),
        pytest.param({"is_snapshot_fresh": False, "policy": OPTIONAL}, [], id="an old one is enough"),
        pytest.param({"at": None}, NOT_KNOWN, id="its revision could not be read"),
        pytest.param({"at": None, "snapshot": None}, NOT_KNOWN + MISSING, id="nothing is known"),
    ],
)
def test_what_is_said_of_the_database(parts: dict[str, Any], expected: list[dict[str, Any]]) -> None:
    assert reasons(**parts) == expected


INDEX = Difference(kind="index", object="public.orders.ix", change="unexpected", proved=None, found={})


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([], []),
        (
            None,
            unknown(
                "drift-unknown",
                "The digest of the schema is not the one that was proved for a1, x9, and the objects of that one are not "
                "known.",
                f"On a commit whose head is a1, x9, {VERIFY}.",
            ),
        ),
        (
            [INDEX],
            deny(
                "drift",
                "The schema is not the one that was proved for a1, x9: index public.orders.ix is unexpected.",
                "Undo what was changed by hand, or add it as a revision and stamp that; then send another snapshot.",
            ),
        ),
        (
            [INDEX, INDEX, INDEX],
            deny(
                "drift",
                "The schema is not the one that was proved for a1, x9: index public.orders.ix is unexpected, and 2 more.",
                "Undo what was changed by hand, or add it as a revision and stamp that; then send another snapshot.",
            ),
        ),
    ],
    ids=["none", "not known", "one", "several"],
)
def test_what_is_said_of_drift(differences: list[Difference] | None, expected: list[dict[str, Any]]) -> None:
    where = Where(["a1", "x9"], frozenset({"schema of a1"}))

    assert reasons(differences=differences, where=where) == expected
    assert reasons(differences=differences, where=where, policy=Policy(drift="allow")) == []


def test_a_revision_of_the_database_that_the_version_does_not_have() -> None:
    judgement = judge(evidence(at=["a1", "x9"]))

    assert [reason.model_dump(mode="json", exclude_none=True) for reason in judgement.reasons] == deny(
        "revision-missing",
        "The database of production is at x9, which this version does not have: its upgrade would fail.",
        "Deploy a version that has x9.",
        revision="x9",
    )
    assert judgement.pending == []


@pytest.mark.parametrize(
    ("deployed", "is_edited"),
    [
        ({"a1": "9" * 64}, True),
        ({"a1": A1[1]}, False),
        ({"a1": None}, False),
        ({"x9": "9" * 64}, False),
        ({"x9": "9" * 64, "a1": "9" * 64}, True),
        ({}, False),
    ],
)
def test_a_script_that_was_edited_after_its_deployment(deployed: dict[str, str | None], is_edited: bool) -> None:
    expected = deny(
        "revision-edited",
        "The script of a1 is not the one that was deployed: the database has the other one.",
        "Restore the script, and put the change into a new revision.",
        revision="a1",
    )

    assert reasons(deployed=deployed) == (expected if is_edited else [])
    assert reasons(deployed=deployed, history=[("a1", None, []), B2]) == []


OTHER_SCHEMA = unknown(
    "proof-of-other-schema",
    "b2 was proved, but not on the schema that it would be applied to.",
    f"On a commit that follows what is deployed, {VERIFY}.",
    revision="b2",
)
UNTRUSTED = unknown(
    "proof-untrusted",
    "b2 was proved only by tokens that are not trusted.",
    f"On the protected branch, {VERIFY}.",
    revision="b2",
)
NO_PROOF = unknown(
    "proof-missing",
    "b2 was not proved with the script that this version has.",
    "Run `overproof verify --submit` with a trusted token, with a base that does not have b2.",
    revision="b2",
)
NO_SCHEMA = unknown(
    "schema-unknown",
    "The schema of production is not known: there is no snapshot, and no proof of what is deployed.",
    f"{TAKE}.",
)
NOTHING_PROVED = {"where": Where(["a1"], frozenset())}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param({"proofs": {}}, NO_PROOF, id="no proof"),
        pytest.param({"proofs": proofs(proof(judged=False))}, NO_PROOF, id="only applied"),
        pytest.param({"proofs": proofs(proof(trusted=False))}, UNTRUSTED, id="a forged one"),
        pytest.param({"proofs": proofs(proof(trusted=False)), "policy": Policy(trust="any")}, [], id="any counts"),
        pytest.param({"proofs": proofs(proof(before="another"))}, OTHER_SCHEMA, id="on another schema"),
        pytest.param({"proofs": proofs(proof(before="another"), proof())}, [], id="and on this one"),
        pytest.param({"history": [A1, ("b2", None, ["a1"])]}, NO_PROOF, id="a script that could not be read"),
        pytest.param(NOTHING_PROVED, [], id="the schema is that of the snapshot"),
        pytest.param({**NOTHING_PROVED, "proofs": proofs(proof(before="x"))}, OTHER_SCHEMA, id="which is another"),
        pytest.param({**NOTHING_PROVED, "snapshot": None, "policy": OPTIONAL}, NO_SCHEMA, id="no schema"),
        pytest.param({**NOTHING_PROVED, "is_snapshot_fresh": False, "policy": OPTIONAL}, NO_SCHEMA, id="an old schema"),
        pytest.param(
            {**NOTHING_PROVED, "snapshot": None, "policy": OPTIONAL, "history": [A1]}, [], id="nothing is pending"
        ),
        pytest.param(
            {"where": Where([], frozenset()), "at": [], "deployed": {}, "is_blank": True, "history": [B2]},
            [],
            id="a blank database",
        ),
    ],
)
def test_what_is_said_of_a_proof(parts: dict[str, Any], expected: list[dict[str, Any]]) -> None:
    assert reasons(**parts) == expected


def test_each_proof_is_of_the_schema_that_the_one_before_it_left() -> None:
    after_b2 = proof(C3, "schema of b2")

    def pending(*of: Proof) -> list[str | None]:
        judgement = judge(evidence(history=[A1, B2, C3], proofs=proofs(*of)))
        assert [each.revision for each in judgement.pending] == ["b2", "c3"]
        return [reason.revision for reason in judgement.reasons]

    assert pending(proof(), after_b2) == []
    assert pending(proof(), proof(C3, "another")) == ["c3"]
    assert pending(proof(before="another"), after_b2) == ["b2"]  # it is told once, where it begins
    assert pending(proof(before="another"), proof(C3, "another")) == ["b2", "c3"]
    assert pending(proof(), proof(before="another", schema_after="x"), proof(C3, "x")) == ["c3"]
    assert pending(after_b2) == ["b2"]  # after one without a proof, any schema will do


def test_what_the_proof_found_is_weighed_and_without_one_what_the_run_found() -> None:
    own = {"b2": [finding(message="In the run.")]}
    of_proof = proof(findings=[finding(message="In the proof.")])

    proved, not_proved = (judge(evidence(findings=own, proofs=each)) for each in (proofs(of_proof), {}))

    assert [each.message for each in proved.pending[0].findings] == ["In the proof."]
    assert [each.message for each in not_proved.pending[0].findings] == ["In the run."]
    assert proved.reasons[0].model_dump(mode="json") == {
        "code": "finding-denied",
        "answer": "deny",
        "sentence": "data-loss: In the proof.",
        "clears": "Fix it, or accept it with a waiver of its fingerprint.",
        "revision": "b2",
        "fingerprint": "f00d",
    }
    assert not_proved.answer == "deny"  # it outweighs what is not known


def test_a_finding_about_the_whole_history_is_of_no_revision() -> None:
    (reason,) = reasons(findings={None: [finding()]})

    assert (reason["code"], reason.get("revision")) == ("finding-denied", None)


HAZARD = finding(check="blocking-index", severity="warning", object="public.orders.ix")
WAIVERS = {"f00d": cast("Waiver", SimpleNamespace(reason="The rows are copies."))}
SMALL_ONES = Policy(deny=["error", "blocking-index", "warning"])


@pytest.mark.parametrize(
    ("found", "parts", "weight", "why", "rows"),
    [
        pytest.param(finding(), {}, "denies", None, None, id="an error"),
        pytest.param(finding(severity="warning"), {}, "noted", None, None, id="no error"),
        pytest.param(
            finding(severity="warning"), {"policy": Policy(deny=["data-loss"])}, "denies", None, None, id="by check"
        ),
        pytest.param(finding(allowed="Once."), {"waivers": WAIVERS}, "accepted", "Once.", None, id="accepted"),
        pytest.param(finding(), {"waivers": WAIVERS}, "waived", "The rows are copies.", None, id="waived"),
        pytest.param(finding(fingerprint="other"), {"waivers": WAIVERS}, "denies", None, None, id="another waiver"),
        pytest.param(HAZARD, {"sizes": {"public.orders": {"rows": 9_999}}}, "small table", None, 9_999, id="small"),
        pytest.param(HAZARD, {"sizes": {"public.orders": {"rows": 10_000}}}, "denies", None, 10_000, id="not small"),
        pytest.param(HAZARD, {"sizes": {"public.orders": {"rows": 0}}}, "small table", None, 0, id="empty"),
        pytest.param(HAZARD, {"sizes": {"public.orders": {"bytes": 1}}}, "denies", None, None, id="never counted"),
        pytest.param(HAZARD, {"sizes": {"public": {"rows": 5}}}, "small table", None, 5, id="by its first part"),
        pytest.param(
            HAZARD,
            {"sizes": {"public.orders.ix": {"rows": 7}, "public.orders": {"rows": 5}}},
            "small table",
            None,
            7,
            id="by its whole name",
        ),
        pytest.param(
            {**HAZARD, "object": None}, {"sizes": {"public": {"rows": 5}}}, "denies", None, None, id="of none"
        ),
        pytest.param(finding(), {"sizes": {"public.orders": {"rows": 5}}}, "denies", None, 5, id="not of size"),
    ],
)
def test_what_a_finding_weighs(
    found: dict[str, Any], parts: dict[str, Any], weight: str, why: str | None, rows: int | None
) -> None:
    policy = {} if found.get("check") != "blocking-index" else {"policy": SMALL_ONES}

    judgement = judge(evidence(proofs=proofs(proof(findings=[found])), **{**policy, **parts}))

    (weighed,) = judgement.pending[0].findings
    assert (weighed.weight, weighed.why, weighed.rows) == (weight, why, rows)
    assert [reason.code for reason in judgement.reasons] == (["finding-denied"] if weight == "denies" else [])
    about_size = [reason.sentence.endswith(" rows in production.") for reason in judgement.reasons]
    assert about_size == ([bool(rows)] if weight == "denies" else [])


def test_the_size_of_a_table_is_told_where_it_denies() -> None:
    of_orders = {"public.orders": {"rows": 12_000_000}}

    (reason,) = reasons(findings={None: [HAZARD]}, policy=SMALL_ONES, sizes=of_orders)

    assert reason["sentence"] == ("blocking-index: It loses rows. The table has about 12,000,000 rows in production.")


def test_pending_is_what_is_not_at_or_below_the_revisions_of_the_database() -> None:
    merge = ("d4", None, ["b2", "x9"])
    history = [A1, B2, ("x9", "9" * 64, ["a1"]), merge]

    assert [name for name, _ in pending_revisions(history, [])] == ["a1", "b2", "x9", "d4"]
    assert pending_revisions(history, ["b2"]) == [("x9", "9" * 64), ("d4", None)]
    assert pending_revisions(history, ["d4"]) == []
    assert [name for name, _ in pending_revisions(history, ["not-in-it"])] == ["a1", "b2", "x9", "d4"]
