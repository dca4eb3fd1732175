"""`overproof rebase`: real branches of a real repository, and what Alembic makes of them afterwards."""

from __future__ import annotations

import hashlib
import os
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from app.changes.forks import Added, Branch, OpenChange, find_forks
from app.cli import main
from app.gate.checks import merged_history, single_head
from app.gate.history.git_base import Base, compare, read_base
from app.gate.recording import model
from tests.gate.checks import builders
from tests.gate.history.scripts import WRITERS, Writer, newest

INI = "[alembic]\nscript_location = %(here)s/migrations\npath_separator = os\n"
Graph = Mapping[str, Sequence[str]]  # parents by revision, parents before children


@pytest.fixture(autouse=True, scope="module")
def _without_bytecode() -> Iterator[None]:
    """These tests write a script twice within a second, and Python then takes the second one for the first."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        yield


def git(place: Path, *words: str) -> str:
    who = (
        "-c",
        "user.name=A",
        "-c",
        "user.email=a@example.com",
        "-c",
        "commit.gpgsign=false",
        "-c",
        "core.autocrlf=false",
    )
    done = subprocess.run(["git", *who, *words], cwd=place, check=True, capture_output=True)
    return done.stdout.decode("utf-8", "replace").strip()


class Project:
    """A repository with a branch `main`, and `branch`, which is checked out."""

    def __init__(self, place: Path, ini: str = INI, folder: str = "migrations") -> None:
        self.place = place
        self.versions = place / folder / "versions"
        self.versions.mkdir(parents=True)
        (self.versions.parent / "env.py").write_text("raise SystemExit('env.py was run')\n")
        (place / "alembic.ini").write_text(ini)
        git(place, "init", "-q", "-b", "main")
        self.commit()

    def commit(self) -> None:
        git(self.place, "add", "--all")
        git(self.place, "commit", "-q", "--allow-empty", "-m", "more")

    def write(self, graph: Graph, write: Writer = newest) -> None:
        self.versions.mkdir(parents=True, exist_ok=True)  # Git keeps no empty folder
        for revision, parents in graph.items():
            (self.versions / f"{revision}_note.py").write_bytes(write(revision, parents))

    def part(self, common: Graph, merged: Graph, own: Graph, write: Writer = newest) -> None:
        """`common` is on both branches, `merged` on main alone, `own` on the branch alone."""
        self.write(common)
        self.commit()
        git(self.place, "checkout", "-q", "-b", "branch")
        git(self.place, "checkout", "-q", "main")
        self.write(merged)
        self.commit()
        git(self.place, "checkout", "-q", "branch")
        self.write(own, write)
        self.commit()

    def run(self, command: str) -> None:
        """In a shell, with the programs of the tests' environment."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        who = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.com"}
        who |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in who.items()}
        subprocess.run(command, shell=True, cwd=self.place, check=True, env={**os.environ, **who, "PATH": path})

    def merge(self) -> None:
        git(self.place, "merge", "-q", "-m", "merge", "main")

    @property
    def scripts(self) -> ScriptDirectory:
        return ScriptDirectory.from_config(Config(self.place / "alembic.ini"))

    def parents(self) -> dict[str, tuple[str, ...]]:
        return {each.revision: each._versioned_down_revisions for each in self.scripts.walk_revisions()}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


@pytest.fixture
def remote(project: Project) -> Project:
    """The same, which is its own remote as well."""
    git(project.place, "remote", "add", "origin", str(project.place))
    return project


