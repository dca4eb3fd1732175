"""The commit is known in a checkout, in what was built or packed from one, and nowhere else."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from app import __version__, commit
from app.cli import main

SHA = "8721296f0c1a4be09d7715f2c0a63e58d94b1207"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Overproof is: an empty folder."""
    monkeypatch.setattr(commit, "ROOT", tmp_path)
    monkeypatch.setattr(commit, "FILE", tmp_path / "COMMIT")
    return tmp_path


def make_checkout(directory: Path) -> str:
    """A repository with one commit, and its id."""

    def git(*words: str) -> str:
        identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        return subprocess.run(
            ["git", *identity, *words], cwd=directory, check=True, capture_output=True, text=True
        ).stdout.strip()

    (directory / "file").write_text("1")
    git("init", "-q")
    git("add", "file")
    git("commit", "-qm", "one")
    git("tag", "v1.0")  # the commit is asked for, and not its tag
    return git("rev-parse", "HEAD")


def test_of_a_checkout_git_knows_the_commit(place: Path) -> None:
    head = make_checkout(place)
    (place / "COMMIT").write_text(SHA)

    assert commit.find_commit() == head[:12]


def test_changes_that_are_not_committed_show(place: Path) -> None:
    head = make_checkout(place)
    (place / "file").write_text("2")

    assert commit.find_commit() == f"{head[:12]}-dirty"


def test_the_repository_around_an_installation_is_not_asked(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_checkout(place)
    inside = place / ".venv" / "site-packages"
    inside.mkdir(parents=True)
    monkeypatch.setattr(commit, "ROOT", inside)

    assert commit.find_commit() is None


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (f"{SHA}\n", SHA[:12]),
        (f"{SHA[:12]}-dirty\n", f"{SHA[:12]}-dirty"),
        ("$Format:%H$\n", None),  # as it is in the repository
        ("", None),
        (None, None),
    ],
)
def test_what_was_built_has_it_written_down(place: Path, written: str | None, found: str | None) -> None:
    if written is not None:
        (place / "COMMIT").write_text(written)

    assert commit.find_commit() == found


def test_without_git_it_is_not_known(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_checkout(place)
    monkeypatch.setenv("PATH", str(place))

    assert commit.find_commit() is None
    assert commit.describe_version() == __version__


def test_a_git_that_refuses_is_no_failure(place: Path) -> None:
    (place / ".git").write_text("gitdir: /nowhere")

    assert commit.find_commit() is None


def test_the_version_is_the_packages_and_has_the_commit(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])

    assert not end.value.code
    assert re.fullmatch(
        rf"overproof {re.escape(__version__)}( \([0-9a-f]{{12}}(-dirty)?\))?\n", capsys.readouterr().out
    )
