"""Which ref is the base if none is named, and what is said where it cannot be."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from app.gate.errors import CannotVerify
from app.gate.history.choose_base import ChosenBase, advice_on, choose_base
from app.gate.history.repository import GitFailed


def git(place: Path, *words: str) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *who, *words], cwd=place, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with a commit on `main`, and a branch `topic` with one more."""
    upstream = tmp_path / "upstream"
    upstream.mkdir()
    git(upstream, "init", "-q", "-b", "main")
    git(upstream, "commit", "-q", "--allow-empty", "-m", "one")
    git(tmp_path, "clone", "-q", "--no-hardlinks", str(upstream), "clone")
    git(tmp_path / "clone", "checkout", "-qb", "topic")
    git(tmp_path / "clone", "commit", "-q", "--allow-empty", "-m", "two")
    return tmp_path / "clone"


def test_it_is_the_default_branch_of_the_remote(clone: Path) -> None:
    assert choose_base("auto", clone, {}) == ChosenBase("origin/main", git(clone, "rev-parse", "main"))

    git(clone, "remote", "set-head", "origin", "--delete")
    assert choose_base("auto", clone, {}).ref == "origin/main"

    git(clone, "remote", "rename", "origin", "upstream")
    assert choose_base("auto", clone, {}).ref == "upstream/main"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GITHUB_BASE_REF", "release"),
        ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "release"),
        ("SYSTEM_PULLREQUEST_TARGETBRANCH", "refs/heads/release"),
    ],
)
def test_in_a_pull_request_it_is_the_target_branch(clone: Path, variable: str, value: str) -> None:
    git(clone, "update-ref", "refs/remotes/origin/release", "HEAD~1")

    assert choose_base("auto", clone, {variable: value}).ref == "origin/release"


def test_a_target_branch_that_is_not_in_the_clone_is_a_line_with_the_remedy(clone: Path) -> None:
    chosen = choose_base("auto", clone, {"GITHUB_BASE_REF": "release"})

    assert chosen.ref is None
    assert re.search(
        r"names no commit here .*: fetch it \(git fetch origin release; .*fetch-depth: 0", chosen.note or ""
    )
    assert (chosen.note or "").endswith("until then everything is judged")


def test_a_shallow_clone_is_a_line_with_the_remedy_or_a_refusal_if_the_base_was_asked_for(
    clone: Path, tmp_path: Path
) -> None:
    git(clone, "push", "-q", "origin", "topic")
    git(tmp_path / "upstream", "commit", "-q", "--allow-empty", "-m", "three")
    git(
        tmp_path,
        "clone",
        "-q",
        "--depth=1",
        "--no-single-branch",
        "-b",
        "topic",
        f"file://{tmp_path}/upstream",
        "shallow",
    )

    note = choose_base("auto", tmp_path / "shallow", {}).note
    assert "have no commit in common here: in a shallow clone, fetch the whole history" in (note or "")
    with pytest.raises(CannotVerify, match="have no commit in common here"):
        choose_base("origin/main", tmp_path / "shallow", {})


def test_without_git_or_a_remote_everything_is_new(tmp_path: Path, clone: Path) -> None:
    assert choose_base("auto", tmp_path, {}) == ChosenBase()
    assert choose_base("auto", tmp_path / "upstream", {}) == ChosenBase()
    assert choose_base("none", clone, {}) == ChosenBase()


def test_a_ref_that_was_asked_for_has_to_be_there(clone: Path) -> None:
    assert choose_base("main", clone, {}).ref == "main"
    with pytest.raises(CannotVerify, match=r"--base orgin/main names no commit here \(fatal: .*\): fetch it"):
        choose_base("orgin/main", clone, {})
    with pytest.raises(
        CannotVerify, match=r"not a git repository .*: change to the project's Git checkout, or .* --base none"
    ):
        choose_base("origin/main", clone.parent, {})


def test_where_git_refuses_its_own_reason_is_followed_by_its_fix() -> None:
    refusal = GitFailed("fatal: detected dubious ownership in repository at '/src/shop'")

    assert advice_on(refusal, Path("/src")) == "type git config --global --add safe.directory /src/shop"
