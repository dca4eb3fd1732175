"""How a walk begins: the history, the plan, and the base that it is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.gate.errors import CannotVerify
from app.gate.history.git_base import compare_with_base
from app.gate.history.graph import read_graph
from app.gate.postgres.sqlstates import EXISTS_ALREADY
from app.gate.recording.model import Direction, Failure
from app.gate.walk.client import DriverClient
from app.gate.walk.plan import RecordingPlan
from app.gate.walk.state import Arrival, Unchanged, Walk

if TYPE_CHECKING:
    from app.gate.driver.overproof_driver import protocol


def begin_walk(index: int, client: DriverClient, directory: Path, plan: RecordingPlan) -> Walk:
    """Have the driver get ready, and read the history and the plan. `directory`: the target's. Raises CannotVerify."""
    prepared = client.prepare()
    if isinstance(prepared, Failure):
        raise CannotVerify(f"Alembic cannot begin on an empty database: {prepared.message}")
    is_cached = plan.is_cached and prepared["has_metadata"]
    if is_cached:
        client.begin_fingerprints()  # the history is read in the meantime
    arrival = _read_arrival(index, client.handshake, prepared, directory, plan)
    models = client.receive_fingerprints() if is_cached else {}
    return Walk(arrival, plan.evidence, Unchanged(models=models))


def apply_base(walk: Walk, client: DriverClient, plan: Sequence[str]) -> None:
    """Apply what the base has of the plan, and nothing else. Raises CannotVerify."""
    arrival = walk.arrival
    # A new revision that was inserted below an old one has to be there for the old one to apply.
    inserted_below = {revision for revision, _ in arrival.base.inserted_below} if arrival.base else set()
    for revision in plan:
        if arrival.revisions[revision].is_new and revision not in inserted_below:
            continue
        failure = client.commit_step(revision, Direction.UPGRADE).failure
        if failure is not None and failure.sqlstate in EXISTS_ALREADY:
            failure = client.commit_in_one_run(revision).failure
        if failure is not None:
            raise CannotVerify(
                f"revision {revision} is older than this branch and does not apply: {failure.message};"
                " run without --base to see the whole history judged"
            )


def _read_arrival(
    index: int, handshake: protocol.Handshake, prepared: protocol.Prepared, directory: Path, plan: RecordingPlan
) -> Arrival:
    graph = read_graph(prepared, directory, plan.scripts)
    is_stamp = prepared.get("is_stamp", False)
    # What `alembic check` and `alembic revision --autogenerate` say of an empty database.
    only_compares = "database is not up to date" in (prepared["refusal"] or "")
    if only_compares or (not prepared.get("is_upgrade", True) and not is_stamp):
        raise CannotVerify("the command does not upgrade: name the one that brings the database to head, after --")
    base = None
    if plan.base_ref is not None:
        env = directory / (handshake["script_location"] or "") / "env.py"
        graph, base = compare_with_base(
            graph, [Path(each) for each in prepared["locations"]], directory, plan.base_ref, env
        )
        base = replace(base, is_start=plan.starts_at_base)
    return Arrival(
        index=index,
        handshake=handshake,
        graph=graph,
        plan=tuple(prepared["plan"]),
        current=tuple(prepared["current"]),
        is_transactional=prepared["is_transactional"],
        has_metadata=prepared["has_metadata"],
        is_stamp=is_stamp,
        stamped=tuple(prepared.get("stamped", ())),
        base=base,
        paths={each["revision"]: Path(each["path"]) for each in prepared["revisions"]},
        locations=tuple(map(Path, prepared["locations"])),
        start_s=prepared["start_s"],
    )
