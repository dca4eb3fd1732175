"""Where the project's repository is, and paths relative to it."""

from __future__ import annotations

import subprocess
from functools import lru_cache
from pathlib import Path


def repository_root(directory: Path) -> Path:
    """The top of the git checkout around that directory, else the directory."""
    try:
        asked = subprocess.run(
            ["git", "rev-parse", "--show-toplevel"], cwd=directory, capture_output=True, text=True, check=False
        )
    except OSError:
        return directory.resolve()
    return Path(asked.stdout.strip()) if asked.returncode == 0 and asked.stdout.strip() else directory.resolve()


def relative(path: Path, root: Path) -> str:
    """The path as seen from the root, if it lies below it."""
    is_plain = path.is_absolute() and not path.is_symlink()
    resolved = _resolved(path.parent) / path.name if is_plain else path.resolve()
    return str(resolved.relative_to(root)) if resolved.is_relative_to(root) else str(resolved)


@lru_cache(maxsize=64)
def _resolved(folder: Path) -> Path:
    """Kept, since the scripts of a history are hundreds in a few folders."""
    return folder.resolve()


def find_commit(directory: Path) -> str | None:
    """The commit that is checked out there; None outside of a Git repository, or without Git."""
    try:
        asked = subprocess.run(
            ["git", "rev-parse", "--verify", "--quiet", "HEAD"],
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() or None if asked.returncode == 0 else None
