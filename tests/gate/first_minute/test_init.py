"""`overproof init` for each ordinary project: what it finds out, what it writes, and that it is proved."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import COMMANDS, main, parser_for
from app.gate.commands import init
from app.gate.configuration import read_configuration
from app.gate.server.throwaway import Server
from tests.gate.first_minute.ordinary import write

INIT = next(each for each in COMMANDS if each.name == "init")
ROOT = Path(__file__).parents[3]

# the project: (the file that gets the settings, env, set)
PROJECTS: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "plain": ("alembic.ini", {}, {"sqlalchemy.url": "{url+psycopg2}"}),
    "url": ("alembic.ini", {}, {"sqlalchemy.url": "{url+psycopg2}"}),
    "async": ("alembic.ini", {}, {"sqlalchemy.url": "{url+asyncpg}"}),
    "pyproject": ("pyproject.toml", {}, {"sqlalchemy.url": "{url+psycopg2}"}),
    "environ": ("alembic.ini", {"SHOP_DATABASE_URL": "{url+psycopg2}"}, {}),
    "pydantic": ("alembic.ini", {"SHOP_DB_URL": "{url+psycopg2}", "SHOP_SECRET_KEY": "x", "SHOP_WORKERS": "1"}, {}),
    "parts": (
        "alembic.ini",
        {
            "DB_HOST": "{host}",
            "DB_PORT": "{port}",
            "DB_USER": "{user}",
            "DB_PASSWORD": "{password}",
            "DB_NAME": "{database}",
        },
        {},
    ),
    "multidb": ("alembic.ini", {}, {"databases": "engine1", "engine1:sqlalchemy.url": "{url+psycopg2}"}),
    "flask": ("setup.cfg", {"DATABASE_URL": "{url+psycopg2}"}, {}),
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "VIRTUAL_ENV",
        "CONDA_PREFIX",
        "DATABASE_URL",
        "OVERPROOF_DATABASE_URL",
        "FLASK_APP",
        "ALEMBIC_CONFIG",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.processes  # the project's Python is asked for its drivers
@pytest.mark.parametrize("kind", PROJECTS)
def test_the_settings_are_found_out(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = write(tmp_path / "shop", kind)
    monkeypatch.chdir(place)
    name, env, options = PROJECTS[kind]
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file() and not path.is_symlink()}
    capsys.readouterr()

    assert main(["init", "--no-run", "--ci", "github"]) == 0

    output = capsys.readouterr().out
    configured = read_configuration(place)
    assert (configured.env, configured.options) == (env, options)
    assert configured.command == (("flask", "db", "upgrade") if kind == "flask" else ())
    made_up = "Made up    SHOP_SECRET_KEY=x and SHOP_WORKERS=1: without them the code does not start"
    assert (made_up in output) == (kind == "pydantic")
    assert ("with an async env.py" in output) == (kind == "async")
    assert f"\n{'Added to' if place / name in before else 'Wrote'} {name}\n" in output
    assert "\nWrote .github/workflows/overproof.yml\n" in output
    assert all(path.read_bytes().startswith(content) for path, content in before.items())


@pytest.mark.processes
def test_nothing_that_stands_there_is_changed_and_it_is_shown_what_would_have_been_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = write(tmp_path / "shop", "environ")
    workflow = place / ".github" / "workflows" / "overproof.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text("name: mine\n")
    with (place / "alembic.ini").open("a") as file:
        file.write("[overproof]\ntimeout = 9\n")
    monkeypatch.chdir(place)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    capsys.readouterr()

    assert main(["init", "--no-run"]) == 0

    output = capsys.readouterr().out
    assert "\nalembic.ini has [overproof] already, so nothing was written there. It would have been:\n" in output
    assert f"\n{workflow.relative_to(place)} is there already, so nothing was written there." in output
    assert "    [overproof]\n    env =\n        SHOP_DATABASE_URL={url+psycopg2}\n" in output
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


@pytest.mark.processes
def test_both_files_are_written_also_when_their_reader_has_exited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = write(tmp_path / "shop", "plain")
    monkeypatch.chdir(place)

    def print_or_fail(text: str = "") -> None:
        if text.startswith("\nAdded to"):
            raise BrokenPipeError

    monkeypatch.setattr(init, "_print", print_or_fail)
    with pytest.raises(BrokenPipeError):
        init.run(parser_for(INIT).parse_args(["init", "--no-run", "--ci", "github"]))

    assert read_configuration(place).options
    assert (place / ".github" / "workflows" / "overproof.yml").is_file()


@pytest.mark.processes
def test_a_dry_run_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = write(tmp_path / "shop", "plain")
    monkeypatch.chdir(place)
    before = sorted(place.rglob("*"))
    capsys.readouterr()

    assert main(["init", "--dry-run", "--ci", "gitlab", "--env", "APP_DB={url}"]) == 0

    output = capsys.readouterr().out
    assert "\nWould be added to alembic.ini\n\n    [overproof]\n    env =\n        APP_DB={url}\n" in output
    assert "\nWould be written: .gitlab-ci.yml\n" in output
    assert sorted(place.rglob("*")) == before


@pytest.mark.processes
@pytest.mark.parametrize(
    ("words", "files", "line"),
    [
        ([], {}, "overproof: there is no alembic.ini in "),
        (
            [],
            {"backend/alembic.ini": "[alembic]\n"},
            "type cd backend && overproof init, or overproof init -- alembic -c backend/alembic.ini upgrade head",
        ),
        (
            ["--env", "APP_DB"],
            {"alembic.ini": "[alembic]\n"},
            "overproof: --env: 'APP_DB' is not of the form NAME=VALUE",
        ),
        ([], {"alembic.ini": "[overproof]\nx = 1\n"}, "overproof: alembic.ini, [overproof]: there is no setting 'x'"),
    ],
)
def test_what_it_cannot_do_is_one_line(
    words: list[str],
    files: dict[str, str],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)

    assert main(["init", *words]) == 2

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert line in captured.err


def type_in(place: Path, server_url: str, *words: str) -> subprocess.CompletedProcess[str]:
    outer = {name: value for name, value in os.environ.items() if name != "CI"}
    return subprocess.run(
        [sys.executable, str(ROOT / "app" / "bin" / "overproof"), "init", *words],
        cwd=place,
        env={**outer, "PYTHONPATH": str(ROOT), "OVERPROOF_DATABASE_URL": server_url, "VIRTUAL_ENV": sys.prefix},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_only_the_run_shows_corrects_the_settings_and_its_report_comes_last(
    tmp_path: Path, server: Server
) -> None:
    place = write(tmp_path / "shop", "settings")  # made of the environment by a function: the source names no variable

    ended = type_in(place, server.create_database().url())

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert read_configuration(place).env == {"DB_URL": "{url+psycopg2}", "SECRET_KEY": "x"}
    assert "DATABASE_URL (assumed: nothing else was found)" in ended.stdout
    written, _, report = ended.stdout.partition("\nAdded to alembic.ini\n")
    assert "\nPASSED: nothing to report.\n" in report
    assert "none was found: --ci github or --ci gitlab writes a job" in written


def test_settings_that_do_not_lead_to_alembic_are_not_written(tmp_path: Path, server: Server) -> None:
    place = write(tmp_path / "shop", "plain")
    (place / "migrations" / "env.py").write_text("raise SystemExit('no licence')\n")
    before = (place / "alembic.ini").read_bytes()

    ended = type_in(place, server.create_database().url(), "--ci", "github")

    assert ended.returncode == 2
    assert "no licence" in ended.stderr
    assert "; nothing was written: name what is missing, as in overproof init --env NAME={url}" in ended.stderr
    assert (place / "alembic.ini").read_bytes() == before
    assert not (place / ".github").exists()


@pytest.mark.processes
def test_on_a_terminal_it_asks_for_what_it_cannot_find_out(tmp_path: Path) -> None:
    place = write(tmp_path / "shop", "settings")
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "r+b", buffering=0) as terminal:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "app" / "bin" / "overproof"), "init", "--dry-run"],
            cwd=place, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=theirs, stdout=theirs, stderr=theirs,
        )  # fmt: skip
        os.close(theirs)
        terminal.write(b"APP_DB\nnone\n")
        output = b""
        while True:
            try:
                part = terminal.read(10_000)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            output += part

    assert process.wait() == 0
    text = output.decode().replace("\r", "")
    assert "Which environment variable has the URL of the database? [DATABASE_URL]" in text
    assert "Which CI system (github, gitlab or none)? [none]" in text
    assert "        APP_DB={url+psycopg2}\n" in text
