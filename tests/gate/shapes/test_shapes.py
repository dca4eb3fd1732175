"""The gate carries projects of any shape: it finds the one defect that each of them has, and nothing else."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.gate.errors import CannotVerify
from app.gate.judging.judge import judge
from app.gate.recorder import record
from app.gate.recording.model import ALL_EVIDENCE, Evidence, Recording
from app.gate.report.model import FindingEntry
from app.gate.report.verdict import Severity
from app.gate.server.throwaway import Server
from app.gate.target.target import Target
from tests.gate.shapes import SHAPES
from tests.gate.shapes.library import library
from tests.gate.shapes.shape import Shape

# Two upgrades at once, and one that is interrupted, are the same in a project of any shape.
EVIDENCE = ALL_EVIDENCE - {Evidence.CONCURRENT, Evidence.INTERRUPTIONS}


def walk(shape: Shape, server: Server) -> list[Recording]:
    target = Target(shape.command, shape.environment, directory=shape.directory, timeout_s=60)
    return record(target, server, evidence=EVIDENCE)


# What a revision does to tables that are in use is judged in hazards/. Here it is whether the walk sees the history as it is.
OF_THE_HISTORY = {
    "single-head", "graph-integrity", "upgrade", "round-trip", "irreversible", "model-drift", "schema-drift",
    "unregistered-models", "offline-sql",
}  # fmt: skip


def significant(recordings: Sequence[Recording]) -> list[FindingEntry]:
    """Errors and warnings of the checks that judge the history."""
    return [
        finding
        for finding in judge(recordings).findings
        if finding.check in OF_THE_HISTORY and finding.severity is not Severity.NOTICE
    ]


def prove(shape: Shape, server: Server) -> None:
    """Fails unless the gate finds the shape's one defect, nothing else, and walks every revision."""
    recordings = walk(shape, server)

    findings = significant(recordings)
    found = {(finding.check, finding.revision or "") for finding in findings}
    assert found == {("round-trip", shape.culprit)} | shape.expected, "\n".join(map(str, findings))
    (defect,) = [finding for finding in findings if finding.check == "round-trip"]
    assert shape.index in f"{defect.object} {defect.message} {defect.detail}"
    assert {each.revision for recording in recordings for each in recording.trips} == shape.revisions
    assert shape.also(recordings)


@pytest.mark.parametrize("name", SHAPES)
def test_finds_the_one_defect_of_a_project_of_this_shape(name: str, tmp_path: Path, server: Server) -> None:
    prove(SHAPES[name](tmp_path, sys.executable), server)


def test_a_command_that_never_reaches_alembic_is_told_so(tmp_path: Path, server: Server) -> None:
    library(tmp_path)

    with pytest.raises(CannotVerify, match="never reached Alembic"):
        walk(Shape(tmp_path, command=("echo", "done")), server)
