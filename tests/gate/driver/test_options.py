"""Options of the Alembic configuration that are set in the command's process."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from alembic.config import Config

from app.gate.driver.overproof_driver.options import take_over


def test_the_options_are_over_what_the_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "alembic.ini").write_text("[alembic]\nsqlalchemy.url = old\nscript_location = here\n[other]\na = b\n")
    options = [["", "sqlalchemy.url", "new%40"], ["other", "a", "c"], ["third", "x", "y"]]
    monkeypatch.setenv("OVERPROOF_SET", json.dumps(options))

    class OfProject(Config):
        """As it is imported by the command."""

    OfProject.file_config = Config.__dict__["file_config"]  # type: ignore[method-assign]
    take_over(SimpleNamespace(Config=OfProject))

    config = OfProject(tmp_path / "alembic.ini")
    assert config.get_section("alembic") == {
        "sqlalchemy.url": "new%40", "script_location": "here", "here": str(tmp_path)
    }  # fmt: skip
    assert (config.get_section_option("other", "a"), config.get_section_option("third", "x")) == ("c", "y")
    assert OfProject(tmp_path / "alembic.ini", ini_section="other").get_main_option("sqlalchemy.url") == "new%40"
