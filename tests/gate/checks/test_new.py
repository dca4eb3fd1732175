"""The command that writes the stubs of a new check, in a copy of the repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.gate.checks.new import ADVICE, CannotWrite, write_check

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.processes


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__", "projects")
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests/gate/checks", tmp_path / "tests/gate/checks", ignore=ignored)
    shutil.copytree(ROOT / "docs/checks", tmp_path / "docs/checks")
    for name in ("setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def run(copy: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.processes
def test_the_stubs_of_a_new_check_are_registered_documented_and_accounted_for(copy: Path) -> None:
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}

    written = run(copy, "tests.gate.checks.new", "blocking-vacuum")

    assert written.returncode == 0, written.stderr
    changed = {path for path in copy.rglob("*") if path.is_file() and before.get(path) != path.read_bytes()}
    listed = [line.removeprefix("- ") for line in written.stdout.partition("Left to do")[0].splitlines()[1:-1]]
    assert sorted(listed) == sorted(str(path.relative_to(copy)) for path in changed)
    tests = run(copy, "pytest", "-q", "-p", "no:cacheprovider", "tests/gate/checks/test_registry.py")
    assert tests.returncode == 0, tests.stdout
    assert "[blocking-vacuum](blocking-vacuum.md)" in (copy / "docs/checks/README.md").read_text()


@pytest.mark.processes
def test_its_unit_test_is_red_until_the_rule_is_written(copy: Path) -> None:
    write_check("blocking-vacuum", copy)

    tests = run(copy, "pytest", "-q", "-p", "no:cacheprovider", "tests/gate/checks/test_blocking_vacuum.py")

    assert "1 failed, 1 passed" in tests.stdout


@pytest.mark.skipif(find_spec("ruff") is None, reason="ruff is installed by `tox -e lint`")
@pytest.mark.processes
def test_the_stubs_pass_the_linter(copy: Path) -> None:
    # What test_advice.py imports is not all in the copy, so that its imports would be sorted in another way.
    written = [str(path) for path in write_check("blocking-vacuum", copy) if path != ADVICE]

    for command in (["check"], ["format", "--check"]):
        lint = run(copy, "ruff", *command, "--no-cache", *written)
        assert lint.returncode == 0, lint.stdout


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Blocking_Vacuum", "'Blocking_Vacuum' is no id of a check: words in lower case, with hyphens between them"),
        ("lock-timeout", "there is already app/gate/checks/lock_timeout.py, tests/gate/checks/test_lock_timeout.py"),
    ],
)
def test_what_it_cannot_write_it_refuses(copy: Path, name: str, reason: str) -> None:
    registry = (copy / "app/gate/checks/registry.py").read_bytes()

    with pytest.raises(CannotWrite, match=re.escape(reason)):
        write_check(name, copy)

    assert (copy / "app/gate/checks/registry.py").read_bytes() == registry
