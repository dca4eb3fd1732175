from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given

from app.gate.report.model import GraphEntry, Report, RevisionEntry
from app.gate.report.verdict import Severity, Verdict
from app.gate.reporters.escaping import one_line, visible
from app.gate.reporters.github import SUMMARY_LIMIT_BYTES, append_summary, render
from tests.gate.reporters.samples import finding, report
from tests.gate.reporters.strategies import reports


def parsed(line: str) -> tuple[str, dict[str, str], str]:
    """A workflow command as the runner of GitHub Actions takes it apart (src/Runner.Common/ActionCommand.cs)."""
    match = re.fullmatch(r"::(\w+) ([^:]*)::(.*)", line)
    assert match, line
    properties = dict(pair.split("=", 1) for pair in match[2].split(","))
    return match[1], {name: unescaped(value) for name, value in properties.items()}, unescaped(match[3])


def unescaped(text: str) -> str:
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, character)
    return text


def test_an_annotation_points_at_the_line_of_the_finding() -> None:
    (line,) = render(report(finding("100% wrong,\nreally: yes", help="Drop it."))).splitlines()

    assert line == (
        "::error file=versions/a1.py,line=20,title=round-trip in a1"
        "::100%25 wrong,%0Areally: yes%0A%0AFix: Drop it.%0A%0Ahttps://overproof.example/docs/checks/round-trip.md"
    )


def test_the_kind_of_an_annotation_is_the_severity() -> None:
    kinds = [parsed(line)[0] for line in render(report(*(finding(severity=each) for each in Severity))).splitlines()]

    assert kinds == ["error", "warning", "notice"]


def test_the_heaviest_come_first() -> None:
    lines = render(report(finding(severity="notice"), finding(severity="error"))).splitlines()

    assert [parsed(line)[0] for line in lines] == ["error", "notice"]


def test_files_that_a_pull_request_changes_come_first() -> None:
    graph = GraphEntry(
        revisions=[
            RevisionEntry(revision="a1", path="versions/a1.py", new=False),
            RevisionEntry(revision="b2", path="versions/b2.py"),
        ]
    )
    found = [
        finding(severity=severity, check=check, path=f"versions/{name}.py")
        for check, name in (("round-trip", "a1"), ("merged-history", "a0"), ("round-trip", "b2"))
        for severity in ("warning", "error")
    ]

    lines = render(report(*found, graph=graph)).splitlines()

    assert [(parsed(line)[0], parsed(line)[1]["file"]) for line in lines] == [
        (kind, f"versions/{name}.py") for kind in ("error", "warning") for name in ("a0", "b2", "a1")
    ]


def test_no_more_annotations_than_github_shows_and_the_rest_is_counted() -> None:
    found = [finding(severity=severity) for severity, number in (("error", 12), ("notice", 11)) for _ in range(number)]

    *lines, last = render(report(*found)).splitlines()

    assert [parsed(line)[0] for line in lines] == ["error"] * 10 + ["notice"] * 10
    assert last == "2 errors and 1 notice more than GitHub shows as annotations: see the job's summary"


def test_the_reason_for_an_error_is_one_of_the_annotations_that_github_shows() -> None:
    lines = render(report(*(finding() for _ in range(10)), verdict=Verdict.ERROR, reason="no server")).splitlines()

    assert "no server" in lines[0]
    assert lines[-1].startswith("1 error more")


def test_an_accepted_finding_is_no_annotation() -> None:
    assert render(report(finding(allowed="for a reason"))) == ""


def test_a_path_outside_of_the_repository_is_not_named() -> None:
    (line,) = render(report(finding(path="../other/a1.py"))).splitlines()

    assert "file=" not in line


def test_an_error_is_an_annotation() -> None:
    assert render(report(verdict=Verdict.ERROR, reason="there is no server")) == (
        "::error title=Overproof could not verify the migrations::there is no server\n"
    )


@given(reports())
def test_each_line_is_one_command_that_says_what_the_finding_says(sample: Report) -> None:
    lines = render(sample).split("\n")[:-1]

    changed = [each.path for each in sample.graph.revisions]
    findings = [
        each
        for severity in Severity
        for is_changed in (True, False)
        for each in sample.open_findings
        if each.severity is severity and (each.path in changed) is is_changed
    ]
    assert len(lines) == len(findings) + (sample.verdict is Verdict.ERROR)
    for line, each in zip(lines[-len(findings) :], findings, strict=False):
        kind, properties, message = parsed(line)
        assert kind == each.severity
        assert set(properties) <= {"file", "line", "title"}
        assert properties["title"].startswith(each.check)
        assert message.startswith(visible(each.message).strip("\n").split("\n")[0][:50].rstrip())
        if "file" in properties:
            assert properties["file"] == one_line(each.path or "")


def test_the_summary_is_appended_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("before\n")

    append_summary(report(finding()), path)

    assert path.read_text().startswith("before\n\n## ❌ The migrations fail: 1 error\n")


def test_the_summary_keeps_to_the_size_that_github_takes(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("x" * (SUMMARY_LIMIT_BYTES - 10_000))

    append_summary(report(*(finding(detail="y" * 1000, revision=None) for _ in range(100))), path)

    assert SUMMARY_LIMIT_BYTES - 10_000 < path.stat().st_size <= SUMMARY_LIMIT_BYTES


def test_a_file_that_is_full_gets_no_summary(tmp_path: Path) -> None:
    """Less than 4 kB would hold no finding, and GitHub drops all of a summary that is too long."""
    path = tmp_path / "summary.md"
    for room, is_written in ((4096, True), (4095, False)):
        path.write_text("x" * (SUMMARY_LIMIT_BYTES - room - 1))
        append_summary(report(finding()), path)
        assert ("The migrations fail" in path.read_text()) is is_written


def test_the_summary_of_a_first_step_makes_the_file(tmp_path: Path) -> None:
    append_summary(report(), tmp_path / "summary.md")

    assert (tmp_path / "summary.md").read_text("utf-8").startswith("\n## ✅ The migrations pass")


def test_what_github_takes_is_a_mebibyte() -> None:
    assert SUMMARY_LIMIT_BYTES == 2**20


def test_twenty_lines_of_an_annotation_are_shown() -> None:
    whole, cut = (render(report(finding("\n".join(["a"] * number)))) for number in (20, 21))

    assert whole.count("%0Aa") == cut.count("%0Aa") == 19
    assert "%0A… 1 more line%0A%0Ahttps:" in cut
    assert "more line" not in whole


def test_ten_annotations_of_a_kind_are_not_too_many() -> None:
    assert len(render(report(*(finding() for _ in range(10)))).splitlines()) == 10


def test_titles_and_texts_are_quoted_as_the_runner_reads_them() -> None:
    (line,) = render(report(finding("50%", revision="a:1,\n2%"))).splitlines()

    assert parsed(line)[1]["title"] == "round-trip in a:1, 2%"
    assert "title=round-trip in a%3A1%2C 2%25::50%25%0A" in line


def test_a_long_annotation_still_ends_with_the_page_of_its_check() -> None:
    long = "\n".join(["Fix it."] * 100)

    assert render(report(finding(help=long))).endswith("%0A%0Ahttps://overproof.example/docs/checks/round-trip.md\n")


def test_a_check_of_another_version_has_no_page() -> None:
    assert "overproof.example" not in render(report(finding(check="from-the-future")))
