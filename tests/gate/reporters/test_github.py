from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given

from app.gate.report.model import Report
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


def test_the_heaviest_come_first_since_github_shows_only_ten_of_a_kind() -> None:
    lines = render(report(finding(severity="notice"), finding(severity="error"))).splitlines()

    assert [parsed(line)[0] for line in lines] == ["error", "notice"]


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

    findings = sample.open_findings
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


def test_a_long_annotation_still_ends_with_the_page_of_its_check() -> None:
    long = "\n".join(["Fix it."] * 100)

    assert render(report(finding(help=long))).endswith("%0A%0Ahttps://overproof.example/docs/checks/round-trip.md\n")


def test_a_check_of_another_version_has_no_page() -> None:
    assert "overproof.example" not in render(report(finding(check="from-the-future")))
