"""Find and list revisions, their proofs and histories."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import tuple_
from sqlmodel import Session, col, select

from app.pagination import Page, decode_cursor, encode_cursor, time_and
from app.projects.models import Project
from app.revisions.errors import RevisionNotFound
from app.revisions.models import History, Proof, Revision
from app.revisions.schemas import ProofRead, RevisionDetail, RevisionId, RevisionRead, Sha256

Content = tuple[str, str]  # a revision's ID, and the SHA-256 of its script

KEY = tuple_(Revision.first_seen_at, Revision.revision, Revision.sha256)
CURSOR = time_and(RevisionId, Sha256)


def list_revisions(
    session: Session, project: Project, *, revision: str | None = None, cursor: str | None, limit: int
) -> Page[RevisionRead]:
    """Those that were seen last first."""
    query = select(Revision).where(Revision.project_id == project.id)
    if revision is not None:
        query = query.where(Revision.revision == revision)
    if cursor is not None:
        query = query.where(tuple_(*decode_cursor(cursor, CURSOR)) > KEY)
    order = (col(Revision.first_seen_at), col(Revision.revision), col(Revision.sha256))
    found = session.exec(query.order_by(*(each.desc() for each in order)).limit(limit + 1)).all()
    rows = found[:limit]
    last = rows[-1] if len(found) > limit else None
    return Page(
        items=_answers(session, project.id, rows),
        next_cursor=encode_cursor((last.first_seen_at.isoformat(), last.revision, last.sha256)) if last else None,
    )


def read_revision(session: Session, project: Project, revision: str, sha256: str) -> RevisionDetail:
    """Raises RevisionNotFound."""
    stored = session.get(Revision, (project.id, revision, sha256))
    if stored is None:
        raise RevisionNotFound(revision, sha256)
    (answer,) = _answers(session, project.id, [stored])
    proofs = find_proofs(session, project.id, [(revision, sha256)])[revision, sha256]
    return RevisionDetail(**answer.model_dump(), proofs=[ProofRead.model_validate(each) for each in proofs])


def _answers(session: Session, project_id: UUID, rows: Sequence[Revision]) -> list[RevisionRead]:
    contents = [(row.revision, row.sha256) for row in rows]
    proofs, environments = find_proofs(session, project_id, contents), _environments_of(session, project_id, contents)
    answers = []
    for row, content in zip(rows, contents, strict=True):
        proof = next((each for each in proofs[content] if each.judged), None)
        answers.append(
            RevisionRead(
                **row.model_dump(),
                proof=None if proof is None else ProofRead.model_validate(proof),
                environments=sorted(environments[content]),
            )
        )
    return answers


def find_proofs(session: Session, project_id: UUID, contents: Collection[Content]) -> Mapping[Content, list[Proof]]:
    """The proofs of each content: trusted ones first, then the newest first."""
    found: dict[Content, list[Proof]] = defaultdict(list)
    if contents:
        # As two arrays: thousands of values in a list would take seconds to bind.
        names, digests = (sa.bindparam(None, list(each), sa.ARRAY(sa.String)) for each in zip(*contents, strict=True))
        wanted = sa.func.unnest(names, digests).table_valued("revision", "sha256").render_derived()
        query = (
            select(Proof)
            .join(wanted, (wanted.c.revision == col(Proof.revision)) & (wanted.c.sha256 == col(Proof.sha256)))
            .where(Proof.project_id == project_id)
        )
        for proof in session.exec(query.order_by(col(Proof.trusted).desc(), col(Proof.proved_at).desc())):
            found[proof.revision, proof.sha256].append(proof)
    return found


def _environments_of(session: Session, project_id: UUID, contents: Collection[Content]) -> Mapping[Content, set[str]]:
    wanted = set(contents)
    found: dict[Content, set[str]] = defaultdict(set)
    deployed = select(History).where(History.project_id == project_id, col(History.environments) != sa.text("'{}'"))
    for history in session.exec(deployed):
        for revision, sha256, _ in history.revisions:
            if (revision, sha256) in wanted:
                found[revision, sha256].update(history.environments)
    return found


def get_history(session: Session, project_id: UUID, digest: str) -> History:
    """The history with that digest, which a run or a deployment has."""
    return session.exec(select(History).where(History.project_id == project_id, History.digest == digest)).one()


def note_environment(session: Session, project_id: UUID, environment: str, digests: Iterable[str]) -> None:
    """These histories, and no others, are deployed to that environment."""
    deployed = list(digests)
    of_project = sa.update(History).where(col(History.project_id) == project_id)
    has_it = sa.literal(environment) == sa.func.any(col(History.environments))
    session.execute(
        of_project.where(has_it, col(History.digest).not_in(deployed)).values(
            environments=sa.func.array_remove(History.environments, environment)
        )
    )
    session.execute(
        of_project.where(~has_it, col(History.digest).in_(deployed)).values(
            environments=sa.func.array_append(History.environments, environment)
        )
    )
