"""The labelled set as one Alembic project, so that one walk judges all of it.

Each case is two revisions in a row: `<number>_before` makes the schema that it meets, `<number>` is the migration under test. Both
work in a PostgreSQL schema of the case's own, to which they set `search_path` first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.gate.hazards.case import Case, body
from tests.gate.projects import ENV, script, write_project

# A limit for all, so that only those who take it away have none; and Alembic's own table where it is found from every schema.
_ENV = (
    ENV.replace("poolclass=pool.NullPool", 'poolclass=pool.NullPool, connect_args={"options": "-c lock_timeout=5s"}')
    .replace("connection=connection", "connection=connection, version_table_schema='public', transaction_per_migration=True")
    .replace("literal_binds=True", "literal_binds=True, version_table_schema='public', transaction_per_migration=True")
)


def revisions_by_case(cases: Iterable[Case]) -> dict[str, str]:
    """{"integer to bigint": "c000"}: the revision under test, by the case's name."""
    return {case.name: f"c{number:03}" for number, case in enumerate(cases)}


def write_history(place: Path, cases: Iterable[Case]) -> Mapping[str, str]:
    """Write the project into that folder. Gives `revisions_by_case`."""
    cases = list(cases)
    revisions = revisions_by_case(cases)
    scripts, last = {}, None
    for case in cases:
        revision, schema = revisions[case.name], case.slug
        here = f"op.execute('SET search_path TO \"{schema}\"')"
        earlier = f"{revision}_before"
        scripts[f"{revision}_{schema}_before"] = script(
            earlier, last, body(f"op.execute('CREATE SCHEMA \"{schema}\"')", here, case.before), None
        )
        downgrade = None if case.downgrade is None else body(here, case.downgrade)
        scripts[f"{revision}_{schema}"] = script(revision, earlier, body(here, case.upgrade), downgrade)
        last = revision
    write_project(place, scripts, env=_ENV)
    return revisions
