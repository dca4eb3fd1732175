"""A revision that does not apply, in order, from an empty database.

Catches
    A revision whose upgrade raises an error or never ends. Each revision is run for itself, after those before it, so what
    is reported is the one that fails and not those behind it. And a command that ends well but leaves nothing of what it did, or
    something else each time.

Why it hurts
    A new environment, a developer's machine and every test database are built by running the whole history. Once one
    revision fails, none of them can be made any more, and a deployment stops half way.

How to fix
    Mend the revision that fails, if it has been applied nowhere yet. If it has, mend it so that databases that have it
    and those that do not end alike. Some errors have a usual cause:

    - A table that does not exist, in the first revisions: the history starts from tables that code once created. Either
      write a first revision that creates them, or tell the gate how they come about with `--prepare`.
    - `type "…" already exists`: two tables share one enum, and both create it. Create it once::

          status = postgresql.ENUM("new", "paid", name="status", create_type=False)
          status.create(op.get_bind(), checkfirst=True)

    - `CREATE INDEX CONCURRENTLY cannot run inside a transaction block`, `unsafe use of new value … of enum type`::

          with op.get_context().autocommit_block():
              op.execute("ALTER TYPE status ADD VALUE IF NOT EXISTS 'refunded'")

Stays quiet when
    The revision was never tried because one before it failed: that one is the finding.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.checks.support.naming import failure_reason, noun, principal
from app.gate.checks.support.subjects import cause, changed, find_lasting_object
from app.gate.postgres import sqlstates
from app.gate.recording.model import AlternativePath, Change, Evidence, Failure, Recording, Step
from app.gate.recording.names import full_name
from app.gate.report.verdict import Severity
from app.gate.snapshot.describe import describe
from app.gate.wording import bulleted, counted, first_line, listed


def examine(recording: Recording) -> Iterator[Finding]:
    graph = recording.graph
    if graph.problems and not recording.trips:
        raise CheckSkipped("Alembic cannot read the history; graph-integrity says why")
    if graph.refusal is not None and len(graph.heads) < 2:
        # The target is not in this history, or the database names a revision that is not.
        yield Finding(f"Alembic refuses to upgrade: {first_line(graph.refusal)}.", "refused", help=_REFUSAL_HELP)
    elif graph.revisions and not recording.trips:
        raise CheckSkipped(recording.not_observed.get("trips") or graph.refusal or "no revision was run")
    for trip in recording.trips:
        if trip.up is not None and trip.up.failure is not None:
            yield _finding(trip.up, trip.up.failure, _not_tried_after(recording, trip.revision))
    if recording.plain is not None and graph.refusal is None:
        start = "an empty database" if recording.base is None else f"a database at {recording.base.ref}"
        yield from _lost(recording.plain, start, recording.env_path)
    if recording.nondeterministic:
        yield _unsteady(principal(recording.nondeterministic), recording)


def _lost(plain: AlternativePath, start: str, env_path: str | None) -> Iterator[Finding]:
    """The command without the gate in it, which ends each revision's transaction: it fails, or nothing stays of what it did."""
    if plain.failures:
        yield Finding(
            f"Each revision applies in a transaction of its own, but the command by itself fails on {start}: "
            f"{failure_reason(plain.failures[0])}.",
            f"whole-command fails {cause(plain.failures[0])}",
            help="Set transaction_per_migration=True in env.py's context.configure(), if it runs all revisions in one transaction.",
            path=env_path,
        )
        return
    differences = principal(plain.differences)
    is_in_vain = all(change.after is None for change in differences)
    if differences:
        names = listed([noun(change) for change in differences], limit=2)
        yield Finding(
            f"The command ends well, but what it did is not there afterwards: {names}."
            if is_in_vain
            else f"Run in one go, the history leaves another schema than revision by revision: {names}.",
            f"{'not-committed' if is_in_vain else 'in-one-go'} {changed(differences)}",
            object=full_name(differences[0].key),
            path=env_path,
            detail=bulleted(map(describe, differences)),
            help=_IN_VAIN_HELP if is_in_vain else _IN_ONE_GO_HELP,
        )


def _unsteady(changes: list[Change], recording: Recording) -> Finding:
    names = listed([noun(change) for change in changes], limit=2)
    return Finding(
        f"The history leaves another schema each time it is run: {names}.",
        f"nondeterministic {changed(changes)}",
        object=find_lasting_object(changes),
        path=recording.env_path,
        detail=bulleted(map(describe, changes)),
        help=_UNSTEADY_HELP,
        severity=Severity.WARNING,
    )


