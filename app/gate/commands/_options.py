"""Options of the command line over the project's settings."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.gate.configuration import Configuration, read_checks, read_fail_on, read_pair, read_timeout, read_words
from app.gate.errors import UsageError
from app.gate.files import why_not_writable
from app.gate.reporters import FORMATS


def override(configuration: Configuration, arguments: argparse.Namespace) -> Configuration:
    """The project's settings, overridden by the command line. Raises UsageError."""
    changes: dict[str, Any] = {}
    option = ""
    try:
        if arguments.command_words:
            changes["command"] = tuple(arguments.command_words)
        if arguments.env:
            option = "--env"
            changes["env"] = {**configuration.env, **dict(read_pair(pair) for pair in arguments.env)}
        if arguments.set:
            option = "--set"
            changes["options"] = {**configuration.options, **dict(read_pair(pair) for pair in arguments.set)}
        if arguments.file:
            option = "--file"
            pairs = (read_pair(pair) for pair in arguments.file)
            changes["files"] = {**configuration.files, **{Path(path): Path(template) for path, template in pairs}}
        if arguments.prepare is not None:
            option = "--prepare"
            changes["prepare"] = read_words(arguments.prepare)
        if arguments.timeout is not None:
            option = "--timeout"
            changes["timeout_s"] = read_timeout(arguments.timeout)
        if arguments.select:
            option = "--select"
            changes["select"] = read_checks(arguments.select)
            # A check that is selected by name is run, even if the project ignores it.
            changes["ignore"] = configuration.ignore - changes["select"]
        if arguments.ignore:
            option = "--ignore"
            changes["ignore"] = read_checks(arguments.ignore)
        if arguments.fail_on is not None:
            option = "--fail-on"
            changes["fail_on"] = read_fail_on(arguments.fail_on)
        if arguments.baseline is not None:
            changes["baseline"] = Path(arguments.baseline)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None
    return replace(configuration, **changes)


# Reports


@dataclass(frozen=True)
class Output:
    """A requested report."""

    format: str
    path: Path | None = None  # None: standard output


def read_outputs(texts: Sequence[str]) -> list[Output]:
    """Raises UsageError. The text report goes to standard output unless another one does."""
    outputs = [_read_output(text) for text in texts]
    printed = [output.format for output in outputs if output.path is None]
    if not printed:
        outputs.append(Output("text"))
    elif len(printed) > 1 and not set(printed) <= {"text", "github"}:
        raise UsageError(
            f"--output: {' and '.join(dict.fromkeys(printed))} would be mixed on standard output: write one of them to a file,"
            f" as in {printed[-1]}:FILE"
        )
    return list(dict.fromkeys(outputs))


def _read_output(text: str) -> Output:
    name, colon, path = text.partition(":")
    if name not in FORMATS:
        raise UsageError(f"--output: there is no format {name!r}; the formats are {', '.join(FORMATS)}")
    if colon and not path:
        raise UsageError(f"--output: {text!r} names no file after the colon")
    if path and Path(path).is_dir():
        raise UsageError(f"--output: {path} is a directory: name a file")
    if not path or path == "-":
        return Output(name)
    check_writable("--output", Path(path))
    return Output(name, Path(path))


def check_writable(option: str, path: Path) -> None:
    """Refuse now what could not be written after the run. Raises UsageError."""
    if not path.parent.is_dir():
        raise UsageError(f"{option}: there is no directory {path.parent}, so {path} cannot be written: create it first")
    if (reason := why_not_writable(path)) is not None:
        raise UsageError(f"{option}: {path} cannot be written: {reason}")
