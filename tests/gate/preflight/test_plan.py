"""What is pending on a database, and what a report says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.gate.errors import UsageError
from app.gate.preflight.plan import make_plan, read_report
from app.gate.recording.model import Key, Snapshot
from app.gate.recording.serialization import digest, object_entry, to_json
from app.gate.report.model import JudgedEntry, RevisionEntry
from app.gate.report.verdict import Severity
from tests.gate.preflight.pending import A1, B2, C3, INDEX, LINES, NOTE, ORDERS, SQL, report, revision
from tests.gate.preflight.reports import assumes


def test_what_is_pending_is_what_no_revision_of_the_database_descends_from() -> None:
    one, two = revision("one", branch_labels=["shop"]), revision("two")
    both = revision("both", "one", "two")
    after = revision("after", "two", depends_on=["shop"])
    of = report(revisions=[one, two, both, after])

    assert [each.revision for each in make_plan(of, []).pending] == ["one", "two", "both", "after"]
    assert [each.revision for each in make_plan(of, ["one"]).pending] == ["two", "both", "after"]
    assert [each.revision for each in make_plan(of, ["after"]).pending] == ["both"]
    assert [each.revision for each in make_plan(of, ["both"]).pending] == ["after"]
    assert make_plan(of, ["both", "after"]).pending == ()
    assert (make_plan(of, ["zz", "one"]).missing, make_plan(of, ["zz"]).is_known) == (("zz",), False)


def test_what_is_merged_was_not_tried() -> None:
    plan = make_plan(report(revisions=[A1, B2.model_copy(update={"new": False}), C3]), ["a1"])

    assert [each.revision for each in plan.tried] == ["c3"]
    assert [each.revision for each in plan.untried] == ["b2"]
    assert plan.is_after_others("c3")
    assert not plan.is_after_others("b2")
    assert not make_plan(report(), ["c3"]).is_after_others("c3")


def test_the_assumptions_of_pending_revisions_each_query_once() -> None:
    first, notice = assumes("b2", SQL), assumes("c3", None, severity=Severity.NOTICE, fingerprint="1" * 32)
    plan = make_plan(
        report(
            assumes("a1", "SELECT 0"),
            assumes("b2", "SELECT 2", check="upgrade"),
            first,
            assumes("c3", SQL),
            notice,
            assumes("c3", None, allowed="why", fingerprint="2" * 32),
            assumes("c3", None, fingerprint="3" * 32),
            assumes("c3", None, fingerprint="3" * 32),
            assumes("c3", "SELECT 3", severity=Severity.NOTICE),
        ),
        ["a1"],
    )

    assert [(each.revision, each.assumption and each.assumption.sql) for each in plan.assumptions()] == [
        ("b2", SQL), ("c3", None), ("c3", "SELECT 3")
    ]  # fmt: skip
    assert plan.assumptions()[0] == first


def test_the_tables_that_earlier_revisions_make_unless_they_may_be_renamed_ones() -> None:
    b2 = revision("b2", "a1", made=[LINES, Key("index", "shop", "ix", "lines")])
    c3 = revision("c3", "b2", made=[Key("table", "shop", "new", "")], changed={ORDERS: {}})
    d4 = revision("d4", "c3", made=[Key("table", "shop", "newer", "")])
    kept, gone = to_json(Snapshot({ORDERS: {}})), to_json(Snapshot({LINES: {}}))

    def made(snapshot: Any, at: str | None) -> set[str]:
        return make_plan(report(revisions=[A1, b2, c3, d4], snapshot=snapshot), ["a1"]).new_tables(at)

    assert [made(kept, name) for name in ("b2", "c3", "d4")] == [
        set(), {"public.lines"}, {"public.lines", "shop.new"}
    ]  # fmt: skip
    assert made(gone, "d4") == {"public.lines"}
    assert made(kept, None) == {"public.lines", "shop.new", "shop.newer"}


def test_what_only_the_owner_may_change_is_by_the_first_revision_that_does() -> None:
    view, function = Key("view", "shop", "v", ""), Key("function", "public", "f()", "")
    plan = make_plan(report(revisions=[A1, B2, revision("c3", "b2", made=[NOTE, view, function])]), ["a1"])

    assert plan.changed() == {("public", "orders"): "b2", ("shop", "v"): "c3"}
    assert list(plan.made()) == [("b2", NOTE), ("c3", NOTE), ("c3", view), ("c3", function)]


def test_the_schema_that_was_proved_is_that_at_head_with_what_was_replaced_put_back() -> None:
    head = Snapshot({ORDERS: {"comment": "y"}, NOTE: {"type": "text"}, INDEX: {}})
    b2 = B2.model_copy(update={"schema_digest_before": "before b2", "schema_digest": "after b2"})
    c3 = C3.model_copy(update={"schema_digest": digest(head)})
    a1 = A1.model_copy(update={"schema_digest": "after a1"})
    of = report(revisions=[a1, b2, c3], snapshot=to_json(head), digest=digest(head))

    assert make_plan(of, ["a1"]).expected() == Snapshot({ORDERS: {"comment": "x"}})
    assert make_plan(of, ["b2"]).expected() == Snapshot({ORDERS: {"comment": "x"}, NOTE: {"type": "text"}})
    assert make_plan(of, ["c3"]).expected() == head
    assert make_plan(of, ["zz"]).expected() is None
    assert make_plan(of.model_copy(update={"snapshot": None}), ["a1"]).expected() is None
    assert make_plan(report(revisions=[a1, b2, C3], snapshot=to_json(head)), ["a1"]).expected() is None
    without = b2.model_copy(update={"replaced": None})
    assert make_plan(report(revisions=[a1, without, c3], snapshot=to_json(head)), ["a1"]).expected() is None
    assert make_plan(report(revisions=[a1, without, c3], snapshot=to_json(head)), ["b2"]).expected() is not None

    assert make_plan(of, ["a1"]).expected_digests() == {"before b2"}
    assert make_plan(of, ["b2"]).expected_digests() == frozenset()
    assert make_plan(of, ["c3"]).expected_digests() == {digest(head)}
    assert make_plan(of.model_copy(update={"digest": None}), ["c3"]).expected_digests() == frozenset()
    b2_alone = of.model_copy(update={"judged": JudgedEntry(revisions=["b2", "a1", "c3"])})
    assert make_plan(b2_alone, ["a1"]).expected_digests() == frozenset()


def test_what_is_no_object_in_a_report_is_left_out() -> None:
    good = object_entry(NOTE, None)
    bad = [{**good, "kind": 1}, {**good, "schema": None}, {**good, "table": 7}, {**good, "definition": "text"}, {}]
    plan = make_plan(
        report(revisions=[A1, RevisionEntry(revision="b2", down_revisions=["a1"], replaced=[*bad, good])]), ["a1"]
    )

    assert list(plan.made()) == [("b2", NOTE)]


def test_a_file_that_is_no_report_is_refused_with_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    how = "write it by overproof verify --output json:FILE"

    def refused(text: str | None) -> str:
        if text is not None:
            path.write_text(text)
        with pytest.raises(UsageError) as raised:
            read_report(path)
        return str(raised.value)

    assert refused(None) == f"--report: {path} cannot be read: No such file or directory"
    assert (
        refused("{")
        == f"--report: {path} is not JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)): {how}"
    )
    assert refused("[]").startswith(f"--report: {path} is not a report of overproof verify (the whole: ")
    content = report().model_dump(mode="json")
    assert refused(json.dumps({**content, "verdict": 7, "findings": 8})).startswith(
        f"--report: {path} is not a report of overproof verify (verdict: Input should be 'pass', 'fail' or 'error'): {how}"
    )
    bad = {**content, "graph": {"revisions": [{"revision": "a1"}, {}]}}
    assert "(graph.revisions.1.revision: Field required)" in refused(json.dumps(bad))

    path.write_text(json.dumps({**content, "of_later": 1}))
    assert read_report(path) == report()
