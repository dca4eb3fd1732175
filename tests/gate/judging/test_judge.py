from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app import __version__
from app.gate.checks import allowance as allowances
from app.gate.checks.base import Assumption, Check, CheckSkipped, Finding
from app.gate.configuration import Configuration, FailOn
from app.gate.judging import weighing
from app.gate.judging.baseline import Baseline, Known
from app.gate.judging.judge import judge, report_error
from app.gate.judging.redaction import redact
from app.gate.recording.model import CONTINUED_BY_A_LATER_WALK, Allowance, Divergence, Populated, Recording, RowKind
from app.gate.report.model import TargetEntry
from app.gate.report.verdict import Outcome, Severity, Verdict
from tests.gate.checks.builders import added, altered, failure, key, recording, revision, snapshot, statement, trip


def check(name: str, *findings: Finding | Exception, severity: Severity = Severity.ERROR, **fields: Any) -> Check:
    """A check that finds just that; an exception among the findings is raised in its turn."""

    def examine(recording: Recording) -> Iterable[Finding]:
        for each in findings:
            if isinstance(each, Exception):
                raise each
            yield each

    return Check(name, severity, examine, **fields)


def found(message: str = "It is wrong.", subject: str = "wrong", **fields: Any) -> Finding:
    return Finding(message, subject, **{"revision": "a1", **fields})


def history(*comments: Allowance) -> Recording:
    """The revisions a1 and b2, both walked. The comments are in a1's script."""
    return recording(trip("a1"), trip("b2"), revisions=[revision("a1", allowances=comments), revision("b2", "a1")])


# Verdict and outcomes


def test_a_revision_has_the_digests_of_the_schemas_between_which_it_was_applied() -> None:
    walked = replace(history(), schema_digests={"b2": ("before", "after")})

    a1, b2 = judge([walked], checks=[]).graph.revisions

    assert (a1.schema_digest_before, a1.schema_digest) == (None, None)
    assert (b2.schema_digest_before, b2.schema_digest) == ("before", "after")


def test_a_step_names_the_rows_over_which_it_was_repeated() -> None:
    walked = trip("a1", undo=[])
    assert walked.up is not None
    over_rows = replace(walked, populated=Populated(walked.up, RowKind.EDGE_CASES, {"public.orders": 8}))

    upgrade, downgrade = judge([recording(over_rows, revisions=[revision("a1")])], checks=[]).steps

    assert (upgrade.rows, downgrade.rows) == ({"public.orders": 8}, {})


def test_what_a_finding_assumes_of_rows_is_a_query_in_the_report() -> None:
    assumed = found(assumption=Assumption("SELECT * FROM orders WHERE note IS NULL LIMIT 10"))

    [entry] = judge([history()], checks=[check("populated-upgrade", assumed)]).findings

    assert entry.assumption is not None
    assert (entry.assumption.sql, entry.assumption.must_be) == (
        "SELECT * FROM orders WHERE note IS NULL LIMIT 10",
        "no rows",
    )


def test_a_run_without_findings_passes() -> None:
    report = judge([history()], checks=[check("quiet")])

    assert report.verdict is Verdict.PASS
    assert [(each.id, each.outcome) for each in report.checks] == [("quiet", Outcome.PASS)]


@pytest.mark.parametrize(
    ("severity", "fail_on", "verdict"),
    [
        ("error", "error", "fail"),
        ("error", "warning", "fail"),
        ("error", "never", "pass"),
        ("warning", "error", "pass"),
        ("warning", "warning", "fail"),
        ("warning", "never", "pass"),
        ("notice", "error", "pass"),
        ("notice", "warning", "pass"),
    ],
)
def test_the_verdict_follows_fail_on(severity: str, fail_on: str, verdict: str) -> None:
    configuration = Configuration(fail_on=FailOn(fail_on))

    report = judge([history()], configuration, checks=[check("a", found(), severity=Severity(severity))])

    assert report.verdict == verdict


@pytest.mark.parametrize(("severity", "outcome"), [("error", "fail"), ("warning", "warn"), ("notice", "notice")])
def test_a_check_has_the_outcome_of_its_heaviest_finding(severity: str, outcome: str) -> None:
    findings = [found(severity=Severity.NOTICE), found(severity=Severity(severity))]

    report = judge([history()], checks=[check("a", *findings)])

    assert report.checks[0].outcome == outcome