_UNSTEADY_HELP = (
    "No two databases are alike, and new rows get the value of the day on which theirs was upgraded. Python computes it as the revision "
    'runs: have PostgreSQL do so for each row (server_default=sa.func.now() for datetime.utcnow(), sa.text("gen_random_uuid()") for '
    "uuid4()), or write down one value or name."
)
_IN_VAIN_HELP = (
    "A transaction ends without a commit. Often env.py runs a statement before context.configure(), which makes SQLAlchemy begin one "
    "that Alembic then leaves alone: commit it (connection.commit()) first. Or a script commits Alembic's own: "
    "op.get_bind().commit() belongs in an autocommit_block()."
)
_IN_ONE_GO_HELP = (
    "A new database differs from one that was upgraded release by release. Usually a revision opens a connection of its own, which does not "
    "see what the transaction under way has done: use op.get_bind(), or set transaction_per_migration=True in env.py's "
    "context.configure()."
)
_REFUSAL_HELP = (
    "The revision that is asked for, or the one that the database is at, is not among the scripts: is one missing from this "
    "branch, or does the command look in another folder than the revision is in?"
)


def _not_tried_after(recording: Recording, revision: str) -> int:
    """How many revisions could not be tried because that one does not apply."""
    return sum(f"comes after {revision}," in (trip.skipped_because or "") for trip in recording.trips)


def _finding(step: Step, failure: Failure, skipped_because: int) -> Finding:
    message = f"{step.revision} does not apply: {failure_reason(failure)}."
    if skipped_because:
        message += f" {counted(skipped_because, 'revision')} after it could not be tried."
    return Finding(
        message,
        f"fails {cause(failure)}",
        revision=step.revision,
        detail=failure.sql,
        help=_hint(failure),
        line=failure.line,
    )


def _hint(failure: Failure) -> str | None:
    if failure.error == "Timeout":
        return (
            "It may wait for a lock that another connection of the same script holds, for input, or for a service that is not there; "
            "or it is slow, and --timeout SECONDS gives it longer."
        )
    if failure.sqlstate is not None:
        return _HINTS_BY_SQLSTATE.get(failure.sqlstate)
    if failure.error.rpartition(".")[2] in {"ImportError", "ModuleNotFoundError"}:
        return (
            "A script that imports application code breaks when that code moves. Copy what it needs into the script: "
            "a table of its own (sa.table, sa.column) instead of the model."
        )
    return None


_AUTOCOMMIT = """Run it outside of the transaction:

    with op.get_context().autocommit_block():
        ..."""
_NOT_THERE = (
    "From an empty database, no revision before this one creates it. If code once created it, tell the gate how with --prepare COMMAND, "
    "or write a first revision that does. If it is there under a condition only, make this revision ask for it first."
)
_EXTENSION = (
    "The server has not got that extension. Point the gate at one that has: OVERPROOF_PG_BINDIR names the folder of its programs, "
    "--database-url a server that is running."
)
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_HINTS_BY_SQLSTATE = {
    sqlstates.UNDEFINED_TABLE: _NOT_THERE,
    sqlstates.UNDEFINED_COLUMN: _NOT_THERE,
    sqlstates.UNDEFINED_OBJECT: _NOT_THERE,
    sqlstates.ACTIVE_SQL_TRANSACTION: _AUTOCOMMIT,
    sqlstates.UNSAFE_NEW_ENUM_VALUE_USAGE: "A new label of an enum can be used only after a commit. " + _AUTOCOMMIT,
    sqlstates.DUPLICATE_OBJECT: "Something before this has created it already. A type that several tables share is created once: "
    "postgresql.ENUM(…, create_type=False), and .create(op.get_bind(), checkfirst=True) where it is first needed.",  # duplicate_object
    sqlstates.DUPLICATE_TABLE: "A revision before this one, or env.py itself (metadata.create_all), has created it already.",
    sqlstates.FEATURE_NOT_SUPPORTED: _EXTENSION,  # extension "…" is not available
    sqlstates.UNDEFINED_FILE: _EXTENSION,  # the same, before PostgreSQL 16
    sqlstates.LOCK_NOT_AVAILABLE: "Another connection held the lock: does the script open a second one?",
}

CHECK = Check(id="upgrade", severity=Severity.ERROR, examine=examine, needs=frozenset({Evidence.CONCURRENT}))
