"""One module per format, each with `render(report) -> str`.

Everything that a report quotes (messages, SQL, names, paths, reasons) was written by the project under test, which may
be a stranger's pull request. Each reporter escapes it for the place where its output is read: `escaping.py`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.gate.report.model import Report

FORMATS = ("text", "json", "markdown", "github", "gitlab", "sarif", "junit", "html")


def renderer_for(name: str) -> Callable[[Report], str]:
    """The `render` of that format. Only the module that is asked for is imported. Raises KeyError."""
    if name not in FORMATS:
        raise KeyError(name)
    render: Callable[[Report], str] = importlib.import_module(f"{__name__}.{name}").render
    return render