def rebase(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    status = main(["rebase", *words])

    said = capsys.readouterr()
    assert (status, said.err) == (0, "")
    return said.out


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    status = main(["rebase", *words])

    said = capsys.readouterr()
    assert (status, said.out) == (2, "")
    (line,) = said.err.splitlines()
    return line


COMMON = {"a1": (), "b2": ("a1",)}
MERGED = {"c3": ("b2",), "d4": ("c3",)}
OWN = {"e5": ("b2",), "f6": ("e5",)}


def test_the_first_revision_of_the_branch_follows_the_head_of_the_other(project, capsys):
    project.part(COMMON, MERGED, OWN)

    said = rebase(capsys, "main")

    assert said == (
        "e5 now follows d4 in place of b2: migrations/versions/e5_note.py\n"
        "\n"
        "Commit that, and bring the branch up to date with main, whose revisions are not all here:\n"
        "    git merge main\n"
        "\n"
        "Prove what is new:\n"
        "    overproof verify --base main\n"
        "\n"
        "A database that has run e5 already, such as yours, is put right there by:\n"
        "    alembic downgrade d4\n"
        "    alembic stamp b2\n"
        "    alembic upgrade head\n"
    )
    assert git(project.place, "diff", "--unified=0").count("\n-") == 3  # with the file's name
    project.commit()
    project.merge()
    assert project.parents() == {**COMMON, **MERGED, "e5": ("d4",), "f6": ("e5",)}
    assert rebase(capsys, "main") == "Nothing to do: e5 and f6 follow the head of main already.\n"


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        (
            "flask --app 'my shop' db upgrade --directory db",
            ["flask --app 'my shop' db downgrade d4", "flask --app 'my shop' db stamp b2", "flask --app 'my shop' db upgrade --directory db"],
        ),
        ("./migrate.sh", ["alembic downgrade d4", "alembic stamp b2", "alembic upgrade head"]),
    ],
)  # fmt: skip
def test_a_database_is_put_right_by_the_projects_own_command(project, capsys, command, lines):
    project.part(COMMON, MERGED, OWN)
    (project.place / "setup.cfg").write_text(f"[overproof]\ncommand = {command}\n")
    (project.place / "db").symlink_to("migrations")

    assert rebase(capsys, "main").splitlines()[-3:] == [f"    {line}" for line in lines]


def test_it_does_the_same_once_the_other_branch_is_merged_into_this_one(project, capsys):
    project.part(COMMON, MERGED, OWN)
    project.merge()
    assert len(project.scripts.get_heads()) == 2

    said = rebase(capsys, "main")

    assert "git merge" not in said
    assert project.scripts.get_heads() == ["f6"]


def test_a_dry_run_shows_the_diff_and_changes_nothing(project, capsys):
    project.part(COMMON, MERGED, OWN)

    said = rebase(capsys, "main", "--dry-run")

    assert said.splitlines()[:2] == ["--- a/migrations/versions/e5_note.py", "+++ b/migrations/versions/e5_note.py"]
    assert "-Revises: b2\n+Revises: d4\n" in said
    assert git(project.place, "status", "--short") == ""


def test_scripts_that_are_not_committed_are_the_branchs_own_as_well(project, capsys):
    project.part(COMMON, MERGED, {})
    project.write(OWN)

    rebase(capsys, "main")

    assert project.parents.__self__.versions.joinpath("e5_note.py").read_bytes() == newest("e5", ["d4"])


def test_the_default_is_the_branch_of_the_remote(project, capsys, monkeypatch):
    project.part(COMMON, MERGED, OWN)
    git(project.place, "remote", "add", "origin", str(project.place))
    git(project.place, "fetch", "-q", "origin")

    assert "the head" not in rebase(capsys)
    monkeypatch.setenv("GITHUB_BASE_REF", "gone")
    assert "origin/gone names no commit here" in refused(capsys)
    git(project.place, "remote", "remove", "origin")
    monkeypatch.delenv("GITHUB_BASE_REF")
    assert "name the branch, as in overproof rebase main" in refused(capsys)


def test_nothing_to_do_is_one_line(project, capsys):
    project.part(COMMON, MERGED, {})

    assert rebase(capsys, "main") == "Nothing to do: there is no revision here that main does not have.\n"


