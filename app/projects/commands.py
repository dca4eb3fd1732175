"""`overproof token …`: the only way to get the first token of an installation."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from app.cli import CommandFailed
from app.help import HelpFormatter

MOST_DAYS = 36_500
SCOPES = ("read", "report", "deploy", "admin")  # as projects.models.Scope has them, whose import takes a second


EXAMPLES = """\
Examples:

    overproof token create --admin
    overproof token create --project shop --scope report
    overproof token list --project shop
    overproof token revoke 0198c1f2-7d4e-7c3a-9b55-1f0e6a2b8c4d
"""


def add_parser(subparsers: Any) -> None:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "token",
        description="Issues, lists and revokes API tokens in the database that DATABASE_URL names.",
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
    )
    verbs = parser.add_subparsers(title="commands", metavar="VERB", required=True)
    _add_create(verbs)
    _add_list(verbs)
    _add_revoke(verbs)


def _add_create(verbs: Any) -> None:
    create = verbs.add_parser(
        "create",
        help="issue a token and print its secret",
        usage="overproof token create --scope SCOPE [options]",
        description="Prints the secret of a new token, which is shown only once. --admin without --project issues a "
        "token for an administrator of the whole installation.",
        epilog="""\
Examples:

    overproof token create --admin
    overproof token create --project shop --scope report
    overproof token create --project shop --scope report --trusted --name "main branch"
    overproof token create --project shop --scope deploy --environment production --expires-in-days 90
""",
        formatter_class=HelpFormatter,
    )
    create.add_argument(
        "--project", metavar="SLUG", help="the project that the token belongs to (default: all projects)"
    )
    what = create.add_mutually_exclusive_group(required=True)
    what.add_argument("--scope", choices=SCOPES, help="what the token may do")
    what.add_argument("--admin", dest="scope", action="store_const", const="admin", help="short for --scope admin")
    create.add_argument(
        "--trusted", action="store_true", help="its reports prove revisions: only a protected branch may have it"
    )
    create.add_argument(
        "--expires-in-days", type=int, metavar="DAYS", help="until when it is valid (default: for ever)"
    )
    create.add_argument("--environment", metavar="NAME", help="the only environment to which it may deploy")
    create.add_argument("--name", default="from the command line", help="who or what uses it (default: %(default)s)")
    create.set_defaults(run=create_token)


def _add_list(verbs: Any) -> None:
    listing = verbs.add_parser(
        "list",
        help="list tokens, without their secrets",
        epilog="Examples:\n\n    overproof token list\n    overproof token list --project shop\n",
        formatter_class=HelpFormatter,
    )
    listing.add_argument(
        "--project", metavar="SLUG", help="list those of this project (default: those of the whole installation)"
    )
    listing.set_defaults(run=list_tokens)


def _add_revoke(verbs: Any) -> None:
    revoke = verbs.add_parser(
        "revoke",
        help="revoke a token",
        epilog="Examples:\n\n    overproof token revoke 0198c1f2-7d4e-7c3a-9b55-1f0e6a2b8c4d\n",
        formatter_class=HelpFormatter,
    )
    revoke.add_argument("id", type=UUID, metavar="ID", help="the token's ID, from `overproof token list`")
    revoke.set_defaults(run=revoke_token)


@contextmanager
def transaction() -> Iterator[Any]:
    """A session with the database that DATABASE_URL names. Raises CommandFailed if it cannot be used."""
    import sqlalchemy as sa
    from sqlmodel import Session

    from app.database import DatabaseRefused, connect, create_engine, database_url
    from app.schema_version import require_head

    try:
        with connect(create_engine(database_url(), poolclass=sa.NullPool)) as connection:
            require_head(connection)
            connection.rollback()
            with Session(connection) as session, session.begin():
                yield session
    except DatabaseRefused as refused:
        raise CommandFailed(str(refused)) from None


def find_project(session: Any, slug: str | None) -> Any:
    """None for no slug. Raises CommandFailed."""
    from sqlmodel import select

    from app.projects.models import Project

    if slug is None:
        return None
    project = session.exec(select(Project).where(Project.slug == slug.replace("\0", ""))).one_or_none()
    if project is None:
        raise CommandFailed(f"there is no project {slug!r}: create it with POST /api/v1/projects")
    return project


def create_token(arguments: argparse.Namespace) -> int:
    if arguments.project is None and arguments.scope != "admin":
        raise CommandFailed(f"a token with the scope {arguments.scope!r} belongs to a project: add --project SLUG")
    from pydantic import ValidationError

    from app.database import utcnow
    from app.projects.models import Scope
    from app.projects.schemas import TokenCreate
    from app.projects.tokens import issue_token

    days = arguments.expires_in_days
    if days is not None and not 1 <= days <= MOST_DAYS:
        raise CommandFailed(f"--expires-in-days must be a whole number from 1 to {MOST_DAYS}, not {days}")
    try:
        new = TokenCreate(
            name=arguments.name,
            scope=Scope(arguments.scope),
            trusted=arguments.trusted,
            expires_at=None if days is None else utcnow() + timedelta(days=days),
            environment=arguments.environment,
        )
    except ValidationError as error:
        raise CommandFailed(_first_error(error, arguments)) from None
    with transaction() as session:
        _, secret = issue_token(session, find_project(session, arguments.project), new)
    print(secret)
    return 0


def _first_error(error: Any, arguments: argparse.Namespace) -> str:
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return str(message)
    name = first["loc"][0]
    return f"--{name} {getattr(arguments, name)!r}: {message}"


def list_tokens(arguments: argparse.Namespace) -> int:
    from sqlmodel import col, select

    from app.projects.models import ApiToken

    with transaction() as session:
        project = find_project(session, arguments.project)
        query = select(ApiToken).where(col(ApiToken.project_id) == (project.id if project else None))
        for token in session.exec(query.order_by(col(ApiToken.created_at))):
            used = f"used {token.last_used_at:%Y-%m-%d}" if token.last_used_at else "never used"
            print(f"{token.id}  …{token.hint}  {token.scope:6}  {_state_of(token)}, {used}  {token.name}")
    return 0


def _state_of(token: Any) -> str:
    if token.revoked_at:
        return f"revoked {token.revoked_at:%Y-%m-%d}"
    if token.expires_at and token.expires_at <= datetime.now(UTC):
        return f"expired {token.expires_at:%Y-%m-%d}"
    parts = ["valid"]
    parts += [f"until {token.expires_at:%Y-%m-%d}"] if token.expires_at else []
    parts += [f"for {token.environment}"] if token.environment else []
    parts += ["trusted"] if token.trusted else []
    return " ".join(parts)


def revoke_token(arguments: argparse.Namespace) -> int:
    from app.projects import tokens
    from app.projects.models import ApiToken

    with transaction() as session:
        token = session.get(ApiToken, arguments.id)
        if token is None:
            raise CommandFailed(f"there is no token {arguments.id}: `overproof token list` lists the tokens")
        tokens.revoke_token(session, token)
    return 0
