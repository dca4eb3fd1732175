"""Which history a commit or its heads stand for, by the runs that were posted."""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from app.environments.errors import VersionUnknown
from app.environments.schemas import Version
from app.gate.report.verdict import Verdict
from app.revisions.models import History
from app.runs.models import Run


class KnownVersion(NamedTuple):
    """The newest run of a version. Its history may be that of many commits."""

    run_id: UUID
    trusted: bool
    verdict: Verdict
    history: str  # its digest
    heads: list[str]


def find_version(session: Session, project_id: UUID, version: Version) -> KnownVersion | None:
    """By the newest run that has it: a trusted one, if there is one."""
    query: Any = (
        sa.select(*map(col, (Run.id, Run.trusted, Run.verdict, Run.history, History.heads)))
        .join(History, (col(History.project_id) == Run.project_id) & (col(History.digest) == Run.history))
        .where(col(Run.project_id) == project_id)
        .order_by(col(Run.trusted).desc(), col(Run.received_at).desc())
        .limit(1)
    )
    if version.commit is not None:
        query = query.where((col(Run.head_sha) == version.commit) | (col(Run.commit) == version.commit))
    else:
        histories = select(History.digest).where(
            History.project_id == project_id, History.heads == sorted(version.heads or [])
        )
        query = query.where(col(Run.history).in_(histories))
    found = session.execute(query).first()
    return None if found is None else KnownVersion(*found)


def get_version(session: Session, project_id: UUID, version: Version) -> KnownVersion:
    """Raises VersionUnknown."""
    found = find_version(session, project_id, version)
    if found is None:
        if version.commit is not None:
            raise VersionUnknown(f"the commit {version.commit}", "on that commit")
        raise VersionUnknown(f"the heads {', '.join(version.heads or [])}", "on a commit with these heads")
    return found
