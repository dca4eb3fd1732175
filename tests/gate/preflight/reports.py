"""Reports as `overproof verify` writes them, of revisions that are tried on a database and rolled back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app.gate.recording.model import Snapshot
from app.gate.recording.serialization import digest, object_entry, to_json
from app.gate.report.model import (
    AssumptionEntry,
    FindingEntry,
    GraphEntry,
    JudgedEntry,
    Report,
    RevisionEntry,
    StatementEntry,
    StepEntry,
)
from app.gate.report.verdict import Severity
from app.gate.reporters.json import render
from app.gate.server.database import Database
from app.gate.snapshot.difference import difference
from app.gate.snapshot.read import read, without
from tests.gate.reporters import samples


def assumes(revision: str, sql: str | None, **fields: Any) -> FindingEntry:
    return samples.finding(
        f"{revision} fails where a row is in its way",
        **{
            "check": "populated-upgrade",
            "severity": Severity.WARNING,
            "revision": revision,
            "object": "public.orders.note",
            "assumption": AssumptionEntry(sql=sql) if sql else None,
            **fields,
        },
    )


def step(revision: str, sql: str, *locks: tuple[str, str], **fields: Any) -> StepEntry:
    """An upgrade that is one statement: its locks are pairs of a table and a mode."""
    taken = [{"table": table, "mode": mode} for table, mode in locks]
    statement = StatementEntry(sql=sql, duration_ms=1.0, locks=taken, **fields)
    return StepEntry(revision=revision, direction="upgrade", duration_ms=1.0, statements=[statement])


def prove(
    database: Database,
    upgrades: Mapping[str, str],
    *findings: FindingEntry,
    steps: Sequence[StepEntry] = (),
    at: str = "a1",
    **fields: Any,
) -> Report:
    """The report on `at`, the schema that is there, and on these revisions above it: {"b2": SQL}."""
    revisions = [RevisionEntry(revision=at, message="begin", replaced=[])]
    with database.connect(autocommit=False) as connection, connection.cursor() as cursor:
        first = before = _schema(connection)
        for revision, sql in upgrades.items():
            cursor.execute(sql)
            after = _schema(connection)
            revisions.append(
                RevisionEntry(
                    revision=revision,
                    message="continue",
                    down_revisions=[revisions[-1].revision],
                    schema_digest_before=digest(before),
                    schema_digest=digest(after),
                    replaced=[object_entry(each.key, each.before) for each in difference(before, after)],
                )
            )
            before = after
        connection.rollback()
    revisions[0] = revisions[0].model_copy(update={"schema_digest": digest(first)})
    version = fields.pop("postgres", None) or _version(database)
    return samples.report(
        *findings,
        **{
            "postgres": version,
            "graph": GraphEntry(heads=[revisions[-1].revision], bases=[at], revisions=revisions),
            "judged": JudgedEntry(revisions=[each.revision for each in revisions]),
            "steps": [*steps],
            "snapshot": to_json(before),
            "digest": digest(before),
            **fields,
        },
    )


def _version(database: Database) -> str:
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        return ",".join(version for (version,) in cursor).partition(" ")[0]


def _schema(connection: Any) -> Snapshot:
    return without(read(connection), "public", "alembic_version")


def write(report: Report, place: Path) -> str:
    path = place / "report.json"
    path.write_text(render(report))
    return str(path)
