"""Where the scripts of each history of a project are, by its configuration and by every env.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.gate.history.sides import Folders
from app.gate.target.script_folders import find_script_folders
from tests.gate.history.test_git_base import git

pytestmark = pytest.mark.processes
COMMAND = ("alembic", "upgrade", "head")


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALEMBIC_CONFIG", raising=False)


def found(place: Path, files: dict[str, str], command: tuple[str, ...] = COMMAND) -> list[Folders]:
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return find_script_folders(place, command)


INI = "[alembic]\nscript_location = %(here)s/db\n"
SCRIPT = {"db/versions/a.py": ""}


@pytest.mark.parametrize(
    ("files", "command", "folders"),
    [
        ({"alembic.ini": INI, **SCRIPT}, COMMAND, ["db/versions"]),
        ({"alembic.ini": INI, "other.ini": INI.replace("db", "b"), "b/versions/a.py": "", **SCRIPT}, ("alembic", "-c", "other.ini"), ["b/versions"]),
        ({"other.ini": INI, **SCRIPT}, ("alembic", "--config=other.ini"), ["db/versions"]),
        ({"pyproject.toml": '[tool.alembic]\nscript_location = "%(here)s/db"\n', **SCRIPT}, COMMAND, ["db/versions"]),
        ({"alembic.ini": INI + "path_separator = space\nversion_locations = db/versions db/b db/absent\n", "db/b/a.py": "", **SCRIPT}, COMMAND, ["db/versions db/b"]),
        ({"alembic.ini": INI.replace("%(here)s/db", "shop.db:inner/db"), "src/shop/db/inner/db/versions/a.py": ""}, COMMAND, ["src/shop/db/inner/db/versions"]),
        ({"alembic.ini": INI.replace("%(here)s/db", "shop:db"), "shop/db/versions/a.py": "", "src/shop/db/versions/a.py": ""}, COMMAND, ["shop/db/versions"]),
        ({"alembic.ini": INI.replace("%(here)s/db", "shop:db"), "back/shop/db/versions/a.py": ""}, COMMAND, ["back/shop/db/versions"]),
        ({"alembic.ini": "[one]\nscript_location = db\n[two]\nscript_location = b\n[three]\nkeys = x\n[four]\nscript_location = db\n", "b/versions/a.py": "", **SCRIPT}, COMMAND, ["db/versions", "b/versions"]),
        ({"alembic.ini": "[one]\nscript_location = %(no)s\n[two]\nscript_location = db\n", **SCRIPT}, COMMAND, ["db/versions"]),
        ({"alembic.ini": "[alembic]\nkeys = x\n", **SCRIPT}, COMMAND, []),
        ({"alembic.ini": "no section\n"}, COMMAND, []),
        ({}, COMMAND, []),
    ],
)  # fmt: skip
def test_the_folders_are_those_of_each_section_of_the_configuration(
    tmp_path: Path, files: dict[str, str], command: tuple[str, ...], folders: list[str]
) -> None:
    expected = [Folders(tuple(tmp_path / each for each in named.split()), False) for named in folders]

    assert found(tmp_path, files, command) == expected


def test_the_variable_names_the_configuration_where_the_command_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALEMBIC_CONFIG", "other.ini")

    assert found(tmp_path, {"other.ini": INI, **SCRIPT}) == [Folders((tmp_path / "db" / "versions",), False)]


def test_folders_below_are_searched_where_the_configuration_says_so(tmp_path: Path) -> None:
    ini = INI + "recursive_version_locations = true\n"

    assert found(tmp_path, {"alembic.ini": ini, **SCRIPT}) == [Folders((tmp_path / "db" / "versions",), True)]


def test_each_env_py_beside_versions_is_another_history(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    files = {
        "alembic.ini": INI + "recursive_version_locations = true\n",
        "db/env.py": "",
        "stock/env.py": "",
        "stock/versions/a.py": "",
        "no_env.py": "",
        "versions/a.py": "",
        "alone/env.py": "",
        **SCRIPT,
    }

    assert found(tmp_path, files) == [
        Folders((tmp_path / "db" / "versions",), True), Folders((tmp_path / "stock" / "versions",), False)
    ]  # fmt: skip
