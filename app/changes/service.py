"""Note what reports say of changes and protected branches; read and close changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, func, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from app.audit import service as audit
from app.changes.errors import ChangeNotFound
from app.changes.forks import Added, Branch, OpenChange, find_forks, forks_of
from app.changes.models import Change, ChangeRevision, ChangeState, ProtectedBranch
from app.changes.schemas import AddedRevision, ChangeId, ChangeRead, Fork
from app.database import insert_rows
from app.pagination import Page, decode_cursor, encode_cursor, time_and
from app.projects.models import Project
from app.projects.service import require_open
from app.revisions.models import History
from app.revisions.schemas import ReportedHistory, Script

KEY = tuple_(Change.opened_at, Change.id)
CURSOR = time_and(ChangeId)
MOST_ADDED = 1_000  # revisions of one change
MOST_OPEN = 1_000  # changes that are compared
MOST_FORKS = 20  # in one answer

KEEP_FIRST_SEEN = """
    ON CONFLICT (project_id, change, revision) DO UPDATE
    SET position = excluded.position, down_revisions = excluded.down_revisions,
        starts_branch = excluded.starts_branch
"""


class Source(NamedTuple):
    """Where a report comes from."""

    change: str | None
    branch: str | None
    head_sha: str | None
    trusted: bool


def note_report(
    session: Session, project_id: UUID, source: Source, reported: ReportedHistory, history: str | None
) -> None:
    """A report of a pull request says which revisions it adds; a trusted one of a branch, what is merged."""
    if source.change is not None:
        _note_change(session, project_id, source.change, source, reported)
    elif source.trusted and history is not None:
        _note_branch(session, project_id, source, reported, history)


def _note_change(session: Session, project_id: UUID, change_id: str, source: Source, reported: ReportedHistory) -> None:
    values = {"state": ChangeState.OPEN, "branch": source.branch, "head_sha": source.head_sha}
    new = insert(Change).values(project_id=project_id, id=change_id, **values)
    # The row is locked from here on, so that two reports about one change do not mix their revisions.
    session.execute(
        new.on_conflict_do_update(
            index_elements=["project_id", "id"], set_={**values, "seen_at": func.clock_timestamp()}
        )
    )
    merged = {revision for branch in _branches(session, project_id) for revision in branch.revisions}
    added = [each for each in reported.scripts if each.is_new and each.revision not in merged][-MOST_ADDED:]
    session.execute(
        delete(ChangeRevision).where(
            col(ChangeRevision.project_id) == project_id,
            col(ChangeRevision.change) == change_id,
            col(ChangeRevision.revision).not_in([each.revision for each in added]),
        )
    )
    rows = {each.revision: _row(project_id, change_id, position, each) for position, each in enumerate(added)}
    insert_rows(session, ChangeRevision, list(rows.values()), KEEP_FIRST_SEEN)


def _row(project_id: UUID, change_id: str, position: int, script: Script) -> dict[str, object]:
    return {
        "project_id": str(project_id),
        "change": change_id,
        "revision": script.revision,
        "position": position,
        "down_revisions": list(script.down_revisions),
        "starts_branch": script.starts_branch,
    }


def _note_branch(session: Session, project_id: UUID, source: Source, reported: ReportedHistory, history: str) -> None:
    values = {"heads": list(reported.heads[:20]), "history": history}
    new = insert(ProtectedBranch).values(project_id=project_id, branch=source.branch or "", **values)
    session.execute(
        new.on_conflict_do_update(
            index_elements=["project_id", "branch"], set_={**values, "seen_at": func.clock_timestamp()}
        )
    )
    merged = {each.revision for each in reported.scripts}
    for change in _open_changes(session, project_id):
        if change.added and change.revisions <= merged:
            session.get_one(Change, (project_id, change.id)).state = ChangeState.MERGED


def list_forks(session: Session, project_id: UUID, change: str | None = None) -> list[Fork]:
    """The forks of a project, or those that a change is part of."""
    forks = find_forks(_open_changes(session, project_id), _branches(session, project_id))
    return (forks if change is None else list(forks_of(forks, change)))[:MOST_FORKS]


def _open_changes(session: Session, project_id: UUID) -> list[OpenChange]:
    """The newest of them."""
    changes = session.exec(
        select(Change)
        .where(Change.project_id == project_id, Change.state == ChangeState.OPEN)
        .order_by(col(Change.opened_at).desc())
        .limit(MOST_OPEN)
    ).all()
    added = _added_by(session, project_id, [each.id for each in changes])
    return [
        OpenChange(
            each.id,
            each.branch,
            [
                Added(row.revision, tuple(row.down_revisions), row.first_seen_at, row.starts_branch)
                for row in added[each.id]
            ],
        )
        for each in changes
    ]


def _added_by(session: Session, project_id: UUID, changes: Sequence[str]) -> dict[str, list[ChangeRevision]]:
    found: dict[str, list[ChangeRevision]] = defaultdict(list)
    if changes:
        query = select(ChangeRevision).where(
            ChangeRevision.project_id == project_id, col(ChangeRevision.change).in_(changes)
        )
        for row in session.exec(query.order_by(col(ChangeRevision.position))):
            found[row.change].append(row)
    return found


def _branches(session: Session, project_id: UUID) -> list[Branch]:
    """The one that was seen last first."""
    query = (
        select(ProtectedBranch, History.revisions)
        .join(
            History,
            (col(History.project_id) == ProtectedBranch.project_id) & (col(History.digest) == ProtectedBranch.history),
        )
        .where(ProtectedBranch.project_id == project_id, History.project_id == project_id)
        .order_by(col(ProtectedBranch.seen_at).desc())
        .limit(5)
    )
    return [
        Branch(branch.branch, branch.heads, {revision for revision, _, _ in revisions})
        for branch, revisions in session.exec(query)
    ]


def list_changes(
    session: Session, project: Project, *, state: ChangeState, cursor: str | None, limit: int
) -> Page[ChangeRead]:
    """The newest first."""
    query = select(Change).where(Change.project_id == project.id, Change.state == state)
    if cursor is not None:
        query = query.where(tuple_(*decode_cursor(cursor, CURSOR)) > KEY)
    rows = session.exec(query.order_by(col(Change.opened_at).desc(), col(Change.id).desc()).limit(limit + 1)).all()
    added = _added_by(session, project.id, [row.id for row in rows[:limit]])
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(
        items=[_answer(row, added[row.id]) for row in rows[:limit]],
        next_cursor=encode_cursor((last.opened_at.isoformat(), last.id)) if last else None,
    )


def read_change(session: Session, project: Project, change_id: str) -> ChangeRead:
    """Raises ChangeNotFound."""
    change = session.get(Change, (project.id, change_id))
    if change is None:
        raise ChangeNotFound(change_id)
    return _answer(change, _added_by(session, project.id, [change_id])[change_id])


def close_change(session: Session, project: Project, change_id: str) -> ChangeRead:
    """Closing it again, or when it was merged, changes nothing. Raises ChangeNotFound and ProjectArchived."""
    require_open(project)
    change = session.get(Change, (project.id, change_id), with_for_update=True)
    if change is None:
        raise ChangeNotFound(change_id)
    if change.state is ChangeState.OPEN:
        change.state = ChangeState.CLOSED
        audit.note(session, project.id, "change.close", change_id)
    return _answer(change, _added_by(session, project.id, [change_id])[change_id])


def _answer(change: Change, added: Sequence[ChangeRevision]) -> ChangeRead:
    return ChangeRead(**change.model_dump(), revisions=[AddedRevision.model_validate(each) for each in added])
