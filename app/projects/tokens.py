"""Tokens: generate and recognise their secrets; issue, list and revoke them.

A secret has 256 random bits, so its SHA-256 needs no salt and no slow hash: it cannot be guessed. Its prefix lets
secret scanners of code hosts find one that was committed by mistake.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from uuid import UUID

from sqlalchemy import bindparam, text, tuple_
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col, select

from app.audit import service as audit
from app.database import utcnow
from app.pagination import TIME_AND_ID, Page, decode_cursor, encode_cursor
from app.projects.errors import TokenNotFound, TokenUnknown
from app.projects.models import ApiToken, Project
from app.projects.schemas import TokenCreate, TokenRead

PREFIX = "ovp_"
KEY = tuple_(ApiToken.created_at, ApiToken.id)
USE_IS_NOTED_EVERY = timedelta(minutes=1)
# Built once, since every request begins with it.
IS_PROJECT = (col(Project.slug) == bindparam("slug")) & col(Project.purged_at).is_(None)
WITH_PROJECT = select(ApiToken, Project).outerjoin(Project, IS_PROJECT)
SHOWN = WITH_PROJECT.where(col(ApiToken.digest) == bindparam("digest"))
SHOWN_BEFORE = WITH_PROJECT.where(col(ApiToken.id) == bindparam("id"))


def issue_token(session: Session, project: Project | None, new: TokenCreate) -> tuple[ApiToken, str]:
    """A new token and its secret, which is not stored. Without a project: for the whole installation."""
    secret = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken(
        project_id=project.id if project else None,
        name=new.name,
        scope=new.scope,
        digest=digest_of(secret),
        hint=secret[-4:],
        trusted=new.trusted,
        expires_at=new.expires_at,
        environment=new.environment,
    )
    session.add(token)
    details = new.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
    audit.note(session, token.project_id, "token.issue", token.name, id=str(token.id), **details)
    return token, secret


def digest_of(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def recognise(session: Session, secret: str, slug: str = "") -> tuple[ApiToken, Project | None]:
    """The token with this secret, and the project with this slug, in one query.

    Raises TokenUnknown, also for a token that was revoked or has expired. From here on the audit notes changes in this
    session as made with the token.
    """
    digest = digest_of(secret)
    token, project = session.execute(SHOWN, {"digest": digest, "slug": slug}).one_or_none() or (None, None)
    # The index has compared already, and stops at the first byte that differs. It compares digests, which a client
    # cannot choose byte by byte; the comparison in constant time makes that argument unnecessary.
    if token is None or not hmac.compare_digest(token.digest, digest) or not is_valid(token):
        raise TokenUnknown
    _act_with(session, token)
    return token, project


def recognise_by_id(session: Session, token_id: UUID, slug: str = "") -> tuple[ApiToken, Project | None] | None:
    """The same for a reader who has shown the token before. None if it was revoked or has expired since."""
    token, project = session.execute(SHOWN_BEFORE, {"id": token_id, "slug": slug}).one_or_none() or (None, None)
    if token is None or not is_valid(token):
        return None
    _act_with(session, token)
    return token, project


def _act_with(session: Session, token: ApiToken) -> None:
    note_use(session, token)
    audit.act_as(session, audit.Actor(token.id, token.name))
    session.info["token"] = token


def is_valid(token: ApiToken) -> bool:
    return token.revoked_at is None and (token.expires_at is None or token.expires_at > utcnow())


def token_of(session: Session) -> ApiToken:
    """The token with which the request was made."""
    token: ApiToken = session.info["token"]
    return token


def note_use(session: Session, token: ApiToken) -> None:
    """Store when the token was used: to the minute, so that nearly all reading requests write nothing.

    Concurrent requests do not wait for each other: one of them stores it.
    """
    now = utcnow()
    if token.last_used_at is not None and now - token.last_used_at < USE_IS_NOTED_EVERY:
        return
    # In a transaction that reads one moment, the update fails if another request has stored it since that moment.
    try:
        with session.begin_nested():
            session.execute(
                text(
                    "UPDATE api_token SET last_used_at = :now "
                    "WHERE id = (SELECT id FROM api_token WHERE id = :id FOR NO KEY UPDATE SKIP LOCKED)"
                ),
                {"now": now, "id": token.id},
            )
    except OperationalError as error:
        if error.connection_invalidated:
            raise


def list_tokens(session: Session, project: Project | None, *, cursor: str | None, limit: int) -> Page[TokenRead]:
    """Those of the project, or of the whole installation; the oldest first, including revoked ones."""
    query = select(ApiToken).where(col(ApiToken.project_id) == (project.id if project else None))
    if cursor:
        query = query.where(tuple_(*decode_cursor(cursor, TIME_AND_ID)) < KEY)
    tokens = session.exec(query.order_by(KEY).limit(limit + 1)).all()
    last = tokens[:limit][-1] if tokens else None
    return Page(
        items=[TokenRead.model_validate(token) for token in tokens[:limit]],
        next_cursor=encode_cursor((last.created_at.isoformat(), str(last.id)))
        if last and len(tokens) > limit
        else None,
    )


def get_token(session: Session, project: Project | None, token_id: UUID) -> ApiToken:
    """Raises TokenNotFound."""
    token = session.get(ApiToken, token_id)
    if token is None or token.project_id != (project.id if project else None):
        raise TokenNotFound(token_id)
    return token


def revoke_token(session: Session, token: ApiToken) -> None:
    """Takes effect with the next request. Revoking it again changes nothing."""
    if token.revoked_at is None:
        token.revoked_at = utcnow()
        audit.note(session, token.project_id, "token.revoke", token.name, id=str(token.id))
