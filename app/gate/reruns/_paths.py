"""Other ways to head than the walk: the models' own schema, the SQL of `--sql`, two upgrades at once.

Each is one more run of the command on an empty database. They do not touch each other, so they run side by side, and beside the
walk where they need not know how it ends.
"""

from __future__ import annotations

from app.gate.errors import CommandExited
from app.gate.recording.model import Attempt, Failure, Snapshot
from app.gate.reruns._concurrent import race
from app.gate.reruns._offline import print_sql, run_printed
from app.gate.reruns._pool import Jobs
from app.gate.reruns._whole_command import make_schema, schema_of
from app.gate.reruns.early import Ahead
from app.gate.reruns.results import Seen
from app.gate.snapshot.difference import difference
from app.gate.target.runner import Stage, accept
from app.gate.walk.client import step_request
from app.gate.walk.state import Walk


def _print_and_run(jobs: Jobs, walk: Walk, seen: Seen, stage: Stage, ahead: Ahead | None) -> None:
    printed = ahead.printed.result() if ahead else print_sql(stage, walk.current)
    if printed.is_of_the_command:
        jobs.need_to_be_alone()
        if ahead:
            printed = print_sql(stage, walk.current)
    if printed.missing is not None:
        seen.missing["offline"] = printed.missing
        return
    made = printed.failure or (ahead.made.result() if ahead else None) or run_printed(printed, stage)
    if isinstance(made, Failure):
        seen.offline = Attempt(failures=(made,))
    else:
        seen.offline = Attempt(differences=difference(walk.get_head(), walk.without_version_table(made)))


def _upgrade_twice_at_once(jobs: Jobs, walk: Walk, seen: Seen, stage: Stage, ahead: Ahead | None) -> None:
    raced = (ahead.raced.result() if ahead else None) or race(stage)
    if len(raced.failures) > 1:  # neither got there
        jobs.need_to_be_alone()
        if ahead:
            raced = race(stage)
    schema = walk.without_version_table(raced.schema)
    differences = difference(walk.get_head(), schema)
    if differences:
        # Is it the race, or does the command never get there? An env.py whose transaction nobody commits ends well, and in vain.
        alone = _upgrade_in_one_go(jobs, walk, seen, stage)
        differences = difference(alone, schema) if alone is not None else differences
    seen.concurrent = Attempt(failures=raced.failures, differences=differences)


def _upgrade_alone(jobs: Jobs, walk: Walk, seen: Seen, stage: Stage) -> None:
    _upgrade_in_one_go(jobs, walk, seen, stage)


def _upgrade_in_one_go(jobs: Jobs, walk: Walk, seen: Seen, stage: Stage) -> Snapshot | None:
    """As users do it: one transaction for all revisions is another thing than one for each. Gives what that makes."""
    made = make_schema(walk, stage)
    if isinstance(made, Failure):
        jobs.need_to_be_alone()
        seen.plain = Attempt(failures=(made,))
        return None
    differences = difference(walk.get_head(), made)
    if differences:
        # It may be what the command does to the database once Alembic is done: plugins with migrations of their own.
        step_by_step = _make_step_by_step(walk, stage)
        differences = difference(step_by_step, made) if step_by_step is not None else differences
    seen.plain = Attempt(differences=differences)
    if differences and not isinstance(again := make_schema(walk, stage), Failure):
        seen.unsteady = difference(made, again)
    return made


def _make_step_by_step(walk: Walk, stage: Stage) -> Snapshot | None:
    """What the whole command makes of one with each revision in a transaction of its own. None if it does not get through."""
    with stage.database() as database, stage.process(database) as process:
        try:
            while (conversation := process.arrive(stage.patience_s)) is not None:
                accept(conversation, database)
                described = conversation.ask("prepare")
                for revision in described.get("plan", ()):
                    step = step_request(revision, "upgrade", is_observed=False)
                    if conversation.ask(timeout_s=stage.target.timeout_s, **step).get("failure"):
                        return None
                conversation.ask("stamp" if described.get("is_stamp") else "finish")
            return schema_of(database, walk) if stage.wait(process, database) == 0 else None
        except (CommandExited, TimeoutError):
            return None
