"""The history on disk, from Alembic's description and the text of the scripts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.gate.history.paths import relative, repository_root
from app.gate.history.scripts import Script, read_script
from app.gate.recording.model import Graph, GraphProblem, GraphProblemKind, Revision

# Alembic only warns of the first two (alembic/script/revision.py), and continues with an incomplete revision map.
_DUPLICATE = re.compile(r"Revision (?P<revision>\S+) is present more than once")
_MISSING_PARENT = re.compile(r"Revision (?P<parent>\S+) referenced from (?P<by>.+) is not present")
_CYCLE = re.compile(r"cycle is detected in revisions", re.IGNORECASE)


def read_graph(described: Mapping[str, Any], directory: Path, known: Mapping[str, Script] | None = None) -> Graph:
    """The graph of a walk. `described` is the driver's answer; paths become relative to the repository's root.

    `known` has scripts that were parsed before, by their SHA-256.
    """
    root = repository_root(directory)
    revisions = []
    for each in described["revisions"]:
        path = Path(each["path"])
        script = read_script(path, known or {})
        revisions.append(
            Revision(
                revision=each["revision"],
                path=relative(path, root),
                down_revisions=tuple(each["down_revisions"]),
                depends_on=tuple(each["depends_on"]),
                branch_labels=tuple(each["branch_labels"]),
                message=each["message"],
                sha256=script.sha256,
                content_digest=script.content_digest,
                upgrade_line=script.upgrade_line,
                downgrade_line=script.downgrade_line,
                upgrade_body=script.upgrade_body,
                downgrade_body=script.downgrade_body,
                allowances=script.allowances,
            )
        )
    return Graph(
        revisions=tuple(revisions),
        heads=tuple(described["heads"]),
        bases=tuple(described["bases"]),
        problems=tuple(_problems(described, root)),
        refusal=described.get("refusal"),
    )


def _problems(described: Mapping[str, Any], root: Path) -> list[GraphProblem]:
    problems = []
    places = _places(described, root) if described["warnings"] else []
    for warning in described["warnings"]:
        if found := _DUPLICATE.search(warning):
            paths = [path for path, revision, _ in places if revision == found["revision"]]
            message = f"{warning}: {', '.join(paths)}"
            problems.append(
                GraphProblem(GraphProblemKind.DUPLICATE, message, found["revision"], paths[-1] if paths else None)
            )
        elif found := _MISSING_PARENT.search(warning):
            children = [(path, revision) for path, revision, text in places if _quotes(text, found["parent"])]
            path, revision = children[0] if children else (None, None)
            problems.append(GraphProblem(GraphProblemKind.MISSING_PARENT, warning.splitlines()[0], revision, path))
    if error := described.get("error"):
        path = relative(Path(error["path"]), root) if error.get("path") else None
        kind = GraphProblemKind.CYCLE if _CYCLE.search(error["message"]) else GraphProblemKind.UNREADABLE
        is_known = kind == GraphProblemKind.UNREADABLE and any(
            each.kind == GraphProblemKind.MISSING_PARENT for each in problems
        )
        if not is_known:  # a missing parent ends in a KeyError, which says less than the warning before it
            message = f"{error['error']}: {error['message']}"
            problems.append(GraphProblem(kind, message, None, path, error.get("line")))
    return problems


def _places(described: Mapping[str, Any], root: Path) -> list[tuple[str, str | None, str]]:
    """(path, revision, text) of every script below the version locations."""
    places = []
    for location in described["locations"]:
        for path in sorted(Path(location).glob("*.py")):
            try:
                text = path.read_text("utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            found = re.search(r"^revision\b[^=\n]*=\s*[\"']([^\"']+)", text, re.MULTILINE)
            places.append((relative(path, root), found[1] if found else None, text))
    return places


def _quotes(text: str, revision: str) -> bool:
    name = re.escape(revision)
    return re.search(rf"^(?:down_revision|depends_on)\b[^=\n]*=.*[\"']{name}[\"']", text, re.MULTILINE) is not None
