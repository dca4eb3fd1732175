"""How a walk begins: the history, the plan, and the base that it is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.gate.errors import CannotVerify
from app.gate.history.git_base import compare, read_base
from app.gate.history.graph import read_graph
from app.gate.history.paths import repository_root
from app.gate.recording.model import Divergence, Graph
from app.gate.target.session import DriverSession
from app.gate.walk.plan import RecordingPlan
from app.gate.walk.state import Walk


def begin_walk(index: int, session: DriverSession, directory: Path, plan: RecordingPlan) -> Walk:
    """Have the driver get ready, and read the history and the plan. Raises CannotVerify."""
    described = session.ask("prepare")
    if failure := described.get("failure"):
        raise CannotVerify(f"Alembic cannot begin on an empty database: {failure['message']}")
    is_cached = plan.is_cached and described["has_metadata"]
    # Which take a while: we read the history in the meantime.
    if is_cached:
        session.send("fingerprints")
    graph = read_graph(described, directory, plan.scripts)
    if not described.get("is_upgrade", True) and not described["is_stamp"]:
        raise CannotVerify("the command does not upgrade: name the one that brings the database to head, after --")
    divergence = None
    if plan.base_ref is not None:
        env = directory / (session.hello["script_location"] or "") / "env.py"
        graph, divergence = _set_against_base(graph, described, directory, plan.base_ref, env)
    return Walk(
        index=index,
        hello=session.hello,
        graph=graph,
        plan=list(described["plan"]),
        evidence=plan.evidence,
        is_transactional=described["is_transactional"],
        has_metadata=described["has_metadata"],
        current=tuple(described["current"]),
        base=divergence,
        is_stamp=described.get("is_stamp", False),
        paths={each["revision"]: Path(each["path"]) for each in described["revisions"]},
        models=session.receive().get("models", {}) if is_cached else {},
    )


def _set_against_base(
    graph: Graph, described: Mapping[str, Any], directory: Path, ref: str, env: Path
) -> tuple[Graph, Divergence]:
    """The graph with its new revisions marked, and what the branch did to the old ones."""
    root = repository_root(directory)
    folders = {Path(location) for location in described["locations"]}
    folders |= {root / folder for folder in {each.path.rpartition("/")[0] for each in graph.revisions}}
    base = read_base(ref, root, sorted(folders))
    outside = {each.revision for each in graph.revisions if each.path.startswith("/")}
    revisions = tuple(
        replace(each, is_new=each.revision not in base.scripts and each.revision not in outside)
        for each in graph.revisions
    )
    return replace(graph, revisions=revisions), compare(base, graph, root, env)
