"""The labelled set as one Alembic project, so that one walk judges all of it.

Each case has a PostgreSQL schema of its own, to which its scripts set `search_path` first: only where they run, so that
it is not in the SQL that Alembic prints for the linters (tests/bench). A few cases in a row share one
revision, `before_<number>`, that makes what they meet; each then has a revision of its own, the migration under test. What cannot be
rolled back in a transaction comes first: it is tried more than once, from the start of the history.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.gate.hazards.case import Case, body, online
from tests.gate.projects import ENV, ENVIRONMENT, script, write_project

TOGETHER = 12  # cases whose `before` is made by one revision


@dataclass(frozen=True)
class Way:
    """How env.py connects."""

    url: str  # what the gate is to put into DATABASE_URL
    env: str  # the text of env.py


# A limit for all, so that only those who take it away have none; and Alembic's own table where it is found from every schema.
USUAL = Way(
    ENVIRONMENT["DATABASE_URL"],
    ENV.replace("poolclass=pool.NullPool", 'poolclass=pool.NullPool, connect_args={"options": "-c lock_timeout=5s"}')
    .replace(
        "connection=connection", "connection=connection, version_table_schema='public', transaction_per_migration=True"
    )
    .replace("literal_binds=True", "literal_binds=True, transaction_per_migration=True"),
)


def write_history(place: Path, cases: Iterable[Case], env: str = USUAL.env) -> dict[str, str]:
    """Write the project into that folder, with that text as its env.py. Gives the revision under test by the name of its case."""
    ordered = sorted(cases, key=_can_be_held)
    revisions = {case.name: f"c{number:03}" for number, case in enumerate(ordered)}
    scripts: dict[str, str] = {}
    last = None
    for start in range(0, len(ordered), TOGETHER):
        together = ordered[start : start + TOGETHER]
        earlier = f"before_{start:03}"
        scripts[earlier] = script(earlier, last, _before(together), None)
        last = earlier
        for case in together:
            revision = revisions[case.name]
            downgrade = None if case.downgrade is None else _within(case, case.downgrade)
            scripts[f"{revision}_{case.slug}"] = script(revision, last, _within(case, case.upgrade), downgrade)
            last = revision
    write_project(place, scripts, env=env)
    return revisions


def _before(cases: Sequence[Case]) -> str:
    return body(*(f"op.execute('CREATE SCHEMA \"{case.slug}\"')\n{_within(case, case.before)}" for case in cases))


def _within(case: Case, text: str) -> str:
    """That part of a script with `search_path` led to the case's schema, and back again: a plan that PostgreSQL keeps is made anew for
    each path. The way back is sent past SQLAlchemy, and so past the gate, to which a case may have left the last word."""
    return body(
        _enter(case), text, "op.get_context().as_sql or op.get_bind().connection.cursor().execute('RESET search_path')"
    )


def _enter(case: Case) -> str:
    return online(f'SET search_path TO "{case.slug}"', "RESET lock_timeout")


def _can_be_held(case: Case) -> bool:
    return (
        case.downgrade is not None and "autocommit_block" not in case.upgrade and "COMMIT" not in case.upgrade.upper()
    )
