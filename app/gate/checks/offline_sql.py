"""`alembic upgrade --sql` fails, or writes a script that creates a different schema.

Catches
    A revision that queries the database while it runs, which is impossible in offline mode; and an offline script that,
    run by psql, gives another schema than the upgrade itself.

Why it hurts
    Where a person must read or run the SQL by hand, this is how migrations reach production. A script that stops half
    way is noticed; one that takes the other branch of an `if` is not.

How to fix
    Let the database decide, not Python::

        op.execute("CREATE INDEX IF NOT EXISTS ix_orders_note ON orders (note)")
        op.execute("UPDATE orders SET total = quantity * price WHERE total IS NULL")

    Skip what needs the answer of a query in offline mode::

        if not op.get_context().as_sql:
            rename_attachments(op.get_bind())

Stays quiet when
    env.py has no offline mode.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.checks.support.naming import failure_reason, noun, principal
from app.gate.checks.support.subjects import cause, changed
from app.gate.recording.model import Change, Evidence, Failure, Recording
from app.gate.recording.names import full_name
from app.gate.report.verdict import Severity
from app.gate.snapshot.describe import describe
from app.gate.wording import bulleted, listed


def examine(recording: Recording) -> Iterator[Finding]:
    if recording.graph.refusal is not None:
        raise CheckSkipped("Alembic refuses the command itself; see single-head or upgrade")
    if recording.offline is None:
        raise CheckSkipped(recording.not_observed.get("offline", "the offline script was not written"))
    for failure in recording.offline.failures:
        yield _failed(failure)
    differences = principal(recording.offline.differences)
    if differences and not recording.offline.failures:
        yield Finding(
            f"The script that `alembic upgrade --sql` writes creates a different schema from the upgrade: "
            f"{listed([noun(change) for change in differences], limit=2)}.",
            f"differs {changed(differences)}",
            revision=_made_by(recording, differences[0]),
            object=full_name(differences[0].key),
            detail=bulleted(map(describe, differences)),
            help="A revision decides in Python what the database should decide: by an inspector, a query, or a loop over rows. Write "
            "it in SQL (IF NOT EXISTS, UPDATE … FROM, a DO block).",
        )


def _made_by(recording: Recording, change: Change) -> str | None:
    """The last revision that changed the object, if any."""
    touched = [trip for trip in recording.trips if trip.up and change.key in (each.key for each in trip.up.changes)]
    return touched[-1].revision if touched else None


def _failed(failure: Failure) -> Finding:
    where = f" at {failure.revision}" if failure.revision else ""
    is_written = failure.sqlstate is not None  # the script was, and PostgreSQL refused it
    subject = "The script that `alembic upgrade --sql` writes" if is_written else "`alembic upgrade --sql`"
    return Finding(
        f"{subject} fails{where}: {failure_reason(failure)}.",
        f"{'script' if is_written else 'command'} fails {cause(failure)}",
        revision=failure.revision,
        detail=failure.sql and failure.sql.strip(),
        help=_hint(failure.sql or "") if is_written else _SKIP_OFFLINE,
        line=failure.line,
    )


def _hint(sql: str) -> str:
    if "%(" in sql:
        return "A script has no bound parameters. In the offline mode of env.py, render their values: context.configure(…, literal_binds=True)."
    return "Offline, the revision writes another statement than it runs online, or writes it where it cannot run. Let PostgreSQL decide, in SQL."


_SKIP_OFFLINE = (
    "In offline mode there is no database to query. Put the query into the SQL, or skip the statement offline:\n\n"
    "    if not op.get_context().as_sql:\n        ..."
)


CHECK = Check(id="offline-sql", severity=Severity.WARNING, examine=examine, needs=frozenset({Evidence.OFFLINE}))
