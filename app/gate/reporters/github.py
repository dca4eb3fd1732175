"""Annotations on the lines of a pull request, by workflow commands; and the job's summary.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from app.gate.checks.pages import find_url
from app.gate.report.model import FindingEntry, Report
from app.gate.report.verdict import Verdict
from app.gate.reporters import markdown
from app.gate.reporters.escaping import one_line, shortened, visible

SUMMARY_LIMIT_BYTES = 1_048_576  # of all that the steps of one job append; GitHub drops a longer summary entirely
MESSAGE_LINES = 20


def render(report: Report) -> str:
    """One command for each open finding, the most severe first: GitHub shows ten of each kind for a step."""
    commands = [_annotation(finding) for finding in report.open_findings]
    if report.verdict is Verdict.ERROR:
        commands.insert(
            0, _command("error", visible(report.reason or ""), title="Overproof could not verify the migrations")
        )
    return "".join(f"{command}\n" for command in commands)


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
