"""Histories of any shape, however broken: Alembic's own answer is the measure, and no check crashes."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import hypothesis.strategies as st
import pytest
from alembic.script import ScriptDirectory
from hypothesis import given, settings

from app.gate.driver.overproof_driver.history import describe
from app.gate.history import graph as graph_module
from app.gate.history.git_base import Base, BaseScript, compare, revision_of
from app.gate.history.graph import read_graph
from app.gate.judging.judge import judge
from app.gate.recording.model import Graph, GraphProblemKind, Recording
from app.gate.report.model import FindingEntry
from app.gate.report.verdict import Verdict


@dataclass(frozen=True)
class File:
    """What a script says of its place in the graph."""

    revision: Any
    down: Any = None
    depends_on: Any = None
    labels: Any = None

    @property
    def text(self) -> str:
        return (
            f"revision = {self.revision!r}\ndown_revision = {self.down!r}\n"
            f"depends_on = {self.depends_on!r}\nbranch_labels = {self.labels!r}\n\n\n"
            "def upgrade():\n    pass\n"
        )


class Context:
    """As much of Alembic's MigrationContext as the driver reads a history from."""

    def __init__(self, script: ScriptDirectory, target: str) -> None:
        self.script = script
        self._migrations_fn = lambda heads, _: script._upgrade_revs(target, heads)


@contextmanager
def on_disk(files: Sequence[File]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "versions").mkdir()
        for number, file in enumerate(files):
            (Path(directory) / "versions" / f"{number}.py").write_text(file.text)
        yield Path(directory).resolve()


def read(directory: Path, target: str = "head") -> Graph:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, described = describe(Context(ScriptDirectory(str(directory)), target), [])
    with patch.object(graph_module, "repository_root", lambda directory: directory):  # Git would be a program
        return read_graph({**described, "warnings": [str(each.message) for each in caught]}, directory)


def history(*files: File, target: str = "head") -> Graph:
    with on_disk(files) as directory:
        return read(directory, target)


def found(graph: Graph, **fields: Any) -> list[FindingEntry]:
    """What all checks together find. Fails if one crashes."""
    report = judge([Recording("migrations", "18.6", "1.20.1", "2.1.9", graph, **fields)])
    assert report.verdict != Verdict.ERROR, report.reason
    return report.findings


IDS = ["aaaa1", "aaaa2", "b2", "c3", "shop"]  # two that begin alike, and one that is also a label
NAMES = [*IDS, "aaaa", "billing", "missing", "head", "aaaa1-1", "b2@head"]


def names(of: Sequence[str]) -> st.SearchStrategy[Any]:
    some = st.sampled_from(of)
    return st.one_of(st.none(), st.none(), some, some, st.lists(some, max_size=3).map(tuple))


def without_labels_of_duplicates(files: list[File]) -> list[File]:
    """Alembic itself looks for the end of a labelled branch for ever where duplicates have closed a circle."""
    is_unique = len({each.revision for each in files}) == len(files)
    return files if is_unique else [replace(each, labels=None) for each in files]


FILES = st.lists(
    st.builds(
        File,
        revision=st.sampled_from(IDS),
        down=names([*IDS, *IDS, *NAMES]),
        depends_on=st.one_of(st.none(), st.none(), names(NAMES)),
        labels=st.one_of(st.none(), st.none(), names(["shop", "billing", "b2"])),
    ),
    max_size=6,
).map(without_labels_of_duplicates)
TARGETS = st.sampled_from(["head", "head", "heads", "+1", "-1", "shop@head", "aaaa", "b2", "missing", "base", "b2+1"])


def answer_of_alembic(directory: Path, target: str) -> tuple[list[str] | None, str | None]:
    """The heads, or None for a history that cannot be read; and why it refuses to upgrade to the target."""
    script = ScriptDirectory(str(directory))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            list(script.walk_revisions())
        except Exception as error:  # noqa: BLE001 - whatever Alembic raises is its answer
            return None, str(error)
        try:
            script._upgrade_revs(target, "base")
        except Exception as error:  # noqa: BLE001
            return script.get_heads(), str(error)
    return script.get_heads(), None


