"""The number and the depth of the values in a JSON text, counted from its bytes before it is parsed.

A parser creates objects as it reads, and `[],[],…` takes thirty times as much memory as its text: a report of normal
size could exhaust the memory of the process. Counting brackets and commas needs hardly any memory, and a tenth of a
second for the largest body.
"""

from __future__ import annotations

from app.runs.errors import ReportRefused

MOST_VALUES = 1_500_000  # of all kinds, including the report itself
MOST_LEVELS = 32  # of nested lists and objects

SLICE_BYTES = 1024 * 1024  # examined at a time, so that the whole is never copied
_OTHERS = bytes(byte for byte in range(256) if byte not in b'[]{},"')
_ALIKE = bytes.maketrans(b"{}", b"[]")


def require_bounded(body: bytes) -> None:
    """Raises ReportRefused. The parser decides whether the text is JSON at all."""
    structure = _structure_of(body)
    values = sum(map(structure.count, (b",", b"[", b"{")))
    if values > MOST_VALUES:
        raise ReportRefused([("body", f"has more than {MOST_VALUES} values")])
    brackets = structure.translate(_ALIKE, delete=b",")
    for _ in range(MOST_LEVELS):
        # Each round removes the innermost level.
        brackets = brackets.replace(b"[]", b"")
    if b"[" in brackets:
        raise ReportRefused([("body", f"is nested more than {MOST_LEVELS} levels deep, or is incomplete")])


def _structure_of(body: bytes) -> bytes:
    """The brackets and commas that are not part of a string."""
    structure = []
    begin, is_within = 0, False  # a string
    while begin < len(body):
        end = begin + SLICE_BYTES
        while body[end - 1 : end] == b"\\":  # the character that it escapes must be in the same slice
            end += 1
        piece = body[begin:end].replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, delete=_OTHERS)
        parts = piece.split(b'"')
        structure.append(b"".join(parts[is_within::2]))
        is_within ^= len(parts) % 2 == 0
        begin = end
    return b"".join(structure)