def test_both_sides_have_made_the_first_revision(project, capsys):
    project.part({}, {"c3": ()}, {"e5": ()})

    rebase(capsys, "main")

    project.commit()
    project.merge()
    assert project.parents() == {"c3": (), "e5": ("c3",)}


def test_a_merge_revision_that_joined_the_two_heads_of_then(project, capsys):
    project.part(COMMON, {"c3": ("b2",)}, OWN)
    project.merge()
    project.write({"m7": ("f6", "c3")})
    project.commit()
    assert rebase(capsys, "main") == "Nothing to do: e5, f6 and m7 follow the head of main already.\n"

    git(project.place, "checkout", "-q", "main")
    project.write({"d4": ("c3",)})
    project.commit()
    git(project.place, "checkout", "-q", "branch")
    said = rebase(capsys, "main")

    assert "m7 now follows f6 in place of f6 and c3" in said
    assert "    It joins no heads any more" in said
    project.commit()
    project.merge()
    assert project.scripts.get_heads() == ["m7"]
    assert project.parents()["e5"] == ("d4",)


def test_a_labelled_branch_stays_where_it_starts(project, capsys):
    project.part(COMMON, MERGED, {})
    text = newest("e5", ["b2"]).replace(
        b"\nbranch_labels: Union[str, Sequence[str], None] = None", b"\nbranch_labels = ('billing',)"
    )
    (project.versions / "e5.py").write_bytes(text)

    assert rebase(capsys, "main") == "Nothing to do: e5 starts a labelled branch, and stays where it is.\n"


def test_a_revision_on_a_labelled_branch_follows_the_head_of_that_branch(project, capsys):
    billing = newest("x1", ["b2"]).replace(b"= None\ndepends_on", b"= 'billing'\ndepends_on")
    (project.versions / "x1.py").write_bytes(billing)
    project.part({**COMMON, "d4": ("b2",)}, {"x2": ("x1",), "d5": ("d4",)}, {"e5": ("x1",), "e6": ("d4",)})

    said = rebase(capsys, "main")

    assert "e5 now follows x2 in place of x1" in said
    assert "e6 now follows d5 in place of d4" in said


def test_depends_on_and_labels_are_left_alone(project, capsys):
    project.part(COMMON, MERGED, {})
    text = newest("e5", ["b2"]).replace(b"depends_on: Union[str, Sequence[str], None] = None", b"depends_on = 'b2'")
    (project.versions / "e5.py").write_bytes(text)

    rebase(capsys, "main")

    assert (project.versions / "e5.py").read_bytes() == text.replace(b"Revises: b2", b"Revises: d4").replace(
        b"= 'b2'\nbranch", b"= 'd4'\nbranch"
    )


@pytest.mark.parametrize(
    ("own", "line"),
    [
        ({"e5": ("b2",), "f6": ("b2",)}, "the branch's own revisions have two heads, e5 and f6"),
        ({"e5": ("zz",)}, "e5 follows zz, which is neither in main nor here"),
        ({"e5": ()}, "e5 has no down_revision, and main has revisions since before the branch: set it to d4"),
        ({"e5": ("f6",), "f6": ("e5",)}, "e5 and f6 follow each other in a circle"),
    ],
)  # fmt: skip
def test_what_is_ambiguous_is_refused_and_nothing_is_changed(project, capsys, own, line):
    project.part(COMMON, MERGED, own)

    assert line in refused(capsys, "main")
    assert git(project.place, "status", "--short") == ""


