"""Where the URL comes from, where there is no Python to be asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.gate.commands.setup.url import find_url_of_alembic
from app.gate.target.target import Target


@pytest.mark.parametrize(
    ("requirements", "url"),
    [
        ("alembic\npsycopg2-binary>=2.9\n", "{url+psycopg2}"),
        ("psycopg[binary]==3.2\nasyncpg\n", "{url+psycopg}"),
        ("psycopg2\npsycopg\n", "{url+psycopg2}"),
        ("my-psycopg2-tools\n", "{url}"),
        ("", "{url}"),
    ],
)
def test_the_driver_is_the_one_that_the_project_declares(tmp_path: Path, requirements: str, url: str) -> None:
    (tmp_path / "requirements.txt").write_text(requirements)
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = migrations\n")
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "env.py").write_text("import os\nurl = os.environ['SHOP_DB_URL']\n")

    found = find_url_of_alembic(Target((str(tmp_path / "no" / "python"),), directory=tmp_path))

    assert found.env == {"SHOP_DB_URL": url}
    assert found.place == "SHOP_DB_URL (migrations/env.py:2)"
