"""The identity of a finding, from run to run."""

from __future__ import annotations

import hashlib


def fingerprint_of(identity: str, occurrence: int) -> str:
    """32 hexadecimal digits, of what a finding is about and never of the words for it.

    The second finding of the same identity gets another one, so that accepting the first in a baseline does not accept
    the second.
    """
    counted = identity if occurrence == 1 else f"{identity}\0{occurrence}"
    return hashlib.sha256(counted.encode("utf-8", "backslashreplace")).hexdigest()[:32]