def test_a_configured_severity_takes_the_place_of_any_other() -> None:
    configuration = Configuration(severities={"a": Severity.NOTICE})

    report = judge([history()], configuration, checks=[check("a", found(), found("x", severity=Severity.WARNING))])

    assert {each.severity for each in report.findings} == {Severity.NOTICE}
    assert report.verdict is Verdict.PASS


def test_a_check_that_could_not_judge_is_skipped_with_its_reason() -> None:
    report = judge([history()], checks=[check("a", CheckSkipped("there is no metadata")), check("b")])

    assert (report.checks[0].outcome, report.checks[0].reason) == (Outcome.SKIPPED, "there is no metadata")
    assert report.verdict is Verdict.PASS


def test_where_no_check_could_judge_nothing_is_verified() -> None:
    report = judge([history()], checks=[check("a", CheckSkipped("there is no metadata"))])

    assert report.verdict is Verdict.ERROR
    assert report.reason == "nothing was checked: no selected check could be judged: a (there is no metadata)"


def test_a_branch_that_adds_nothing_may_leave_nothing_to_judge() -> None:
    old = replace(history(), base=Divergence("main", "abc"))
    old = replace(
        old, graph=replace(old.graph, revisions=tuple(replace(each, is_new=False) for each in old.graph.revisions))
    )

    assert judge([old], checks=[check("a", CheckSkipped("there is no new revision"))]).verdict is Verdict.PASS


def test_a_check_that_could_not_judge_everything_tells_what_it_found_and_why_it_stopped() -> None:
    report = judge([history()], checks=[check("a", found(), CheckSkipped("the rest was not tried"))])

    assert (report.checks[0].outcome, report.checks[0].reason) == (Outcome.FAIL, "the rest was not tried")


def test_a_check_that_crashes_is_reported_of_and_does_not_hide_the_others() -> None:
    report = judge([history()], checks=[check("broken", found(), KeyError("zz")), check("sound", found())])

    assert report.verdict is Verdict.ERROR
    assert report.reason == "a check crashed, which is a defect of Overproof: broken (KeyError: 'zz')"
    assert [each.check for each in report.findings] == ["broken", "sound"]
    assert report.checks[0].reason == "it crashed: KeyError: 'zz'"


def test_checks_can_be_selected_and_ignored() -> None:
    checks = [check("a", found()), check("b", found()), check("c", found())]

    report = judge([history()], Configuration(select=frozenset({"a", "b"}), ignore=frozenset({"b"})), checks=checks)

    assert [each.check for each in report.findings] == ["a"]
    assert [each.reason for each in report.checks] == [None, "ignored by the configuration", "not selected"]


# Places


def test_a_finding_points_at_its_line_else_at_the_function_of_its_direction() -> None:
    findings = [found("1", line=33), found("2"), found("3", direction="downgrade"), found("4", revision=None)]

    report = judge([history()], checks=[check("a", *findings)])

    assert [(each.path, each.line) for each in report.findings] == [
        ("versions/a1.py", 33),
        ("versions/a1.py", 10),
        ("versions/a1.py", 20),
        (None, None),
    ]


def test_a_finding_in_a_script_without_that_function_points_at_its_first_line() -> None:
    walked = recording(trip("a1"), revisions=[revision("a1", downgrade_line=None)])

    report = judge([walked], checks=[check("a", found(direction="downgrade"))])

    assert report.findings[0].line == 1


def test_a_finding_may_name_a_file_of_its_own() -> None:
    report = judge([history()], checks=[check("a", found(revision=None, path="app/models.py", line=4))])

    assert (report.findings[0].path, report.findings[0].line) == ("app/models.py", 4)


# Fingerprints


def fingerprints(*findings: Finding, name: str = "a", walked: Recording | None = None) -> list[str]:
    return [each.fingerprint for each in judge([walked or history()], checks=[check(name, *findings)]).findings]


def test_a_fingerprint_survives_a_move_to_another_line_and_other_words() -> None:
    one, other = found("It fails.", line=3, help="a", detail="b"), found("Es geht nicht.", line=4, help="c", detail="d")

    assert fingerprints(one) == fingerprints(other)


