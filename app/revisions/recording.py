"""Store what a report says about revisions, in the transaction that stores its run."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import UUID

from sqlmodel import Session, select

from app.database import cap, insert_rows
from app.gate.report.verdict import Severity
from app.revisions.models import History, Proof, ProvedSchema, Revision
from app.revisions.schemas import ReportedHistory, Script

MOST_HEADS = 20
MOST_FINDINGS = 100  # of one revision
MESSAGE_LENGTH = 1_000

KEEP_FIRST = "ON CONFLICT DO NOTHING"
# A report whose base had the revision already did not judge it, and takes nothing away from one that did.
KEEP_NEWEST = """
    ON CONFLICT (project_id, revision, sha256, schema_before, trusted) DO UPDATE
    SET schema_after = excluded.schema_after, judged = excluded.judged, passed = excluded.passed,
        findings = excluded.findings, run_id = excluded.run_id, proved_at = clock_timestamp()
    WHERE proof.judged <= excluded.judged
    AND (proof.schema_after, proof.judged, proof.passed, proof.findings)
        IS DISTINCT FROM (excluded.schema_after, excluded.judged, excluded.passed, excluded.findings)
"""


def record_history(session: Session, project_id: UUID, reported: ReportedHistory) -> str | None:
    """Store the revisions and the graph. Returns its digest, or None if there is no revision."""
    if not reported.scripts:
        return None
    graph = [[each.revision, each.sha256, [*each.down_revisions, *each.depends_on]] for each in reported.scripts]
    digest = hashlib.sha256(json.dumps([sorted(graph, key=str), sorted(reported.heads)]).encode()).hexdigest()
    values = {"project_id": str(project_id), "digest": digest}
    is_known = select(History.digest).where(History.project_id == project_id, History.digest == digest)
    if session.exec(is_known).first() is not None:
        return digest
    insert_rows(session, Revision, list(_revisions(project_id, reported)), KEEP_FIRST)
    heads = sorted(reported.heads)[:MOST_HEADS]
    insert_rows(session, History, [values | {"heads": heads, "revisions": graph}], KEEP_FIRST)
    return digest


def _revisions(project_id: UUID, reported: ReportedHistory) -> Iterator[dict[str, Any]]:
    """In the order of their keys, so that concurrent requests wait for each other in one order."""
    for script in _by_content(reported).values():
        yield {
            "project_id": str(project_id),
            "revision": script.revision,
            "sha256": script.sha256,
            "down_revisions": list(script.down_revisions),
            "message": cap(script.message, MESSAGE_LENGTH),
            "path": cap(script.path, MESSAGE_LENGTH),
        }


def _by_content(reported: ReportedHistory) -> Mapping[tuple[str, str], Script]:
    contents = {(each.revision, each.sha256): each for each in reported.scripts if each.sha256 is not None}
    return dict(sorted(contents.items()))


def record_proofs(
    session: Session, project_id: UUID, run_id: UUID, reported: ReportedHistory, *, trusted: bool
) -> None:
    """Store what was applied, and what was found there. The run and the history are stored already."""
    rows = []
    for (revision, sha256), script in _by_content(reported).items():
        if script.schema_before is None or script.schema_after is None:
            continue
        found = reported.findings.get(revision, ())
        is_judged = script.is_new and reported.was_applied
        rows.append(
            {
                "project_id": str(project_id),
                "revision": revision,
                "sha256": sha256,
                "schema_before": script.schema_before,
                "schema_after": script.schema_after,
                "trusted": trusted,
                "judged": is_judged,
                "passed": is_judged and not any(map(_is_open_error, found)),
                "findings": [_kept(each) for each in found[:MOST_FINDINGS]],
                "run_id": str(run_id),
            }
        )
    insert_rows(session, Proof, rows, KEEP_NEWEST)


def record_schema(session: Session, project_id: UUID, digest: Any, read_objects: Callable[[], Any]) -> None:
    """Store the schema that a trusted report had at head, if it is new. Only then are its objects read."""
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        return
    is_known = select(ProvedSchema.digest).where(ProvedSchema.project_id == project_id, ProvedSchema.digest == digest)
    if session.exec(is_known).first() is None and isinstance(objects := read_objects(), list):
        row = {"project_id": str(project_id), "digest": digest, "objects": objects}
        insert_rows(session, ProvedSchema, [row], KEEP_FIRST)


def _is_open_error(finding: Mapping[str, Any]) -> bool:
    return finding["severity"] == Severity.ERROR and finding["allowed"] is None


def _kept(finding: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "check": finding["check"],
        "severity": finding["severity"],
        "object": cap(finding["object"], MESSAGE_LENGTH),
        "message": cap(finding["message"], MESSAGE_LENGTH),
        "fingerprint": finding["fingerprint"],
        "allowed": cap(finding["allowed"], MESSAGE_LENGTH),
    }
