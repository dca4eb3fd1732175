"""What a report of a migration that hurt is made of, as a project of our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.gate.projects import ENV

Wanted = tuple[
    str, str, str
]  # checks of which one must speak ("a|b"), the revision ("2", or "" for any), its object ("" for any)
Way = tuple[str, str | None]  # the bodies of upgrade() and downgrade()


@dataclass(frozen=True, kw_only=True)
class Reported:
    """A small history, and what is right about it. Errors and warnings count; notices are free."""

    name: str
    because: str  # what happened to whoever reported it
    tables: tuple[str, ...] = ()  # all that it makes: unlike those of the others, with which it may share a history
    before: str = ""  # what the first revision does, of which nothing is expected
    before_downgrade: str | None = None
    revisions: Mapping[str, Way] = field(
        default_factory=dict
    )  # number -> the revisions under test, one after the other
    models: str = ""  # after "import sqlalchemy as sa" and "metadata = sa.MetaData()"
    must: tuple[Wanted, ...] = ()
    must_not: tuple[str, ...] = ()  # checks that have nothing to say of it; ("",): no check has
    help_has: tuple[tuple[str, str], ...] = ()  # (check, pattern)
    help_has_not: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class OfItsOwn(Reported):
    """One that needs another env.py or command, or after which nothing can follow."""

    env: str = ENV
    command: tuple[str, ...] = ("upgrade", "head")
    url: str = "{url+psycopg2}"
    files: Mapping[str, str] = field(
        default_factory=dict
    )  # in place of alembic.ini and the scripts that are made of the above
    status: int | None = None  # with which the command line ends
