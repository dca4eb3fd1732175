"""The gate and its peers on the migrations that MigrationPilot's authors labelled: `tox -e bench -- --part peers --corpus DIRECTORY`.

DIRECTORY is a checkout of MigrationPilot's repository, of which nothing is kept here. Each file becomes a few Alembic
revisions (peers_corpus.py), which the gate tries as hard as new ones; the linters (peers_linters.py) get the file itself. The last section of
docs/peers.md is written from what they say.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app import __version__
from app.gate.checks.registry import CHECKS as OF_THE_GATE
from app.gate.report.model import FindingEntry
from app.gate.report.verdict import Severity
from app.gate.server.throwaway import Server
from tests.bench.page import format_table, write_section
from tests.bench.peers_corpus import LabelledFile, read_commit, read_corpus, split_transactions, write_history
from tests.bench.peers_linters import Material, Peer, Said, judge_all
from tests.gate.hazards.verdicts import judge_history

PAGE = Path(__file__).parents[2] / "docs" / "peers.md"
TITLE = "On labelled migrations"

# The check that finds what a hazard is about, or that would.
CHECKS: Mapping[str, set[str]] = {
    "access-exclusive-maintenance": {"table-rewrite"},
    "check-constraint-scan": {"blocking-scan"},
    "column-type-rewrite": {"table-rewrite"},
    "concurrently-in-transaction": {"upgrade"},
    "ddl-plus-backfill-same-txn": {"lock-pileup"},
    "disable-trigger-all": {"not-validated", "upgrade"},
    "drop-column": {"breaking-change", "data-loss"},
    "drop-table-cascade": {"breaking-change", "data-loss"},
    "enum-add-value-in-transaction": {"upgrade"},
    "fk-without-not-valid": {"blocking-scan"},
    "invalid-index-retry": {"interrupted-upgrade"},
    "missing-lock-timeout": {"lock-timeout"},
    "multi-table-ddl-transaction": {"lock-pileup"},
    "non-concurrent-index": {"blocking-index"},
    "partition-attach": {"blocking-scan"},
    "partition-detach": {"lock-pileup"},
    "rename-column-breakage": {"breaking-change"},
    "rename-table-breakage": {"breaking-change"},
    "replication-identity-break": {"breaking-change"},
    "set-not-null-scan": {"blocking-scan"},
    "stored-generated-rewrite": {"table-rewrite"},
    "truncate-cascade": {"data-loss"},
    "unbatched-backfill": {"bulk-update"},
    "unique-constraint-scan": {"blocking-index"},
    "volatile-default-rewrite": {"table-rewrite"},
}
_THERE = {check.id for check in OF_THE_GATE}
# What these judge is the history, the way back, or the models: a file of SQL has none of that.
LEFT_OUT = (
    "single-head",
    "graph-integrity",
    "merged-history",
    "round-trip",
    "irreversible",
    "model-drift",
    "schema-drift",
    "unregistered-models",
    "offline-sql",
    "concurrent-upgrade",
)


@dataclass(frozen=True)
class Score:
    """How one program did on all files."""

    strict: int  # dangerous files whose first hazard it names
    loose: int  # dangerous files of which it says that something is wrong
    pairs: int  # hazards of dangerous files that it names
    alarms: tuple[str, ...]  # safe files of which it says that something is wrong


def score(peer: Peer, files: Iterable[LabelledFile]) -> Score:
    dangerous = [(file, peer.said[file.name]) for file in files if file.verdict == "dangerous"]
    safe = [(file, peer.said[file.name]) for file in files if file.verdict == "safe"]
    return Score(
        sum(file.hazards[0] in heard.hazards for file, heard in dangerous),
        sum(bool(heard.alarms) for _, heard in dangerous),
        sum(len(heard.hazards & set(file.hazards)) for file, heard in dangerous),
        tuple(file.name for file, heard in safe if heard.alarms),
    )


@dataclass(frozen=True)
class Section:
    """What there is to say on the page."""

    files: Sequence[LabelledFile]
    peers: Sequence[Peer]  # the gate first
    missing: Sequence[str]  # programs that are not installed
    published: Mapping[str, Any]  # MigrationPilot's own results
    commit: str
    postgres: str

    def text(self) -> str:
        dangerous = [file for file in self.files if file.verdict == "dangerous"]
        safe = [file for file in self.files if file.verdict == "safe"]
        pairs = sum(len(file.hazards) for file in dangerous)
        head = ["", f"strict, of {len(dangerous)}", f"loose, of {len(dangerous)}", f"hazards, of {pairs}"]
        parts = [
            INTRODUCTION.format(
                total=len(self.files),
                dangerous=len(dangerous),
                safe=len(safe),
                commit=self.commit,
                postgres=self.postgres,
            ),
            format_table([*head, f"false alarms, of {len(safe)}"], [*map(self._line, self.peers), self._own_line()]),
            self._absent(),
            "What this gate missed, of the hazards that the labels name:\n",
            format_table(["file", "missed", "found"], list(self._misses()), numbers=False),
            self._said_of_safe_files(),
            "Which checks count for which hazard:\n",
            format_table(
                ["hazard", "check"],
                [[f"`{name}`", _codes(checks & _THERE)] for name, checks in CHECKS.items()],
                numbers=False,
            ),
            NOTES,
        ]
        return "\n".join(parts)

    def _line(self, peer: Peer) -> list[str]:
        result = score(peer, self.files)
        alarms = f"{len(result.alarms)}" + (f" ({', '.join(result.alarms)})" if result.alarms else "")
        return [peer.name, str(result.strict), str(result.loose), str(result.pairs), alarms]

    def _own_line(self) -> list[str]:
        """MigrationPilot's figures, which its authors published with the files."""
        tool = self.published["tools"]["mp"]
        totals, version = tool["totals"], self.published["versions"]["migrationpilot"]
        alarms = f"{totals['falsePositives']} ({', '.join(totals['fpFiles'])})"
        hits = sum(each["hit"] for each in tool["hazardRecall"].values())
        return [
            f"MigrationPilot {version.split()[0]}, as published",
            *map(str, (totals["strictHits"], totals["looseHits"], hits)),
            alarms,
        ]

    def _absent(self) -> str:
        told = [f"Not installed, and so not measured: {', '.join(self.missing)}.\n"] if self.missing else []
        told += [
            f"{peer.name} has rules that MigrationPilot's table does not know: {_codes(peer.unknown)}. They count as alarms, as there.\n"
            for peer in self.peers
            if peer.unknown
        ]
        told += [
            f"{peer.name} could not read {', '.join(sorted(peer.unread))}.\n" for peer in self.peers if peer.unread
        ]
        return "\n".join(told)

    def _said_of_safe_files(self) -> str:
        alarms = list(self._alarms())
        if not alarms:
            return "Of the files that are labelled safe it said that none is wrong.\n"
        return (
            f"What it said of files that are labelled safe:\n\n{format_table(['file', 'found'], alarms, numbers=False)}"
        )

    def _misses(self) -> Iterable[list[str]]:
        gate = self.peers[0]
        for file in self.files:
            missed = set(file.hazards) - gate.said[file.name].hazards
            if file.verdict == "dangerous" and missed:
                first = " (what it is about)" if file.hazards[0] in missed else ""
                yield [f"`{file.place}`", _codes(missed) + first, _codes(gate.said[file.name].rules)]

    def _alarms(self) -> Iterable[list[str]]:
        gate = self.peers[0]
        for file in self.files:
            if file.verdict == "safe" and gate.said[file.name].alarms:
                yield [f"`{file.place}`", _codes(gate.said[file.name].alarms)]


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "nothing"


