"""The hook of `.pre-commit-hooks.yaml`, as pre-commit calls it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml

from app.cli import main
from tests.gate.projects import script, write_project

(HOOK,) = yaml.safe_load((Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text("utf-8"))
ARGS = ["--", "alembic", "-c", "deploy/alembic.ini", "upgrade", "heads"]  # those that the README shows


@pytest.mark.parametrize(("folder", "args"), [(".", []), ("deploy", ARGS)])
def test_it_passes_in_silence_and_fails_on_a_fork(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: str, args: list[str]
) -> None:
    project = write_project(tmp_path / folder, {"a1": script("a1", None), "b2": script("b2", "a1")})
    monkeypatch.chdir(tmp_path)
    program, *words = shlex.split(HOOK["entry"])
    assert program == "overproof"
    assert HOOK["always_run"]
    assert not HOOK["pass_filenames"]

    assert main([*words, *args]) == 0
    assert capsys.readouterr() == ("", "")

    (project / "migrations" / "versions" / "c3.py").write_text(script("c3", "a1"))
    assert main([*words, *args]) == 1
    assert "single-head" in capsys.readouterr().out
