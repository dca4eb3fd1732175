"""Is the database at the revision that this code needs? The service never creates tables: it asks, and says."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from app.database import DatabaseRefused

MIGRATIONS = Path(__file__).resolve().parents[1] / "migrations"
UPGRADE = "python -m alembic upgrade head"


class NotAtHead(DatabaseRefused):
    """The database is at another revision than the code. The message says at which, and what to do."""


def require_head(connection: sa.Connection) -> None:
    """What a service needs in order to start. Raises NotAtHead."""
    scripts = _scripts()
    heads = set(scripts.get_heads())
    found = _revisions_of(connection)
    if found == heads:
        return
    head, at = ", ".join(sorted(heads)), ", ".join(sorted(found))
    if not found:
        raise NotAtHead(f"The database is at no revision, and the code's head is {head}. Run: {UPGRADE}")
    if unknown := sorted(revision for revision in found if not _knows(scripts, revision)):
        raise NotAtHead(
            f"The database is at revision {at}, and the code's head is {head}. The code does not know "
            f"{', '.join(unknown)}: the database is newer. Deploy the code that upgraded it, or downgrade it with that code."
        )
    raise NotAtHead(f"The database is at revision {at}, and the code's head is {head}. Run: {UPGRADE}")


def require_not_older(connection: sa.Connection) -> None:
    """What a service needs that is running. Raises NotAtHead.

    In a rolling deployment the database is upgraded first, under instances that do not know its new revision and that
    the new schema still serves. None of them may be taken out of the traffic before there is another in its place.
    """
    scripts = _scripts()
    if all(_knows(scripts, revision) for revision in _revisions_of(connection)):
        require_head(connection)


def _revisions_of(connection: sa.Connection) -> set[str]:
    try:
        return set(MigrationContext.configure(connection).get_current_heads())
    except DBAPIError as error:
        raise NotAtHead(f"The database does not let its revision be read: {str(error.orig).splitlines()[0]}.") from None


@cache  # read from the disk once: the code of a process does not change
def _scripts() -> ScriptDirectory:
    if not MIGRATIONS.is_dir():
        raise NotAtHead(f"There are no migrations at {MIGRATIONS}. Serve from a checkout of Overproof, where they are.")
    return ScriptDirectory(str(MIGRATIONS))


def _knows(scripts: ScriptDirectory, revision: str) -> bool:
    try:
        return scripts.get_revision(revision) is not None
    except CommandError:
        return False
