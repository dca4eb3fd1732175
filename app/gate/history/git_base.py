"""The history on the base branch, read from Git: a pull request is judged for what it adds to that."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from app.gate.errors import CannotVerify
from app.gate.history.paths import repository_root
from app.gate.history.repository import GitFailed, Repository
from app.gate.recording.model import Divergence, Graph


@dataclass(frozen=True)
class BaseScript:
    """A revision's script on the base branch."""

    path: str  # relative to the repository's root
    text: str
    sha256: str


@dataclass(frozen=True)
class Base:
    """The commit from which the branch starts, and the scripts in it."""

    ref: str  # as the user named it: "origin/main"
    commit: str
    scripts: Mapping[str, BaseScript]  # by revision
    later_scripts: Mapping[str, BaseScript] = field(default_factory=dict)  # that `ref` has gained since that commit


def read_base(ref: str, root: Path, locations: Sequence[Path]) -> Base:
    """The scripts below those directories, in the newest commit that `ref` and HEAD have in common.

    Not in `ref` itself: what was merged there since then is not removed by the branch. Raises CannotVerify.
    """
    repository = Repository(root)
    try:
        commit = repository.find_commit(ref)
    except GitFailed as error:
        raise CannotVerify(f"--base {ref} names no commit ({error})") from error
    try:
        common = repository.find_merge_base(commit, "HEAD")
        if common is None:
            raise CannotVerify(f"--base {ref} and HEAD have no commit in common")
        inside = tuple(str(location.relative_to(root)) for location in locations if location.is_relative_to(root))
        scripts = _scripts_at(root, common, inside)
        newest = _scripts_at(root, commit, inside) if commit != common else scripts
        later = {revision: script for revision, script in newest.items() if revision not in scripts}
        return Base(ref, common, scripts, later)
    except GitFailed as error:
        raise CannotVerify(f"--base {ref} cannot be read: {error}") from error


def read_revisions_at(commit: str, root: Path, locations: Sequence[Path]) -> list[str]:
    """The revisions whose scripts are below those directories in that commit. Raises GitFailed."""
    inside = tuple(str(location.relative_to(root)) for location in locations if location.is_relative_to(root))
    return list(_scripts_at(root, commit, inside))


@lru_cache(maxsize=4)
def _scripts_at(root: Path, commit: str, directories: Sequence[str]) -> Mapping[str, BaseScript]:
    """The scripts by revision. Cached: a commit does not change, and is read more than once."""
    scripts: dict[str, BaseScript] = {}
    for path, text in Repository(root).read_files(commit, directories, ".py"):
        revision = revision_of(text)
        if revision is not None:
            scripts[revision] = BaseScript(path, text, hashlib.sha256(text.encode()).hexdigest())
    return scripts


_REVISION = re.compile(r"^revision\s*(?::[^=\n]+)?=\s*[(]?\s*[\"']([^\"'\n]+)[\"']", re.MULTILINE)


def revision_of(text: str) -> str | None:
    """The revision that the script declares."""
    found = _REVISION.search(text)
    return found[1] if found else None


def compare_with_base(
    graph: Graph, locations: Iterable[Path], directory: Path, ref: str, env: Path
) -> tuple[Graph, Divergence]:
    """The graph with its new revisions marked, and what the branch did to the old ones. Raises CannotVerify."""
    root = repository_root(directory)
    folders = {*locations, *(root / folder for folder in {each.path.rpartition("/")[0] for each in graph.revisions})}
    base = read_base(ref, root, sorted(folders))
    outside = {each.revision for each in graph.revisions if each.path.startswith("/")}
    revisions = tuple(
        replace(each, is_new=each.revision not in base.scripts and each.revision not in outside)
        for each in graph.revisions
    )
    return replace(graph, revisions=revisions), compare(base, graph, root, env)


def compare(base: Base, graph: Graph, root: Path, env: Path) -> Divergence:
    """What the branch did to the base: revisions edited, removed or inserted below others, and its env.py."""
    revisions = {each.revision: each for each in graph.revisions}
    paths = {revision: each.path for revision, each in revisions.items()}
    edited, removed = [], []
    for revision, script in base.scripts.items():
        if revision not in revisions:
            if revisions or not graph.problems:  # else Alembic cannot read the history, and gave none
                removed.append((revision, script.path))
        elif script.sha256 == revisions[revision].sha256:
            continue
        elif does_other_things(script.text, (root / paths[revision]).read_text("utf-8", "replace")):
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
        is_env_as_it_was=_is_unchanged(env, base.commit, root),
        forks=tuple(_forks(base, graph)),
    )


def _forks(base: Base, graph: Graph) -> Iterator[tuple[str, str, str, str]]:
    """(new revision, its parent, what follows that parent on the base by now, the head there), where both will meet."""
    here = {each.revision for each in graph.revisions}
    later = {revision: script.text for revision, script in base.later_scripts.items() if revision not in here}
    parents = {revision: _assigned(text, "down_revision") for revision, text in later.items()}
    heads = later.keys() - {parent for each in parents.values() for parent in each}
    if len(heads) != 1 or any(_assigned(text, "branch_labels") for text in later.values()):
        return  # more is going on there than a line that grew
    followers = {parent: revision for revision, each in parents.items() for parent in each if parent not in later}
    for each in graph.revisions:
        if each.revision in base.scripts or each.branch_labels or len(each.down_revisions) != 1:
            continue
        (parent,) = each.down_revisions
        if parent in followers:
            yield each.revision, parent, followers[parent], next(iter(heads))


def _assigned(text: str, name: str) -> tuple[str, ...]:
    """The ids or labels that a script assigns to that name."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return ()
    for statement in tree.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        if any(isinstance(each, ast.Name) and each.id == name for each in targets):
            values = (
                ast.walk(statement.value)
                if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value
                else ()
            )
            return tuple(
                each.value for each in values if isinstance(each, ast.Constant) and isinstance(each.value, str)
            )
    return ()


def _is_unchanged(file: Path, commit: str, root: Path) -> bool:
    try:
        now = file.read_text("utf-8")
        path = file.resolve().relative_to(root)
        was = Repository(root).read_file(commit, str(path))
    except (OSError, ValueError, GitFailed):
        return False
    return not does_other_things(was, now)


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
