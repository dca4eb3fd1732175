"""Whether the database is at the revision that this code needs. The service itself never creates tables."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from app.database import DatabaseRefused

# The build puts them into the package (setup.py). In a checkout they are next to it.
_INSTALLED = Path(__file__).resolve().with_name("migrations")
MIGRATIONS = _INSTALLED if _INSTALLED.is_dir() else _INSTALLED.parents[1] / "migrations"
UPGRADE = "overproof upgrade-database" if _INSTALLED.is_dir() else "python -m alembic upgrade head"


class NotAtHead(DatabaseRefused):
    """The database is at another revision than the code. The message says at which one, and what to do."""


def require_head(connection: sa.Connection) -> None:
    """The condition for starting the service. Raises NotAtHead."""
    scripts = _scripts()
    heads = set(scripts.get_heads())
    found = _revisions_of(connection)
    if found == heads:
        return
    head, at = ", ".join(sorted(heads)), ", ".join(sorted(found))
    if not found:
        raise NotAtHead(f"the database is at no revision, and the code's head is {head}: run {UPGRADE}")
    if unknown := sorted(revision for revision in found if not _knows(scripts, revision)):
        raise NotAtHead(
            f"the database is at revision {at}, and the code's head is {head}: this code does not know "
            f"{', '.join(unknown)}, so deploy the code that upgraded the database, or downgrade it with that code"
        )
    raise NotAtHead(f"the database is at revision {at}, and the code's head is {head}: run {UPGRADE}")


def require_not_older(connection: sa.Connection) -> None:
    """The condition for staying ready. Raises NotAtHead.

    A rolling deployment upgrades the database first. The running instances do not know its new revision, but the new
    schema still works for them, and none of them may stop receiving requests before another one has replaced it.
    """
    scripts = _scripts()
    if all(_knows(scripts, revision) for revision in _revisions_of(connection)):
        require_head(connection)


def _revisions_of(connection: sa.Connection) -> set[str]:
    try:
        return set(MigrationContext.configure(connection).get_current_heads())
    except DBAPIError as error:
        raise NotAtHead(f"cannot read the revision of the database: {str(error.orig).splitlines()[0]}") from None


@cache  # read once: the code of a process does not change
def _scripts() -> ScriptDirectory:
    if not MIGRATIONS.is_dir():
        raise NotAtHead(f"there are no migrations in {MIGRATIONS}: install Overproof from a wheel or a checkout")
    return ScriptDirectory(str(MIGRATIONS))


def _knows(scripts: ScriptDirectory, revision: str) -> bool:
    try:
        return scripts.get_revision(revision) is not None
    except CommandError:
        return False