INTRODUCTION = """\
The authors of [MigrationPilot](https://github.com/mickelsamuel/migrationpilot) have labelled {total} migrations: {dangerous} dangerous ones, {safe} safe ones, and
others that depend on the size of a table, which are not scored. They are not copied here. To do this again:

    git clone https://github.com/mickelsamuel/migrationpilot
    tox -e bench -- --part peers --corpus migrationpilot

This is commit {commit}, on PostgreSQL {postgres}.
"""
NOTES = """\
`strict`: the hazard that the file is about is named, by this gate as a notice too. `loose`: anything at all is said to be wrong.
`hazards`: how many of all that the labels name are named. A false alarm is a safe file of which something is said to be wrong: for this gate any error or warning, whichever check
it is from; for a linter the rules that MigrationPilot's `bench/rule-map.json` holds to be about hazards, not about settings, style, or statements
that are described as safe (`tests/bench/peers_linters.py` has the like for the linters which that file does not know).

The files are SQL alone. `tests/bench/peers_corpus.py` makes the tables that each presumes, in a first revision; the file's statements are the next.
Where a file counts on commits in between (CONCURRENTLY, VACUUM, several BEGIN, a NOT VALID constraint that is validated), each of its transactions
is a revision of its own, as Alembic's users would write it. A COPY from a file on the server is left out.
The linters read the SQL without its header; migsafe, which reads Alembic's scripts, reads those.
"""


