"""A made-up history that grows longer without a larger schema."""

from __future__ import annotations

from pathlib import Path

from tests.bench.history import write_history

MOST_TABLES = 8  # reached with an odd revision, so that after an odd number of revisions none is left to undo


def test_a_full_history_grows_longer_with_the_same_models(tmp_path: Path) -> None:
    write_history(tmp_path / "short", 41, MOST_TABLES)
    write_history(tmp_path / "long", 121, MOST_TABLES)
    short, long = (_read(tmp_path / name) for name in ("short", "long"))
    assert short["shop/models.py"] == long["shop/models.py"]
    assert short["shop/models.py"].count("__tablename__") == MOST_TABLES
    assert short.items() <= long.items(), "a longer history begins with the shorter"
    assert len(long) - len(short) == 80


def test_a_history_that_never_fills_up_is_as_without_a_limit(tmp_path: Path) -> None:
    write_history(tmp_path / "without", 40)
    write_history(tmp_path / "with", 40, most_tables=100)
    assert _read(tmp_path / "with") == _read(tmp_path / "without")


def _read(project: Path) -> dict[str, str]:
    return {str(path.relative_to(project)): path.read_text() for path in project.rglob("*") if path.is_file()}
