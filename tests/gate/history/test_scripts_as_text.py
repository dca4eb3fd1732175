"""What is read from the text of scripts is what Alembic reads by importing them."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from alembic.script import ScriptDirectory

from app.gate.driver.overproof_driver import history
from app.gate.errors import CannotVerify
from app.gate.history.graph import read_graph
from app.gate.history.scripts_as_text import describe_scripts
from app.gate.recording.model import Graph, GraphProblemKind
from tests.gate.projects import script

HISTORIES: Mapping[str, list[str]] = {
    "a line": [script("a1", None), script("b2", "a1"), script("c3", "b2")],
    "a fork": [script("a1", None), script("b2", "a1"), script("c3", "a1")],
    "a merge": [script("a1", None), script("b2", "a1"), script("c3", "a1"), script("d4", ("b2", "c3"))],
    "two bases": [script("a1", None, head='branch_labels = ("x",)'), script("b2", None, head="branch_labels = ['y']")],
    "a dependency": [script("a1", None), script("b2", None), script("c3", "a1", head='depends_on = "b2"')],
    "by a label": [script("a1", None, head='branch_labels = "x"'), script("b2", None, head='depends_on = ("x",)')],
    "annotated": [script("a1", None), 'revision: str = "b2"\ndown_revision: str | None = "a1"\n'],
    "in brackets": [script("a1", None), 'revision = (\n    "b2"\n)\ndown_revision = ["a1"]\n'],
    "a constant": [script("a1", None), 'BEFORE = "a1"\nrevision = "b2"\ndown_revision = BEFORE\n'],
    "a missing parent": [script("a1", None), script("c3", "b2")],
    "a duplicate": [script("a1", None), script("b2", "a1"), script("b2", "a1", upgrade="op.execute('SELECT 1')")],
    "a cycle": [script("a1", "c3"), script("b2", "a1"), script("c3", "b2")],
    "its own parent": [script("a1", "a1")],
    "a cycle by a dependency": [script("a1", None, head='depends_on = "b2"'), script("b2", "a1")],
    "a label in use": [script("a1", None, head='branch_labels = "x"'), script("b2", "a1", head='branch_labels = "x"')],
    "a label that is an id": [script("a1", None), script("b2", "a1", head='branch_labels = ("a1",)')],
    "an unknown dependency": [script("a1", None), script("b2", "a1", head='depends_on = "z9"')],
    "no Python": [script("a1", None), "revision = \n"],
}


def write(directory: Path, scripts: list[str]) -> Path:
    versions = directory / "versions"
    versions.mkdir()
    for number, text in enumerate(scripts):
        (versions / f"script_{number}.py").write_text(text)
    (versions / "__init__.py").touch()
    (versions / "README").touch()
    return versions


def as_alembic_reads(directory: Path) -> dict[str, Any]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        context = SimpleNamespace(script=ScriptDirectory(str(directory)), _migrations_fn=lambda *_: [])
        _, described = history.describe(context, [])
    return {**described, "warnings": [str(each.message) for each in caught]}


def facts_of(graph: Graph) -> dict[str, Any]:
    """What the checks of the graph look at. Of a broken history Alembic may read a part; what is broken is the same."""
    # Of two revisions with one label, Alembic names the one that comes later in a set: either.
    facts: dict[str, Any] = {
        "problems": {
            (each.kind, *((each.revision, each.path) if each.kind is not GraphProblemKind.LABEL_IN_USE else ()))
            for each in graph.problems
        }
    }
    if not graph.problems:
        facts["heads"] = set(graph.heads)
        facts["bases"] = set(graph.bases)
        facts["revisions"] = {
            each.revision: (
                each.down_revisions,
                set(each.depends_on),
                each.branch_labels,
                each.message,
                each.path,
                each.sha256,
            )
            for each in graph.revisions
        }
    return facts


@pytest.mark.parametrize("name", HISTORIES)
def test_it_is_what_alembic_reads(name: str, tmp_path: Path) -> None:
    versions = write(tmp_path, HISTORIES[name])
    described, scripts = describe_scripts([versions])

    found = read_graph(described, tmp_path, {each.sha256: each for each in scripts})

    assert facts_of(found) == facts_of(read_graph(as_alembic_reads(tmp_path), tmp_path))


def test_parents_come_before_children(tmp_path: Path) -> None:
    versions = write(tmp_path, list(reversed(HISTORIES["a merge"])))

    described, _ = describe_scripts([versions])

    order = [each["revision"] for each in described["revisions"]]
    assert order[0] == "a1"
    assert order[-1] == "d4"


def test_nothing_of_a_script_is_run(tmp_path: Path) -> None:
    versions = write(tmp_path, [script("a1", None) + "\nraise SystemExit('it was imported')\n"])
    before = set(sys.modules)

    described, _ = describe_scripts([versions])

    assert described["heads"] == ["a1"]
    assert not {name for name in set(sys.modules) - before if "script_0" in name}


def test_a_place_that_is_computed_is_refused(tmp_path: Path) -> None:
    versions = write(tmp_path, ["import uuid\nrevision = uuid.uuid4().hex\ndown_revision = None\n"])

    with pytest.raises(CannotVerify, match=r"script_0.py:2 computes its place in the history \(uuid.uuid4\(\).hex\)"):
        describe_scripts([versions])


def test_a_script_without_a_revision_is_named(tmp_path: Path) -> None:
    versions = write(tmp_path, ["x = 1\n"])

    described, _ = describe_scripts([versions])

    assert described["error"]["path"] == str(versions / "script_0.py")
    assert "declares no revision" in described["error"]["message"]


def test_folders_below_count_only_where_they_do_for_alembic(tmp_path: Path) -> None:
    versions = write(tmp_path, [script("a1", None)])
    (versions / "2026").mkdir()
    (versions / "2026" / "b2.py").write_text(script("b2", "a1"))

    assert describe_scripts([versions])[0]["heads"] == ["a1"]
    assert describe_scripts([versions], is_recursive=True)[0]["heads"] == ["b2"]
    assert describe_scripts([versions, versions / "2026", versions])[0]["heads"] == ["b2"]


def test_a_long_history_is_read_without_recursion(tmp_path: Path) -> None:
    versions = tmp_path / "versions"
    versions.mkdir()
    for number in range(1200):
        parent = repr(f"r{number - 1}") if number else "None"
        (versions / f"{number}.py").write_text(f"revision = 'r{number}'\ndown_revision = {parent}\n")

    assert describe_scripts([versions])[0]["heads"] == ["r1199"]


def test_of_two_branches_that_of_the_later_file_comes_last(tmp_path: Path) -> None:
    versions = write(tmp_path, HISTORIES["a fork"])

    assert [each["revision"] for each in describe_scripts([versions])[0]["revisions"]] == ["a1", "b2", "c3"]
