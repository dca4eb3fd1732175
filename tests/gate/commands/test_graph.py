"""`overproof graph`, which starts no program but Git."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from app.cli import main
from tests.gate.projects import script, write_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two revisions, one after the other. Its env.py must not be imported, and no script either."""
    stop = "\nraise SystemExit('it was imported')\n"
    write_project(tmp_path, {"a1": script("a1", None) + stop, "b2": script("b2", "a1") + stop}, env=stop)
    monkeypatch.chdir(tmp_path)
    for name in ("ALEMBIC_CONFIG", "GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def add(project: Path, name: str, text: str) -> None:
    (project / "migrations" / "versions" / f"{name}.py").write_text(text)


def git(project: Path, *words: str) -> None:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *identity, *words], cwd=project, check=True, capture_output=True)


def commit(project: Path) -> None:
    """One commit, of which the remote has everything."""
    git(project, "init", "-q")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "one")
    git(project, "remote", "add", "origin", ".")
    git(project, "update-ref", "refs/remotes/origin/main", "HEAD")


def test_a_sound_history_is_silent(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "--check"]) == 0
    assert capsys.readouterr() == ("", "")


def test_two_heads(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(project, "c3", script("c3", "a1"))

    assert main(["graph", "--check"]) == 1

    output = capsys.readouterr().out
    assert "error single-head at migrations/versions/" in output
    assert "The history forks after a1, into 2 heads: b2" in " ".join(output.split())
    assert "alembic merge" in output
    assert "Multiple head revisions are present" in " ".join(output.split())


def test_heads_that_are_meant(project: Path) -> None:
    add(project, "c3", script("c3", "a1", head='branch_labels = "billing"'))

    assert main(["graph", "--check", "--", "alembic", "upgrade", "heads"]) == 0
    assert main(["graph", "--check", "--", "alembic", "upgrade", "head"]) == 1


def test_a_missing_parent(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(project, "d4", script("d4", "c3"))

    assert main(["graph", "--check"]) == 1
    output = capsys.readouterr().out
    assert "error graph-integrity at migrations/versions/d4.py" in output
    assert "d4 follows c3, which no script defines." in output
    assert "single-head" not in output  # which it looks like, until the parent is there


def test_a_script_that_is_no_python(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(project, "c3", "revision = 'c3'\ndown_revision = \n")

    assert main(["graph", "--check"]) == 1
    assert "error graph-integrity at migrations/versions/c3.py:2" in capsys.readouterr().out


def test_a_merged_revision_that_is_edited_or_removed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commit(project)
    assert main(["graph", "--check"]) == 0
    add(project, "b2", script("b2", "a1", upgrade="op.execute('SELECT 1')"))

    assert main(["graph", "--check"]) == 1

    assert "merged-history" in capsys.readouterr().out
    assert main(["graph", "--check", "--base", "none"]) == 0


def test_the_settings_of_the_project_hold_here_too(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(project, "c3", script("c3", "a1"))
    (project / "setup.cfg").write_text("[overproof]\nignore = single-head\n")

    assert main(["graph", "--check"]) == 0

    (project / "setup.cfg").write_text("[overproof]\nignore = single-head, graph-integrity, merged-history\n")
    assert main(["graph", "--check"]) == 2
    assert "nothing would be checked" in capsys.readouterr().err


def test_a_finding_that_is_accepted_is_none(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(project, "c3", script("c3", "a1", head="# overproof: allow single-head: two teams"))
    (project / "migrations" / "versions" / "b2.py").unlink()
    add(project, "b2", script("b2", "a1", head="# overproof: allow single-head: two teams"))

    assert main(["graph", "--check"]) == 0
    assert capsys.readouterr().out == ""


def test_a_history_without_revisions_is_not_sound(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (project / "migrations" / "versions").glob("*.py"):
        path.unlink()

    assert main(["graph", "--check"]) == 2
    assert "nothing to check: there are no revisions in" in capsys.readouterr().err


def test_the_list_has_the_newest_first(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph"]) == 0

    assert capsys.readouterr().out == "b2 (head) after a1: b2.\na1 after nothing: a1.\n"


@pytest.mark.processes
def test_it_waits_for_nothing_that_a_sound_history_does_not_need(project: Path) -> None:
    asked = (
        "import sys; from app.cli import main\nassert main(['graph', '--check']) == 0\n"
        "print(*{name.partition('.')[0] for name in sys.modules} & {'alembic', 'sqlalchemy', 'pydantic', 'rich'})"
    )
    root = Path(__file__).parents[3]
    ended = subprocess.run(
        [sys.executable, "-c", asked],
        cwd=project,
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ended.stdout.strip() == ""


# Pictures


def test_the_revisions_are_drawn(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commit(project)
    add(project, "c3", script("c3", "b2"))

    assert main(["graph", "--output", "svg:graph.svg"]) == 0

    picture = ElementTree.parse(project / "graph.svg").getroot()
    circles = [each.get("class") for each in picture.iter("{http://www.w3.org/2000/svg}circle")]
    assert circles == ["node new", "node", "node"]
    assert capsys.readouterr() == ("", "")


def test_the_revisions_are_drawn_for_mermaid(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "--base", "none", "--output", "mermaid"]) == 0

    assert capsys.readouterr().out.splitlines()[:2] == ["flowchart TB", '    r0["b2 #40;head#41; b2."]:::new']


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("png", "--output: 'png' is neither svg nor mermaid, with a file as in svg:graph.svg or without"),
        ("svg:", "--output: 'svg:' is neither svg nor mermaid, with a file as in svg:graph.svg or without"),
        (
            "svg:no/such/place",
            "--output: there is no directory no, so no/such/place cannot be written: create it first",
        ),
    ],
)
def test_a_picture_that_cannot_be(project: Path, capsys: pytest.CaptureFixture[str], output: str, line: str) -> None:
    assert main(["graph", "--output", output]) == 2
    assert line.partition(",")[0] in capsys.readouterr().err


def test_a_broken_history_is_not_drawn(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(project, "c3", script("c3", "nowhere"))

    assert main(["graph", "--output", "svg"]) == 2
    assert "overproof graph --check says more" in capsys.readouterr().err
