"""Files that other programs read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from app.gate.files import replace_all


def test_a_script_that_is_replaced_within_a_second_is_not_taken_for_its_older_bytecode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    monkeypatch.syspath_prepend(tmp_path)
    script = tmp_path / "overproof_test_of_bytecode.py"
    script.write_text("down_revision = 'b2'")
    before = script.stat().st_mtime
    assert imported() == "b2"
    assert list(tmp_path.glob("__pycache__/*.pyc"))

    replace_all({script: (b"down_revision = 'b2'", b"down_revision = 'd4'")})

    assert int(script.stat().st_mtime) != int(before)
    assert imported() == "d4"


def imported() -> str:
    sys.modules.pop("overproof_test_of_bytecode", None)
    module = __import__("overproof_test_of_bytecode")
    return str(module.down_revision)
