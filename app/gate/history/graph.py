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
_CYCLE = re.compile(r"(?:cycle|loop) is detected in revisions", re.IGNORECASE)
_LABEL_IN_USE = re.compile(r"Branch name '.*' in revision (?P<revision>\S+) already used by revision")
_UNKNOWN_NAME = re.compile(r"KeyError: '(?P<name>[^']+)'")  # what it says of an unknown name in `depends_on`

Place = tuple[str, str | None, str]  # path, revision and text of a script


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
        heads=tuple(dict.fromkeys(described["heads"])),  # Alembic has one twice whose id two scripts have
        bases=tuple(described["bases"]),
        problems=tuple(_problems(described, root)),
        refusal=described.get("refusal"),
    )


def _problems(described: Mapping[str, Any], root: Path) -> list[GraphProblem]:
    is_whole = not described["warnings"] and not described.get("error")
    places = [] if is_whole else _places(described, root)
    problems = [problem for warning in described["warnings"] if (problem := _warned(warning, places))]
    if error := described.get("error"):
        path = relative(Path(error["path"]), root) if error.get("path") else None
        if path is not None or not problems:  # else it results from what the warning says, and says less
            problems.append(_refused(error, path, places))
    return problems


def _warned(warning: str, places: list[Place]) -> GraphProblem | None:
    if found := _DUPLICATE.search(warning):
        paths = [path for path, revision, _ in places if revision == found["revision"]]
        message = f"{warning}: {', '.join(paths)}"
        return GraphProblem(GraphProblemKind.DUPLICATE, message, found["revision"], paths[-1] if paths else None)
    if found := _MISSING_PARENT.search(warning):
        path, revision = _child_of(found["parent"], places)
        return GraphProblem(GraphProblemKind.MISSING_PARENT, warning.splitlines()[0], revision, path)
    return None


def _refused(error: Mapping[str, Any], path: str | None, places: list[Place]) -> GraphProblem:
    message = str(error["message"])
    if _CYCLE.search(message):
        return GraphProblem(GraphProblemKind.CYCLE, f"{error['error']}: {message}")
    if path is None and (found := _UNKNOWN_NAME.fullmatch(f"{error['error']}: {message}")):
        path, revision = _child_of(found["name"], places)
        if revision is not None:
            said = f"{revision} depends on {found['name']}, which is neither a revision nor a branch label"
            return GraphProblem(GraphProblemKind.MISSING_PARENT, said, revision, path)
    if path is None and (found := _LABEL_IN_USE.search(message)):
        path = next((path for path, revision, _ in places if revision == found["revision"]), None)
        return GraphProblem(GraphProblemKind.LABEL_IN_USE, f"{error['error']}: {message}", found["revision"], path)
    said = f"{error['error']}: {message}"
    return GraphProblem(GraphProblemKind.UNREADABLE, said, None, path, error.get("line"))


def _child_of(name: str, places: list[Place]) -> tuple[str | None, str | None]:
    """The script that names it as its parent, or as something that it depends on, and that script's revision."""
    return next(((path, revision) for path, revision, text in places if _quotes(text, name)), (None, None))


def _places(described: Mapping[str, Any], root: Path) -> list[Place]:
    """Every script below the version locations."""
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