@settings(deadline=None, max_examples=150)
@given(files=FILES, target=TARGETS)
def test_no_history_crashes_a_check_and_what_alembic_refuses_is_a_finding(files, target):
    with on_disk(files) as directory:
        graph = read(directory, target)
        heads, refusal = answer_of_alembic(directory, target)
        base = compare(base_of(files[:3]), graph, directory, directory / "env.py")

    findings = found(graph, base=base)

    checks = {each.check for each in findings}
    assert (heads is None) == (not graph.revisions and any(graph.problems)), graph.problems
    assert set(graph.heads) <= set(heads or ())
    assert len(set(graph.heads)) == len(graph.heads)
    if heads is None or len(files) > len({each.revision for each in files}):
        assert "graph-integrity" in checks
    if refusal is not None:
        assert checks & {"graph-integrity", "single-head", "upgrade"}, refusal
    if len(graph.heads) < 2:
        assert "single-head" not in checks


def base_of(files: Sequence[File]) -> Base:
    """A base branch with those scripts."""
    texts = {revision_of(each.text) or "": each.text for each in files}
    return Base("main", "0" * 40, {name: BaseScript(f"versions/{name}.py", text, "") for name, text in texts.items()})


def test_a_head_whose_id_two_scripts_have_is_one_head():
    graph = history(File("a1"), File("b2", "a1"), File("b2", "a1"))

    assert graph.heads == ("b2",)
    assert graph.refusal is not None  # Alembic counts two
    assert [(each.check, each.path) for each in found(graph)] == [("graph-integrity", "versions/2.py")]


@pytest.mark.parametrize(
    ("files", "kind", "revision", "words"),
    [
        ([File("a1"), File("b2", "a1", depends_on="nope")], GraphProblemKind.MISSING_PARENT, "b2", "b2 depends on nope"),
        ([File("a1"), File("b2", "nope")], GraphProblemKind.MISSING_PARENT, "b2", "Revision nope referenced"),
        ([File("aaaa1"), File("b2", "aaaa")], GraphProblemKind.MISSING_PARENT, "b2", "Revision aaaa referenced"),
        ([File("a1", "a1")], GraphProblemKind.CYCLE, None, "Self-loop"),
        ([File("a1"), File("b2", "a1", depends_on="c3"), File("c3", "b2")], GraphProblemKind.CYCLE, None, "Dependency"),
        ([File("a1"), File("b2", "a1", labels="a1")], GraphProblemKind.LABEL_IN_USE, "b2", "already used by revision a1"),
        ([File("a1"), File("b2", "a1"), File("c3", "b2"), File("b2", "a1")], GraphProblemKind.DUPLICATE, "b2", "1.py, "),
    ],
    ids=["unknown depends_on", "missing parent", "half of an id", "loop", "circle", "label", "duplicate"],
)  # fmt: skip
def test_a_broken_history_is_one_problem_that_names_the_script_as_far_as_alembic_does(files, kind, revision, words):
    [problem] = history(*files).problems

    assert (problem.kind, problem.revision) == (kind, revision)
    assert words in problem.message
    assert (problem.path is None) == (revision is None)


@pytest.mark.parametrize(
    "files",
    [
        [File("a1", labels="shop"), File("b2", None, depends_on="shop"), File("c3", ("a1", "b2"))],
        [File("a1"), File("b2"), File("c3", ("a1", "b2"), depends_on="a1")],
    ],
    ids=["depends_on by label", "two bases that are merged"],
)
def test_an_unusual_history_that_alembic_reads_is_none_of_it(files):
    assert found(history(*files)) == []


def test_of_a_history_that_cannot_be_read_no_revision_counts_as_removed():
    merged = [File("a1"), File("b2", "a1")]
    with on_disk([*merged, File("c3", "nope")]) as directory:
        graph = read(directory)
        base = compare(base_of(merged), graph, directory, directory / "env.py")

    assert base.removed == ()
    assert {each.check for each in found(graph, base=base)} == {"graph-integrity"}


def test_a_script_in_another_encoding_is_compared_with_its_base(tmp_path):
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "0.py").write_bytes(b"# coding: latin-1\n# Gr\xfc\xdfe\n" + File("a1").text.encode())

    assert compare(base_of([File("a1")]), read(tmp_path), tmp_path, tmp_path / "env.py").edited == ()
