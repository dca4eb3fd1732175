"""Paths as reports name them: relative to the root, through whatever links lead there."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.gate.history.git_base import _assigned
from app.gate.history.paths import relative


def test_a_path_below_the_root_is_relative_and_any_other_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = (tmp_path / "root").resolve()
    (root / "versions").mkdir(parents=True)
    (root / "versions" / "a.py").touch()
    (tmp_path / "link").symlink_to(root / "versions", target_is_directory=True)
    (tmp_path / "b.py").symlink_to(root / "versions" / "a.py")
    monkeypatch.chdir(root)

    assert relative(root / "versions" / "a.py", root) == "versions/a.py"
    assert relative(Path("versions/a.py"), root) == "versions/a.py"
    assert relative(Path("versions/../versions/a.py"), root) == "versions/a.py"
    assert relative(tmp_path / "link" / "a.py", root) == "versions/a.py"
    assert relative(tmp_path / "b.py", root) == "versions/a.py"
    assert relative(tmp_path / "c.py", root) == str(tmp_path.resolve() / "c.py")


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("down_revision = 'a1'", ("a1",)),
        ("down_revision: str | None = 'a1'", ("a1",)),
        ("down_revision = ('a1', 'b2')", ("a1", "b2")),
        ("revision = 'x'\ndown_revision = ['a1']", ("a1",)),
        ("down_revision = None", ()),
        ("down_revision: str", ()),
        ("revision = 'a1'", ()),
        ("module.down_revision = 'a1'", ()),
        ("down_revision = ", ()),
        ("\0", ()),
    ],
)
def test_what_a_script_assigns_is_read_from_its_text(text: str, ids: tuple[str, ...]) -> None:
    assert _assigned(text, "down_revision") == ids
