"""Reports that nobody's gate would write: each is refused with the place at fault, and none is a fault of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import Session, select

from app.runs.models import Run
from app.runs.posted import read_report, unstorable
from tests.factories import ProjectFactory, bearer, finding, report

Headers = dict[str, str]
RUNS = "/api/v1/projects/shop/runs"


@pytest.fixture
def pipeline(session: Session) -> Headers:
    return bearer(ProjectFactory(slug="shop"), "report")


UNUSABLE = {
    "nothing": (b"", "body"),
    "no JSON": (b"verdict: pass", "body"),
    "JSON that breaks off": (json.dumps(report()).encode()[:-1], "body"),
    "not text": (b"\xff\xfe\x00", "body"),
    "null": (b"null", "body"),
    "a list": (b"[]", "body"),
    "a text": (b'"overproof-report/1"', "body"),
    "brackets without end": (b"[" * 60_000, "body"),
    "a snapshot without end": (b'{"snapshot": ' + b'[{"a":' * 5_000, "body"),
    "half of a surrogate pair": (json.dumps(report(reason="\ud800")).encode(), "body"),
}


@pytest.mark.parametrize(("body", "where"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_body_that_is_no_report_is_refused(client: TestClient, pipeline: Headers, body: bytes, where: str) -> None:
    response = client.post(RUNS, content=body, headers=pipeline | {"content-type": "application/json"})

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"].endswith(":report-refused")
    assert response.json()["errors"][0]["where"] == where


UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "another format": ({"format": "overproof-report/2"}, "format"),
    "no verdict": ({"verdict": None}, "verdict"),
    "an unknown verdict": ({"verdict": "maybe"}, "verdict"),
    "a command that is no list": ({"target": {"command": "alembic"}}, "target.command"),
    "a time without a zone": ({"started_at": "2026-11-22T10:00:00"}, "started_at"),
    "a time before all others": ({"started_at": "0001-01-01T00:00:00+14:00"}, "started_at"),
    "a duration that is not a number": ({"duration_ms": "long"}, "duration_ms"),
    "a duration without end": ({"duration_ms": float("inf")}, "duration_ms"),
    "a duration that is no number at all": ({"duration_ms": float("nan")}, "duration_ms"),
    "a duration below zero": ({"duration_ms": -1}, "duration_ms"),
    "a check's duration below zero": (
        {"checks": [{"id": "upgrade", "outcome": "pass", "duration_ms": -0.5}]},
        "checks.0.duration_ms",
    ),
    "a commit that is a novel": ({"target": {"command": [], "commit": "a" * 65}}, "target.commit"),
    "a version that is a novel": ({"tool": {"name": "overproof", "version": "1" * 65}}, "tool.version"),
    "a check that is a novel": ({"checks": [{"id": "x" * 64, "outcome": "pass"}]}, "checks.0.id"),
    "a fingerprint that no index holds": (
        {"findings": [finding(), finding(fingerprint="f" * 9000)]},
        "findings.1.fingerprint",
    ),
    "line 0": ({"findings": [finding(line=0)]}, "findings.0.line"),
    "a line before the first": ({"findings": [finding(line=-3)]}, "findings.0.line"),
    "a line beyond an integer": ({"findings": [finding(line=2**31)]}, "findings.0.line"),
    "a line beyond everything": ({"findings": [finding(line=10**300)]}, "findings.0.line"),
    "a line that is a truth": ({"findings": [finding(line=True)]}, "findings.0.line"),
    "a duration that is a text": ({"duration_ms": "1.5"}, "duration_ms"),
    "a line that is no number": ({"findings": [finding(line="twelve")]}, "findings.0.line"),
    "a NUL in a message": ({"findings": [finding(message="a\0b")]}, "findings.0.message"),
    "a NUL in a head": ({"graph": {"heads": ["\0"]}}, "graph.heads.0"),
    "a NUL in the snapshot": ({"snapshot": [{"a": [{"b": "\0"}]}]}, "snapshot.0.a.0.b"),
    "a NUL in a name": ({"snapshot": [{"a\0": 1}]}, "snapshot.0 (a name)"),
    "an infinity in the snapshot": ({"snapshot": [{"a": float("-inf")}]}, "snapshot.0.a"),
    "a reason that is a novel": ({"reason": "x" * 100_001}, "reason"),
    "more heads than a history has": ({"graph": {"heads": ["a"] * 1_001}}, "graph.heads"),
    "more findings than anybody reads": ({"findings": [finding()] * 50_001}, "findings"),
}


@pytest.mark.parametrize(("parts", "where"), UNFIT.values(), ids=UNFIT)
def test_a_report_that_cannot_be_kept_is_refused_with_the_place_at_fault(
    client: TestClient, pipeline: Headers, session: Session, parts: dict[str, Any], where: str
) -> None:
    response = client.post(RUNS, content=json.dumps(report(**parts)), headers=pipeline)

    assert response.status_code == 422
    assert response.json()["type"].endswith(":report-refused")
    assert where in [error["where"] for error in response.json()["errors"]]
    assert session.exec(select(Run)).all() == []


def test_a_list_is_read_up_to_the_first_element_that_does_not_fit(client: TestClient, pipeline: Headers) -> None:
    response = client.post(RUNS, json=report(findings=[finding(), {}, {}, {}]), headers=pipeline)

    places = [error["where"] for error in response.json()["errors"]]
    assert places == [f"findings.1.{name}" for name in ("check", "severity", "message", "fingerprint")]


def test_a_limit_is_named_in_the_refusal(client: TestClient, pipeline: Headers) -> None:
    response = client.post(RUNS, json=report(graph={"heads": ["a"] * 1_001}), headers=pipeline)

    assert "1000" in response.json()["errors"][0]["message"]


def test_a_field_that_is_not_known_yet_is_kept_and_ignored(client: TestClient, pipeline: Headers) -> None:
    newer = report(judged={"base": "origin/main"}, findings=[finding(subject="ix_orders")])

    posted = client.post(RUNS, json=newer, headers=pipeline)
    kept = client.get(f"{posted.headers['location']}/report", headers=pipeline).json()

    assert posted.status_code == 201
    assert kept == newer


def test_a_backslash_before_u0000_is_no_nul(client: TestClient, pipeline: Headers) -> None:
    response = client.post(RUNS, json=report(findings=[finding(message=r"E'\u0000'")]), headers=pipeline)

    assert response.status_code == 201


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    field=st.sampled_from(
        ["verdict", "reason", "tool", "target", "postgres", "started_at", "graph", "checks", "snapshot"]
    ),
    value=values,
)
def test_whatever_a_field_holds_the_answer_is_a_run_or_a_refusal(
    client: TestClient, pipeline: Headers, field: str, value: Any
) -> None:
    response = client.post(RUNS, content=json.dumps(report(**{field: value})), headers=pipeline)

    assert response.status_code in (200, 201, 422)


def test_the_digest_does_not_depend_on_how_the_report_was_written() -> None:
    plain = read_report([json.dumps(report(reason="café")).encode()])
    indented = read_report([json.dumps(report(reason="café"), indent=4, ensure_ascii=False).encode()])

    assert plain.digest == indented.digest
    assert plain.digest != read_report([json.dumps(report()).encode()]).digest


def test_what_cannot_be_stored_is_found_however_deep_it_lies() -> None:
    assert list(unstorable({"a": [1, {"b": "\0"}], "c": float("nan")})) == [
        ("a.1.b", "must not contain a NUL character"),
        ("c", "must be a finite number"),
    ]
