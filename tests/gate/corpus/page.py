"""docs/corpus.md: the table, written from what was measured, and what the prose around it owes the reader."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.machine import describe_machine

PAGE = Path(__file__).parents[3] / "docs" / "corpus.md"
BEGIN = "<!-- The table: written by `tox -e corpus`. -->"
END = "<!-- The end of the table. -->"


@dataclass
class Row:
    """What is known of one project. Times are in seconds, of whole processes."""

    name: str = ""
    package: str = ""
    version: str = ""
    revisions: int = 0
    postgres: str = ""
    alembic: str = ""
    sqlalchemy: str = ""
    verdict: str = ""
    reason: str | None = None
    findings: list[Mapping[str, Any]] = field(default_factory=list)
    gate_s: float = 0.0
    load_average: float = 0.0  # of the machine, just before: how many processes wanted to run
    plain_s: float | None = None
    plain_ok: bool | None = None
    pytest_alembic: Any = None  # (seconds, "4 passed"), or why it cannot run

    @classmethod
    def load(cls, path: Path) -> Row:
        """The row kept there, or an empty one."""
        return cls(**json.loads(path.read_text())) if path.exists() else cls()

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1))

    def take(self, report: Mapping[str, Any], *, name: str, package: str, version: str) -> None:
        self.name, self.package, self.version = name, package, version
        self.verdict, self.reason = report["verdict"], report.get("reason")
        self.postgres = report.get("postgres") or ""
        self.alembic, self.sqlalchemy = report.get("alembic") or "", report.get("sqlalchemy") or ""
        self.revisions = len(report["graph"]["revisions"])
        self.findings = report["findings"]


def write_table(rows: list[Row]) -> None:
    """Puts the table between its two marks, and leaves everything else on the page as it is."""
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    loads = [row.load_average for row in rows]
    machine = f"{describe_machine()} The load average before each project: {min(loads):.1f} to {max(loads):.1f}."
    PAGE.write_text(f"{before}{BEGIN}\n\n{_table(rows)}\n\n{machine}\n\n{END}{after}")


def _table(rows: list[Row]) -> str:
    head = [
        "project",
        "version",
        "revisions",
        "PostgreSQL",
        "verdict",
        "errors by check",
        "warnings and notices by check",
    ]
    head += ["gate", "plain upgrade", "pytest-alembic's four tests"]
    lines = [head, ["---"] * 5 + ["---"] * 2 + ["---:"] * 2 + ["---"]]
    for row in rows:
        errors = Counter(finding["check"] for finding in row.findings if finding["severity"] == "error")
        others = Counter(finding["check"] for finding in row.findings if finding["severity"] != "error")
        plain = "" if row.plain_s is None else f"{row.plain_s:.1f} s" + ("" if row.plain_ok else ", fails")
        if isinstance(row.pytest_alembic, str):
            peers = row.pytest_alembic
        else:
            peers = "{:.1f} s: {}".format(*row.pytest_alembic) if row.pytest_alembic else ""
        cells = [f"[{row.name}](#{row.name})", f"{row.package} {row.version}", str(row.revisions), row.postgres]
        cells += [row.verdict, _counts(errors), _counts(others), f"{row.gate_s:.1f} s", plain, peers]
        lines.append(cells)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{check} {count}" for check, count in sorted(counts.items())) or "none"


def unexplained(rows: list[Row]) -> list[str]:
    """What the page does not explain, or explains in vain. A section `### name` speaks for one project; in it an item
    that begins with a check's id and the revisions or objects, all in backquotes, explains those findings:
    "- `round-trip` `4bc4d934e2bc`: …". A `*` explains all findings of that check that no other item does."""
    complaints = []
    for row in rows:
        explained = explanations(row.name)
        found = {
            (finding["check"], finding.get("revision") or finding.get("object") or "*")
            for finding in row.findings
            if finding["severity"] == "error"
        }
        for check, where in sorted(found - explained):
            if (check, "*") not in explained:
                complaints.append(f"{row.name}: not explained: {check} {where}")
        for check, where in sorted(explained - found):
            if where != "*" or not any(check == each for each, _ in found):
                complaints.append(f"{row.name}: explained, but not found: {check} {where}")
    return complaints


def explanations(name: str) -> set[tuple[str, str]]:
    """{("round-trip", "4bc4d934e2bc"), …} for the section of that name."""
    match = re.search(rf"^### {re.escape(name)}\n(.*?)(?=^##|\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    explained = set()
    for item in re.findall(r"^- ((?:`[^`]+`[, \n]*)+)", match.group(1) if match else "", re.MULTILINE):
        check, *places = re.findall(r"`([^`]+)`", item)
        explained |= {(check, place) for place in places}
    return explained