@pytest.mark.parametrize(
    "other",
    [
        found(subject="column note"),
        found(subject="index ix_note", revision="b2"),
        found(subject="index ix_note", revision=None),
        found(subject="index ix_note", object="public.orders"),
    ],
)
def test_a_fingerprint_tells_findings_apart(other: Finding) -> None:
    one = found(subject="index ix_note")

    assert fingerprints(one) != fingerprints(other)
    assert fingerprints(one, name="b") != fingerprints(one)


def test_a_finding_about_a_script_that_was_edited_is_a_new_one() -> None:
    before, after = (recording(trip("a1"), revisions=[revision("a1", content_digest=each)]) for each in ("c0", "c1"))

    assert fingerprints(found(), walked=before) != fingerprints(found(), walked=after)
    assert fingerprints(found(revision=None), walked=before) == fingerprints(found(revision=None), walked=after)


def test_a_finding_without_a_subject_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a subject"):
        found(subject="")


def test_two_findings_alike_have_fingerprints_of_their_own() -> None:
    one, other = fingerprints(found(line=3), found(line=9))

    assert one != other
    assert fingerprints(found()) == [one]


# Allowances


def test_a_comment_with_a_reason_accepts_the_findings_about_its_revision() -> None:
    comment = Allowance("a", "nobody minds", 3)

    report = judge([history(comment)], checks=[check("a", found(), found(revision="b2")), check("b", found())])

    assert [each.allowed for each in report.findings] == ["nobody minds", None, None]


def test_a_finding_that_is_accepted_does_not_fail_the_run() -> None:
    report = judge([history(Allowance("a", "nobody minds", 3))], checks=[check("a", found())])

    assert report.verdict is Verdict.PASS
    assert report.checks[0].outcome is Outcome.PASS


def test_a_comment_accepts_findings_also_where_those_of_comments_come_first() -> None:
    comments = history(Allowance("nonsense", "", 2), Allowance("a", "nobody minds", 3))

    report = judge([comments], checks=[allowances.CHECK, check("a", found())])

    assert [each.allowed for each in report.findings if each.check == "a"] == ["nobody minds"]


def test_a_crash_is_told_by_its_first_line() -> None:
    report = judge([history()], checks=[check("broken", ValueError("one\ntwo"))])

    assert report.checks[0].reason == "it crashed: ValueError: one"


def test_a_comment_may_use_a_retired_name() -> None:
    report = judge([history(Allowance("old", "nobody minds", 3))], checks=[check("a", found(), aliases=("old",))])

    assert report.findings[0].allowed == "nobody minds"


def test_a_comment_without_a_reason_accepts_nothing_and_is_a_finding() -> None:
    report = judge([history(Allowance("a", "", 3))], checks=[check("a", found()), allowances.CHECK])

    assert [(each.check, each.allowed, each.line) for each in report.findings] == [
        ("a", None, 10),
        ("allowance", None, 3),
    ]
    assert report.verdict is Verdict.FAIL


def test_a_comment_that_names_no_check_is_a_finding_with_the_name_that_was_meant() -> None:
    comment = Allowance("table_rewrit", "it is small", 3)

    report = judge([history(comment)], checks=[check("table-rewrite"), allowances.CHECK])

    (finding,) = report.findings
    assert (finding.check, finding.severity, finding.line) == ("allowance", Severity.WARNING, 3)
    assert "`# overproof: allow table-rewrite: <reason>`" in (finding.help or "")


def test_a_comment_that_accepts_nothing_is_a_notice() -> None:
    report = judge([history(Allowance("a", "nobody minds", 3))], checks=[check("a"), allowances.CHECK])

    (finding,) = report.findings
    assert (finding.check, finding.severity, finding.line) == ("allowance", Severity.NOTICE, 3)
    assert finding.message == "This comment allows a, but there is no such finding."
    assert finding.help == "Remove the comment."


def test_a_comment_that_names_nothing_known_is_told_where_the_names_are() -> None:
    report = judge([history(Allowance("nonsense", "so", 3))], checks=[check("a"), allowances.CHECK])

    assert [(each.message, each.help) for each in report.findings] == [
        ("This comment allows nonsense, but there is no such check.", "`overproof explain` lists the checks.")
    ]


