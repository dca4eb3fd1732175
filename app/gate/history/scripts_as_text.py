"""The history from the text of its scripts: nothing of the project is imported, and no database is needed.

Alembic imports each script, and then connects them by the ids that they assign. Here the ids are read from the
assignments, and what Alembic would warn of, or refuse, is found in the same order and said in the same words, which
`graph.py` knows.
"""

from __future__ import annotations

import ast
import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.gate.errors import CannotVerify
from app.gate.history.allowances import parse_allowances
from app.gate.history.scripts import Script

Names = tuple[str, ...]


@dataclass(frozen=True)
class Declared:
    """What a script declares of its place in the graph."""

    path: Path
    revision: str
    down_revisions: Names
    depends_on: Names
    branch_labels: Names
    message: str
    script: Script


class _Refused(Exception):
    """Why Alembic would not read the history, in the form in which the driver describes it."""

    def __init__(self, error: str, message: str, path: Path | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.described = {"error": error, "message": message, "path": path and str(path), "line": line}


def describe_scripts(folders: Sequence[Path], *, is_recursive: bool = False) -> tuple[dict[str, Any], list[Script]]:
    """What the driver answers of a history, for `read_graph`, and what is known of the scripts. Raises CannotVerify."""
    described: dict[str, Any] = {
        "locations": [str(folder) for folder in folders],
        "revisions": [],
        "heads": [],
        "bases": [],
        "warnings": [],
        "error": None,
    }
    scripts: list[Declared] = []
    try:
        scripts += (_read(path) for path in _list_scripts(folders, is_recursive=is_recursive))
        _connect(scripts, described)
    except _Refused as refused:
        described["error"] = refused.described
    return described, [each.script for each in scripts]


def _list_scripts(folders: Iterable[Path], *, is_recursive: bool) -> Iterator[Path]:
    """Each file once, also where one folder is within another."""
    paths = [
        path for folder in folders for path in sorted(folder.rglob("*.py") if is_recursive else folder.glob("*.py"))
    ]
    for path in dict.fromkeys(path.resolve() for path in paths):
        if not path.name.startswith((".#", "__init__")) and "__pycache__" not in path.parts:
            yield path


# One script


def _read(path: Path) -> Declared:
    try:
        content = path.read_bytes()
        text = content.decode("utf-8")
        tree = ast.parse(text)
    except SyntaxError as error:
        raise _Refused("SyntaxError", error.msg, path, error.lineno) from None
    except (OSError, ValueError) as error:
        raise _Refused(type(error).__name__, str(error), path) from None
    values: dict[str, Any] = {}
    for name, value, line in _assignments(tree):
        values[name] = _value_of(value, values, path, line) if name in _DECLARED else _constant(value)
    if not isinstance(values.get("revision"), str):
        raise _Refused(
            "CommandError", f"Could not determine revision id from filename {path.name}: it declares no revision", path
        )
    doc = ast.get_docstring(tree) or ""
    return Declared(
        path=path,
        revision=values["revision"],
        down_revisions=_names(values.get("down_revision")),
        depends_on=_names(values.get("depends_on")),
        branch_labels=_names(values.get("branch_labels")),
        message=doc.split("\n\n")[0].strip(),
        script=Script(sha256=hashlib.sha256(content).hexdigest(), allowances=parse_allowances(text)),
    )


_DECLARED = frozenset({"revision", "down_revision", "depends_on", "branch_labels"})


def _assignments(tree: ast.Module) -> Iterator[tuple[str, ast.expr, int]]:
    """Those of the module itself, in order, in either form: `revision = …`, `revision: str = …`."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    yield target.id, statement.value, statement.lineno
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
            yield statement.target.id, statement.value, statement.lineno


def _value_of(value: ast.expr, known: Mapping[str, Any], path: Path, line: int) -> Any:
    """A text, None, or several texts; also by the name of a constant above. Raises CannotVerify."""
    if isinstance(value, ast.Name) and known.get(value.id) is not None:
        return known[value.id]
    if isinstance(value, ast.Tuple | ast.List | ast.Set):
        return tuple(_value_of(each, known, path, line) for each in value.elts)
    if isinstance(value, ast.Constant) and (value.value is None or isinstance(value.value, str)):
        return value.value
    raise CannotVerify(
        f"{path.name}:{line} computes its place in the history ({ast.unparse(value)[:60]}), which only Alembic can read:"
        " use overproof verify"
    )


def _constant(value: ast.expr) -> Any:
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


def _names(value: Any) -> Names:
    return (value,) if isinstance(value, str) else tuple(value or ())


# All of them


def _connect(scripts: Sequence[Declared], described: dict[str, Any]) -> None:
    """Fill in the revisions, parents before children, the heads and the bases. Raises _Refused."""
    by_revision: dict[str, Declared] = {}
    for each in scripts:
        if each.revision in by_revision:
            described["warnings"].append(f"Revision {each.revision} is present more than once")
        by_revision[each.revision] = each
    by_name = _with_labels(by_revision)
    followed = {parent for each in by_revision.values() for parent in each.down_revisions}
    described["heads"] = [name for name in by_revision if name not in followed]
    described["bases"] = [name for name, each in by_revision.items() if not each.down_revisions]
    for each in by_revision.values():
        for parent in each.down_revisions:
            if parent not in by_revision:
                described["warnings"].append(f"Revision {parent} referenced from {each.revision} is not present")
        for name in each.depends_on:
            if name not in by_name:
                raise _Refused("KeyError", repr(name))
    if described["warnings"]:
        described["heads"] = []  # as far as it is known; what is wrong is said by the warnings
        return
    ordered = _in_order(by_revision, by_name)
    described["revisions"] = [
        {
            "revision": each.revision,
            "down_revisions": list(each.down_revisions),
            "depends_on": [by_name[name].revision for name in each.depends_on],
            "branch_labels": sorted(each.branch_labels),
            "message": each.message,
            "path": str(each.path),
        }
        for each in ordered
    ]


def _with_labels(by_revision: Mapping[str, Declared]) -> dict[str, Declared]:
    """The scripts by revision and by branch label. Raises _Refused."""
    by_name = dict(by_revision)
    for each in by_revision.values():
        for label in each.branch_labels:
            if label in by_name and by_name[label] is not each:
                raise _Refused(
                    "RevisionError",
                    f"Branch name '{label}' in revision {each.revision} already used by revision"
                    f" {by_name[label].revision}",
                )
            by_name[label] = each
    return by_name


def _in_order(by_revision: Mapping[str, Declared], by_name: Mapping[str, Declared]) -> list[Declared]:
    """Parents before children, without recursion, since a history may be long. Raises _Refused on a cycle."""
    parents = {
        name: {*each.down_revisions, *(by_name[other].revision for other in each.depends_on)}
        for name, each in by_revision.items()
    }
    children: dict[str, list[str]] = {}
    for name, above in parents.items():
        for parent in above:
            children.setdefault(parent, []).append(name)
    missing = {name: len(above) for name, above in parents.items()}
    ready = deque(name for name, number in missing.items() if not number)
    ordered = []
    while ready:
        name = ready.popleft()
        ordered.append(by_revision[name])
        for child in children.get(name, ()):
            missing[child] -= 1
            if not missing[child]:
                ready.append(child)
    if len(ordered) < len(by_revision):
        left = sorted(name for name, number in missing.items() if number)
        raise _Refused("CycleDetected", f"Cycle is detected in revisions ({', '.join(left)})")
    return ordered
