"""Reports written to files and to standard output, and the exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from app.gate.commands._messages import complain, printable
from app.gate.commands._options import Output
from app.gate.files import write_atomically
from app.gate.report.verdict import Verdict
from app.gate.reporters import renderer_for

if TYPE_CHECKING:
    from app.gate.report.model import Report


PASSED, FAILED, NOT_VERIFIED = 0, 1, 2
STATUSES = {Verdict.PASS: PASSED, Verdict.FAIL: FAILED, Verdict.ERROR: NOT_VERIFIED}


def deliver(report: Report, outputs: Sequence[Output], verbosity: int = 0) -> int:
    """Write every report, even if one of them cannot be written. Returns the exit status."""
    status = STATUSES[report.verdict]
    for output in outputs:
        try:
            if output.path is not None:
                write_atomically(output.path, _render(report, output.format, verbosity))
            else:
                _print(report, output.format, verbosity)
            if output.format == "github" and (summary := os.environ.get("GITHUB_STEP_SUMMARY")):
                from app.gate.reporters.github import append_summary

                append_summary(report, Path(summary))
        except BrokenPipeError:
            _forget_stdout()
        except OSError as error:
            place = output.path or "standard output"
            complain(f"cannot write the {output.format} report to {place}: {error.strerror or error}")
            status = NOT_VERIFIED
            if output.path is None:
                _forget_stdout()
    if report.verdict is Verdict.ERROR:
        complain(report.reason or "nothing was verified")
    return status


def _render(report: Report, name: str, verbosity: int) -> str:
    """In the format of that name. All but the text have everything."""
    if name != "text":
        return renderer_for(name)(report)
    from app.gate.reporters.text import render

    return render(report, verbosity)


def _print(report: Report, name: str, verbosity: int) -> None:
    if name != "text":
        sys.stdout.flush()
        sys.stdout.buffer.write(_render(report, name, verbosity).encode())
    elif report.verdict is Verdict.ERROR and not report.findings:
        return  # The only line goes to standard error.
    elif _is_colourful():
        from rich.console import Console

        from app.gate.reporters.text import print_on

        print_on(Console(highlight=False, markup=False, emoji=False), report, verbosity)
    else:
        sys.stdout.write(printable(_render(report, name, verbosity), sys.stdout.encoding))
    sys.stdout.flush()


def _is_colourful() -> bool:
    if printable("…", sys.stdout.encoding) != "…":
        return False
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _forget_stdout() -> None:
    """Standard output is closed; without this, Python would report it again when it exits."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
