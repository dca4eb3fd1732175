"""Every check by its name, and the pages that its docstring makes."""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.gate.checks import allowance as allowances
from app.gate.checks.base import Check
from app.gate.checks.registry import ALL_CHECKS

# The comments that accept findings are judged after everything else, so their check does not live among the others.
CHECKS: tuple[Check, ...] = (*ALL_CHECKS, allowances.CHECK)


class UnknownCheck(Exception):
    """No check has this name. One line for people, with the name that they may have meant."""

    def __init__(self, name: str, names: Iterable[str]) -> None:
        near = difflib.get_close_matches(name.lower().replace("_", "-"), list(names), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else "`overproof explain` lists them all"
        super().__init__(f"there is no check called {name!r}: {hint}")
        self.suggestion = near[0] if near else None


def get_check(name: str, among: Iterable[Check] = CHECKS) -> Check:
    """The check of that id or retired id. Raises UnknownCheck."""
    checks = {each: check for check in among for each in (check.id, *check.aliases)}
    try:
        return checks[name]
    except KeyError:
        raise UnknownCheck(name, checks) from None


@dataclass(frozen=True)
class Page:
    """What the docstring of a check's module says."""

    title: str  # its first line, without the full stop
    text: str  # all of it
    sections: Mapping[
        str, str
    ]  # {"Catches": "...", "Why it hurts": "...", "How to fix": "...", "Stays quiet when": "..."}


def page_of(check: Check) -> Page:
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
    return Page(
        title=title.rstrip("."),
        text=text,
        sections={name: inspect.cleandoc("\n" + "\n".join(body)).strip() for name, body in sections.items()},
    )