def test_a_comment_without_a_check_does_not_hide_those_behind_it() -> None:
    comments = history(Allowance("nonsense", "so", 3), Allowance("a", "so", 4), Allowance("b", "so", 5))

    findings = judge([comments], checks=[check("a"), check("b", found()), allowances.CHECK]).findings

    assert [(each.check, each.line) for each in findings] == [("b", 10), ("allowance", 3), ("allowance", 4)]


def test_of_several_comments_the_first_one_with_a_reason_says_why() -> None:
    comments = history(Allowance("a", "", 3), Allowance("a", "it is small", 4), Allowance("a", "it is late", 5))

    [finding, *_] = judge([comments], checks=[check("a", found())]).findings

    assert finding.allowed == "it is small"


def test_a_comment_that_is_incomplete_is_not_called_unused_as_well() -> None:
    comments = history(Allowance("", "so", 3), Allowance("a", "", 4))

    findings = judge([comments], checks=[check("a"), allowances.CHECK]).findings

    assert [each.line for each in findings] == [3, 4]


@pytest.mark.parametrize(
    "walked",
    [
        recording(revisions=[revision("a1", allowances=(Allowance("a", "so", 3),))]),
        recording(
            replace(trip("a1"), skipped_because="one before it failed"),
            revisions=[revision("a1", allowances=(Allowance("a", "so", 3),))],
        ),
    ],
    ids=["not walked", "not tried to the end"],
)
def test_stays_quiet_about_a_comment_when_its_revision_was_not_judged(walked: Recording) -> None:
    assert judge([walked], checks=[check("a"), allowances.CHECK]).findings == []


def test_stays_quiet_about_a_comment_when_its_check_was_not_run() -> None:
    checks = [check("a", CheckSkipped("no")), check("b"), allowances.CHECK]
    comments = (Allowance("a", "so", 3), Allowance("b", "so", 4))

    report = judge([history(*comments)], Configuration(ignore=frozenset({"b"})), checks=checks)

    assert report.findings == []


def test_stays_quiet_about_a_comment_when_its_check_speaks_of_the_whole_history() -> None:
    checks = [check("a", found(revision=None)), allowances.CHECK]

    report = judge([history(Allowance("a", "so", 3))], checks=checks)

    assert [each.check for each in report.findings] == ["a"]


# Baselines


def baseline_of(fingerprints: Iterable[str]) -> Baseline:
    return Baseline("known.json", frozenset(Known("", "", "", "", "", each) for each in fingerprints))


def test_a_baseline_accepts_what_it_knows_and_nothing_else() -> None:
    known = fingerprints(found())

    report = judge(
        [history()],
        baseline=baseline_of(known),
        checks=[check("a", found(), found(), found("new"))],
    )

    assert [each.allowed for each in report.findings] == ["in the baseline known.json", None, None]
    assert report.verdict is Verdict.FAIL


def test_a_comment_explains_more_than_a_baseline() -> None:
    known = fingerprints(found())

    report = judge(
        [history(Allowance("a", "nobody minds", 3))],
        baseline=baseline_of(known),
        checks=[check("a", found())],
    )

    assert report.findings[0].allowed == "nobody minds"


# Several walks


def test_what_two_walks_through_one_history_show_is_said_once() -> None:
    report = judge([history(), history()], checks=[check("a", found())])

    assert len(report.findings) == 1
    assert [each.revision for each in report.graph.revisions] == ["a1", "b2"]


def test_what_is_said_of_all_revisions_in_one_walk_is_not_said_of_each_in_another() -> None:
    first, other = history(), recording(trip("c3"), trip("d4"))

    def examine(walked: Recording) -> Iterable[Finding]:
        yield Finding("None does.", "history", is_of_all=True) if walked is first else found("It does not.")

    one = judge([first, history()], checks=[Check("a", Severity.ERROR, examine)])
    elsewhere = judge([first, other], checks=[Check("a", Severity.ERROR, examine)])

    assert [each.message for each in one.findings] == ["None does."]
    assert len(elsewhere.findings) == 2


