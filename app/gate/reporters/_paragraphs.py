"""Prose of ours in which indented lines are code, and what language the code is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator


def runs_of(lines: Iterable[str]) -> Iterator[tuple[bool, list[str]]]:
    """Paragraphs, each with whether it is code. A blank line ends prose, and code only if prose follows."""
    run: list[str] = []
    is_code = False
    for line in lines:
        starts_code = line[:1].isspace() and bool(line.strip())
        if (line.strip() and starts_code != is_code) or (not line.strip() and not is_code):
            if "".join(run).strip():
                yield is_code, run
            run, is_code = [], starts_code
        run.append(line)
    if "".join(run).strip():
        yield is_code, run


def without_indent(code: Iterable[str]) -> str:
    return "\n".join(line.removeprefix("    ") for line in code)


def language_of(text: str) -> str:
    """ "sql", "console", "python" or nothing."""
    return next((language for language, form in LANGUAGES.items() if form.match(text)), "")


LANGUAGES = {
    "sql": re.compile(
        r"\s*(?:--|(?:ALTER|CREATE|DELETE|DO|DROP|INSERT|REINDEX|SELECT|SET|TRUNCATE|UPDATE|WITH(?!\s+op\.))\b)",
        re.IGNORECASE,
    ),
    "console": re.compile(r"\s*(?:\$ )?(?:alembic|flask|git|overproof|python3?|pip|uv) "),
    "python": re.compile(
        r"\s*(?:#|@|(?:op|sa|context)\.|(?:async )?def |with |import |from |for |if |\w+ = [\"'\[({N])"
    ),
}
