"""All that the checks say in these tests, to the letter: advice, subjects and places too, which few tests ask for one by one.

`said/test_data_loss.json` has the findings of each test in `test_data_loss.py` that starts no program. A test that is not in it has
none to compare. After a change that is meant, this rewrites the files, and the commit shows what has become of the words::

    REWRITE_SAID=1 python -m pytest tests/gate/checks -m "not hypothesis"
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from app.gate.checks.base import Finding

SAID = Path(__file__).with_name("said")
IS_REWRITTEN = bool(os.environ.get("REWRITE_SAID"))

# The fields of each finding.
Said = list[dict[str, Any]]


def said_in(module: str, test: str) -> Said | None:
    """What the file has of that test; None if nothing."""
    return _read(module).get(test)


def write(module: str, test: str, said: Said) -> None:
    kept = {**_read(module), test: said}
    if not said:
        del kept[test]
    _file(module).write_text(json.dumps(kept, indent=1, ensure_ascii=False, sort_keys=True) + "\n", "utf-8")
    _read.cache_clear()


def fields_of(findings: Sequence[Finding], skipped: Sequence[str]) -> Said:
    """Each finding once, without what it leaves out, and why a check was skipped. Text of several lines is a list of them."""
    said: Said = [{"skipped": reason} for reason in dict.fromkeys(skipped)]
    for finding in findings:
        fields = {
            name: value.split("\n") if isinstance(value, str) and "\n" in value else value
            for name, value in asdict(finding).items()
            if value
        }
        as_read: dict[str, Any] = json.loads(json.dumps(fields))
        if as_read not in said:
            said.append(as_read)
    return said


@cache
def _read(module: str) -> dict[str, Said]:
    file = _file(module)
    return json.loads(file.read_text("utf-8")) if file.exists() else {}


def _file(module: str) -> Path:
    return SAID / f"{module.rpartition('.')[2]}.json"
