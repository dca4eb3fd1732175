"""Which revisions are pending, and what the report says of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from app.gate.errors import UsageError
from app.gate.postgres.locks import BLOCKS_WRITES
from app.gate.recording.model import Key, Snapshot
from app.gate.recording.names import full_name
from app.gate.recording.serialization import from_json, key_of
from app.gate.report.model import FindingEntry, Report, RevisionEntry
from app.gate.report.verdict import Severity

# What belongs to its owner alone: other roles may not change it.
_OWNED = ("table", "view", "materialized view", "foreign table", "column", "constraint", "index", "policy", "rule")


def read_report(path: Path) -> Report:
    """The report in that file. Raises UsageError."""
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"--report: {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"--report: {path} is not JSON ({error}): {_HOW}") from None
    return parse_report(content, f"--report: {path}")


_HOW = "write it by overproof verify --output json:FILE"


def parse_report(content: Any, source: str) -> Report:
    """Fields that this version does not know are ignored. Raises UsageError."""
    try:
        return Report.model_validate(content, extra="ignore")
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise UsageError(f"{source} is not a report of overproof verify ({place}: {first['msg']}): {_HOW}") from None


class Work(NamedTuple):
    """What a revision does with a table that is older."""

    table: str  # "public.orders"
    modes: frozenset[str]  # of the locks that it takes
    is_rewritten: bool
    is_scanned: bool

    @property
    def is_heavy(self) -> bool:
        return self.is_rewritten or self.is_scanned or bool(self.modes & BLOCKS_WRITES)


@dataclass(frozen=True)
class Plan:
    """The revisions that a database lacks, by a report."""

    report: Report
    at: tuple[str, ...]  # the revisions that the database is at
    missing: tuple[str, ...]  # of these, those that the report does not have
    pending: tuple[RevisionEntry, ...]  # parents before children
    is_known: bool = True  # False: it is not known which revisions are pending

    @property
    def tried(self) -> list[RevisionEntry]:
        """The pending revisions of which the report says what they meet."""
        judged = {*self.report.judged.revisions}
        return [each for each in self.pending if each.revision in judged and each.new]

    @property
    def untried(self) -> list[RevisionEntry]:
        tried = {each.revision for each in self.tried}
        return [each for each in self.pending if each.revision not in tried]

    def assumptions(self) -> list[FindingEntry]:
        """The findings about rows of pending revisions, each query once."""
        pending = {each.revision for each in self.tried}
        found: dict[str, FindingEntry] = {}
        for each in self.report.findings:
            if each.revision not in pending or each.check != "populated-upgrade":
                continue
            if each.assumption is not None:
                found.setdefault(each.assumption.sql, each)
            elif each.severity is not Severity.NOTICE and each.allowed is None:
                found.setdefault(each.fingerprint, each)
        return list(found.values())

    def is_after_others(self, revision: str | None) -> bool:
        """Whether other pending revisions come first, so that the schema is not yet the one that it will find."""
        return bool(self.pending) and self.pending[0].revision != revision

    def new_tables(self, revision: str | None) -> set[str]:
        """The tables that earlier pending revisions make, apart from those that may be renamed ones."""
        found: set[str] = set()
        for each in self.tried:
            if each.revision == revision:
                break
            tables = [entry for entry in _entries(each.replaced) if entry["kind"] == "table"]
            has_gone = any(entry["definition"] is not None and _is_gone(key_of(entry), self.report) for entry in tables)
            if not has_gone:
                found.update(full_name(key_of(entry)) for entry in tables if entry["definition"] is None)
        return found

    def work_of(self, revision: str) -> list[Work]:
        """What it does with older tables, apart from ordinary reads and writes."""
        modes: dict[str, set[str]] = {}
        rewrites: set[str] = set()
        scans: set[str] = set()
        for step in self.report.steps:
            if step.revision == revision and step.direction == "upgrade":
                for statement in step.statements:
                    for lock in statement.locks:
                        modes.setdefault(lock.get("table", ""), set()).add(lock.get("mode", ""))
                    rewrites.update(statement.rewrites)
                    scans.update(statement.scans)
        work = [
            Work(table, frozenset(modes.get(table, ())), table in rewrites, table in scans)
            for table in sorted(modes.keys() | rewrites | scans)
        ]
        return [each for each in work if each.is_heavy]

    def is_concurrent(self, revision: str) -> bool:
        """Whether it builds, drops or detaches something CONCURRENTLY, which waits for older transactions."""
        return any(
            re.search(r"\bCONCURRENTLY\b", statement.sql, re.IGNORECASE)
            for step in self.report.steps
            if step.revision == revision and step.direction == "upgrade"
            for statement in step.statements
        )

    def made(self) -> Iterator[tuple[str, Key]]:
        """(revision, object) for what the pending revisions make."""
        for revision in self.tried:
            for entry in _entries(revision.replaced):
                if entry["definition"] is None:
                    yield revision.revision, key_of(entry)

    def changed(self) -> dict[tuple[str, str], str]:
        """{("public", "orders"): "b2"}: the tables that a pending revision changes as only their owner may."""
        found: dict[tuple[str, str], str] = {}
        for revision in self.tried:
            for entry in _entries(revision.replaced):
                key = key_of(entry)
                if key.kind in _OWNED:
                    found.setdefault((key.schema, key.table or key.name), revision.revision)
        return found

    def expected(self) -> Snapshot | None:
        """The schema that was proved for the revisions that the database is at. None if the report does not have it."""
        report, tried = self.report, {each.revision: each for each in self.tried}
        if self.untried or self.missing or report.snapshot is None or not self._ends_at_head():
            return None
        objects = dict(from_json(_entries(report.snapshot)).objects)
        for revision in reversed(report.judged.revisions):
            if revision not in tried:
                continue
            replaced = tried[revision].replaced
            if replaced is None:
                return None
            for entry in _entries(replaced):
                if entry["definition"] is None:
                    objects.pop(key_of(entry), None)
                else:
                    objects[key_of(entry)] = entry["definition"]
        return Snapshot(objects)

    def _ends_at_head(self) -> bool:
        """Whether the report's schema is that of its heads, and not of where a failure ended the walk."""
        judged = self.report.judged.revisions
        revisions = {each.revision: each for each in self.report.graph.revisions}
        applied = [each for each in judged if each in revisions and revisions[each].schema_digest is not None]
        return not judged or applied == [*judged]

    def expected_digests(self) -> frozenset[str]:
        """Of that schema, as the report has it. Empty where no walk passed exactly these revisions."""
        pending = {each.revision for each in self.pending}
        judged = self.report.judged.revisions
        later = [each for each in judged if each in pending]
        if not later:
            return frozenset({self.report.digest} if self.report.digest else ())
        first = next(each for each in self.pending if each.revision == later[0])
        is_end = [*judged[-len(later) :]] == later
        return frozenset({first.schema_digest_before} if is_end and first.schema_digest_before else ())


