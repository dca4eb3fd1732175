"""The commit that this code is of.

It stands in the file COMMIT, where `git archive` and the build (setup.py) write it. In a checkout, Git knows it better.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from app import __version__

ROOT = Path(__file__).resolve().parents[1]
FILE = Path(__file__).with_name("COMMIT")
LENGTH = 12
_PATIENCE_S = 5.0


def describe_version() -> str:
    """ "0.1.0 (8721296f0c1a)", or without the commit where it is not known."""
    commit = find_commit()
    return f"{__version__} ({commit})" if commit else __version__


def find_commit() -> str | None:
    """The commit, with "-dirty" behind it if files differ from it; None if it is not known."""
    return _ask_git() or _read()


def _ask_git() -> str | None:
    # An environment may lie in the checkout of another project, which Git would describe instead.
    if not (ROOT / ".git").exists():
        return None
    command = ["git", "describe", "--always", "--dirty", "--exclude=*", f"--abbrev={LENGTH}"]
    try:
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return said.stdout.strip() or None if said.returncode == 0 else None


def _read() -> str | None:
    try:
        found = re.fullmatch(r"([0-9a-f]{7,64})(-dirty)?", FILE.read_text("utf-8").strip())
    except (OSError, ValueError):
        return None
    return found[1][:LENGTH] + (found[2] or "") if found else None
