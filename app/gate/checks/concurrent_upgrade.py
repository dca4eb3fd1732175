"""Two upgrades started together collide.

Catches
    Two copies of the upgrade command, started at once on an empty database: one of them fails, or the schema is not the
    one that a single upgrade makes.

Why it hurts
    Where every instance of a service upgrades the database as it starts, two of them start at once sooner or later. The loser's error
    looks like a broken migration, and outside of a transaction both halves may have been applied twice.

How to fix
    Let the second one wait, in env.py, before Alembic looks which revision the database is at ::

        with connectable.connect() as connection:
            while not connection.scalar(text("SELECT pg_try_advisory_lock(4920173)")):
                connection.rollback()
                time.sleep(0.2)
            connection.commit()  # the lock belongs to the session; Alembic wants to begin its own transaction
            context.configure(connection=connection, target_metadata=target_metadata)
            with context.begin_transaction():
                context.run_migrations()

    The number is any that nothing else in this database uses. Asking again and again is on purpose: a session that waits
    inside `pg_advisory_lock` holds a snapshot, and CREATE INDEX CONCURRENTLY in the other one would wait for it, for ever.

Stays quiet when
    Both end well, and the schema is the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.checks.support.naming import failure_reason, noun, principal
from app.gate.checks.support.subjects import changed
from app.gate.recording.model import Evidence, Recording
from app.gate.recording.names import full_name
from app.gate.report.verdict import Severity
from app.gate.snapshot.describe import describe
from app.gate.wording import bulleted, listed

_HELP = (
    "Let the second one wait, in env.py, before context.configure(connection=connection, …):\n\n"
    '    while not connection.scalar(text("SELECT pg_try_advisory_lock(4920173)")):\n'
    "        connection.rollback()\n"
    "        time.sleep(0.2)\n"
    "    connection.commit()  # the lock stays with the session; Alembic begins its own transaction"
)


def examine(recording: Recording) -> Iterator[Finding]:
    if recording.graph.refusal is not None:
        raise CheckSkipped("Alembic refuses the command itself; single-head or upgrade says why")
    if recording.concurrent is None:
        raise CheckSkipped(recording.not_observed.get("concurrent", "two upgrades at once were not tried"))
    if recording.plain is not None and (recording.plain.failures or recording.plain.differences):
        raise CheckSkipped("one upgrade alone does not leave the schema of the walk either; upgrade says why")
    differences = principal(recording.concurrent.differences)
    if recording.concurrent.failures:
        failure = recording.concurrent.failures[0]
        yield Finding(
            f"Of two upgrades started at once on an empty database, one fails: {failure_reason(failure)}.",
            "fails",  # with which error, and in which revision, is for chance to decide
            revision=failure.revision,
            detail=failure.sql and failure.sql.strip(),
            help=_HELP,
            path=None if failure.revision else recording.env_path,
        )
    elif differences:
        yield Finding(
            "Two upgrades started at once on an empty database make another schema than one alone: "
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
