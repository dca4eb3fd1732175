from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from app.gate.report.model import GraphEntry, Report, TargetEntry
from app.gate.report.verdict import Severity, Verdict
from app.gate.reporters.gitlab import render
from tests.gate.reporters.samples import finding, report
from tests.gate.reporters.strategies import reports
from tests.gate.reporters.test_escaping import is_workflow_command


def entries_of(sample: Report) -> list[dict[str, Any]]:
    entries = json.loads(render(sample))
    assert isinstance(entries, list)
    return entries


def test_an_entry_has_what_gitlab_reads() -> None:
    assert entries_of(report(finding("It is\nwrong."))) == [
        {
            "description": "It is wrong. (a1)",
            "check_name": "round-trip",
            "fingerprint": "0123456789abcdef0123456789abcdef",
            "severity": "critical",
            "location": {"path": "versions/a1.py", "lines": {"begin": 20}},
        }
    ]


def test_severities_are_gitlabs() -> None:
    assert [each["severity"] for each in entries_of(report(*(finding(severity=each) for each in Severity)))] == [
        "critical",
        "major",
        "info",
    ]


def test_an_accepted_finding_is_left_out() -> None:
    assert entries_of(report(finding(allowed="for a reason"))) == []


def test_a_finding_about_the_history_is_shown_at_its_head() -> None:
    (entry,) = entries_of(report(finding(revision=None, path=None, line=None)))

    assert entry["location"] == {"path": "versions/b2.py", "lines": {"begin": 1}}


def test_a_run_that_verified_nothing_does_not_look_as_if_all_were_fixed() -> None:
    sample = report(
        verdict=Verdict.ERROR,
        reason="there is no server",
        target=TargetEntry(command=[], script_location="migrations"),
        graph=GraphEntry(),
    )

    (entry,) = entries_of(sample)

    assert entry["severity"] == "blocker"
    assert entry["description"] == "Overproof could not verify the migrations: there is no server"
    assert entry["location"]["path"] == "migrations"


@pytest.mark.parametrize(
    ("path", "shown"), [("./a/b.py", "a/b.py"), ("a/./b.py", "a/./b.py"), ("", "alembic.ini"), (None, "alembic.ini")]
)
def test_a_path_is_relative_to_the_root(path: str | None, shown: str) -> None:
    sample = report(finding(path=path, line=0), graph=GraphEntry())

    assert [each["location"] for each in entries_of(sample)] == [{"path": shown, "lines": {"begin": 1}}]


def test_text_of_any_language_stays_readable() -> None:
    assert '    "description": "Größe (a1)",\n' in render(report(finding("Größe")))


@given(reports())
def test_gitlab_can_show_every_entry(sample: Report) -> None:
    for entry in entries_of(sample):
        assert set(entry) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert entry["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert entry["location"]["path"]
        assert entry["location"]["lines"]["begin"] >= 1


@given(reports())
def test_it_is_fit_for_the_log_of_a_job(sample: Report) -> None:
    assert not any(is_workflow_command(line) for line in render(sample).split("\n"))
