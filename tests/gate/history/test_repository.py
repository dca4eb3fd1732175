"""Git is run in one place, and its own reason is in the errors."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from app.gate.errors import CannotVerify
from app.gate.history.git_base import read_base
from app.gate.history.paths import find_commit, repository_root
from app.gate.history.repository import GitFailed, Repository, _checked
from tests.gate.history.test_git_base import git

FILES = {"v/a.py": "x = 1\n", "v/é b.py": "revision = 'b'", "v/empty.py": "", "v/notes.txt": "no", "v/deep/c.py": "no"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one commit of FILES."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    return tmp_path


def test_the_files_of_a_folder_are_read_whatever_is_in_them(checkout: Path) -> None:
    found = dict(Repository(checkout).read_files("main", ["v"], ".py"))

    assert found == {name: FILES[name] for name in ("v/a.py", "v/é b.py", "v/empty.py")}


def test_the_state_of_a_commit_is_read_and_not_that_of_the_disk(checkout: Path) -> None:
    (checkout / "v/a.py").write_text("x = 2\n")

    assert Repository(checkout).read_file("main", "v/a.py") == "x = 1\n"
    assert dict(Repository(checkout).read_files("main", ["v"], "a.py")) == {"v/a.py": "x = 1\n"}


def test_a_folder_that_the_commit_does_not_have_is_empty(checkout: Path) -> None:
    assert list(Repository(checkout).read_files("main", ["w"], ".py")) == []
    assert list(Repository(checkout).read_files("main", [], ".py")) == []


def test_root_and_commit_are_found_from_any_folder(checkout: Path) -> None:
    assert repository_root(checkout / "v") == checkout.resolve()
    assert find_commit(checkout / "v") == git(checkout, "rev-parse", "HEAD").strip()


def test_outside_of_a_repository_there_is_no_commit(tmp_path: Path) -> None:
    assert repository_root(tmp_path) == tmp_path.resolve()
    assert find_commit(tmp_path) is None
    with pytest.raises(GitFailed, match="not a git repository"):
        Repository(tmp_path).find_root()


def test_without_git_there_is_no_commit(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))

    assert repository_root(checkout / "v") == (checkout / "v").resolve()
    assert find_commit(checkout) is None
    with pytest.raises(CannotVerify, match=r"^--base main names no commit \(git is not installed, or not on PATH\)"):
        read_base("main", checkout, [])


@pytest.mark.parametrize("ref", ["nonsense", "--help", "main:v"])
def test_a_ref_that_names_no_commit_is_refused_with_the_reason_of_git(checkout: Path, ref: str) -> None:
    with pytest.raises(CannotVerify, match=rf"^--base {ref} names no commit \((fatal|error): .+\)$"):
        read_base(ref, checkout, [])


def test_a_base_without_a_common_commit_is_refused(checkout: Path) -> None:
    git(checkout, "checkout", "-q", "--orphan", "other")
    git(checkout, "commit", "-qm", "another beginning")

    with pytest.raises(CannotVerify, match=r"--base main and HEAD have no commit in common$"):
        read_base("main", checkout, [])


def test_a_damaged_repository_is_not_read_as_an_empty_one(checkout: Path) -> None:
    tree = git(checkout, "rev-parse", "main:v").strip()
    shutil.rmtree(checkout / ".git" / "objects" / tree[:2])

    with pytest.raises(CannotVerify, match=r"^--base main cannot be read: .*" + tree[:7]):
        read_base("main", checkout, [checkout / "v"])


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        (b"fatal: bad object\n", "fatal: bad object"),
        (b"\nfatal: bad object\nhint: look elsewhere\n", "fatal: bad object"),
        (b"", "git show ended with status 128"),
        (b"\xff\n", "\ufffd"),
    ],
)
def test_the_reason_is_the_first_line_that_git_printed(printed: bytes, reason: str) -> None:
    with pytest.raises(GitFailed) as failed:
        _checked(subprocess.CompletedProcess(["git", "show", "x"], 128, b"half", printed))

    assert str(failed.value) == reason


def test_what_git_printed_is_nothing_to_complain_of_where_it_succeeded() -> None:
    assert _checked(subprocess.CompletedProcess(["git", "show"], 0, b"text", b"warning: old\n")) == b"text"
