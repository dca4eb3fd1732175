"""The lines around what a finding is about."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.gate.commands._excerpts import with_excerpts
from tests.gate.reporters.samples import finding, report

LINES = ["one", "", "three", "", "five", "  ", "", "eight", "nine"]


@pytest.mark.parametrize(
    ("line", "first", "shown"),
    [
        (1, 1, ["one", "", "three"]),
        (2, 1, ["one", "", "three"]),
        (3, 3, ["three", "", "five"]),
        (4, 3, ["three", "", "five"]),
        (5, 5, ["five"]),
        (6, 5, ["five", "  ", "", "eight"]),
        (7, 8, ["eight", "nine"]),
        (8, 8, ["eight", "nine"]),
        (9, 8, ["eight", "nine"]),
    ],
)
def test_an_excerpt_has_the_line_the_one_before_and_two_after_and_no_empty_ends(
    tmp_path: Path, line: int, first: int, shown: list[str]
) -> None:
    (tmp_path / "a1.py").write_text("\n".join(LINES))

    (found,) = with_excerpts(report(finding(path="a1.py", line=line)), tmp_path).findings

    assert found.excerpt is not None
    assert (found.excerpt.first_line, found.excerpt.lines) == (first, shown)


@pytest.mark.parametrize(("path", "line"), [("a1.py", 3), ("a1.py", None), (None, 1), ("gone.py", 1), ("folder", 1)])
def test_a_finding_without_lines_on_disk_has_none(tmp_path: Path, path: str | None, line: int | None) -> None:
    (tmp_path / "a1.py").write_text("one\ntwo\n")
    (tmp_path / "folder").mkdir()

    (found,) = with_excerpts(report(finding(path=path, line=line)), tmp_path).findings

    assert found.excerpt is None


def test_lines_are_cut_and_have_no_password(tmp_path: Path) -> None:
    url = "postgresql://ann:s3cret@host/shop"
    (tmp_path / "a1.py").write_text(f"{'x' * 201}\n{url}\n")

    (found,) = with_excerpts(report(finding(path="a1.py", line=1)), tmp_path).findings

    assert found.excerpt is not None
    assert found.excerpt.lines[0] == "x" * 200
    assert "s3cret" not in found.excerpt.lines[1]


def test_an_excerpt_of_empty_lines_alone_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a1.py").write_text("\n\n\n\n")

    (found,) = with_excerpts(report(finding(path="a1.py", line=2)), tmp_path).findings

    assert found.excerpt is not None
    assert (found.excerpt.first_line, found.excerpt.lines) == (1, [])
