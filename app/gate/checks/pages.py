"""The documentation of each check, made from the docstring of its module."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from app.gate.checks.base import Check
from app.gate.checks.registry import UnknownCheck, get_check

# Where the pages of docs/checks/ are published. Reports link to them; this is the only place that names the address.
DOCUMENTATION_URL = "https://overproof.example/docs/checks/{check}.md"


@dataclass(frozen=True)
class CheckPage:
    """The parts of a check's docstring."""

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


def find_url(check_id: str) -> str | None:
    """The address of a check's page; None for a check that this version does not know, as in a report of another
    one."""
    try:
        return DOCUMENTATION_URL.format(check=get_check(check_id).id)
    except UnknownCheck:
        return None