def measure(server: Server, folder: Path, corpus: Path) -> Section:
    """What everything says, the gate on that server. The folder is empty."""
    major = int(server.version.partition(".")[0])
    files = read_corpus(corpus)
    run = sorted((file for file in files if file.major <= major), key=lambda file: file.name)
    found, scripts = _judge(run, server, folder)
    gate = Peer(f"Overproof {__version__}", found)
    rule_map = json.loads((corpus / "bench" / "rule-map.json").read_text())
    peers, missing = judge_all(Material(folder, run, _write_sql(run, folder / "sql"), scripts, rule_map))
    published = json.loads((corpus / "bench" / "results.json").read_text())
    return Section(run, [gate, *peers], missing, published, read_commit(corpus), server.version)


def _judge(
    files: Iterable[LabelledFile], server: Server, folder: Path
) -> tuple[dict[str, Said], dict[str, list[Path]]]:
    """What the gate says of each file, and the scripts that it became.

    All are one history, as far as they can be applied: after one that cannot, the others are a history of their own.
    """
    said: dict[str, Said] = {}
    scripts: dict[str, list[Path]] = {}
    left = sorted(files, key=_order)
    while left:
        place = folder / f"history_{len(left)}"
        revisions = write_history(left, place)
        report = judge_history(place, server, sum(map(len, revisions.values())))
        walked = {step.revision for step in report.steps if step.direction == "upgrade"}
        judged = [file for file in left if revisions[file.name][0] in walked]
        if not judged:
            sys.exit(
                f"bench: {left[0].place} meets what peers_corpus.py does not make: {report.findings or report.reason}"
            )
        for file in judged:
            own = [finding for finding in report.findings if finding.revision in revisions[file.name]]
            said[file.name] = _said(file, own)
            scripts[file.name] = [place / "migrations" / "versions" / f"{name}.py" for name in revisions[file.name]]
            print(f"  {file.place}: {', '.join(sorted(said[file.name].rules)) or 'nothing'}", flush=True)
        left = [file for file in left if file not in judged]
    return said, scripts


def _order(file: LabelledFile) -> tuple[bool, bool, str]:
    """What commits half way is tried from the start of the history, so it comes first; what fails by itself ends it, so it comes last."""
    parts = split_transactions(file.sql)
    fails = any(hazard.endswith("-in-transaction") for hazard in file.hazards)
    return fails, not (len(parts) > 1 or parts[0].autocommit), file.name


def _said(file: LabelledFile, findings: Iterable[FindingEntry]) -> Said:
    """What the findings amount to. Exits if the file met something that is not there."""
    own = [finding for finding in findings if finding.check not in LEFT_OUT]
    for finding in own:
        if finding.check == "upgrade" and "does not exist" in finding.message:
            sys.exit(f"bench: {file.place} meets what peers_corpus.py does not make: {finding.message}")
    checks = frozenset(finding.check for finding in own)
    return Said(
        checks,
        frozenset(hazard for hazard, by in CHECKS.items() if checks & by),
        frozenset(finding.check for finding in own if finding.severity in (Severity.ERROR, Severity.WARNING)),
    )


def _write_sql(files: Sequence[LabelledFile], place: Path) -> dict[str, Path]:
    place.mkdir()
    paths = {file.name: place / f"{file.name}.sql" for file in files}
    for file in files:
        paths[file.name].write_text(file.sql)
    return paths


def write(server: Server, folder: Path, corpus: Path) -> None:
    """Measure, and put the section into docs/peers.md."""
    place = folder / "peers"
    place.mkdir()
    section = measure(server, place, corpus)
    print(section.text())
    write_section(TITLE, section.text(), PAGE)
