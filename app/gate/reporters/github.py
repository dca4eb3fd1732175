"""Annotations on the lines of a pull request, by workflow commands; and the job's summary.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from app.gate.checks.pages import find_url
from app.gate.report.model import FindingEntry, Report
from app.gate.report.verdict import Severity, Verdict
from app.gate.reporters import markdown
from app.gate.reporters.escaping import one_line, shortened, visible
from app.gate.wording import counted, listed

SUMMARY_LIMIT_BYTES = 1_048_576  # of all that the steps of one job append; GitHub drops a longer summary entirely
MESSAGE_LINES = 20
ANNOTATIONS = 10  # of each kind that GitHub shows for a step; of all kinds, 50 for a job


def render(report: Report) -> str:
    """One command for each open finding, the most severe first, as far as GitHub shows them; the rest is counted."""
    commands: dict[str, list[str]] = {severity.value: [] for severity in Severity}
    if report.verdict is Verdict.ERROR:
        commands["error"].append(
            _command("error", visible(report.reason or ""), title="Overproof could not verify the migrations")
        )
    changed = _changed_paths(report)
    for finding in sorted(report.open_findings, key=lambda each: each.path not in changed):
        commands[finding.severity.value].append(_annotation(finding))
    left_out = listed(
        [counted(len(each) - ANNOTATIONS, kind) for kind, each in commands.items() if len(each) > ANNOTATIONS]
    )
    lines = [command for each in commands.values() for command in each[:ANNOTATIONS]]
    if left_out:
        lines.append(f"{left_out} more than GitHub shows as annotations: see the job's summary")
    return "".join(f"{line}\n" for line in lines)


def _changed_paths(report: Report) -> set[str | None]:
    """The files that a pull request changes: GitHub shows annotations of others only on the page of the job."""
    changed = {each.path for each in report.graph.revisions if each.new}
    return changed | {each.path for each in report.open_findings if each.check == "merged-history"}


def append_summary(report: Report, path: Path) -> None:
    """Append the Markdown report to the file that GITHUB_STEP_SUMMARY names, within the size that GitHub takes."""
    written = path.stat().st_size if path.exists() else 0
    room = SUMMARY_LIMIT_BYTES - written - 1
    if room < 4096:
        return
    with path.open("a", encoding="utf-8") as summary:
        summary.write("\n" + markdown.render(report, room))


def _annotation(finding: FindingEntry) -> str:
    place: dict[str, str] = {}
    # GitHub identifies files by their path from the repository's root, and knows nothing outside it.
    if finding.path is not None and ".." not in PurePosixPath(finding.path).parts:
        place["file"] = finding.path
        if finding.line is not None:
            place["line"] = str(finding.line)
    about = f" in {finding.revision}" if finding.revision else ""
    text = visible(finding.message) + (f"\n\nFix: {visible(finding.help)}" if finding.help else "")
    url = find_url(finding.check)
    return _command(finding.severity.value, text, f"\n\n{url}" if url else "", **place, title=f"{finding.check}{about}")


def _command(name: str, text: str, link: str = "", **properties: str) -> str:
    listed = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{name} {listed}::{_data(shortened(text, MESSAGE_LINES) + link)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(one_line(text)).replace(":", "%3A").replace(",", "%2C")
