"""The report of a run, of which a page shows a part.

A report may have megabytes. So it is split into its parts without reading these, and only what the page shows is read
and validated: it costs a small part of reading all of it.
"""

from __future__ import annotations

import gzip
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from pydantic import TypeAdapter, ValidationError

from app.gate.report.model import GraphEntry, Report, StepEntry
from app.gate.reporters.html.view import shown_revisions


class StepHead(msgspec.Struct, gc=False):
    """What tells whether a step is shown."""

    revision: str
    direction: str


NONE = msgspec.Raw(b"[]")


class RevisionParts(msgspec.Struct, gc=False):
    """What a picture of the history needs: neither digests nor the definitions of what was replaced."""

    revision: msgspec.Raw
    down_revisions: msgspec.Raw = NONE
    depends_on: msgspec.Raw = NONE
    branch_labels: msgspec.Raw = NONE
    message: msgspec.Raw = msgspec.Raw(b'""')
    new: msgspec.Raw = msgspec.Raw(b"true")


class GraphParts(msgspec.Struct):
    heads: msgspec.Raw = NONE
    revisions: list[RevisionParts] = []


LEFT_OUT = ("snapshot", "digest")
LISTS: dict[str, Any] = {"findings": list[msgspec.Raw], "steps": list[msgspec.Raw], "graph": GraphParts}
Parts = msgspec.defstruct(
    "Parts",
    [
        (name, LISTS.get(name, msgspec.Raw) | msgspec.UnsetType, msgspec.UNSET)
        for name in Report.model_fields
        if name not in LEFT_OUT
    ],
)
PARTS = msgspec.json.Decoder(Parts)
STEP = msgspec.json.Decoder(StepHead)
STEPS = TypeAdapter(list[StepEntry])


def read_part(content: bytes, findings: Sequence[int]) -> Report | None:
    """The report with the findings at those positions, and with the upgrades of the revisions that its page shows.

    None for a report of another tool that only looks like one of the gate.
    """
    try:
        parts: Any = PARTS.decode(gzip.decompress(content))
        every, steps = parts.findings or [], parts.steps or []
        parts.findings = [every[position] for position in findings if position < len(every)]
        parts.steps = msgspec.UNSET
        report = Report.model_validate_json(msgspec.json.encode(parts))
        upgrades = _first_upgrades(steps, shown_revisions(report))
        return report.model_copy(update={"steps": STEPS.validate_json(msgspec.json.encode(upgrades))})
    except (msgspec.MsgspecError, ValidationError):
        return None


def read_graph(content: bytes) -> GraphEntry | None:
    """None as above."""
    try:
        parts: Any = PARTS.decode(gzip.decompress(content))
        return GraphEntry.model_validate_json(msgspec.json.encode(parts.graph or GraphParts()))
    except (msgspec.MsgspecError, ValidationError):
        return None


def _first_upgrades(steps: Sequence[msgspec.Raw], revisions: Collection[str | None]) -> list[msgspec.Raw]:
    wanted = {each for each in revisions if each is not None}
    upgrades: list[msgspec.Raw] = []
    for step in steps:
        if not wanted:
            break
        head = STEP.decode(step)
        if head.direction == "upgrade" and head.revision in wanted:
            wanted.remove(head.revision)
            upgrades.append(step)
    return upgrades