def make_plan(report: Report, at: Sequence[str]) -> Plan:
    """What is pending on a database that is at these revisions."""
    known = {each.revision for each in report.graph.revisions}
    missing = tuple(each for each in at if each not in known)
    if missing:
        return Plan(report, tuple(at), missing, (), is_known=False)
    parents = {each.revision: (*each.down_revisions, *each.depends_on) for each in report.graph.revisions}
    names = _by_any_name(report.graph.revisions)
    applied: set[str] = set()
    waiting = [*at]
    while waiting:
        revision = waiting.pop()
        if revision not in applied:
            applied.add(revision)
            waiting += [names.get(each, each) for each in parents.get(revision, ())]
    return Plan(
        report,
        tuple(at),
        (),
        tuple(each for each in report.graph.revisions if each.revision not in applied),
    )


def unknown_plan(report: Report) -> Plan:
    """Where the revisions that the database is at could not be read."""
    return Plan(report, (), (), (), is_known=False)


def _by_any_name(revisions: Iterable[RevisionEntry]) -> dict[str, str]:
    """Revisions by their labels too, which `depends_on` may name."""
    return {name: each.revision for each in revisions for name in (each.revision, *each.branch_labels)}


def _is_gone(key: Key, report: Report) -> bool:
    """Whether the table is not there at head."""
    return all(key_of(entry) != key for entry in _entries(report.snapshot))


def _entries(objects: Iterable[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    """The objects in a report that are of the shape that they should have."""
    return [
        dict(each)
        for each in objects or ()
        if all(isinstance(each.get(name), str) for name in ("kind", "schema", "name"))
        and isinstance(each.get("table", ""), str)
        and isinstance(each.get("definition"), (dict, type(None)))
    ]
