"""Options of the command line over the project's settings."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.gate.checks.registry import ON_REQUEST
from app.gate.checks.same_schema import CHECK as SAME_SCHEMA
from app.gate.configuration import Configuration, read_checks, read_fail_on, read_pair, read_timeout, read_words
from app.gate.errors import UsageError
from app.gate.files import why_not_writable
from app.gate.history.choose_base import NONE
from app.gate.reporters import FORMATS


def override(configuration: Configuration, arguments: argparse.Namespace) -> Configuration:
    """The project's settings, overridden by the command line. Raises UsageError."""
    changes: dict[str, Any] = {}
    readers: dict[str, tuple[str, Callable[[Any], Any]]] = {
        # option: (field of Configuration, how to read its value)
        "command_words": ("command", tuple),
        "env": ("env", lambda pairs: {**configuration.env, **dict(map(read_pair, pairs))}),
        "set": ("options", lambda pairs: {**configuration.options, **dict(map(read_pair, pairs))}),
        "file": ("files", lambda pairs: {**configuration.files, **_paths(pairs)}),
        "prepare": ("prepare", read_words),
        "timeout": ("timeout_s", read_timeout),
        "select": ("select", read_checks),
        "ignore": ("ignore", read_checks),
        "fail_on": ("fail_on", read_fail_on),
        "base": ("base", str),
        "deployed": ("deployed", str),
        "baseline": ("baseline", Path),
    }
    for option, (name, read) in readers.items():
        value = getattr(arguments, option)
        if value is None or value == []:
            continue
        try:
            changes[name] = read(value)
        except ValueError as error:
            raise UsageError(f"--{option.replace('_', '-')}: {error}") from None
    if "select" in changes and "ignore" not in changes:
        # A check that is selected by name is run, even if the project ignores it.
        changes["ignore"] = configuration.ignore - changes["select"]
    configured = replace(configuration, **changes)
    if arguments.same_schema_as is not None:
        configured = _compared_with_another_history(configured, is_base_named=arguments.base is not None)
    asked_for = {*(configured.select or ()), *configured.severities}
    if arguments.same_schema_as is not None:
        asked_for.add(SAME_SCHEMA.id)
    return replace(configured, not_asked_for=ON_REQUEST - asked_for)


def _compared_with_another_history(configuration: Configuration, *, is_base_named: bool) -> Configuration:
    """Without a base, unless it is named: what the other history had is not there any more, on purpose."""
    select = configuration.select
    return replace(
        configuration,
        base=configuration.base if is_base_named else NONE,
        select=None if select is None else select | {SAME_SCHEMA.id},
        ignore=configuration.ignore - {SAME_SCHEMA.id},
    )


def _paths(pairs: Iterable[str]) -> dict[Path, Path]:
    return {Path(path): Path(template) for path, template in map(read_pair, pairs)}


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
