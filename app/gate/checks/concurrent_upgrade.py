"""Two upgrades that start at the same time collide.

Catches
    Two copies of the upgrade command, started at the same time on an empty database: one of them fails, or the schema
    differs from the one that a single upgrade creates.

Why it hurts
    If every instance of a service upgrades the database when it starts, two of them will sooner or later start at the
    same time. The error of the one that loses looks like a broken migration, and outside a transaction each half may
    have been applied twice.

How to fix
    Make the second one wait, in env.py, before Alembic reads the revision of the database::

        with connectable.connect() as connection:
            while not connection.scalar(text("SELECT pg_try_advisory_lock(4920173)")):
                connection.rollback()
                time.sleep(0.2)
            connection.commit()  # the lock belongs to the session; Alembic wants to begin its own transaction
            context.configure(connection=connection, target_metadata=target_metadata)
            with context.begin_transaction():
                context.run_migrations()

    Use any number that nothing else in this database uses. Polling is intended: a session that waits inside
    `pg_advisory_lock` holds a snapshot, and CREATE INDEX CONCURRENTLY in the other session would wait for it forever.

Stays quiet when
    Both succeed, and the schema is the same. The check is off unless it is selected, or has a severity in the settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.checks.support.failures import failure_detail
from app.gate.checks.support.naming import failure_reason, noun, principal
from app.gate.checks.support.subjects import changed
from app.gate.recording.model import Evidence, Failure, Recording
from app.gate.recording.names import full_name
from app.gate.report.verdict import Severity
from app.gate.snapshot.describe import describe
from app.gate.wording import bulleted, listed

_HELP = (
    "Make the second one wait, in env.py, before context.configure(connection=connection, …):\n\n"
    '    while not connection.scalar(text("SELECT pg_try_advisory_lock(4920173)")):\n'
    "        connection.rollback()\n"
    "        time.sleep(0.2)\n"
    "    connection.commit()  # the lock belongs to the session; Alembic begins its own transaction"
)


# What SQLAlchemy and the drivers put before PostgreSQL's words, as in the last line of a traceback:
# "sqlalchemy.exc.IntegrityError: (psycopg2.errors.UniqueViolation) duplicate key …".
_CLASSES = re.compile(
    r"^(?:[\w.]+: )?(?:\((?:psycopg|asyncpg|pg8000|sqlalchemy\.dialects)[\w.]*\) |(?:psycopg|asyncpg|pg8000)[\w.]*: )(?:<class '[\w.]+'>: )?"
)


def _words_of(failure: Failure) -> str:
    return failure_reason(replace(failure, message=_CLASSES.sub("", failure.message))).rstrip(".")


def examine(recording: Recording) -> Iterator[Finding]:
    if recording.graph.refusal is not None:
        raise CheckSkipped("Alembic refuses the command itself; single-head or upgrade says why")
    if recording.concurrent is None:
        raise CheckSkipped(recording.not_observed.get("concurrent", "two concurrent upgrades were not tried"))
    if recording.whole_command is not None and (
        recording.whole_command.failures or recording.whole_command.differences
    ):
        raise CheckSkipped("a single upgrade does not give the schema of the walk either; see upgrade")
    differences = principal(recording.concurrent.differences)
    if recording.concurrent.failures:
        failure = recording.concurrent.failures[0]
        yield Finding(
            f"Of two upgrades that start at the same time on an empty database, one fails: {_words_of(failure)}.",
            "fails",  # the error and the revision depend on chance
            revision=failure.revision,
            detail=failure_detail(failure),
            help=_HELP,
            path=None if failure.revision else recording.env_path,
        )
    elif differences:
        yield Finding(
            "Two upgrades that start at the same time on an empty database create a different schema from a single one: "
            f"{listed([noun(change) for change in differences], limit=2)}.",
            f"differs {changed(differences)}",
            object=full_name(differences[0].key),
            detail=bulleted(map(describe, differences)),
            help=_HELP,
            path=recording.env_path,
        )


CHECK = Check(
    id="concurrent-upgrade", severity=Severity.NOTICE, examine=examine, needs=frozenset({Evidence.CONCURRENT})
)
