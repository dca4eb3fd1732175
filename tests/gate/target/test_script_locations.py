"""Where Alembic looks for scripts, found without Alembic."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.gate.errors import CannotVerify
from app.gate.target.script_locations import find_script_locations, target_of

COMMAND = ("alembic", "upgrade", "head")


def write(directory: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)


@pytest.mark.parametrize(
    ("files", "command", "folders"),
    [
        ({"alembic.ini": "[alembic]\nscript_location = db\n", "db/versions/a.py": ""}, COMMAND, ["db/versions"]),
        (
            {"alembic.ini": "[alembic]\nscript_location = %(here)s/db\n", "db/versions/a.py": ""},
            COMMAND,
            ["db/versions"],
        ),
        (
            {"deploy/alembic.ini": "[main]\nscript_location = %(here)s/db\n", "deploy/db/versions/a.py": ""},
            ("venv/bin/alembic", "-c", "deploy/alembic.ini", "-n", "main", "upgrade", "heads"),
            ["deploy/db/versions"],
        ),
        (
            {"pyproject.toml": '[tool.alembic]\nscript_location = "%(here)s/db"\n', "db/versions/a.py": ""},
            COMMAND,
            ["db/versions"],
        ),
        (
            {
                "pyproject.toml": '[tool.alembic]\nscript_location = "db"\nversion_locations = ["db/a", "%(here)s/db/b"]\n',
                "db/a/a.py": "",
            },
            COMMAND,
            ["db/a", "db/b"],
        ),
        (
            {
                "alembic.ini": "[alembic]\nscript_location = db\npath_separator = os\nversion_locations = db/a:%(here)s/db/b c\n",
                "db/a/a.py": "",
            },
            COMMAND,
            ["db/a", "db/b c"],
        ),
        (
            {
                "alembic.ini": "[alembic]\nscript_location = db\nversion_path_separator = newline\nversion_locations =\n  db/a\n  db/b\n",
                "db/a/a.py": "",
            },
            COMMAND,
            ["db/a", "db/b"],
        ),
        (
            {
                "alembic.ini": "[alembic]\nscript_location = db\nversion_locations = db/a, db/b db/c\n",
                "db/a/a.py": "",
            },
            COMMAND,
            ["db/a", "db/b", "db/c"],
        ),
        (
            {"alembic.ini": "[alembic]\nscript_location = shop.db:migrations\n", "src/shop/db/migrations/versions/a.py": ""},
            COMMAND,
            ["src/shop/db/migrations/versions"],
        ),
        (
            {
                "alembic.ini": "[alembic]\nscript_location = shop:db\nprepend_sys_path = %(here)s/lib\n",
                "lib/shop/db/versions/a.py": "",
            },
            COMMAND,
            ["lib/shop/db/versions"],
        ),
        (
            {"migrations/alembic.ini": "[alembic]\n", "migrations/versions/a.py": "", "migrations/env.py": "current_app"},
            COMMAND,
            ["migrations/versions"],
        ),
        (
            {"backend/alembic.ini": "[alembic]\nscript_location = db\n", "backend/db/versions/a.py": ""},
            ("alembic", "-c", "backend/alembic.ini", "upgrade", "head"),
            ["backend/db/versions"],
        ),
        ({"alembic.ini": "[alembic]\n", "versions/a.py": ""}, COMMAND, ["versions"]),
        (
            {"db/alembic.ini": "[alembic]\n", "db/versions/a.py": "", "db/env.py": "current_app"},
            ("flask", "db", "upgrade", "-d", "db"),
            ["db/versions"],
        ),
        (
            {"alembic.ini": "[alembic]\nscript_location = db\n", "db/versions/a.py": ""},
            ("make", "migrate"),
            ["db/versions"],
        ),
    ],
)  # fmt: skip
def test_the_folders_of_each_kind_of_project(
    tmp_path: Path, files: dict[str, str], command: tuple[str, ...], folders: list[str]
) -> None:
    write(tmp_path, files)

    found = find_script_locations(command, tmp_path)

    assert found.folders == tuple(tmp_path / folder for folder in folders)


def test_folders_below_are_searched_if_the_configuration_says_so(tmp_path: Path) -> None:
    ini = "[alembic]\nscript_location = db\nrecursive_version_locations = true\n"
    write(tmp_path, {"alembic.ini": ini, "db/versions/a.py": ""})

    assert find_script_locations(COMMAND, tmp_path).is_recursive


@pytest.mark.parametrize(
    ("files", "command", "words"),
    [
        ({}, COMMAND, "there is no alembic.ini"),
        (
            {"backend/alembic.ini": ""},
            COMMAND,
            "type cd backend && overproof graph --check, or overproof graph --check -- alembic -c backend/alembic.ini upgrade head",
        ),
        ({"alembic.ini": "[alembic]\nscript_location = db\n"}, COMMAND, "db/versions does not exist"),
        ({"alembic.ini": "[other]\n"}, COMMAND, "no script_location in alembic.ini"),
        ({}, ("alembic", "-c", "x.ini", "upgrade", "head"), "there is no Alembic configuration x.ini"),
        ({"alembic.ini": "[alembic]\nscript_location = shop:db\n"}, COMMAND, "the package of shop:db is not in"),
    ],
)
def test_what_cannot_be_found_is_named(
    tmp_path: Path, files: dict[str, str], command: tuple[str, ...], words: str
) -> None:
    write(tmp_path, files)

    with pytest.raises(CannotVerify, match=words):
        find_script_locations(command, tmp_path)


@pytest.mark.parametrize(
    ("command", "target"),
    [
        (COMMAND, "head"),
        (("alembic", "upgrade", "heads"), "heads"),
        (("alembic", "-c", "heads.ini", "upgrade", "--sql", "billing@head"), "billing@head"),
        (("flask", "db", "upgrade"), "head"),
        (("./migrate.sh",), "head"),
    ],
)
def test_what_the_command_upgrades_to(command: tuple[str, ...], target: str) -> None:
    assert target_of(command) == target


@pytest.mark.parametrize(
    ("value", "is_recursive"),
    [("true", True), ("True", True), ("yes", True), ("on", True), ("1", True), ("false", False), ("no", False), ("0", False), ("", False)],
)  # fmt: skip
def test_folders_below_are_read_where_the_setting_is_one_of_alembics_words(
    tmp_path: Path, value: str, is_recursive: bool
) -> None:
    ini = f"[alembic]\nscript_location = db\nrecursive_version_locations = {value}\n"
    write(tmp_path, {"alembic.ini": ini, "db/versions/a.py": ""})

    assert find_script_locations(COMMAND, tmp_path).is_recursive is is_recursive
