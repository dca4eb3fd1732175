"""Decisions over HTTP: what allows, what denies, what is unknown, and when an answer is void."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlmodel import Session

from app.environments import decisions
from app.environments.models import Decision
from app.factory import create_app
from app.gate.server.database import Database
from app.settings import Settings
from tests import factories
from tests.environments.conftest import SHOP, Headers, Send
from tests.factories import finding, proof, report, revision, sha256, snapshot

A1, B2 = revision("a1"), revision("b2", "a1")
OLD, NEW = "a" * 40, "b" * 40
BLOCKS = finding(
    check="blocking-index", severity="warning", revision="b2", object="public.orders.ix", fingerprint="f00d"
)


class Pipeline:
    """Everybody who sends something, in one."""

    def __init__(self, send: Send, production: str, branch: Headers, stranger: Headers, deployer: Headers) -> None:
        self.send, self.production = send, production
        self.branch, self.stranger, self.deployer = branch, stranger, deployer

    def report(self, commit: str, *revisions: Any, trusted: bool = True, **parts: Any) -> Any:
        headers = self.branch if trusted else self.stranger
        return self.send("POST", f"{SHOP}/runs", headers, proof(*revisions, **parts), params={"head_sha": commit})

    def snapshot(self, at: str | None, **parts: Any) -> None:
        self.send("POST", f"{self.production}/snapshots", self.deployer, snapshot(at, **parts))

    def deploy(self, name: str, commit: str, **parts: Any) -> None:
        self.send("PUT", f"{self.production}/deployments/{name}", self.deployer, {"commit": commit, **parts})

    def decide(self, commit: str | None = NEW, **parts: Any) -> Any:
        version = {} if commit is None else {"commit": commit}
        return self.send("POST", f"{self.production}/decisions", self.deployer, {**version, **parts})

    def policy(self, owner: Headers, **policy: Any) -> None:
        self.send("PUT", self.production, owner, policy)


@pytest.fixture
def pipeline(send: Send, production: str, branch: Headers, stranger: Headers, deployer: Headers) -> Pipeline:
    return Pipeline(send, production, branch, stranger, deployer)


@pytest.fixture
def deployed(pipeline: Pipeline) -> Pipeline:
    """`a1` is deployed, and the newest snapshot is of that."""
    pipeline.report(OLD, A1, snapshot=[], digest=sha256("schema of a1"))
    pipeline.deploy("1", OLD)
    pipeline.snapshot("a1")
    return pipeline


BY_HAND = {"kind": "index", "schema": "public", "table": "orders", "name": "ix_hot", "definition": {}}
MONITORING = {"kind": "extension", "schema": "", "name": "pg_stat_statements", "definition": {}}


def codes(decision: Any) -> list[str]:
    assert all(reason["sentence"] and reason["clears"] for reason in decision["reasons"])
    return [reason["code"] for reason in decision["reasons"]]


def test_what_was_proved_from_the_deployed_schema_on_is_allowed(deployed: Pipeline) -> None:
    run = deployed.report(NEW, A1, B2, findings=[BLOCKS])

    decision = deployed.decide()

    assert (decision["answer"], decision["reasons"]) == ("allow", [])
    (pending,) = decision["pending"]
    assert (pending["revision"], pending["proof"]["run_id"]) == ("b2", run["id"])
    assert [(each["check"], each["weight"]) for each in pending["findings"]] == [("blocking-index", "noted")]
    assert decision["heads"] == ["b2"]
    assert decision["basis"]["snapshot"] == sha256("schema of a1")
    assert decision["basis"]["deployments"] == ["1 (live)"]


def test_where_nothing_is_pending_there_is_nothing_to_prove(deployed: Pipeline) -> None:
    decision = deployed.decide(OLD)

    assert (decision["answer"], decision["pending"]) == ("allow", [])


def test_a_version_may_be_named_by_its_heads(deployed: Pipeline) -> None:
    deployed.report(NEW, A1, B2)

    assert deployed.decide(None, heads=["b2"])["answer"] == "allow"
    assert codes(deployed.decide(None, heads=["c3"])) == ["version-unknown"]


def test_the_first_deployment_is_of_a_history_from_its_base_on(pipeline: Pipeline) -> None:
    pipeline.report(NEW, A1, B2)
    pipeline.snapshot(None)

    decision = pipeline.decide()

    assert (decision["answer"], [each["revision"] for each in decision["pending"]]) == ("allow", ["a1", "b2"])


def test_a_version_that_no_report_has_is_unknown(deployed: Pipeline) -> None:
    decision = deployed.decide()

    assert (decision["answer"], codes(decision)) == ("unknown", ["version-unknown"])


def test_a_forged_report_proves_nothing(deployed: Pipeline) -> None:
    deployed.report(NEW, A1, B2, trusted=False)

    decision = deployed.decide()

    assert decision["answer"] == "unknown"
    assert codes(decision) == ["version-untrusted", "proof-untrusted"]
    assert decision["pending"][0]["proof"] is None


def test_a_policy_may_count_the_reports_of_all_tokens(deployed: Pipeline, owner: Headers) -> None:
    deployed.report(NEW, A1, B2, trusted=False)
    deployed.policy(owner, trust="any")

    assert deployed.decide()["answer"] == "allow"


def test_a_forged_report_does_not_replace_a_trusted_one(deployed: Pipeline) -> None:
    deployed.report(NEW, A1, B2, findings=[finding(revision="b2")])
    deployed.report(NEW, A1, B2, trusted=False)

    assert codes(deployed.decide()) == ["finding-denied"]


def test_what_was_never_judged_is_unknown(deployed: Pipeline) -> None:
    deployed.report(NEW, A1, revision("b2", "a1", new=False))

    decision = deployed.decide()

    assert (decision["answer"], codes(decision)) == ("unknown", ["proof-missing"])


def test_an_edited_script_has_no_proof(deployed: Pipeline) -> None:
    deployed.report("c" * 40, A1, B2)
    deployed.report(NEW, A1, revision("b2", "a1", script="edited", new=False))

    assert codes(deployed.decide()) == ["proof-missing"]


def test_a_rebase_that_changes_nothing_keeps_its_proof(deployed: Pipeline) -> None:
    """The build of the merged commit did not judge the revision, which its base had already."""
    deployed.report("c" * 40, A1, B2)
    deployed.report(NEW, A1, revision("b2", "a1", new=False))

    assert deployed.decide()["answer"] == "allow"


def test_a_proof_on_another_schema_is_none_on_this_one(deployed: Pipeline) -> None:
    deployed.report(NEW, A1, revision("b2", "a1", schema_digest_before=sha256("another")))

    assert codes(deployed.decide()) == ["proof-of-other-schema"]


def test_each_proof_begins_where_the_one_before_it_ends(deployed: Pipeline) -> None:
    deployed.report(NEW, A1, B2, revision("c3", "b2", schema_digest_before=sha256("another")), revision("d4", "c3"))

    decision = deployed.decide()

    assert [(reason["code"], reason["revision"]) for reason in decision["reasons"]] == [("proof-of-other-schema", "c3")]


def test_a_run_that_verified_nothing_is_unknown(deployed: Pipeline) -> None:
    content = report(verdict="error", reason="no server", graph={"heads": ["b2"], "revisions": [A1, B2]})
    deployed.send("POST", f"{SHOP}/runs", deployed.branch, content, params={"head_sha": NEW})

    decision = deployed.decide()

    assert decision["answer"] == "unknown"
    assert "run-error" in codes(decision)


def test_an_error_denies_until_it_is_waived(deployed: Pipeline, owner: Headers) -> None:
    deployed.report(NEW, A1, B2, findings=[finding(revision="b2", fingerprint="f00d", message="It loses rows.")])

    denied = deployed.decide()

    assert denied["answer"] == "deny"
    (reason,) = denied["reasons"]
    assert (reason["code"], reason["revision"], reason["fingerprint"]) == ("finding-denied", "b2", "f00d")
    assert "It loses rows." in reason["sentence"]
    assert "waiver" in reason["clears"]

    waiver = {"fingerprint": "f00d", "reason": "The rows are copies.", "ends_at": "2099-01-01T00:00:00Z"}
    waived = deployed.send("POST", f"{SHOP}/waivers", owner, waiver | {"environment": "production"})
    allowed = deployed.decide()

    assert allowed["answer"] == "allow"
    assert allowed["basis"]["waivers"] == [waived["id"]]
    (weighed,) = allowed["pending"][0]["findings"]
    assert (weighed["weight"], weighed["why"]) == ("waived", "The rows are copies.")

    deployed.send("DELETE", f"{SHOP}/waivers/{waived['id']}", owner)
    assert deployed.decide()["answer"] == "deny"
    read = deployed.send("GET", f"{deployed.production}/decisions/{allowed['id']}", deployed.deployer)
    assert (read["void"], read["void_because"], read["answer"]) == (True, ["waivers"], "allow")


@pytest.mark.parametrize(
    "waiver",
    [
        {"environment": "staging"},
        {"ends_at": "2020-01-01T00:00:00Z"},
        {"fingerprint": "another"},
    ],
)
def test_a_waiver_holds_for_its_finding_in_its_environment_until_its_end(
    deployed: Pipeline, owner: Headers, waiver: dict[str, Any]
) -> None:
    deployed.report(NEW, A1, B2, findings=[finding(revision="b2", fingerprint="f00d")])
    known = {"fingerprint": "f00d", "reason": "x", "ends_at": "2099-01-01T00:00:00Z"}
    deployed.send("POST", f"{SHOP}/waivers", owner, known | waiver)

    assert deployed.decide()["answer"] == "deny"


def test_what_was_accepted_in_the_script_denies_nothing(deployed: Pipeline) -> None:
    deployed.report(NEW, A1, B2, findings=[finding(revision="b2", allowed="on purpose")])

    decision = deployed.decide()

    assert decision["answer"] == "allow"
    assert decision["pending"][0]["findings"][0]["weight"] == "accepted"


@pytest.mark.parametrize(
    ("tables", "answer", "weight"),
    [
        ({"public.orders": {"rows": 40}}, "allow", "small table"),
        ({"public.orders": {"rows": 12_000_000}}, "deny", "denies"),
        ({"public.orders": {"rows": None}}, "deny", "denies"),
        ({"public.order": {"rows": 40}}, "deny", "denies"),
        ({}, "deny", "denies"),
    ],
)
def test_a_hazard_is_weighed_by_the_size_of_its_table(
    deployed: Pipeline, owner: Headers, tables: dict[str, Any], answer: str, weight: str
) -> None:
    deployed.policy(owner, deny=["error", "blocking-index"])
    deployed.report(NEW, A1, B2, findings=[BLOCKS])
    deployed.snapshot("a1", tables=tables)

    decision = deployed.decide()

    assert decision["answer"] == answer
    assert decision["pending"][0]["findings"][0]["weight"] == weight
    assert ("12,000,000 rows" in str(decision["reasons"])) is (tables.get("public.orders") == {"rows": 12_000_000})


def test_an_error_is_not_excused_by_a_small_table(deployed: Pipeline) -> None:
    deployed.report(NEW, A1, B2, findings=[finding(check="data-loss", revision="b2", object="public.orders")])
    deployed.snapshot("a1", tables={"public.orders": {"rows": 40}})

    assert deployed.decide()["answer"] == "deny"


def test_a_finding_about_the_whole_history_denies(deployed: Pipeline) -> None:
    deployed.report(NEW, A1, B2, findings=[finding(check="model-drift", message="The models have more.")])

    decision = deployed.decide()

    assert codes(decision) == ["finding-denied"]
    assert decision["reasons"][0]["revision"] is None


def test_a_finding_about_a_deployed_revision_is_history(deployed: Pipeline) -> None:
    deployed.report(NEW, A1, B2, findings=[finding(revision="a1")])

    assert deployed.decide()["answer"] == "allow"


def test_drift_denies_unless_the_policy_allows_it(deployed: Pipeline, owner: Headers) -> None:
    deployed.report(NEW, A1, B2)
    deployed.snapshot("a1", schema="by hand", objects=[BY_HAND])

    assert (deployed.decide()["answer"], codes(deployed.decide())) == ("deny", ["drift"])
    deployed.policy(owner, drift="allow")
    assert deployed.decide()["answer"] == "allow"


def test_what_belongs_to_the_server_does_not_stand_in_the_way(deployed: Pipeline) -> None:
    deployed.report(NEW, A1, B2)
    deployed.snapshot("a1", schema="with monitoring", objects=[MONITORING])

    assert deployed.decide()["answer"] == "allow"


def test_a_schema_whose_objects_are_not_known_is_no_known_drift(pipeline: Pipeline) -> None:
    pipeline.report(NEW, A1, B2)
    pipeline.snapshot("a1", schema="another")

    decision = pipeline.decide()

    assert (decision["answer"], codes(decision)) == ("unknown", ["drift-unknown"])


@pytest.mark.parametrize(("objects", "reasons"), [([MONITORING], []), ([BY_HAND], ["proof-of-other-schema"])])
def test_a_first_deployment_goes_to_a_database_that_has_only_what_belongs_to_the_server(
    pipeline: Pipeline, objects: list[Any], reasons: list[str]
) -> None:
    pipeline.report(NEW, A1, B2)
    pipeline.snapshot(None, schema="of another server", objects=objects)

    assert codes(pipeline.decide()) == reasons


def test_a_decision_needs_a_snapshot_that_is_newer_than_the_deployment(pipeline: Pipeline, owner: Headers) -> None:
    pipeline.report(OLD, A1)
    pipeline.report(NEW, A1, B2)
    pipeline.deploy("1", OLD)

    assert codes(pipeline.decide()) == ["snapshot-missing"]
    pipeline.snapshot("a1")
    assert pipeline.decide()["answer"] == "allow"
    pipeline.deploy("2", NEW)
    assert codes(pipeline.decide(NEW)) == ["snapshot-outdated"]
    pipeline.policy(owner, snapshot="optional")
    assert pipeline.decide(NEW)["answer"] == "allow"


def test_an_environment_of_which_nothing_is_known(pipeline: Pipeline, owner: Headers) -> None:
    pipeline.report(NEW, A1, B2)

    assert codes(pipeline.decide()) == ["database-unknown", "snapshot-missing"]
    pipeline.policy(owner, snapshot="optional")
    assert codes(pipeline.decide()) == ["database-unknown"]


def test_a_project_that_was_never_proved_begins_at_the_schema_of_its_snapshot(
    pipeline: Pipeline, owner: Headers
) -> None:
    """What is deployed has no proof, as in a project that adopts the gate. The snapshot names its schema."""
    base = revision("a1", schema_digest=None, schema_digest_before=None)
    pipeline.report(NEW, base, B2)
    pipeline.policy(owner, snapshot="optional")
    pipeline.deploy("1", NEW, status="ended")
    pipeline.report(OLD, base)
    pipeline.deploy("2", OLD)

    assert codes(pipeline.decide()) == ["schema-unknown"]
    pipeline.snapshot("a1")
    assert pipeline.decide()["answer"] == "allow"
    pipeline.snapshot("a1", schema="another")
    assert codes(pipeline.decide()) == ["proof-of-other-schema"]


def test_a_version_without_a_revision_that_the_database_has_is_denied(deployed: Pipeline) -> None:
    deployed.report(NEW, A1, B2)
    deployed.snapshot("b2")

    decision = deployed.decide(OLD)

    assert (decision["answer"], codes(decision)) == ("deny", ["revision-missing"])


def test_a_deployed_script_that_was_edited_is_denied(deployed: Pipeline) -> None:
    deployed.report(NEW, revision("a1", script="edited"), B2)

    decision = deployed.decide()

    assert codes(decision) == ["revision-edited"]
    assert decision["answer"] == "deny"


@pytest.mark.parametrize("part", ["snapshot", "deployments", "policy", "waivers"])
def test_a_decision_is_void_when_what_it_rests_on_has_changed(deployed: Pipeline, owner: Headers, part: str) -> None:
    deployed.report(NEW, A1, B2)
    decision = deployed.decide()
    deployed.snapshot("a1")  # the same schema
    path = f"{deployed.production}/decisions/{decision['id']}"
    assert deployed.send("GET", path, deployed.deployer) == decision

    match part:
        case "snapshot":
            deployed.snapshot("a1", schema="another")
        case "deployments":
            deployed.deploy("2", NEW, status="rolling")
        case "policy":
            deployed.policy(owner, deny=[])
        case _:
            waiver = {"fingerprint": "f00d", "reason": "x", "ends_at": "2099-01-01T00:00:00Z"}
            deployed.send("POST", f"{SHOP}/waivers", owner, waiver)

    read = deployed.send("GET", path, deployed.deployer)
    assert (read["void"], read["void_because"]) == (True, [part])
    assert read | {"void": False, "void_because": []} == decision
    (listed,) = deployed.send("GET", f"{deployed.production}/decisions", deployed.deployer)["items"]
    assert listed == {name: value for name, value in read.items() if name != "pending"}


def test_a_dry_run_is_answered_and_not_stored(deployed: Pipeline, session: Session) -> None:
    decision = deployed.decide(OLD, dry_run=True)

    assert (decision["answer"], decision["id"]) == ("allow", None)
    assert session.scalar(sa.select(sa.func.count()).select_from(Decision)) == 0


def test_waivers_are_listed_and_audited(send: Send, owner: Headers) -> None:
    waiver = {"fingerprint": "f00d", "reason": " It is known. ", "ends_at": "2099-01-01T00:00:00Z"}
    first = send("POST", f"{SHOP}/waivers", owner, waiver)
    second = send("POST", f"{SHOP}/waivers", owner, waiver)
    for _ in range(2):
        send("DELETE", f"{SHOP}/waivers/{first['id']}", owner)

    newest, oldest = send("GET", f"{SHOP}/waivers", owner)["items"]

    assert (newest, oldest["id"]) == (second, first["id"])
    assert oldest["revoked_at"] is not None
    assert (first["reason"], first["created_by"]) == ("It is known.", "a token")
    actions = [each["action"] for each in send("GET", f"{SHOP}/audit", owner)["items"]]
    assert actions == ["waiver.revoke", "waiver.create", "waiver.create"]


SNAPSHOT_OF_ANOTHER = """
    INSERT INTO environment_snapshot
        (project_id, environment, id, digest, revisions, postgres, tables, objects, taken_at)
    SELECT project_id, name, gen_random_uuid(), '0', '{a1}', '18', '{}', '[]', now() FROM environment
"""


def test_the_evidence_and_the_answer_are_of_one_moment(
    migrated_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot that arrives while a decision is made is not half of what it rests on."""
    url = sa.make_url(migrated_database.url("psycopg2"))
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with Session(engine) as session, session.begin():
        factories.store_in(session)
        factories.ApiTokenFactory(secret="ovp_all", project=factories.ProjectFactory(slug="shop"))
        factories.store_in(None)
    read_basis = decisions.read_basis

    def read_and_change(*arguments: Any) -> Any:
        basis = read_basis(*arguments)
        with engine.begin() as other:
            other.execute(sa.text(SNAPSHOT_OF_ANOTHER))
            other.execute(sa.text("UPDATE api_token SET last_used_at = now()"))
        return basis

    monkeypatch.setattr(decisions, "read_basis", read_and_change)
    with TestClient(create_app(Settings(database_url=url)), headers={"Authorization": "Bearer ovp_all"}) as client:
        client.put(f"{SHOP}/environments/production", json={})
        decision = client.post(f"{SHOP}/environments/production/decisions", json={"commit": OLD}).json()

    assert decision["basis"]["snapshot"] is None
    assert codes(decision) == ["version-unknown", "database-unknown", "snapshot-missing"]
