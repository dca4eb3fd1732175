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

from collections.abc import Iterator, Sequence

from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.checks.support.failures import failure_detail
from app.gate.checks.support.naming import failure_reason, noun, principal
from app.gate.checks.support.statements import first_word
from app.gate.checks.support.subjects import cause, changed
from app.gate.recording.model import Change, Evidence, Failure, Recording, Step
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
            help=_how_to_agree(recording, differences),
        )


def _how_to_agree(recording: Recording, differences: Sequence[Change]) -> str:
    """Where the cure is, as far as the differences tell: in env.py, or in a revision that asks the database."""
    if any(map(_is_doubled, differences)):
        return _NAMED_PARAMETERS
    if _are_elsewhere(differences):
        return _SEARCH_PATH
    makers = {_made_by(recording, change) for change in differences}
    asking = (_asks(trip.up) for trip in recording.trips if trip.revision in makers and trip.up is not None)
    return _ASKS if any(asking) else _UNKNOWN


def _is_doubled(change: Change) -> bool:
    """Whether it differs in `%%` for `%` alone."""
    before, after = str(change.before), str(change.after)
    return "%%" in after and after.replace("%%", "%") == before.replace("%%", "%") and before != after


def _are_elsewhere(differences: Sequence[Change]) -> bool:
    """Whether each object is made, but in another schema."""
    places = {
        is_made: {
            (each.key.kind, each.key.name, each.key.table) for each in differences if (each.after is None) != is_made
        }
        for is_made in (True, False)
    }
    return bool(places[True]) and places[True] == places[False]


def _asks(step: Step) -> bool:
    """Whether the script reads something online, as an inspector does."""
    return any(first_word(statement) in ("SELECT", "SHOW", "WITH") for statement in step.statements)


_NAMED_PARAMETERS = """The script has %% where the upgrade has %. In the offline mode of env.py, tell Alembic not to double it:

    context.configure(url=url, literal_binds=True, dialect_opts={"paramstyle": "named"}, ...)"""
_SEARCH_PATH = (
    "The script makes the same in another schema. What env.py sets for the connection online, such as search_path, it must write "
    "offline too, after context.configure():\n\n"
    '    with context.begin_transaction():\n        context.execute("SET search_path TO ...")\n        context.run_migrations()'
)
_ASKS = (
    "A revision decides in Python what the database should decide: by an inspector, a query, or a loop over rows. Write "
    "it in SQL (IF NOT EXISTS, UPDATE … FROM, a DO block)."
)
_UNKNOWN = (
    "Compare what differs with the script: the offline mode of env.py may configure Alembic or the session in another way than the "
    "online mode, or a revision does something else where op.get_context().as_sql is true."
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
        detail=failure_detail(failure),
        help=_hint(failure, is_written),
        line=failure.line,
    )


def _hint(failure: Failure, is_written: bool) -> str:
    sql = failure.sql or ""
    if not is_written and "literal value" in failure.message:
        return _NO_TYPE
    if not is_written:
        return _SKIP_OFFLINE if failure.revision else _ENV_FAILS
    if "%(" in sql:
        return "A script has no bound parameters. In the offline mode of env.py, render their values: context.configure(…, literal_binds=True)."
    if "%%" in sql:
        return _NAMED_PARAMETERS
    if failure.revision is None:
        return _IN_ENV
    return "Offline, the revision writes another statement than it runs online, or writes it where it cannot run. Let PostgreSQL decide, in SQL."


_IN_ENV = (
    "No revision writes this. What env.py does online before it runs the revisions (a schema that it creates, a search_path that it "
    "sets), its offline mode must write too, by context.execute() after context.configure()."
)
_ENV_FAILS = "It fails outside of the revisions: correct the offline mode of env.py (run_migrations_offline), which has a URL and no connection."
_NO_TYPE = (
    "Alembic writes a value into the script by the type of its column, and this one has none, or one that SQLAlchemy does not write as "
    "text. Give the columns their types (of strings, numbers, dates):\n\n"
    '    orders = sa.table("orders", sa.column("note", sa.Text), sa.column("total", sa.Integer))'
)
_SKIP_OFFLINE = (
    "In offline mode there is no database to query. Put the query into the SQL, or skip the statement offline:\n\n"
    "    if not op.get_context().as_sql:\n        ..."
)


CHECK = Check(id="offline-sql", severity=Severity.WARNING, examine=examine, needs=frozenset({Evidence.OFFLINE}))
