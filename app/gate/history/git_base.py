"""The history as it is on the base branch, read from git: what the branch adds is what a pull request is judged for."""

from __future__ import annotations

import ast
import hashlib
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from app.gate.errors import CannotVerify
from app.gate.recording.model import Divergence, Graph


@dataclass(frozen=True)
class BaseScript:
    """A revision's script on the base branch."""

    path: str  # from the repository's root
    text: str
    sha256: str


@dataclass(frozen=True)
class Base:
    """The commit at which the branch left the base, and the scripts in it."""

    ref: str  # as it was asked for: "origin/main"
    commit: str
    scripts: Mapping[str, BaseScript]  # by revision


def read_base(ref: str, root: Path, locations: Sequence[Path]) -> Base:
    """The scripts below those directories, in the newest commit that `ref` and HEAD have in common.

    Not in `ref` itself: what was merged there since is not missing from the branch. Raises CannotVerify.
    """
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}").strip()
    if not commit:
        raise CannotVerify(f"--base {ref}: git knows no such commit; fetch it first, or name another (origin/main)")
    common = _git(root, "merge-base", commit, "HEAD").strip()
    if not common:
        raise CannotVerify(
            f"--base {ref}: HEAD has no commit in common with it; in a shallow clone, fetch the whole history (fetch-depth: 0)"
        )
    inside = tuple(str(location.relative_to(root)) for location in locations if location.is_relative_to(root))
    return Base(ref, common, _scripts_at(root, common, inside))


@lru_cache(maxsize=4)
def _scripts_at(root: Path, commit: str, directories: Sequence[str]) -> Mapping[str, BaseScript]:
    """By their revision. What is in a commit does not change, and is asked for more than once."""
    scripts: dict[str, BaseScript] = {}
    for path, text in _files(root, commit, directories):
        revision = revision_of(text)
        if revision is not None:
            scripts[revision] = BaseScript(path, text, hashlib.sha256(text.encode()).hexdigest())
    return scripts


_REVISION = re.compile(r"^revision\s*(?::[^=\n]+)?=\s*[(]?\s*[\"']([^\"'\n]+)[\"']", re.MULTILINE)


def revision_of(text: str) -> str | None:
    """What the script says its revision is."""
    found = _REVISION.search(text)
    return found[1] if found else None


def compare(base: Base, graph: Graph, root: Path, env: Path) -> Divergence:
    """What became of the revisions of the base: edited, removed, or with a new one below them; and of its env.py."""
    revisions = {each.revision: each for each in graph.revisions}
    paths = {revision: each.path for revision, each in revisions.items()}
    edited, removed = [], []
    for revision, script in base.scripts.items():
        if revision not in revisions:
            removed.append((revision, script.path))
        elif script.sha256 == revisions[revision].sha256:
            continue
        elif does_other_things(script.text, (root / paths[revision]).read_text("utf-8")):
            edited.append((revision, paths[revision]))
    new = {each.revision for each in graph.revisions} - base.scripts.keys()
    parents = {each.revision: (*each.down_revisions, *each.depends_on) for each in graph.revisions}
    below = _ancestors(parents, base.scripts.keys() & parents.keys())
    return Divergence(
        ref=base.ref,
        commit=base.commit,
        edited=tuple(sorted(edited)),
        removed=tuple(sorted(removed)),
        inserted_below=tuple(sorted((revision, paths[revision]) for revision in new & below)),
        is_env_as_it_was=_is_as_it_was(env, base.commit, root),
    )


def _is_as_it_was(file: Path, commit: str, root: Path) -> bool:
    try:
        now = file.read_text("utf-8")
        path = file.resolve().relative_to(root)
    except (OSError, ValueError):
        return False
    was = _git(root, "show", f"{commit}:{path}")
    return bool(was) and not does_other_things(was, now)


def does_other_things(old: str, new: str) -> bool:
    """Whether two texts of a script differ in more than comments, docstrings and layout."""
    return old != new and _meaning(old) != _meaning(new)


def _meaning(text: str) -> str:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return text
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [each for each in body if not _is_remark(each)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_remark(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _ancestors(parents: Mapping[str, Sequence[str]], revisions: Iterable[str]) -> set[str]:
    found: set[str] = set()
    left = [parent for revision in revisions for parent in parents[revision]]
    while left:
        revision = left.pop()
        if revision not in found:
            found.add(revision)
            left += parents.get(revision, ())
    return found


def _files(root: Path, commit: str, directories: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(path, text) of the Python files right below those directories, in one call of git for all."""
    if not directories:
        return
    listed = _git(root, "ls-tree", "-z", commit, "--", *(f"{directory}/" for directory in directories))
    entries = [entry.partition("\t") for entry in listed.split("\0") if entry]
    blobs = [
        (path, about.split()[2]) for about, _, path in entries if path.endswith(".py") and about.split()[1] == "blob"
    ]
    asked = "".join(f"{blob}\n" for _, blob in blobs).encode()
    answer = subprocess.run(
        ["git", "cat-file", "--batch"], cwd=root, input=asked, capture_output=True, check=False
    ).stdout
    place = 0
    for path, _ in blobs:
        header, _, _ = answer[place : place + 200].partition(b"\n")
        size = int(header.split()[2])
        start = place + len(header) + 1
        yield path, answer[start : start + size].decode("utf-8", "replace")
        place = start + size + 1


def _git(root: Path, *words: str) -> str:
    """What git prints, or nothing where it fails."""
    try:
        asked = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    except OSError as error:
        raise CannotVerify("--base needs git, and there is none: install it, or leave --base out") from error
    return asked.stdout if asked.returncode == 0 else ""
