"""`--deployed`: the snapshot by whose sizes findings are weighed, from a file or from the record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from app.gate.commands._deployment import RECORD, read_environment
from app.gate.commands._record import Destination, RecordFailed, ask, read_destination
from app.gate.errors import UsageError
from app.gate.judging.sizes import Deployed, TableSize

FORMAT: Final = "overproof-snapshot/1"
OF_RECORD: Final = "record:"


def read_deployed(text: str, directory: Path, submit: str | None, environ: Mapping[str, str]) -> Deployed:
    """The deployed database that `--deployed` names. Raises UsageError.

    `submit` is the project in the record that the command line names, if it does."""
    if text.startswith(OF_RECORD):
        return _from_record(read_environment(text.removeprefix(OF_RECORD), "--deployed"), submit, environ)
    path = directory / text
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"--deployed: {text} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(
            f"--deployed: {text} is not JSON ({error}): write it by overproof snapshot URL > {text}"
        ) from None
    return _deployed(content, path.name, f"{text} is not what overproof snapshot prints")


def _from_record(environment: str, submit: str | None, environ: Mapping[str, str]) -> Deployed:
    url = submit or environ.get(RECORD, "").strip()
    if not url:
        raise UsageError(f"--deployed: no record given: set {RECORD} to https://HOST/api/v1/projects/SLUG")
    destination = read_destination(url, environ, "--submit" if submit else RECORD)
    place = f"/environments/{environment}"
    try:
        newest = ask(destination, "GET", f"{place}/snapshots", query={"limit": "1"})["items"]
        if not newest:
            raise UsageError(
                f"--deployed: the record has no snapshot of {environment}: overproof snapshot --submit --environment"
                f" {environment} sends one"
            )
        snapshot = ask(destination, "GET", f"{place}/snapshots/{newest[0]['id']}")
        return _deployed(snapshot, environment, "the answer is not that of a record", _live_commit(destination, place))
    except (RecordFailed, KeyError, TypeError) as failure:
        reason = failure if isinstance(failure, RecordFailed) else "the answer is not that of a record"
        raise UsageError(
            f"--deployed: the snapshot of {environment} could not be read from the record: {reason}"
        ) from None


def _live_commit(destination: Destination, place: str) -> str | None:
    """The commit that was deployed last; None if that is not known, or while several are live."""
    deployments = ask(destination, "GET", f"{place}/deployments", query={"limit": "50"})["items"]
    current = {each["commit"] for each in deployments if each["status"] in ("live", "rolling")}
    return current.pop() if len(current) == 1 else None


def _deployed(content: Any, source: str, otherwise: str, commit: str | None = None) -> Deployed:
    """Raises UsageError, if the content is no snapshot."""
    try:
        if content["format"] != FORMAT:
            raise UsageError(f"--deployed: {otherwise}: its format is {content['format']!r}, and not {FORMAT!r}")
        sizes = {
            str(name): TableSize(_count(each.get("rows")), _count(each.get("bytes")))
            for name, each in content.get("tables", {}).items()
        }
        revisions = {str(each) for revisions in content["revisions"].values() for each in revisions or ()}
        return Deployed(source, sizes, frozenset(revisions), str(content.get("taken_at", "")), commit=commit)
    except (KeyError, TypeError, AttributeError):
        raise UsageError(f"--deployed: {otherwise}") from None


def _count(value: object) -> int | None:
    """Raises TypeError."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise TypeError
