"""The history as Alembic reads it, and the steps that it would take."""

import contextlib
import os
import traceback


def describe(context, heads):
    """{"scripts", "revisions", "heads", "bases", "plan", "refusal", "error"}: parents before children."""
    script = context.script
    found = {"scripts": [], "revisions": [], "heads": [], "bases": [], "plan": [], "refusal": None, "error": None}
    found["locations"] = []
    with contextlib.suppress(Exception):
        found["locations"] = [os.path.abspath(str(each)) for each in script._version_locations]
    try:
        scripts = list(script.walk_revisions())
        found["heads"] = list(script.revision_map.heads)
        found["bases"] = list(script.revision_map.bases)
    except Exception as error:
        found["error"] = _error(error)
        return found
    scripts.reverse()
    found["scripts"] = scripts
    found["revisions"] = [
        {
            "revision": each.revision,
            "down_revisions": list(each._versioned_down_revisions),
            "depends_on": [str(name) for name in getattr(each, "_resolved_dependencies", ())],
            "branch_labels": sorted(each._orig_branch_labels),
            "message": (each.doc or "").strip(),
            "path": os.path.abspath(each.module.__file__ or each.path),
        }
        for each in scripts
    ]
    try:
        steps = list(context._migrations_fn(tuple(heads), context))
    except Exception as error:
        # Most often several heads where the command asked for one. The rest can still be judged.
        found["refusal"] = (str(error).strip().splitlines() or [type(error).__name__])[0]
        try:
            steps = list(script._upgrade_revs("heads", tuple(heads)))
        except Exception as deeper:
            found["error"] = _error(deeper)
            return found
    found["is_upgrade"] = all(getattr(step, "is_upgrade", False) and hasattr(step, "revision") for step in steps)
    found["is_stamp"] = any(not hasattr(step, "revision") for step in steps)
    if found["is_upgrade"]:
        found["plan"] = [step.revision.revision for step in steps]
    return found


def _error(error):
    told = {"error": type(error).__name__, "message": (str(error).strip().splitlines() or [type(error).__name__])[0]}
    if isinstance(error, SyntaxError):
        told.update(path=error.filename, line=error.lineno)
    else:
        frames = traceback.extract_tb(error.__traceback__)
        if frames and os.sep + "alembic" + os.sep not in frames[-1].filename:
            told.update(path=frames[-1].filename, line=frames[-1].lineno)
    return told


def line_of(error, path):
    """The line of the script at that path in which the error arose, or None."""
    line = None
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == path:
            line = frame.lineno
    return line
