"""Other ways to head than the walk: the models' own schema, the SQL of `--sql`, two upgrades at once.

Each is one more run of the command on an empty database. They do not touch each other, so they run side by side.
"""

from __future__ import annotations

from app.gate.errors import CommandExited, StepTimedOut
from app.gate.recording.model import AlternativePath, Direction, Failure, Snapshot
from app.gate.reruns._concurrent import upgrade_concurrently
from app.gate.reruns._offline import print_offline_sql, run_offline_sql
from app.gate.reruns._pool import JobPool
from app.gate.reruns._whole_command import make_schema, schema_of
from app.gate.reruns.results import RerunResults
from app.gate.snapshot.difference import difference
from app.gate.target.runner import TargetRunner, check_database
from app.gate.walk.client import DriverClient
from app.gate.walk.state import Walk


def run_offline(jobs: JobPool, walk: Walk, seen: RerunResults, runner: TargetRunner) -> None:
    printed = print_offline_sql(runner, walk.arrival.current)
    if printed.is_of_the_command:
        jobs.retry_alone()
    if printed.missing is not None:
        seen.not_observed["offline"] = printed.missing
        return
    made = printed.failure or run_offline_sql(printed, runner)
    if isinstance(made, Failure):
        seen.offline = AlternativePath(failures=(made,))
    else:
        seen.offline = AlternativePath(
            differences=difference(walk.get_head(), walk.arrival.without_version_table(made))
        )


def upgrade_twice_concurrently(jobs: JobPool, walk: Walk, seen: RerunResults, runner: TargetRunner) -> None:
    raced = upgrade_concurrently(runner)
    if len(raced.failures) > 1:  # neither got there
        jobs.retry_alone()
    schema = walk.arrival.without_version_table(raced.schema)
    differences = difference(walk.get_head(), schema)
    if differences:
        # Is it the race, or does the command never get there? An env.py whose transaction nobody commits ends well, and in vain.
        alone = _upgrade_in_one_go(jobs, walk, seen, runner)
        differences = difference(alone, schema) if alone is not None else differences
    seen.concurrent = AlternativePath(failures=raced.failures, differences=differences)


def upgrade_alone(jobs: JobPool, walk: Walk, seen: RerunResults, runner: TargetRunner) -> None:
    _upgrade_in_one_go(jobs, walk, seen, runner)


def _upgrade_in_one_go(jobs: JobPool, walk: Walk, seen: RerunResults, runner: TargetRunner) -> Snapshot | None:
    """As users do it: one transaction for all revisions is another thing than one for each. Gives what that makes."""
    made = make_schema(walk, runner)
    if isinstance(made, Failure):
        jobs.retry_alone()
        seen.plain = AlternativePath(failures=(made,))
        return None
    differences = difference(walk.get_head(), made)
    if differences:
        # It may be what the command does to the database once Alembic is done: plugins with migrations of their own.
        step_by_step = _make_step_by_step(walk, runner)
        differences = difference(step_by_step, made) if step_by_step is not None else differences
    seen.plain = AlternativePath(differences=differences)
    if differences and not isinstance(again := make_schema(walk, runner), Failure):
        seen.nondeterministic = difference(made, again)
    return made


def _make_step_by_step(walk: Walk, runner: TargetRunner) -> Snapshot | None:
    """What the whole command makes of one with each revision in a transaction of its own. None if it does not get through."""
    with runner.database() as database, runner.process(database) as process:
        try:
            while (session := process.next_session(runner.patience_s)) is not None:
                check_database(session, database)
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
