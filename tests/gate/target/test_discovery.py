"""What can be found out about a project: its command, its interpreter, its drivers; and what is said where there is none."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from app.gate.errors import CannotVerify
from app.gate.target import discovery
from app.gate.target.discovery import (
    check_command,
    check_configuration,
    default_command,
    default_environment,
    find_program,
    importable_drivers,
    interpreter_of,
    is_supported_platform,
    read_template,
)
from app.gate.target.target import Target


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "ALEMBIC_CONFIG", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


def write_program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("name", "text", "interpreter"),
    [
        ("python3.11", "", "HERE/python3.11"),
        ("python", "", "HERE/python"),
        ("pythonic", "", None),
        ("alembic", "#!/opt/python3 -u\n", "/opt/python3"),
        ("alembic", "#!/opt/python3\n'''exec' /opt/pypy\n", "/opt/python3"),
        ("alembic", "#!/usr/bin/env python3\n", "HERE/bin/python3"),
        ("alembic", "#!/usr/bin/env python2\n", None),
        ("alembic", "#!/usr/bin/env\n", None),
        ("alembic", "#!/bin/sh\n'''exec' \"/opt/my shop/python3\" \"$0\" \"$@\"\n", "/opt/my shop/python3"),
        ("alembic", "#!/bin/sh\nexec /opt/python3\n", None),
        ("alembic", "#!/python/bash\n", None),
        ("alembic", "#!\n", None),
        ("alembic", "print('#!/opt/python3')\n", None),
        ("alembic", "\x7fELF\n#!/opt/python3\n", None),
        ("alembic", "", None),
    ],
)  # fmt: skip
def test_the_interpreter_is_what_the_first_line_of_a_script_names(
    tmp_path: Path, name: str, text: str, interpreter: str | None
) -> None:
    python = write_program(tmp_path / "bin" / "python3", "")
    write_program(tmp_path / name, text)

    found = interpreter_of((f"./{name}", "upgrade", "head"), tmp_path, str(python.parent))

    assert found == (interpreter.replace("HERE", str(tmp_path)) if interpreter else None)


def test_a_program_that_is_not_there_has_no_interpreter_and_no_drivers(tmp_path: Path) -> None:
    assert interpreter_of(("./alembic",), tmp_path) is None
    assert importable_drivers(("./alembic",), tmp_path) == []


def test_a_program_is_a_file_that_may_be_executed(tmp_path: Path) -> None:
    program = write_program(tmp_path / "bin" / "migrate", "")
    (tmp_path / "bin" / "folder").mkdir()
    (tmp_path / "bin" / "text").touch()

    assert find_program("bin/migrate", tmp_path) == program
    assert find_program("migrate", tmp_path, str(program.parent)) == program
    assert find_program("migrate", tmp_path, str(tmp_path)) is None
    assert find_program("bin/folder", tmp_path) is None
    assert find_program("bin/text", tmp_path) is None


@pytest.mark.processes
def test_the_drivers_are_those_that_the_interpreter_can_import_the_best_first(tmp_path: Path) -> None:
    importable = [name for name in ("psycopg2", "psycopg", "asyncpg", "pg8000") if find_spec(name)]
    assert importable[:2] == ["psycopg2", "psycopg"]

    assert importable_drivers((sys.executable, "-m", "alembic"), tmp_path) == importable


@pytest.mark.processes
@pytest.mark.parametrize(
    ("text", "drivers"),
    [
        ("#!/bin/sh\necho asyncpg pg8000\n", ["asyncpg", "pg8000"]),
        ("#!/bin/sh\necho asyncpg\nexit 1\n", []),
        ("#!/nowhere\n", []),
    ],
)
def test_an_interpreter_that_cannot_be_run_has_no_drivers(tmp_path: Path, text: str, drivers: list[str]) -> None:
    write_program(tmp_path / "python", text)

    assert importable_drivers(("./python",), tmp_path) == drivers


@pytest.mark.parametrize(
    ("url", "importable", "value"),
    [
        ("", [], "{url}"),
        ("", ["psycopg", "asyncpg"], "{url+psycopg}"),
        ("postgresql+pg8000://me@localhost/a+b", ["psycopg"], "{url+pg8000}"),
        ("postgresql://me:a+b@localhost/shop", ["psycopg"], "{url+psycopg}"),
        ("postgres://me@localhost/shop", [], "{url}"),
        ("mysql+pymysql://me@localhost/shop", ["psycopg"], "{url+psycopg}"),
    ],
)
def test_the_driver_is_that_of_the_variable_else_one_that_can_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, importable: list[str], value: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setattr(discovery, "importable_drivers", lambda *_: importable)

    assert default_environment(("alembic",), tmp_path) == {"DATABASE_URL": value}


FLASK = "# café\nfrom flask import current_app\n"
NOTHING = (
    ": change to the directory in which you run alembic, or name the command that upgrades the project's database:"
    " overproof verify -- COMMAND …"
)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, NOTHING),
        ({".tox/alembic.ini": "", "a/b/alembic.ini": ""}, NOTHING),
        ({"pyproject.toml": "[tool.ruff]\n"}, NOTHING),
        (
            {"b/alembic.ini": "", "a/alembic.ini": ""},
            ", but a/alembic.ini is there: type cd a && overproof verify, or overproof verify -- alembic -c a/alembic.ini upgrade head",
        ),
        (
            {"a/alembic.ini": "", "a/env.py": "", "b/alembic.ini": "", "b/env.py": FLASK},
            ", and b/ is Flask-Migrate's: type overproof verify -- flask db upgrade --directory b",
        ),
        (
            {"a/alembic.ini": "", "migrations/alembic.ini": "", "migrations/env.py": FLASK},
            ", and migrations/ is Flask-Migrate's: type overproof verify -- flask db upgrade",
        ),
    ],
)
def test_without_a_configuration_the_line_says_what_to_type(tmp_path: Path, files: dict[str, str], told: str) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "latin-1")

    with pytest.raises(CannotVerify) as refusal:
        check_configuration(tmp_path)

    assert str(refusal.value) == f"there is no alembic.ini in {tmp_path}{told}"


def test_what_the_user_has_typed_is_typed_again(tmp_path: Path) -> None:
    with pytest.raises(CannotVerify, match="project's database: overproof graph -- COMMAND …"):
        check_configuration(tmp_path, "overproof graph")


@pytest.mark.parametrize("name", ["alembic.ini", "pyproject.toml", "ALEMBIC_CONFIG"])
def test_any_configuration_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    if name == "ALEMBIC_CONFIG":
        monkeypatch.setenv(name, "deploy.ini")
    else:
        (tmp_path / name).write_text("# café\n[tool.alembic]\n", "latin-1")

    check_configuration(tmp_path)


def test_the_environments_without_alembic_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "alembic.ini").touch()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    monkeypatch.setenv("VIRTUAL_ENV", "/active")
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(CannotVerify) as refusal:
        default_command(tmp_path)

    assert str(refusal.value) == (
        f"there is no alembic in /active and {tmp_path / '.venv'}: activate the project's environment, or name its upgrade"
        " command: overproof verify -- COMMAND …"
    )


def test_a_program_that_is_not_there_is_told_also_that_of_prepare(tmp_path: Path) -> None:
    program = str(write_program(tmp_path / "migrate", ""))

    check_command(Target((program,), directory=tmp_path))
    check_command(Target((program,), prepare=(program,), directory=tmp_path))
    with pytest.raises(CannotVerify, match="the command is empty: name the one that upgrades"):
        check_command(Target((), directory=tmp_path))
    for target in (Target(("x/y",), directory=tmp_path), Target((program,), prepare=("x/y",), directory=tmp_path)):
        with pytest.raises(CannotVerify) as refusal:
            check_command(target)
        assert str(refusal.value) == (
            f"there is no program 'x/y' in {tmp_path} or on PATH: give its path, such as .venv/bin/alembic"
        )


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file or directory"), (b"\xff", "it is not UTF-8 text")]
)
def test_a_template_that_cannot_be_read_is_told(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "app.ini"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(CannotVerify) as refusal:
        read_template(path)

    assert str(refusal.value) == f"cannot read the template {path}: {reason}"


def test_a_template_is_read_as_utf_8(tmp_path: Path) -> None:
    (tmp_path / "app.ini").write_bytes("url = {url}\nname = café\n".encode())

    assert read_template(tmp_path / "app.ini") == "url = {url}\nname = café\n"


@pytest.mark.parametrize(("platform", "is_supported"), [("linux", True), ("darwin", True), ("win32", False)])
def test_a_driver_needs_a_unix_socket(monkeypatch: pytest.MonkeyPatch, platform: str, is_supported: bool) -> None:
    monkeypatch.setattr(sys, "platform", platform)

    assert is_supported_platform() is is_supported