def test_a_walk_that_the_command_goes_on_from_is_no_reason_to_skip() -> None:
    first, second = history(), recording(trip("z9"))

    def examine(walked: Recording) -> Iterable[Finding]:
        if walked is first:
            raise CheckSkipped(CONTINUED_BY_A_LATER_WALK)
        return []

    report = judge([first, second], checks=[Check("a", Severity.ERROR, examine)])

    assert (report.checks[0].outcome, report.checks[0].reason) == (Outcome.PASS, None)


def test_a_check_that_could_judge_one_walk_of_two_is_not_skipped() -> None:
    first, second = history(), recording(trip("z9"))

    def examine(walked: Recording) -> Iterable[Finding]:
        if walked is second:
            raise CheckSkipped("there is no metadata")
        return []

    report = judge([first, second], checks=[Check("a", Severity.ERROR, examine)])

    assert report.checks[0].outcome is Outcome.PASS
    assert report.checks[0].reason == "migrations: there is no metadata"


# The rest of the report


def test_the_report_tells_each_step_with_its_statements_and_changes() -> None:
    orders = key("table", "orders")
    walked = recording(
        trip(
            "a1",
            statements=[
                statement("ALTER TABLE orders …", locks={"orders": "AccessExclusiveLock"}, rewrites=["orders"])
            ],
            changes=[added(key("column", "note", "orders"), type="text", nullable=True)],
        ),
        head=snapshot({orders: {}}),
    )

    report = judge([walked], checks=[])

    assert [(step.revision, step.direction) for step in report.steps] == [("a1", "upgrade"), ("a1", "downgrade")]
    statement_entry = report.steps[0].statements[0]
    assert statement_entry.locks == [{"table": "public.orders", "mode": "AccessExclusiveLock"}]
    assert statement_entry.rewrites == ["public.orders"]
    assert "orders.note" in report.steps[0].changes[0]
    assert report.snapshot == [{"kind": "table", "schema": "public", "name": "orders", "definition": {}}]
    assert report.digest is not None


def test_no_password_and_nothing_that_cannot_be_stored_gets_into_a_report() -> None:
    walked = recording(trip("a1", up_failure=failure("x")), revisions=[revision("a1", message="\udcff")])
    finding = found("cannot reach postgresql://me:s3cret@db/app\0", detail="\ud800")

    report = judge([walked], checks=[check("a", finding)])

    assert report.findings[0].message == r"cannot reach postgresql://me:***@db/app\0"
    assert report.findings[0].detail == r"\ud800"
    report.model_dump_json()


def test_fit_leaves_ordinary_text_alone() -> None:
    text = "user:name@host, http://example.org/a:b, Größe 数据"

    assert redact(text) == text


def test_a_history_without_any_walk_gives_a_report() -> None:
    assert judge([], checks=[check("a")]).verdict is Verdict.PASS


# Several walks, and what is new


def on_base(*, is_new: bool) -> Recording:
    revisions = [revision("a1", is_new=False), revision("b2", "a1", is_new=is_new)]
    return recording(trip("b2"), revisions=revisions, base=Divergence("main", "0f" * 20))


@pytest.mark.parametrize(
    ("recordings", "is_hazard_found"),
    [
        ([history()], True),
        ([on_base(is_new=True)], True),
        ([on_base(is_new=False)], False),
        ([on_base(is_new=False), on_base(is_new=True)], True),
        ([on_base(is_new=False), on_base(is_new=False)], False),
    ],
    ids=["without a base", "something new", "nothing new", "in one walk of two", "in none of two"],
)
def test_hazards_are_looked_for_where_something_is_new_and_faults_in_any_case(
    recordings: list[Recording], is_hazard_found: bool
) -> None:
    hazard, fault = check("blocking-index", found(revision="b2")), check("round-trip", found(revision="b2"))

    report = judge(recordings, checks=[hazard, fault])

    expected = ["blocking-index"] if is_hazard_found else []
    assert list(dict.fromkeys(each.check for each in report.findings)) == [*expected, "round-trip"]


def test_what_is_judged_is_that_of_all_walks() -> None:
    one, other = history(), replace(on_base(is_new=True), script_location="other:postgresql://me:secret@db/x")

    report = judge([one, other, replace(one)], checks=[])

    assert report.target.script_location is not None
    assert report.target.script_location.startswith("migrations, other:postgresql://")
    assert "secret" not in report.target.script_location
    assert report.judged is not None
    assert (report.judged.base, report.judged.commit) == ("main", "0f" * 20)
    assert report.judged.revisions == ["a1", "b2"]
    assert judge([one], checks=[]).judged.base is None
    assert (report.tool.name, report.tool.version) == ("overproof", __version__)


