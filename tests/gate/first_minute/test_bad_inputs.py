"""What is typed by mistake: exit status 2, and one line that says what to do. None of these starts a program."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.cli import main

INI = "[alembic]\nscript_location = migrations\n"

# (what is typed after `overproof verify`, files that are there, the line)
CASES = [
    (["--env", "DATABASE_URL={ur}"], {}, "--env DATABASE_URL: there is no placeholder {ur}: did you mean {url}?"),
    (["--set", "sqlalchemy.url"], {}, "--set: 'sqlalchemy.url' is not of the form NAME=VALUE"),
    (["--set", "sqlalchemy.url={dsn}"], {}, "--set sqlalchemy.url: there is no placeholder {dsn}: did you mean {url}?"),
    (
        ["--output", "json:out/report.json"],
        {},
        "--output: there is no directory out, so out/report.json cannot be written",
    ),
    (
        ["--output", "pdf"],
        {},
        "--output: there is no format 'pdf'; the formats are text, json, markdown, github",
    ),
    (["--recording", "out/x.json"], {}, "--recording: there is no directory out"),
    (["--select", "upgrade", "--ignore", "upgrade"], {}, "nothing would be checked: no check is left"),
    (["--select", "round-tripp"], {}, "--select: there is no check called 'round-tripp': did you mean 'round-trip'?"),
    (["--fail-on", "warnings"], {}, "--fail-on: can be error, warning or never, not 'warnings'"),
    (["--timeout", "0"], {}, "--timeout: is a number of seconds above 0, not '0'"),
    (["--base", "origin/main"], {}, "--base origin/main names no commit here (fatal: not a git repository"),
    (["--file", "app.ini=missing"], {}, "cannot read the template "),
    (["--write-baseline"], {}, "--write-baseline needs a file: add --baseline FILE"),
    (["--baseline", "known.json"], {}, "there is no baseline known.json: create it with --write-baseline"),
    (["--submit", "shop"], {}, "--submit: 'shop' is not the URL of a project"),
    ([], {"setup.cfg": "[overproof]\ntime-out = 1\n"}, "setup.cfg, [overproof]: there is no setting 'time-out'"),
    ([], {"setup.cfg": "[overproof]\nset = x\n"}, "setup.cfg, [overproof]: set: 'x' is not of the form NAME=VALUE"),
]

WITHOUT_A_COMMAND = [
    ({}, "there is no alembic.ini in "),
    ({"alembic.ini": INI}, "there is no alembic in "),
    (
        {"backend/alembic.ini": INI},
        "type cd backend && overproof verify, or overproof verify -- alembic -c backend/alembic.ini",
    ),
    (
        {"migrations/alembic.ini": "", "migrations/env.py": "from flask import current_app\n"},
        "type overproof verify -- flask db upgrade",
    ),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and an environment that says nothing."""
    monkeypatch.chdir(tmp_path)
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "DATABASE_URL", "OVERPROOF_DATABASE_URL", "OVERPROOF_TOKEN", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


def refusal(capsys: pytest.CaptureFixture[str], words: list[str], files: dict[str, str]) -> str:
    """The line after which the command ends with status 2, without any other output or file."""
    for name, text in files.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text)
    before = sorted(Path().rglob("*"))

    assert main(["verify", *words]) == 2

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("overproof: ")
    assert captured.err.count("\n") == 1
    assert sorted(Path().rglob("*")) == before
    return captured.err.removeprefix("overproof: ").rstrip("\n")


@pytest.mark.parametrize(("words", "files", "line"), CASES)
def test_a_mistake_is_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], files: dict[str, str], line: str
) -> None:
    said = refusal(capsys, [*words, "--", "true"], files)

    assert said.startswith(line)
    assert said[0].islower() or said[0] == "-"
    assert not said.endswith(".")


@pytest.mark.parametrize(("files", "line"), WITHOUT_A_COMMAND)
def test_without_a_command_the_line_says_what_to_type(
    capsys: pytest.CaptureFixture[str], files: dict[str, str], line: str
) -> None:
    assert line in refusal(capsys, [], files)
