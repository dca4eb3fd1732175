"""English for lists, counts and plurals, in messages and reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def listed(items: Sequence[str], limit: int = 3) -> str:
    """`a`, `a and b`, `a, b and c`, `a, b, c and 4 more`."""
    if len(items) > limit + 1:  # "and 1 more" would take the place of the one that it hides
        items = [*items[:limit], f"{len(items) - limit} more"]
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]])) if items else ""


def bulleted(items: Iterable[str], limit: int | None = None) -> str:
    """A line each; of more than `limit`, the first ones, and how many more there are."""
    lines = list(items)
    if limit is not None and len(lines) > limit:
        lines = [*lines[:limit], f"and {len(lines) - limit} more"]
    return "\n".join(f"- {line}" for line in lines)


def counted(number: int, singular: str) -> str:
    """`1 revision`, `3 revisions`."""
    return f"{number} {singular if number == 1 else plural(singular)}"


def plural(noun: str) -> str:
    """`functions`, `text search dictionaries`, `default privileges`."""
    if noun.endswith("s"):
        return noun
    return f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"


def indented(code: str) -> str:
    """Code as a block in plain text."""
    return "\n".join(f"    {line}" if line else "" for line in code.splitlines())


def first_line(text: str) -> str:
    """An error's first line without the full stop, to be part of a sentence."""
    return (text.strip().splitlines() or [""])[0].rstrip(". ")


def readable_bytes(number: int) -> str:
    """`512 bytes`, `48 kB`, `12 MB`, `1.5 GB`, `400 GB`."""
    value = float(number)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1024
    text = f"{value:.1f}".removesuffix(".0") if value < 10 else f"{value:,.0f}"
    return f"{text} {unit}"


def readable_number(number: int) -> str:
    """`9,400`, `120,000`, `1.2 million`, `400 million`, `3 billion`."""
    for size, word in ((10**9, "billion"), (10**6, "million")):
        if number >= size:
            value = number / size
            return f"{value:.1f}".removesuffix(".0") + f" {word}" if value < 10 else f"{value:,.0f} {word}"
    return f"{round(number, -3) if number >= 10_000 else number:,}"


def duration(seconds: float) -> str:
    """`3.2 ms`, `500 ms`, `1.4 s`, `42 s`, `7 min`, `3 h`, `2 days`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.{1 if seconds < 0.01 else 0}f} ms"
    for limit, size, unit in ((10, 1, "s"), (120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.{1 if limit == 10 else 0}f} {unit}".replace(".0 ", " ")
    return f"{seconds / 86400:.0f} days"