def test_a_revision_has_the_digest_of_its_script_where_there_is_one() -> None:
    recorded = recording(trip("a1"), revisions=[revision("a1", sha256="ab" * 32), revision("b2", "a1")])

    assert [each.sha256 for each in judge([recorded], checks=[]).graph.revisions] == ["ab" * 32, None]


def test_durations_have_three_decimals() -> None:
    one = trip(statements=[statement(duration_ms=1.23456)])
    assert one.up is not None
    one = replace(one, up=replace(one.up, duration_ms=2.34567))

    entry = judge([recording(one)], checks=[]).steps[0]

    assert (entry.duration_ms, entry.statements[0].duration_ms) == (2.346, 1.235)


def test_a_check_took_the_time_of_all_walks(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 1.0000004, 5.0, 7.0000003])
    monkeypatch.setattr(weighing, "perf_counter", lambda: next(times))

    [entry] = judge([history(), replace(history())], checks=[check("a")]).checks

    assert entry.duration_ms == 3000.001


def test_what_a_revision_replaced_is_known_where_its_upgrade_succeeded() -> None:
    note = altered(key("column", "note", "orders"), {"type": "text"}, {"type": "xml"})
    good, bad = trip("a1", changes=[note]), trip("b2", up_failure=failure())
    assert bad.up is not None
    bad = replace(bad, up=replace(bad.up, changes=(note,)))

    a1, b2, c3 = judge([recording(good, bad, replace(trip("c3"), up=None))], checks=[]).graph.revisions

    assert [each["definition"] for each in a1.replaced or ()] == [{"type": "text"}]
    assert (b2.replaced, c3.replaced) == (None, None)


def test_versions_are_those_of_the_last_walk() -> None:
    report = judge([replace(history(), postgres="17.1", alembic="1.1", sqlalchemy="2.1"), history()], checks=[])

    assert (report.postgres, report.alembic, report.sqlalchemy) == ("18.6", "1.20.1", "2.1.9")


def test_fingerprints_are_the_same_in_every_version() -> None:
    """Baselines and waivers name them."""
    assert fingerprints(found(object="public.orders"), found(object="public.orders")) == [
        "71a019f3fa93281bba258ac4d0b2f85f",
        "b2d1e1d8e285bb2313070efc4e3d2924",
    ]


def test_a_finding_about_a_comment_is_accepted_by_none() -> None:
    comments = history(Allowance(allowances.CHECK.id, "never mind", 2), Allowance("a", "", 3))

    report = judge([comments], checks=[allowances.CHECK, check("a", found())])

    assert all(each.allowed is None for each in report.findings)


def test_where_nothing_could_be_verified_the_report_says_why_and_no_password() -> None:
    target = TargetEntry(command=["alembic"], script_location=None)
    began = datetime(2026, 12, 1, tzinfo=UTC)

    report = report_error(
        "no server at postgresql://me:secret@db/x", target=target, started_at=began, duration_ms=1.5, postgres="18.6"
    )

    assert report.verdict is Verdict.ERROR
    assert report.reason is not None
    assert report.reason.startswith("no server at postgresql://me:")
    assert "secret" not in report.reason
    assert (report.target, report.started_at, report.duration_ms, report.postgres) == (target, began, 1.5, "18.6")
    assert (report.tool.name, report.findings, report.checks) == ("overproof", [], [])


def test_each_walk_has_its_own_reason_why_a_check_could_not_judge() -> None:
    def examine(recording: Recording) -> Iterable[Finding]:
        raise CheckSkipped(f"no rows in {recording.script_location}")

    walks = [history(), replace(history(), script_location="stock"), replace(history(), script_location="stock")]

    [entry, _] = judge(walks, checks=[Check("a", Severity.ERROR, examine), check("b")]).checks

    assert entry.reason == "migrations: no rows in migrations; stock: no rows in stock"
    assert (
        judge(walks[1:], checks=[Check("a", Severity.ERROR, examine), check("b")]).checks[0].reason
        == "no rows in stock"
    )
