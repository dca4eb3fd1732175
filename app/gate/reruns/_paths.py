"""Alternative paths to head: the SQL of offline mode, two concurrent upgrades, and the whole command as users run it.

The walk takes the command apart into revisions, each in a separate transaction. Where another path leaves another
schema, one more run decides what the difference means:

    path        outcome         next run                what that decides
    ----------  --------------  ----------------------  ----------------------------------------------------------------
    offline     any             none                    a failure or a difference is one of the SQL
    concurrent  both runs fail  the same, no other job  a failure that another job caused is not reported
                other schema    the whole command       only what the whole command does not leave when it runs alone is
                                                        due to concurrency
    whole       it fails        the same, no other job  a failure that another job caused is not reported
                other schema    step by step, to its    what the command does once Alembic is done, as for plugins, is
                                end                     no difference
                still another   whole, a third time     what differs between two runs is nondeterministic

The whole command runs only where the concurrent upgrades leave another schema, or in place of them where the base has
the same env.py, or no check asks for two. What is nondeterministic is left out of all other differences. So one finding
may have four runs of the command behind it, and a history without differences costs none of these.
"""

from __future__ import annotations

from app.gate.errors import CommandExited, StepTimedOut
from app.gate.postgres.sqlstates import INSUFFICIENT_PRIVILEGE
from app.gate.recording.model import AlternativePath, Change, Direction, Failure, Snapshot
from app.gate.reruns._concurrent import upgrade_concurrently
from app.gate.reruns._offline import print_offline_sql, run_offline_sql
from app.gate.reruns._pool import JobPool
from app.gate.reruns._whole_command import make_schema, schema_of
from app.gate.reruns.early import EarlyRuns
from app.gate.reruns.results import RerunResults
from app.gate.snapshot.difference import difference
from app.gate.target.runner import TargetRunner, check_database
from app.gate.walk.client import DriverClient
from app.gate.walk.state import Walk


def run_offline(
    jobs: JobPool, walk: Walk, results: RerunResults, runner: TargetRunner, early: EarlyRuns | None
) -> None:
    """Have the command print its SQL, and run that."""
    printed = early.offline_sql.result() if early else print_offline_sql(runner, walk.arrival.current)
    if printed.is_command_failure:
        jobs.retry_alone()
        if early:  # which was not alone
            printed = print_offline_sql(runner, walk.arrival.current)
    if printed.not_supported is not None:
        results.not_observed["offline"] = printed.not_supported
        return
    schema = printed.failure or _early_schema(early) or run_offline_sql(printed, runner)
    if not isinstance(schema, Failure) and (differences := _from_head(walk, schema)):
        # Once more, to see whether they are differences of PostgreSQL's words only. That is rare.
        schema = run_offline_sql(printed, runner, like=walk.get_head()) if _has_definitions(differences) else schema
    if isinstance(schema, Failure):
        results.offline = AlternativePath(failures=(schema,))
    else:
        results.offline = AlternativePath(differences=_from_head(walk, schema))


def _from_head(walk: Walk, schema: Snapshot) -> tuple[Change, ...]:
    return difference(walk.get_head(), walk.arrival.without_version_table(schema))


def _has_definitions(changes: tuple[Change, ...]) -> bool:
    """Whether an object has another definition on each side."""
    return any(change.before is not None and change.after is not None for change in changes)


def _early_schema(early: EarlyRuns | None) -> Snapshot | Failure | None:
    """The schema that an early run of the SQL has made. None if it is to be run now, with all rights."""
    schema = early.offline_schema.result() if early else None
    lacks_rights = isinstance(schema, Failure) and schema.sqlstate == INSUFFICIENT_PRIVILEGE
    return None if lacks_rights else schema


def run_concurrently(
    jobs: JobPool, walk: Walk, results: RerunResults, runner: TargetRunner, early: EarlyRuns | None
) -> None:
    """Run two concurrent upgrades; where they leave another schema than the walk, the whole command as well."""
    upgrade = (early.concurrent_upgrade.result() if early else None) or upgrade_concurrently(runner)
    if len(upgrade.failures) > 1:
        jobs.retry_alone()
        if early:
            upgrade = upgrade_concurrently(runner)
    schema = walk.arrival.without_version_table(upgrade.schema)
    differences = difference(walk.get_head(), schema)
    if differences:
        # The command may never get to head: where env.py commits nothing, for example, it succeeds all the same.
        alone = _make_whole(jobs, walk, results, runner)
        differences = difference(alone, schema) if alone is not None else differences
    results.concurrent = AlternativePath(failures=upgrade.failures, differences=differences)


def run_whole_command(
    jobs: JobPool, walk: Walk, results: RerunResults, runner: TargetRunner, early: EarlyRuns | None
) -> None:
    """Run the command as users do, perhaps with one transaction for all revisions."""
    made = early.whole_command.result() if early else None
    if isinstance(made, Failure):
        jobs.retry_alone()
        made = None  # the early run was not alone
    _make_whole(jobs, walk, results, runner, made)


def _make_whole(
    jobs: JobPool, walk: Walk, results: RerunResults, runner: TargetRunner, made: Snapshot | None = None
) -> Snapshot | None:
    """The schema that the whole command makes, or has made. None if it fails."""
    schema = _make_schema(walk, runner) if made is None else walk.arrival.without_version_table(made)
    if isinstance(schema, Failure):
        jobs.retry_alone()
        results.whole_command = AlternativePath(failures=(schema,))
        return None
    differences = difference(walk.get_head(), schema)
    if differences:
        step_by_step = _make_step_by_step(walk, runner)
        differences = difference(step_by_step, schema) if step_by_step is not None else differences
    results.whole_command = AlternativePath(differences=differences)
    if differences and not isinstance(other := _make_schema(walk, runner), Failure):
        results.nondeterministic = difference(schema, other)
    return schema


def _make_schema(walk: Walk, runner: TargetRunner) -> Snapshot | Failure:
    made = make_schema(runner)
    return made if isinstance(made, Failure) else walk.arrival.without_version_table(made)


def _make_step_by_step(walk: Walk, runner: TargetRunner) -> Snapshot | None:
    """The schema that the whole command makes with each revision in a separate transaction. None if it fails."""
    with runner.database() as database, runner.process(database) as process:
        try:
            while (session := process.next_session(runner.patience_s)) is not None:
                check_database(session, database, process)
                client = DriverClient(session, runner, database)
                prepared = client.prepare()
                if isinstance(prepared, Failure):
                    return None
                if any(client.commit_step(revision, Direction.UPGRADE).failure for revision in prepared["plan"]):
                    return None
                client.end("stamp" if prepared.get("is_stamp") else "finish")
            return schema_of(database, walk) if runner.wait(process, database) == 0 else None
        except (CommandExited, StepTimedOut, TimeoutError):
            return None
