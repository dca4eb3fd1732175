"""How much a JSON text holds, told from its bytes, before anything is made of it.

A parser makes objects as it goes, and `[],[],…` takes thirty times as much memory as text: whoever may send a report
could fill the memory of the process with one that its size does not give away. Counting brackets and commas takes
hardly any, and a tenth of a second for the largest one.
"""

from __future__ import annotations

from app.runs.errors import ReportRefused

MOST_VALUES = 1_500_000  # of all kinds, from the report itself to the last text in it
MOST_LEVELS = 32  # of lists and objects in one another

SLICE_BYTES = 1024 * 1024  # that are looked at at once, so that there is never a copy of the whole
_OTHERS = bytes(byte for byte in range(256) if byte not in b'[]{},"')
_ALIKE = bytes.maketrans(b"{}", b"[]")


def require_bounded(body: bytes) -> None:
    """Raises ReportRefused. Whether the text is JSON at all is for the parser to say."""
    structure = _structure_of(body)
    values = sum(map(structure.count, (b",", b"[", b"{")))
    if values > MOST_VALUES:
        raise ReportRefused([("body", f"has more than {MOST_VALUES} values")])
    brackets = structure.translate(_ALIKE, delete=b",")
    for _ in range(MOST_LEVELS):
        # Each round takes the innermost level away.
        brackets = brackets.replace(b"[]", b"")
    if b"[" in brackets:
        raise ReportRefused([("body", f"is nested more than {MOST_LEVELS} levels deep, or breaks off")])


def _structure_of(body: bytes) -> bytes:
    """The brackets and commas that are not part of a text."""
    structure = []
    begin, is_within = 0, False  # of a text
    while begin < len(body):
        end = begin + SLICE_BYTES
        while body[end - 1 : end] == b"\\":  # what it escapes belongs to the same slice
            end += 1
        piece = body[begin:end].replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, delete=_OTHERS)
        parts = piece.split(b'"')
        structure.append(b"".join(parts[is_within::2]))
        is_within ^= len(parts) % 2 == 0
        begin = end
    return b"".join(structure)
