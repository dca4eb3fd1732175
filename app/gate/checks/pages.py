"""Every check by its name, and the pages that its docstring makes."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from app.gate.checks.base import Check


@dataclass(frozen=True)
class CheckPage:
    """What the docstring of a check's module says."""

    title: str  # its first line, without the full stop
    text: str  # all of it
    sections: Mapping[
        str, str
    ]  # {"Catches": "...", "Why it hurts": "...", "How to fix": "...", "Stays quiet when": "..."}


def page_of(check: Check) -> CheckPage:
    """The documentation of a check. There is no other copy."""
    text = inspect.cleandoc(sys.modules[check.examine.__module__].__doc__ or check.id)
    title, *rest = text.split("\n")
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in rest:
        if re.match(r"[A-Z][\w ]+$", line):
            lines = sections.setdefault(line.strip(), [])
        else:
            lines.append(line)
    return CheckPage(
        title=title.rstrip("."),
        text=text,
        sections={name: inspect.cleandoc("\n" + "\n".join(body)).strip() for name, body in sections.items()},
    )
