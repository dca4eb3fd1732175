"""Which Git ref is the base, where the user leaves it to us: what CI says, else the default branch of the remote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.gate.errors import CannotVerify
from app.gate.history.repository import Commit, GitFailed, Repository

AUTO: Final = "auto"
NONE: Final = "none"
DEPLOYED: Final = "deployed"  # the commit that is deployed, by the record

# The target branch of a pull request, by the variable in which each CI system names it.
_TARGET_BRANCHES: Final = (
    "GITHUB_BASE_REF",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME",
    "BITBUCKET_PR_DESTINATION_BRANCH",
    "SYSTEM_PULLREQUEST_TARGETBRANCH",
    "BUILDKITE_PULL_REQUEST_BASE_BRANCH",
    "CHANGE_TARGET",
    "DRONE_TARGET_BRANCH",
)


@dataclass(frozen=True)
class ChosenBase:
    """The base, and what is to be said of the choice."""

    ref: str | None = None  # None: everything is new
    commit: str | None = None  # the newest one that the ref and HEAD have in common
    note: str | None = None  # why everything is judged, in one line, where a base was to be expected


def choose_base(asked: str, directory: Path, environ: Mapping[str, str]) -> ChosenBase:
    """The base that is asked for: a ref, `auto` or `none`. Raises CannotVerify if a ref cannot be the base."""
    if asked == NONE:
        return ChosenBase()
    repository = Repository(directory)
    if asked != AUTO:
        return ChosenBase(asked, _common_commit(repository, asked))
    try:
        ref = find_base_ref(repository, environ)
    except GitFailed as error:
        advice = advice_on(error, directory)
        return ChosenBase(note=f"{error}: {advice}; until then everything is judged" if advice else None)
    if ref is None:
        return ChosenBase()
    try:
        return ChosenBase(ref, _common_commit(repository, ref))
    except CannotVerify as error:
        return ChosenBase(note=f"{error}; until then everything is judged")


def find_base_ref(repository: Repository, environ: Mapping[str, str]) -> str | None:
    """The target branch of a pull request, at the remote, as the CI names it; else the default branch of the remote.
    None if there is no remote, or nothing of it. Raises GitFailed."""
    remotes = repository.list_remotes()
    remote = "origin" if "origin" in remotes else next(iter(remotes), None)
    if remote is None:
        return None
    if named := _target_branch(environ):
        return f"{remote}/{named}"
    return next(_default_branches(repository, remote), None)


def _target_branch(environ: Mapping[str, str]) -> str | None:
    named = next((environ[name] for name in _TARGET_BRANCHES if environ.get(name)), None)
    return named.removeprefix("refs/heads/") if named else None


def _default_branches(repository: Repository, remote: str) -> Iterator[str]:
    """The branch that HEAD of the remote is, main and master, if they are there."""
    with suppress(GitFailed):
        yield repository.find_default_branch(remote)
    for ref in (f"{remote}/main", f"{remote}/master"):
        with suppress(GitFailed):
            repository.find_commit(ref)
            yield ref


def find_commit_of(option: str, ref: str, directory: Path) -> Commit:
    """The commit that an option names. Raises CannotVerify, with what to do."""
    try:
        return Commit(ref, Repository(directory).find_commit(ref))
    except GitFailed as error:
        advice = advice_on(error, directory) or how_to_fetch(ref)
        raise CannotVerify(f"{option} {ref} names no commit here ({error}): {advice}") from error


def _common_commit(repository: Repository, ref: str) -> str:
    """The newest commit that the ref and HEAD have in common. Raises CannotVerify, with what to do."""
    try:
        commit = repository.find_commit(ref)
    except GitFailed as error:
        advice = advice_on(error, repository.directory) or _how_to_go_on(error, ref)
        raise CannotVerify(f"--base {ref} names no commit here ({error}): {advice}") from error
    try:
        common = repository.find_merge_base(commit, "HEAD")
    except GitFailed as error:
        raise CannotVerify(f"--base {ref} cannot be compared with HEAD: {error}") from error
    if common is None:
        raise CannotVerify(f"--base {ref} and HEAD have no commit in common here: {how_to_fetch(ref, is_shallow=True)}")
    return common


def _how_to_go_on(error: GitFailed, ref: str) -> str:
    if "not a git repository" in str(error):
        return "change to the project's Git checkout, or judge everything with --base none"
    if "git is not installed" in str(error):
        return "install it, or judge everything with --base none"
    return how_to_fetch(ref)


def how_to_fetch(ref: str, *, is_shallow: bool = False) -> str:
    """What to do about a ref that is not here, or that has no commit in common with HEAD here."""
    if is_shallow:
        return "in a shallow clone, fetch the whole history (git fetch --unshallow; in GitHub Actions, fetch-depth: 0)"
    remote, slash, branch = ref.partition("/")
    command = f"git fetch {remote} {branch}" if slash else "git fetch"
    return f"fetch it ({command}; in GitHub Actions, fetch-depth: 0), or name another, such as origin/main"


def advice_on(error: GitFailed, directory: Path) -> str | None:
    """What to do where Git refuses, by its own words. None where that says nothing of a mistake."""
    words = str(error)
    if "dubious ownership" in words:
        return f"type git config --global --add safe.directory {_place_in(words) or directory}"
    return None


def _place_in(words: str) -> str | None:
    """The directory that Git names: "detected dubious ownership in repository at '/src'"."""
    _, quote, rest = words.partition(" at '")
    return rest.rstrip("'") if quote else None
