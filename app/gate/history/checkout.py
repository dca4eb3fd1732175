"""The code of another commit, checked out in a temporary folder of its own.

Git writes it with an index of its own, beside the folder: no worktree is registered, and nothing in the user's
repository or folder is changed. What Git does not keep and the code needs all the same is linked from the user's
folder: what is ignored, such as `.env`, an environment or a generated version file, what is not added yet, less Python
files, which are the branch's, and submodules.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from app.gate.errors import CannotVerify
from app.gate.history.repository import GitFailed, Repository
from app.gate.supervisor.client import Supervisor

_NOT_LINKED = {"__pycache__", ".git", ".mypy_cache", ".pytest_cache", ".ruff_cache"}


@dataclass(frozen=True)
class Checkout:
    """A commit's code."""

    root: Path  # of the user's repository
    place: Path  # where the code is
    commit: str


@contextmanager
def check_out(root: Path, commit: str, supervisor: Supervisor) -> Iterator[Checkout]:
    """The code of that commit, until the block is left; the supervisor removes it if we are killed. Raises
    CannotVerify."""
    folder = Path(tempfile.gettempdir()).resolve() / f"op-{secrets.token_hex(8)}"
    supervisor.remove(folder)
    try:
        yield Checkout(root, _write(root, commit, folder), commit)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        supervisor.keep(folder)


def _write(root: Path, commit: str, folder: Path) -> Path:
    """Returns where in that folder the code is. Raises CannotVerify."""
    place = folder / root.name
    repository = Repository(root)
    try:
        folder.mkdir(mode=0o700)
        place.mkdir()
        repository.write_files(commit, place, folder / "index")
        for path in _to_be_linked(repository):
            _link(root / path, place / path, place)
    except (GitFailed, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CannotVerify(f"its code cannot be checked out: {reason}") from error
    return place


def _to_be_linked(repository: Repository) -> Iterator[str]:
    """Paths relative to the root."""
    yield from repository.list_ignored()
    yield from (path for path in repository.list_untracked() if not path.endswith((".py", ".pyi")))
    yield from repository.list_submodules()


def _link(source: Path, link: Path, place: Path) -> None:
    """Link a file or a folder, unless the commit has something of that name."""
    if _NOT_LINKED.intersection(source.parts[-1:]) or source.suffix == ".pyc" or not source.exists():
        return
    if link.is_dir() and not link.is_symlink() and not any(link.iterdir()):
        link.rmdir()  # of a submodule
    with suppress(FileExistsError, NotADirectoryError):
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.parent.resolve().is_relative_to(place):  # else it is in a folder that is linked
            link.symlink_to(source)
