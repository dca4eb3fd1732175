"""The pages of docs/checks/: each check's docstring as Markdown, and an index."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from app.gate.checks.base import Check
from app.gate.checks.pages import page_of
from app.gate.checks.registry import CHECKS

INDEX = "README.md"
COMMAND = "overproof explain --format markdown --output docs/checks"


def render_pages() -> dict[str, str]:
    """{"README.md": the index, "single-head.md": a page, …}"""
    return {INDEX: render_index(), **{f"{check.id}.md": render_page(check) for check in CHECKS}}


def render_index() -> str:
    rows = [f"| [{check.id}]({check.id}.md) | {check.severity} | {_prose(page_of(check).title)} |" for check in CHECKS]
    return "\n".join(
        [
            "# Checks",
            "",
            _generated("the docstrings in `app/gate/checks/`"),
            "",
            "Each check has a default severity, which a project can change in its settings. An error fails a run; a",
            "warning does with `--fail-on warning`.",
            "",
            "| check | severity | finds |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def render_page(check: Check) -> str:
    page = page_of(check)
    parts = [f"# {check.id}", f"{_prose(page.title)}.", f"Severity by default: **{check.severity}**"]
    if check.aliases:
        parts.append(f"Former names: {', '.join(f'`{alias}`' for alias in check.aliases)}")
    for heading, text in page.sections.items():
        parts += [f"## {heading}", "\n".join(_markdown(text.splitlines()))]
    module = check.examine.__module__.replace(".", "/")
    return "\n\n".join([*parts, _generated(f"the docstring of `{module}.py`")]) + "\n"


def _generated(source: str) -> str:
    return f"<!-- Generated from {source} by `{COMMAND}`. -->"


def _markdown(lines: list[str]) -> Iterator[str]:
    """Docstring text, in which a line that ends in two colons introduces an indented block of code."""
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if not line.endswith("::"):
            yield _prose(line)
            continue
        yield f"{_prose(line.removesuffix('::').rstrip().rstrip(':'))}:"
        margin = re.match(r"\s*(- )?", line)
        indent = " " * len(margin[0] if margin else "")
        start = at
        while at < len(lines) and (not lines[at].strip() or lines[at].startswith(f"{indent} ")):
            at += 1
        block = textwrap.dedent("\n".join(lines[start:at])).strip("\n")
        yield from ("", *textwrap.indent(f"```{_language(block)}\n{block}\n```", indent).splitlines())
        if at < len(lines):
            yield ""


def _language(code: str) -> str:
    if re.match(r"(git|alembic|overproof) ", code):
        return "console"
    return "sql" if re.match(r"(INSERT|SELECT|ALTER|CREATE) ", code) else "python"


def _prose(line: str) -> str:
    """Markdown has single backticks where a docstring may have two. Outside them, nothing is Markdown or HTML by
    accident."""
    parts = re.split(r"(`[^`]+`)", line.replace("``", "`"))
    return "".join(part if at % 2 else re.sub(r"([*_<\[|])", r"\\\1", part) for at, part in enumerate(parts))
