"""The root of the project's repository, and paths relative to it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from app.gate.history.repository import GitFailed, Repository


def repository_root(directory: Path) -> Path:
    """The top of the Git checkout around that directory; the directory itself if there is none."""
    try:
        return _root_around(directory)
    except GitFailed:
        return directory.resolve()


@lru_cache(maxsize=64)
def _root_around(directory: Path) -> Path:
    """Cached, since it is asked for at each turn, and each time is a run of Git. Raises GitFailed."""
    return Repository(directory).find_root()


def find_commit(directory: Path) -> str | None:
    """The commit that is checked out there; None outside of a Git repository, or without Git."""
    try:
        return Repository(directory).find_commit("HEAD")
    except GitFailed:
        return None


def relative(path: Path, root: Path) -> str:
    """The path relative to the root, if it lies below it; otherwise absolute."""
    is_plain = path.is_absolute() and not path.is_symlink()
    resolved = _resolved(path.parent) / path.name if is_plain else path.resolve()
    return str(resolved.relative_to(root)) if resolved.is_relative_to(root) else str(resolved)


@lru_cache(maxsize=64)
def _resolved(folder: Path) -> Path:
    """Cached, since a history has hundreds of scripts in a few folders."""
    return folder.resolve()
