"""The history as Alembic reads it, and the steps that it would take."""

from __future__ import annotations

import contextlib
import os
import traceback
from typing import TYPE_CHECKING, Any, Sequence

if TYPE_CHECKING:
    from . import protocol


def describe(context: Any, heads: Sequence[str]) -> tuple[list[Any], protocol.History]:
    """The scripts, parents before children, and what the gate is to know of them and of the plan."""
    found: protocol.History = {
        "locations": [],
        "revisions": [],
        "heads": [],
        "bases": [],
        "plan": [],
        "refusal": None,
        "error": None,
    }
    script = context.script
    with contextlib.suppress(Exception):
        found["locations"] = [os.path.abspath(str(each)) for each in script._version_locations]
    try:
        scripts = list(script.walk_revisions())
        found["heads"] = list(script.revision_map.heads)
        found["bases"] = list(script.revision_map.bases)
    except Exception as error:
        found["error"] = _describe_error(error)
        return [], found
    scripts.reverse()
    found["revisions"] = [_describe_revision(each) for each in scripts]
    _add_plan(found, context, tuple(heads))
    return scripts, found


def _describe_revision(script: Any) -> protocol.Revision:
    return {
        "revision": script.revision,
        "down_revisions": list(script._versioned_down_revisions),
        "depends_on": [str(name) for name in getattr(script, "_resolved_dependencies", ())],
        "branch_labels": sorted(script._orig_branch_labels),
        "message": (script.doc or "").strip(),
        "path": os.path.abspath(script.module.__file__ or script.path),
    }


def _add_plan(found: protocol.History, context: Any, heads: tuple[str, ...]) -> None:
    try:
        steps = list(context._migrations_fn(heads, context))
    except Exception as error:
        # Most often several heads where the command asked for one. The rest can still be judged.
        found["refusal"] = _first_line(error)
        try:
            steps = list(context.script._upgrade_revs("heads", heads))
        except Exception as deeper:
            found["error"] = _describe_error(deeper)
            return
    found["is_upgrade"] = all(getattr(step, "is_upgrade", False) and hasattr(step, "revision") for step in steps)
    stamps = [step for step in steps if not hasattr(step, "revision")]
    found["is_stamp"] = bool(stamps)
    found["stamped"] = [str(name) for step in stamps for name in getattr(step, "to_", ())]
    if found["is_upgrade"]:
        found["plan"] = [step.revision.revision for step in steps]


def _describe_error(error: Exception) -> protocol.HistoryError:
    described: protocol.HistoryError = {"error": type(error).__name__, "message": _first_line(error)}
    if isinstance(error, SyntaxError):
        described.update({"path": error.filename, "line": error.lineno})
    else:
        frames = traceback.extract_tb(error.__traceback__)
        if frames and os.sep + "alembic" + os.sep not in frames[-1].filename:
            described.update({"path": frames[-1].filename, "line": frames[-1].lineno})
    return described


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
