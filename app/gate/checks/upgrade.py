"""A revision that does not apply, in order, from an empty database.

Catches
    A revision whose upgrade raises an error or never ends. Each revision is run separately, after those before it, so
    the one that fails is reported, and not those behind it. Also a command that succeeds but leaves nothing of what it
    did, or something else each time. As warnings: a revision that applies only in the same run of the command as those
    before it, and not release by release; a statement that PostgreSQL allows to superusers alone; a statement that
    fails and whose error the script swallows; and an index that IF NOT EXISTS does not make, because one of another
    table has its name. As a notice: one that makes what is there already, with its error swallowed, and a name of more
    than 63 bytes, which PostgreSQL cuts.

Why it hurts
    A new environment, a developer's machine and every test database are built by running the whole history. Once one
    revision fails, none of them can be created any more, and a deployment stops half way.

    No user of a hosted database (Amazon RDS, Google Cloud SQL, Azure Database, Heroku, Supabase) is a superuser. So
    what applies on a developer's machine stops the upgrade there. On the embedded server, migrations run as an ordinary
    role that owns the database, and what PostgreSQL refuses to it is repeated with a superuser's rights; on a server
    that is named with `--database-url`, they run as the role in that URL.

    An error that a script swallows leaves a schema that is not the intended one: what failed is missing, and what fails
    because of it fails later, elsewhere, without the reason.

How to fix
    Fix the revision that fails, if it has not been applied anywhere yet. If it has, fix it such that databases that
    have run it and those that have not end up with the same schema. Some errors have a usual cause:

    - A table that does not exist, in the first revisions: the history starts from tables that other code once created.
      Either
      write a first revision that creates them, or tell the gate how to create them with `--prepare`.
    - `type "…" already exists`: two tables share one enum, and both create it. Create it once::

          status = postgresql.ENUM("new", "paid", name="status", create_type=False)
          status.create(op.get_bind(), checkfirst=True)

    - `extension "…" is not available`, a collation, language or tablespace that does not exist: the server lacks what
      production has. Name one that has it with `--database-url`. The embedded server has vector and most extensions of
      PostgreSQL itself, and not PostGIS. What an administrator creates in production (a schema), `--prepare` creates
      for the gate.

    - `CREATE INDEX CONCURRENTLY cannot run inside a transaction block`, `unsafe use of new value … of enum type`::

          with op.get_context().autocommit_block():
              op.execute("ALTER TYPE status ADD VALUE IF NOT EXISTS 'refunded'")

    - `must be able to SET ROLE "…"`: only a member of a role may give it something::

          op.execute("GRANT app TO CURRENT_USER")
          op.execute("GRANT CREATE ON SCHEMA public TO app")
          op.execute("ALTER TABLE orders OWNER TO app")

    - `"RI_ConstraintTrigger_…" is a system trigger`: DISABLE TRIGGER ALL includes the triggers of foreign keys. Insert
      parents before children and leave the triggers on; or disable the table's own triggers alone::

          op.execute("ALTER TABLE orders DISABLE TRIGGER USER")

    - An error that is expected: have PostgreSQL not raise it (IF EXISTS, IF NOT EXISTS, ON CONFLICT), or look first
      (`sa.inspect(op.get_bind())`), instead of swallowing it.

Stays quiet when
    The revision was not tried because one before it failed: that one is the finding. The extension that is created is
    one that hosted databases let their users create (postgis, vector, pg_stat_statements, …).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.checks.support.another_way import another_way, constraints_there
from app.gate.checks.support.cut_names import names_cut
from app.gate.checks.support.failures import exists_already, explain, failure_detail, is_missing
from app.gate.checks.support.naming import failure_reason, noun, principal
from app.gate.checks.support.refused import needs_of_superuser
from app.gate.checks.support.schema import Schema, SchemaHistory
from app.gate.checks.support.skipped import skipped_indexes
from app.gate.checks.support.subjects import cause, changed, find_lasting_object
from app.gate.checks.support.swallowed import swallowed_errors
from app.gate.postgres import sqlstates
from app.gate.recording.model import AlternativePath, Change, Evidence, Failure, Recording, Revision, Step
from app.gate.recording.names import full_name
from app.gate.report.verdict import Severity
from app.gate.snapshot.describe import describe
from app.gate.wording import bulleted, counted, first_line, listed


def examine(recording: Recording) -> Iterator[Finding]:
    graph = recording.graph
    if graph.problems and not recording.trips:
        raise CheckSkipped("Alembic cannot read the history; see graph-integrity")
    if graph.refusal is not None and not graph.problems and "multiple head" not in graph.refusal.lower():
        # The target is not in this history, or the database names a revision that is not.
        yield Finding(f"Alembic refuses to upgrade: {first_line(graph.refusal)}.", "refused", help=_REFUSAL_HELP)
    elif graph.revisions and not recording.trips:
        raise CheckSkipped(recording.not_observed.get("trips") or graph.refusal or "no revision was run")
    for trip in recording.trips:
        if trip.up is not None and trip.up.failure is not None:
            schema = SchemaHistory.of(recording).before(trip.revision)
            yield _finding(trip.up, trip.up.failure, _not_tried_after(recording, trip.revision), schema)
        elif trip.fails_alone is not None:
            yield _fails_alone(recording.get_revision(trip.revision), trip.fails_alone)
    yield from needs_of_superuser(recording)
    yield from swallowed_errors(recording)
    yield from skipped_indexes(recording)
    yield from names_cut(recording)
    if recording.whole_command is not None and graph.refusal is None:
        base = recording.base
        start = "an empty database" if base is None or not base.is_start else f"a database at {base.ref}"
        yield from _lost(recording.whole_command, start, recording.env_path)
    if recording.nondeterministic:
        yield _nondeterministic(principal(recording.nondeterministic), recording)


def _lost(path: AlternativePath, start: str, env_path: str | None) -> Iterator[Finding]:
    """The command without the gate, which would end the transaction of each revision: it fails, or nothing remains of
    what it did."""
    if path.failures:
        yield Finding(
            f"Each revision applies in a separate transaction, but the whole command fails on {start}: "
            f"{failure_reason(path.failures[0])}.",
            f"whole-command fails {cause(path.failures[0])}",
            detail=failure_detail(path.failures[0]),
            help="Set transaction_per_migration=True in env.py's context.configure(), if it runs all revisions in one transaction.",
            path=env_path,
        )
        return
    differences = principal(path.differences)
    is_lost = all(change.after is None for change in differences)
    if differences:
        names = listed([noun(change) for change in differences], limit=2)
        yield Finding(
            f"The command succeeds, but nothing of what it did remains: {names}."
            if is_lost
            else f"In a single run, the history gives a different schema than revision by revision: {names}.",
            f"{'not-committed' if is_lost else 'in-one-go'} {changed(differences)}",
            object=full_name(differences[0].key),
            path=env_path,
            detail=bulleted(map(describe, differences)),
            help=_LOST_HELP if is_lost else _IN_ONE_GO_HELP,
        )


def _nondeterministic(changes: list[Change], recording: Recording) -> Finding:
    names = listed([noun(change) for change in changes], limit=2)
    return Finding(
        f"The history gives a different schema each time it is run: {names}.",
        f"nondeterministic {changed(changes)}",
        object=find_lasting_object(changes),
        path=recording.env_path,
        detail=bulleted(map(describe, changes)),
        help=_NONDETERMINISTIC_HELP,
        severity=Severity.WARNING,
    )


_NONDETERMINISTIC_HELP = (
    "Databases differ, and new rows get the value from the day on which their database was upgraded. Python computes it when the revision "
    'runs: let PostgreSQL compute it for each row (server_default=sa.func.now() for datetime.utcnow(), sa.text("gen_random_uuid()") for '
    "uuid4()), or use one fixed value or name."
)
_LOST_HELP = (
    "A transaction ends without a commit. Often env.py runs a statement before context.configure(), for which SQLAlchemy begins a "
    "transaction that Alembic does not commit: commit it (connection.commit()) first. Or a script commits Alembic's transaction: "
    "op.get_bind().commit() belongs in an autocommit_block()."
)
_IN_ONE_GO_HELP = (
    "A new database differs from one that was upgraded release by release. Usually a revision opens a separate connection, which does not "
    "see what the current transaction has done: use op.get_bind(), or set transaction_per_migration=True in env.py's "
    "context.configure()."
)
_REFUSAL_HELP = (
    "The requested revision, or the one that the database is at, is not among the scripts: is one missing from this "
    "branch, or does the command read another folder than the one with that revision?"
)


def _not_tried_after(recording: Recording, revision: str) -> int:
    """How many revisions could not be tried because that one does not apply."""
    return sum(f"comes after {revision}," in (trip.skipped_because or "") for trip in recording.trips)


def _finding(step: Step, failure: Failure, skipped_because: int, schema: Schema) -> Finding:
    message = f"{step.revision} does not apply: {failure_reason(failure)}."
    if skipped_because:
        message += f" {counted(skipped_because, 'revision')} after it could not be tried."
    return Finding(
        message,
        f"fails {cause(failure)}",
        revision=step.revision,
        detail=failure_detail(failure),
        help=_help(failure, schema),
        line=failure.line,
    )


def _fails_alone(revision: Revision, failure: Failure) -> Finding:
    at = listed(list(revision.down_revisions)) or "the revision before it"
    return Finding(
        f"{revision.revision} fails on a database that is at {at}, and applies only in one run with the revisions before it:"
        f" {failure_reason(failure)}.",
        f"fails-release-by-release {cause(failure)}",
        revision=revision.revision,
        detail=failure_detail(failure),
        help="In one run of the command, SQLAlchemy remembers the types that it has created, and does not create them again; on a"
        " database that was upgraded before, it does. " + (_hint(failure) or ""),
        line=failure.line,
        severity=Severity.WARNING,
    )


def _help(failure: Failure, schema: Schema) -> str | None:
    hint, code = constraints_there(failure, schema) or _hint(failure), another_way(failure, schema)
    return f"{hint.rstrip('.')}:\n\n{code}" if hint and code else hint


def _hint(failure: Failure) -> str | None:
    if failure.error == "Timeout":
        return (
            "It may wait for a lock that another connection of the same script holds, for input, or for a service that is not running; "
            "or it is slow, and --timeout SECONDS gives it more time."
        )
    if failure.sqlstate == sqlstates.STRING_DATA_RIGHT_TRUNCATION and "version_num" in (failure.sql or ""):
        return (
            "Alembic's version table holds ids of up to 32 characters. Give the revision a shorter id, in `revision` and wherever "
            "another script names it in down_revision."
        )
    if explained := explain(failure):
        return explained
    if failure.sqlstate == sqlstates.UNDEFINED_COLUMN and _OF_THE_ORM.search(failure.sql or ""):
        return _TODAYS_MODEL
    if failure.sqlstate is None and _PARAMETER.search(failure.message):
        return (
            "op.execute() takes a word after a colon for a parameter, also within a literal: write \\: for the colon."
        )
    if is_missing(failure):
        return _TYPE_NOT_THERE if _GIVES_A_TYPE.search(f"{failure.message}\n{failure.sql}") else _NOT_THERE
    if exists_already(failure):
        return "An earlier statement or revision has created it, or it was there before the first one."
    if failure.error.rpartition(".")[2] in {"ImportError", "ModuleNotFoundError"}:
        return (
            "A script that imports application code breaks when that code moves. Copy what it needs into the script: "
            "a lightweight table (sa.table, sa.column) instead of the model."
        )
    return None


_GIVES_A_TYPE = re.compile(r'\Atype ".*" does not exist\s+ALTER\s+TABLE\b', re.IGNORECASE)
_TYPE_NOT_THERE = (
    "op.create_table() creates the type of an sa.Enum, op.add_column() and op.alter_column() may not. Create it first: "
    "sa.Enum(…, name=…).create(op.get_bind(), checkfirst=True). If it comes from elsewhere, tell the gate how with --prepare COMMAND."
)
# SELECT roles.id AS roles_id: https://docs.sqlalchemy.org/en/20/orm/queryguide/select.html
_OF_THE_ORM = re.compile(r"\b(\w+)\.(\w+) AS \1_\2\b")
_TODAYS_MODEL = (
    "The script uses a model as it is today, with columns that the schema does not have at this revision. Copy what it needs into the "
    "script: a lightweight table (sa.table, sa.column) instead of the model."
)
_PARAMETER = re.compile(r"^A value is required for bind parameter '")


_NOT_THERE = (
    "No earlier revision creates it on an empty database. If other code once created it, tell the gate how with --prepare COMMAND, "
    "or write a first revision that does. If it exists only in some databases, make this revision check for it first."
)

CHECK = Check(id="upgrade", severity=Severity.ERROR, examine=examine, needs=frozenset({Evidence.WHOLE_COMMAND}))