def test_two_heads_of_the_other_branch_are_its_own_to_join(project, capsys):
    project.part(COMMON, {"c3": ("b2",), "d4": ("b2",)}, OWN)

    assert "main has 2 heads that follow b2: c3 and d4: join them there first (alembic merge)" in refused(
        capsys, "main"
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"revision = 'e5'\nimport os\ndown_revision = os.environ['HEAD']\n", "the down_revision of e5 is not written in its script as a text"),
        (b"revision = 'e5'\n<<<<<<< HEAD\n", "migrations/versions/e5.py cannot be read: invalid syntax (line 2): correct it first"),
        (b"revision = 'a1'\ndef upgrade(): 1 / 0\n", "a1_note.py and e5.py have the same revision, a1: give yours another id"),
    ],
)  # fmt: skip
def test_a_script_that_cannot_be_understood_is_refused(project, capsys, text, line):
    project.part(COMMON, MERGED, {})
    (project.versions / "e5.py").write_bytes(text)

    assert line in refused(capsys, "main")


def test_two_revisions_of_one_id_are_refused(project, capsys):
    project.part({"0001": ()}, {"0002": ("0001",)}, {})
    (project.versions / "0002_mine.py").write_bytes(newest("0002", ["0001"]).replace(b"    pass", b"    print()"))

    assert "0002_mine.py here and 0002_note.py there are two revisions of one id, 0002" in refused(capsys, "main")


@pytest.mark.parametrize(("change", "what"), [("edit", "changed"), ("remove", "removed")])
def test_a_merged_revision_that_the_branch_has_changed_is_refused(project, capsys, change, what):
    project.part(COMMON, MERGED, OWN)
    script = project.versions / "b2_note.py"
    if change == "edit":
        script.write_bytes(script.read_bytes().replace(b"    pass", b"    print()"))
    else:
        script.unlink()

    line = refused(capsys, "main")

    assert f"the branch has {what} migrations/versions/b2_note.py, which main has: restore it first" in line
    command = line.partition("(")[2].partition(")")[0].split()
    git(project.place, *command[1:])
    assert "e5 now follows d4" in rebase(capsys, "main")


def test_a_script_that_cannot_be_written_leaves_all_of_them_as_they_were(project, capsys, monkeypatch):
    project.part(COMMON, MERGED, {"e5": ("b2",), "f6": ("b2",), "m7": ("e5", "f6")})
    real, calls = Path.replace, []

    def replace(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == 2:
            raise OSError(28, "No space left on device", str(target))
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    assert "nothing was changed: " in refused(capsys, "main")
    assert git(project.place, "status", "--short") == ""


def test_a_file_keeps_its_rights_and_a_link_stays_one(project, capsys):
    project.part(COMMON, MERGED, OWN)
    script = project.versions / "e5_note.py"
    script.chmod(0o640)
    real = project.place / "elsewhere.py"
    script.rename(real)
    script.symlink_to(real)

    rebase(capsys, "main")

    assert script.is_symlink()
    assert b"d4" in real.read_bytes()
    assert real.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("ini", "folder"),
    [
        ("[alembic]\nscript_location = db/migrations\n", "db/migrations"),
        ("[alembic]\nscript_location = shop.db:migrations\n", "src/shop/db/migrations"),
        ("[alembic]\nscript_location = other\n[second]\nscript_location = db\nversion_locations = db/versions\n", "db"),
        ("[alembic]\nscript_location = db\nversion_locations = db\nrecursive_version_locations = true\n", "db"),
        ("# Flask-Migrate's folder is named in its code\n", "migrations"),
    ],
    ids=["path", "package", "section", "recursive", "none"],
)
def test_the_scripts_are_found(tmp_path, monkeypatch, capsys, ini, folder):
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path, ini, folder)
    project.part(COMMON, MERGED, OWN)

    assert f"e5 now follows d4 in place of b2: {folder}/versions/e5_note.py" in rebase(capsys, "main")


def test_outside_of_a_checkout_and_without_scripts_it_says_where_to_go(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "not a git repository" in refused(capsys, "main")

    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "one")
    assert "there are no scripts of Alembic below" in refused(capsys, "main")
    assert "gone names no commit here" in refused(capsys, "gone")


