"""What the service makes of a posted report before it stores anything: without a database."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import Any

import pytest

from app.environments.errors import SnapshotRefused
from app.environments.snapshots import _revisions_in, read_snapshot
from app.gate.report.verdict import Verdict
from app.runs import posted
from app.runs.bounds import MOST_LEVELS, MOST_VALUES, require_bounded
from app.runs.errors import ReportRefused
from app.runs.posted import ReadReport, canonical_json, read_json, read_report, unstorable
from tests.factories import finding, report, revision, sha256, snapshot


def read(**parts: Any) -> ReadReport:
    return read_report([json.dumps(report(**parts)).encode()])


def check(outcome: str, name: str = "round-trip") -> dict[str, Any]:
    return {"id": name, "outcome": outcome}


OPEN, WARNING = finding(), finding(severity="warning")
ACCEPTED = finding(allowed="on purpose")


@pytest.mark.parametrize(
    ("verdict", "findings", "derived"),
    [
        ("pass", [], "pass"),
        ("pass", [WARNING], "pass"),
        ("pass", [OPEN], "fail"),
        ("pass", [WARNING, OPEN], "fail"),
        ("pass", [ACCEPTED], "pass"),
        ("fail", [WARNING], "fail"),
        ("fail", [OPEN], "fail"),
        ("error", [], "error"),
        ("error", [OPEN], "error"),
    ],
)
def test_the_verdict_is_that_of_the_findings(verdict: str, findings: list[Any], derived: str) -> None:
    assert read(verdict=verdict, findings=findings).view.derived_verdict() == Verdict(derived)


@pytest.mark.parametrize(
    ("parts", "errors"),
    [
        ({"verdict": "fail"}, [("verdict", "is fail, and there is no open finding")]),
        ({"verdict": "fail", "findings": [ACCEPTED]}, [("verdict", "is fail, and there is no open finding")]),
        (
            {"findings": [WARNING], "checks": [check("fail", "upgrade"), check("pass"), check("skipped")]},
            [
                ("checks.0.outcome", "is fail, and upgrade has no open finding"),
                ("checks.1.outcome", "is pass, and round-trip has an open finding"),
                ("checks.2.outcome", "is skipped, and round-trip has an open finding"),
            ],
        ),
        (
            {"findings": [ACCEPTED], "checks": [check("fail"), check("warn"), check("notice")]},
            [
                (f"checks.{number}.outcome", f"is {outcome}, and round-trip has no open finding")
                for number, outcome in enumerate(("fail", "warn", "notice"))
            ],
        ),
        ({"findings": [WARNING], "checks": [check("fail"), check("warn"), check("notice")]}, []),
        ({"checks": [check("pass"), check("skipped")]}, []),
    ],
)
def test_a_report_that_contradicts_itself_is_refused(parts: dict[str, Any], errors: list[tuple[str, str]]) -> None:
    view = read(**parts).view

    if not errors:
        view.derived_verdict()
        return
    with pytest.raises(ReportRefused) as refused:
        view.derived_verdict()
    assert refused.value.errors == errors


def test_no_more_errors_are_told_than_anybody_reads() -> None:
    many = [check("fail") for _ in range(100)]
    nul = [finding(message="\0") for _ in range(100)]

    with pytest.raises(ReportRefused) as of_checks:
        read(checks=many).view.derived_verdict()
    with pytest.raises(ReportRefused) as of_texts:
        read(findings=nul)
    with pytest.raises(ReportRefused) as of_types:
        read(**dict.fromkeys(("tool", "target", "graph", "findings", "steps", "verdict"), 7))

    assert len(of_checks.value.errors) == len(of_texts.value.errors) == posted.MOST_ERRORS
    assert len(of_types.value.errors) == 6


def test_what_a_report_says_of_its_history() -> None:
    graph = {"heads": ["b2"], "revisions": [revision("a1", new=False), revision("b2", "a1", branch_labels=["x"])]}
    found = [finding(revision="b2", message=str(number)) for number in range(2)]

    history = read(graph=graph, findings=[*found, finding()], checks=[check("fail", "upgrade")]).view.reported_history()

    assert history.heads == ["b2"]
    a1, b2 = history.scripts
    assert (a1.revision, a1.sha256, a1.down_revisions, a1.depends_on) == ("a1", sha256("a1"), [], [])
    assert (a1.message, a1.path, a1.is_new, a1.starts_branch) == ("", None, False, False)
    assert (b2.is_new, b2.starts_branch, b2.down_revisions) == (True, True, ["a1"])
    assert (b2.schema_before, b2.schema_after) == (sha256("schema of a1"), sha256("schema of b2"))
    assert {name: [each["message"] for each in of] for name, of in history.findings.items()} == {"b2": ["0", "1"]}


@pytest.mark.parametrize(
    ("checks", "was_applied"),
    [
        ([], False),
        ([check("skipped", "upgrade")], False),
        ([check("pass", "round-trip")], False),
        ([check("skipped", "round-trip"), check("pass", "upgrade")], True),
        ([check("fail", "upgrade")], True),
    ],
)
def test_without_an_upgrade_nothing_was_applied(checks: list[Any], was_applied: bool) -> None:
    assert read(checks=checks).view.reported_history().was_applied is was_applied


def test_a_report_is_kept_as_it_was_posted_and_known_by_its_content() -> None:
    text = json.dumps(report(snapshot=[{"a": 1}], reason="ü"), indent=2).encode()
    pieces = [text[:10], text[10:]]

    kept = read_report(pieces)

    assert pieces == []  # its memory is free
    assert gzip.decompress(kept.content) == text
    assert kept.content == read_report([text]).content  # whenever it is compressed
    assert kept.digest == hashlib.sha256(canonical_json(json.loads(text)).encode()).digest()
    assert kept.read_snapshot() == [{"a": 1}]
    assert read().read_snapshot() is None


def test_what_is_stored_has_its_names_sorted_and_no_spaces() -> None:
    assert canonical_json({"b": [1, None], "a": "ü"}) == '{"a":"\\u00fc","b":[1,null]}'
    assert canonical_json("\\u0000") == '"\\\\u0000"'


@pytest.mark.parametrize(
    ("content", "errors"),
    [
        ({"a": float("nan")}, [("a", "must be a finite number")]),
        ({"a": [1.5, "\0"]}, [("a.1", "must not contain a NUL character")]),
        ({"a": {"\0": 1}}, [("a (a name)", "must not contain a NUL character")]),
        ({"\0": 1}, [("(a name)", "must not contain a NUL character")]),
        (["\0"], [("0", "must not contain a NUL character")]),
    ],
)
def test_what_postgresql_cannot_store_is_refused_with_its_place(content: Any, errors: list[tuple[str, str]]) -> None:
    assert list(unstorable(content)) == errors
    with pytest.raises(ReportRefused) as refused:
        canonical_json(content)
    assert refused.value.errors == errors


def test_what_is_no_json_says_why() -> None:
    with pytest.raises(ReportRefused) as refused:
        read_json([b'{"a": ', b"x}"])

    ((where, why),) = refused.value.errors
    assert where == "body"
    assert why.startswith("is not JSON: expected value")
    pieces = [b"[1", b"]"]
    assert read_json(pieces) == [1]
    assert pieces == []


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (b"[" * (MOST_LEVELS + 1), [("body", "is nested more than 32 levels deep, or is incomplete")]),
        (b"[" + b"," * MOST_VALUES, [("body", "has more than 1500000 values")]),
    ],
    ids=["deep", "large"],
)
def test_a_body_beyond_all_bounds_is_told_which(body: bytes, errors: list[tuple[str, str]]) -> None:
    with pytest.raises(ReportRefused) as refused:
        require_bounded(body)

    assert refused.value.errors == errors


# Snapshots


def test_a_snapshot_is_read_with_its_objects_as_text() -> None:
    pieces = [json.dumps(snapshot("a1", objects=[{"b": 1, "a": 2}], tables={"public.t": {"rows": 7}})).encode()]
    entry = {"kind": "table", "schema": "public", "name": "orders", "definition": {"b": 1, "a": 2}}
    content = read_snapshot([json.dumps(snapshot("a1", objects=[entry])).encode()])

    assert content.objects == '[{"definition":{"a":2,"b":1},"kind":"table","name":"orders","schema":"public"}]'
    with pytest.raises(SnapshotRefused):
        read_snapshot(pieces)
    assert pieces == []


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"{", ["body"]),
        (b"7", ["body"]),
        (json.dumps(snapshot("a1", digest="x")).encode(), ["digest"]),
        (json.dumps(snapshot("a1", tables={"t": {"rows": -1}})).encode(), ["tables.t.rows"]),
        (json.dumps({}).encode(), ["format", "postgres", "taken_at", "revisions", "digest", "objects"]),
        (
            json.dumps(snapshot("a1", tables={f"t{number:02}": {"rows": -1} for number in range(30)})).encode(),
            [f"tables.t{number:02}.rows" for number in range(posted.MOST_ERRORS)],
        ),
        (
            json.dumps(snapshot("a1", objects=[{"kind": "\0", "schema": "", "name": "", "definition": {}}])).encode(),
            ["0.kind"],
        ),
    ],
    ids=["no JSON", "a number", "a digest", "a size", "nothing", "many", "a NUL"],
)
def test_a_snapshot_that_is_none_is_told_where(body: bytes, where: list[str]) -> None:
    with pytest.raises(SnapshotRefused) as refused:
        read_snapshot([body])

    assert [place for place, _ in refused.value.errors] == where


@pytest.mark.parametrize(
    ("by_table", "revisions"),
    [
        ({}, []),
        ({"a": ["b2", "a1"], "b": ["c3", "a1"]}, ["a1", "b2", "c3"]),
        ({"a": ["a1"], "b": None}, None),
        ({"a": None, "b": ["a1"]}, None),
    ],
)
def test_the_revisions_of_all_tables_are_one_list(
    by_table: dict[str, list[str] | None], revisions: list[str] | None
) -> None:
    assert _revisions_in(by_table) == revisions
