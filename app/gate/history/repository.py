"""Git, run in one place: what a repository holds at some commit."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from app.gate.errors import GateError

_PATIENCE_S = 60.0  # for one call of Git


class GitFailed(GateError):
    """Git is not installed, or refused. The message has Git's own reason."""


@dataclass(frozen=True)
class Commit:
    """A commit, and what it was called."""

    ref: str  # "origin/main"
    id: str


@dataclass(frozen=True)
class Repository:
    """The repository around a directory. Each method raises GitFailed."""

    directory: Path

    def find_root(self) -> Path:
        """The top of the checkout."""
        return Path(self._run("rev-parse", "--show-toplevel").strip())

    def find_commit(self, ref: str) -> str:
        """The id of the commit that `ref` names."""
        return self._run("rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}").strip()

    def list_files(self, pattern: str) -> list[str]:
        """Paths below the directory, of files that are tracked or could be, relative to it."""
        found = self._run(
            "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", "--", pattern
        )
        return [path for path in found.split("\0") if path]

    def list_remotes(self) -> list[str]:
        """The names of the remotes."""
        return self._run("remote").split()

    def find_url(self, remote: str) -> str:
        """The URL of the remote. It may hold a password."""
        return self._run("remote", "get-url", remote).strip()

    def find_default_branch(self, remote: str) -> str:
        """ "origin/main", if that is the default branch of the remote as it was cloned."""
        return self._run("symbolic-ref", "--short", f"refs/remotes/{remote}/HEAD").strip()

    def find_merge_base(self, commit: str, other: str) -> str | None:
        """The newest commit from which both descend; None if there is none."""
        found = self._call("merge-base", commit, other)
        if found.returncode == 1 and not found.stderr:
            return None
        return _checked(found).decode().strip()

    def read_file(self, commit: str, path: str) -> str:
        """A file as it is in the commit; its path is relative to the root."""
        return self._run("show", f"{commit}:{path}")

    def read_files(
        self, commit: str, folders: Sequence[str], suffix: str, *, is_recursive: bool = False
    ) -> Iterator[tuple[str, str]]:
        """(path, text) of the files in those folders, in two calls of Git for all."""
        if not folders:
            return
        how = ["-r"] if is_recursive else []
        listed = self._run("ls-tree", "-z", *how, commit, "--", *(f"{folder}/" for folder in folders))
        blobs = []
        for entry in filter(None, listed.split("\0")):
            attributes, _, path = entry.partition("\t")
            _, kind, blob = attributes.split()
            if kind == "blob" and path.endswith(suffix):
                blobs.append((path, blob))
        content = _checked(self._call("cat-file", "--batch", stdin="".join(f"{blob}\n" for _, blob in blobs)))
        start = 0
        for path, _ in blobs:
            end_of_header = content.index(b"\n", start)
            size = int(content[start:end_of_header].split()[2])
            text = content[end_of_header + 1 : end_of_header + 1 + size]
            yield path, text.decode("utf-8", "replace")
            start = end_of_header + size + 2

    def write_files(self, commit: str, place: Path, index: Path) -> None:
        """Write all files of the commit into that folder. Git's own index stays as it is: another one is made."""
        environment = {"GIT_INDEX_FILE": str(index), "GIT_LFS_SKIP_SMUDGE": "1"}
        quiet = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.sparseCheckout=false")
        for words in (("read-tree", commit), ("checkout-index", "--all", "--force", f"--prefix={place}{os.sep}")):
            _checked(self._call(*quiet, *words, environment=environment))

    def list_ignored(self) -> list[str]:
        """What Git ignores; of a folder in which everything is, the folder."""
        return self._list_files("--others", "--ignored", "--exclude-standard", "--directory")

    def list_untracked(self) -> list[str]:
        """The files that are neither added nor ignored."""
        return self._list_files("--others", "--exclude-standard")

    def list_submodules(self) -> list[str]:
        """The folders that hold another repository."""
        entries = filter(None, self._run("ls-files", "-z", "--stage").split("\0"))
        return [
            path for attributes, _, path in (each.partition("\t") for each in entries) if attributes[:6] == "160000"
        ]

    def _list_files(self, *which: str) -> list[str]:
        return [path.rstrip("/") for path in self._run("ls-files", "-z", *which).split("\0") if path]

    def _run(self, *words: str) -> str:
        return _checked(self._call(*words)).decode("utf-8", "replace")

    def _call(
        self, *words: str, stdin: str = "", environment: Mapping[str, str] = MappingProxyType({})
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                ["git", *words], cwd=self.directory, input=stdin.encode(), capture_output=True, check=False,
                timeout=_PATIENCE_S, env={**os.environ, "LC_ALL": "C", **environment},
            )  # fmt: skip
        except FileNotFoundError as error:
            raise GitFailed("git is not installed, or not on PATH") from error
        except OSError as error:
            raise GitFailed(f"git cannot be run: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise GitFailed(f"git {words[0]} did not end within {_PATIENCE_S:g} s") from error


def _checked(ended: subprocess.CompletedProcess[bytes]) -> bytes:
    """What Git printed. Raises GitFailed."""
    if ended.returncode == 0:
        return ended.stdout
    lines = ended.stderr.decode("utf-8", "replace").strip().splitlines()
    raise GitFailed(lines[0] if lines else f"git {ended.args[1]} ended with status {ended.returncode}")