ENV = """
from alembic import context
from sqlalchemy import create_engine
with create_engine("sqlite:///shop.db").connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""


def creating(revision: str, parents: Sequence[str]) -> bytes:
    """A script that creates a table of the revision's name."""
    up, down = f"    op.create_table({revision!r}, sa.Column('id', sa.Integer))", f"    op.drop_table({revision!r})"
    return newest(revision, parents).replace(b"    pass", up.encode(), 1).replace(b"    pass", down.encode(), 1)


@pytest.mark.processes
@pytest.mark.parametrize(
    ("common", "merged", "own"),
    [(COMMON, MERGED, OWN), ({}, {"c3": ()}, {"e5": ()}), (COMMON, MERGED, {"e5": ("b2",), "e6": ("a1",), "m7": ("e5", "e6")})],
    ids=["a line", "two first revisions", "two lines that are joined"],
)  # fmt: skip
def test_what_is_printed_puts_a_database_right_that_has_run_the_branch(project, capsys, common, merged, own):
    (project.versions.parent / "env.py").write_text(ENV)
    project.commit()
    project.write(common, creating)
    project.part({}, {}, {})
    project.write(own, creating)
    project.commit()
    project.run("alembic upgrade head")
    git(project.place, "checkout", "-q", "main")
    project.write(merged, creating)
    project.commit()
    git(project.place, "checkout", "-q", "branch")

    said = rebase(capsys, "main")

    project.commit()
    for command in (line.strip() for line in said.splitlines() if line.startswith("    ")):
        if not command.startswith("overproof verify"):
            project.run(command)
    with sqlite3.connect(project.place / "shop.db") as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        at = {name for (name,) in database.execute("SELECT version_num FROM alembic_version")}
    assert tables == {"alembic_version", *common, *merged, *own}
    assert at == set(project.scripts.get_heads()) == {list(own)[-1]}


def graph_here(project: Project, base: Base) -> model.Graph:
    return builders.recording(
        revisions=[
            replace(
                builders.revision(each.revision, *each._versioned_down_revisions),
                sha256=hashlib.sha256(Path(each.path).read_bytes()).hexdigest(),
                path=str(Path(each.path).relative_to(project.place)),
                is_new=each.revision not in base.scripts,
            )
            for each in reversed(list(project.scripts.walk_revisions()))
        ]
    ).graph


def advice_of(project: Project, check: ModuleType) -> list[list[str]]:
    """The commands of ours that the check prints, as words."""
    base = read_base("origin/main", project.place, [project.versions])
    graph = graph_here(project, base)
    divergence = compare(base, graph, project.place, project.versions.parent / "env.py")
    findings = check.examine(replace(builders.recording(base=divergence), graph=graph))
    lines = [line.strip() for finding in findings for line in (finding.help or "").splitlines() if line[:4] == "    "]
    return [shlex.split(line) for line in lines if not line.startswith("alembic merge")]


def follow(project: Project, commands: Sequence[Sequence[str]]) -> None:
    """Do what is printed, and bring the branch up to date."""
    for program, *words in commands:
        assert (git(project.place, *words), 0)[1] == 0 if program == "git" else main(words) == 0
    project.commit()
    git(project.place, "merge", "-q", "-m", "merge", "origin/main")


@pytest.mark.parametrize("is_up_to_date", [False, True])
def test_what_single_head_prints_heals_the_fork(remote, is_up_to_date):
    remote.part(COMMON, MERGED, OWN)
    git(remote.place, "fetch", "-q", "origin")
    if is_up_to_date:
        remote.merge()

    advice = advice_of(remote, single_head)

    assert advice == [["git", "fetch"], ["overproof", "rebase", "origin/main"]]
    follow(remote, advice)
    assert remote.scripts.get_heads() == ["f6"]
    assert advice_of(remote, single_head) == []


