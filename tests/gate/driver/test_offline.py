"""Files that env.py writes in offline mode."""

from __future__ import annotations

import builtins
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.gate.driver.overproof_driver.offline import keep_sql_files_away


@pytest.fixture
def kept_away() -> Iterator[None]:
    originals = builtins.open, io.open
    keep_sql_files_away()
    yield
    builtins.open, io.open = originals


@pytest.mark.parametrize("mode", ["w", "a", "x", "wb", "r+"])
def test_an_sql_file_is_neither_written_nor_made(kept_away, tmp_path, mode):
    there = tmp_path / "there.sql"
    Path.write_bytes(there.with_suffix(".txt"), b"-- mine")
    there.with_suffix(".txt").rename(there)

    for path in (there, str(there), tmp_path / "other.sql"):
        with open(path, mode) as file:  # noqa: PTH123 - as env.py does
            file.write(b"x" if "b" in mode else "x")
    Path(tmp_path / "third.sql").write_text("x")

    assert there.read_text() == "-- mine"
    assert [each.name for each in tmp_path.iterdir()] == ["there.sql"]


def test_other_files_are_opened_as_ever(kept_away, tmp_path):
    (tmp_path / "notes.txt").write_text("x")

    with open(tmp_path / "notes.txt", "a") as file:  # noqa: PTH123 - as env.py does
        file.write("y")

    assert (tmp_path / "notes.txt").read_text() == "xy"