def test_what_merged_history_prints_moves_an_inserted_revision_to_the_top(remote):
    remote.part({**COMMON, "c3": ("b2",)}, {}, {})
    remote.write({"e5": ("a1",), "b2": ("e5",)})
    git(remote.place, "fetch", "-q", "origin")

    advice = advice_of(remote, merged_history)

    assert [program for program, *_ in advice] == ["git", "overproof"]
    follow(remote, advice)
    assert remote.parents() == {**COMMON, "c3": ("b2",), "e5": ("c3",)}


def test_what_the_record_prints_for_a_fork_heals_it(remote):
    remote.part(COMMON, MERGED, OWN)
    git(remote.place, "fetch", "-q", "origin")
    added = [Added(name, parents, datetime(2026, 3, 1, tzinfo=UTC)) for name, parents in OWN.items()]
    branch = Branch("main", ["d4"], [*COMMON, *MERGED])

    (fork,) = find_forks([OpenChange("7", "branch", added)], [branch])

    follow(remote, [shlex.split(fork.command)])
    assert remote.scripts.get_heads() == ["f6"]


@st.composite
def branches(draw: st.DrawFn) -> tuple[dict[str, list[str]], dict[str, list[str]], dict[str, list[str]]]:
    """What both branches have, what is on main alone, and what is on the branch alone. Each side has one head."""

    def grow(letter: str, count: int, older: Sequence[str]) -> dict[str, list[str]]:
        grown: dict[str, list[str]] = {}
        for number in range(count):
            known = [*older, *grown]
            parents = draw(st.lists(st.sampled_from(known), min_size=1, max_size=2, unique=True)) if known else []
            grown[f"{letter}{number}"] = parents
        return grown

    def join(graph: dict[str, list[str]], before: Mapping[str, list[str]], name: str) -> dict[str, list[str]]:
        every = {**before, **graph}
        followed = {parent for parents in every.values() for parent in parents}
        heads = [revision for revision in every if revision not in followed]
        return {**graph, name: heads} if len(heads) > 1 else graph

    common = join(grow("a", draw(st.integers(1, 4)), []), {}, "a9")
    merged = join(grow("c", draw(st.integers(0, 4)), list(common)), common, "c9")
    own = grow("e", draw(st.integers(1, 5)), list(common))
    own = own_joined(own, draw(st.booleans()))
    return common, merged, own


def own_joined(own: dict[str, list[str]], is_joined: bool) -> dict[str, list[str]]:
    followed = {parent for parents in own.values() for parent in parents}
    heads = [revision for revision in own if revision not in followed]
    return {**own, "e9": heads} if is_joined and len(heads) > 1 else own


@settings(deadline=None, max_examples=15, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(graphs=branches(), write=st.sampled_from(WRITERS))
def test_alembic_sees_one_head_and_git_the_lines_of_the_parents(tmp_path_factory, graphs, write):
    common, merged, own = graphs
    place = tmp_path_factory.mktemp("random")
    project = Project(place)
    project.part(common, merged, own, write)
    project.merge()
    heads, before = project.scripts.get_heads(), project.parents()
    note(f"{before} with the heads {heads}")

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        status = main(["rebase", "main"])

    of_own = {head for head in own if not any(head in parents for parents in own.values())}
    if len(of_own) > 1:
        assert status == 2
        assert git(place, "status", "--short") == ""
        return
    assert status == 0
    after = project.parents()
    assert len(project.scripts.get_heads()) == 1
    assert {name: after[name] for name in {**common, **merged}} == {name: before[name] for name in {**common, **merged}}
    assert {name: [each for each in parents if each in own] for name, parents in after.items()} == {
        name: [each for each in parents if each in own] for name, parents in before.items()
    }
    diff = [
        line
        for line in git(place, "diff", "--unified=0").splitlines()
        if line[0] in "+-" and line[:3] not in ("+++", "---")
    ]
    assert all("evis" in line or "joined" in line for line in diff), diff
    assert (len(heads) == 1) == (not diff)
