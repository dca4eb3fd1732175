"""`overproof init` in a project without an environment, where nothing is started: what it prints, asks, writes and repeats."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.cli import main
from app.gate.commands import init
from app.gate.commands._verification import Verification
from app.gate.commands.setup.ci_job import find_requirement
from app.gate.commands.verify import INTERRUPTED
from app.gate.configuration import read_configuration
from app.gate.errors import CannotVerify, CommandNeverReachedAlembic, OtherDatabase
from app.gate.report.model import Report
from tests.gate.preflight import pending

INI = "[alembic]\nscript_location = migrations\nsqlalchemy.url = postgresql://shop@db/shop\n"
ENV = "engine = engine_from_config(config)\n"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project, as the directory in which the command is typed. There is no Python to be asked, and no Git."""
    place = tmp_path / "shop"
    (place / "migrations").mkdir(parents=True)
    (place / "alembic.ini").write_text(INI)
    (place / "migrations" / "env.py").write_text(ENV)
    (place / "requirements.txt").write_text("alembic\npsycopg2-binary\n")
    monkeypatch.chdir(place)
    monkeypatch.setenv("PATH", str(tmp_path / "no programs"))
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "FLASK_APP", "ALEMBIC_CONFIG", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    return place


FACTS = f"""\
Migrations Alembic (alembic.ini)
Database   sqlalchemy.url in alembic.ini: sqlalchemy.url={{url+psycopg2}}
Packages   pip (requirements.txt)
Python     none was found
CI         GitHub Actions (--ci)
Overproof  {find_requirement()}, as the job installs it
"""
SECTION = "    [overproof]\n    set =\n        sqlalchemy.url={url+psycopg2}\n"


def shown(path: Path) -> str:
    """A file with the margin with which it is printed."""
    return "".join(f"    {line}" if line.strip() else line for line in path.read_text().splitlines(keepends=True))


def test_what_was_found_out_and_what_was_written_is_printed(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--no-run", "--ci", "github"]) == 0

    workflow = shop / ".github" / "workflows" / "overproof.yml"
    assert capsys.readouterr().out == (
        f"{FACTS}\nAdded to alembic.ini\n\n{SECTION}\nWrote .github/workflows/overproof.yml\n\n{shown(workflow)}"
    )
    assert (shop / "alembic.ini").read_text() == f"{INI}\n[overproof]\nset =\n    sqlalchemy.url={{url+psycopg2}}\n"


def test_a_dry_run_prints_the_same_and_writes_nothing(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--dry-run", "--ci", "github"]) == 0

    printed = capsys.readouterr().out
    start = (
        f"{FACTS}\nWould be added to alembic.ini\n\n{SECTION}\nWould be written: .github/workflows/overproof.yml\n\n"
    )
    assert printed.startswith(start)
    assert (shop / "alembic.ini").read_text() == INI
    assert not (shop / ".github").exists()


def test_without_a_ci_system_there_is_nothing_about_a_job(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--no-run", "--ci", "none"]) == 0

    assert capsys.readouterr().out == (
        "Migrations Alembic (alembic.ini)\n"
        "Database   sqlalchemy.url in alembic.ini: sqlalchemy.url={url+psycopg2}\n"
        "Python     none was found\n"
        "CI         none was found: --ci github or --ci gitlab writes a job\n"
        f"\nAdded to alembic.ini\n\n{SECTION}"
    )


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        (".github/workflows/overproof.yml", "name: mine\n", "is there"),
        (".github/workflows/checks.yml", "- run: overproof verify\n", "runs `overproof verify`"),
    ],
)
def test_what_stands_there_is_kept_and_what_it_would_have_been_is_printed(
    shop: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, what: str
) -> None:
    (shop / ".github" / "workflows").mkdir(parents=True)
    (shop / name).write_text(text)
    (shop / "alembic.ini").write_text(f"{INI}\n[overproof]\ntimeout = 9\n")
    before = {path: path.read_bytes() for path in shop.rglob("*") if path.is_file()}

    assert main(["init", "--no-run"]) == 0

    _, printed = capsys.readouterr().out.split("\nCI         GitHub Actions (.github/workflows)\n")
    not_written = "so nothing was written there. It would have been:\n\n"
    assert printed.partition("\n")[2].startswith(
        f"\nalembic.ini has [overproof] already, {not_written}{SECTION}\n{name} {what} already, {not_written}    # Proves"
    )
    assert {path: path.read_bytes() for path in shop.rglob("*") if path.is_file()} == before


def test_what_is_left_to_do_by_hand_comes_after_the_file(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shop / ".gitlab-ci.yml").write_text("stages: [test]\n")
    note = "\n\nAdd to .gitlab-ci.yml:\n\n    include:\n      - local: .gitlab/overproof.yml\n"

    assert main(["init", "--dry-run"]) == 0
    assert capsys.readouterr().out.endswith(note)

    (shop / ".gitlab").mkdir()
    (shop / ".gitlab" / "overproof.yml").write_text("overproof: {script: [overproof verify]}\n")
    assert main(["init", "--dry-run"]) == 0
    assert "Add to" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("env", "words", "lines"),
    [
        (
            "import os\nurl = os.environ['SHOP_DB']\nkey = os.environ['SHOP_KEY']\nport = os.environ['SHOP_PORT']\n",
            [],
            [
                "Migrations Alembic (alembic.ini)",
                "Database   SHOP_DB (migrations/env.py:2): SHOP_DB={url+psycopg2}",
                "Made up    SHOP_KEY=x and SHOP_PORT=x: without them the code does not start",
            ],
        ),
        (
            "import os\nurl = os.environ['SHOP_DB']\nkey = os.environ['SHOP_KEY']\n",
            ["--env", "SHOP_DB={url}"],
            ["Migrations Alembic (alembic.ini)", "Database   SHOP_DB (migrations/env.py:2): SHOP_DB={url}"],
        ),
        (
            "engine = async_engine_from_config(config)\n",
            ["--set", "a={url}", "--set", "b=2", "--", "./migrate.sh"],
            [
                "Migrations a command with an async env.py (typed)",
                "Database   sqlalchemy.url in alembic.ini: a={url}, b=2",
            ],
        ),
        (
            "url = 'sqlalchemy.url', make()\n",
            ["--env", "SHOP_DB={url}", "--set", "b=2"],
            [
                "Migrations Alembic (alembic.ini)",
                "Database   DATABASE_URL (assumed: nothing else was found): SHOP_DB={url}, b=2",
            ],
        ),
    ],
)
def test_what_is_typed_takes_the_place_of_what_is_found(
    shop: Path, capsys: pytest.CaptureFixture[str], env: str, words: list[str], lines: list[str]
) -> None:
    (shop / "migrations" / "env.py").write_text(env)

    assert main(["init", "--dry-run", "--ci", "none", *words]) == 0

    printed, _, _ = capsys.readouterr().out.partition("\nPython ")
    assert printed.splitlines() == lines


def test_a_note_on_the_url_comes_after_the_facts(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shop / "alembic.ini").write_text("[alembic]\ndatabases = one, two\n\n[one]\n\n[two]\n")

    assert main(["init", "--dry-run", "--ci", "none"]) == 0

    assert "writes a job\n\nalembic.ini has several databases (one and two)" in capsys.readouterr().out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> Terminal:
    """What is printed on a terminal on which those lines are typed."""
    output = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal("".join(f"{line}\n" for line in lines)))
    monkeypatch.setattr(sys, "stdout", output)
    return output


@pytest.mark.parametrize(
    ("lines", "variable", "ci"),
    [
        (["", ""], "DATABASE_URL", "none was found: --ci github or --ci gitlab writes a job"),
        (["two words", " APP_DB ", "jenkins", "gitlab"], "APP_DB", "GitLab CI (as you say)"),
    ],
)
def test_on_a_terminal_it_asks_until_the_answer_can_be_used(
    shop: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], variable: str, ci: str
) -> None:
    (shop / "migrations" / "env.py").write_text("")
    output = typed(monkeypatch, *lines)

    assert main(["init", "--dry-run"]) == 0

    printed = output.getvalue()
    which, system = "Which environment variable has the URL of the database? [DATABASE_URL] ", "Which CI system ("
    assert (printed.count(which), printed.count(system)) == (len(lines) // 2, len(lines) // 2)
    assert "Which CI system (github, gitlab or none)? [none] " in printed
    assert f"Database   {variable} (typed): {variable}={{url+psycopg2}}\n" in printed
    assert f"CI         {ci}\n" in printed


@pytest.mark.parametrize("words", [["--env", "A={url}"], ["--set", "a={url}"]])
def test_it_does_not_ask_for_what_is_typed(shop: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    (shop / "migrations" / "env.py").write_text("")
    output = typed(monkeypatch)

    assert main(["init", "--dry-run", "--ci", "none", *words]) == 0

    assert "Which" not in output.getvalue()


@pytest.mark.parametrize("stdin", [None, io.StringIO(), Terminal()])
def test_it_asks_only_where_both_ends_are_a_terminal(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stdin: io.StringIO | None
) -> None:
    (shop / "migrations" / "env.py").write_text("")
    output = io.StringIO() if isinstance(stdin, Terminal) else Terminal()
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(sys, "stdin", stdin)

    init.run(argparse.Namespace(command_words=[], env=[], set=[], ci=None, no_run=False, dry_run=True))

    assert "Which" not in output.getvalue()


@pytest.mark.parametrize("lines", [(), ("APP_DB",)])
def test_whoever_answers_no_question_ends_it(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lines: Sequence[str]
) -> None:
    (shop / "migrations" / "env.py").write_text("")
    typed(monkeypatch, *lines)

    assert main(["init"]) == 130

    assert capsys.readouterr().err == "overproof: interrupted\n"
    assert (shop / "alembic.ini").read_text() == INI


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (PermissionError(13, "Permission denied", "alembic.ini"), "cannot write alembic.ini: Permission denied"),
        (OSError(28, "No space left on device"), "cannot write the settings: No space left on device"),
        (CannotVerify("it cannot be"), "it cannot be"),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_what_keeps_it_from_writing_is_one_line(
    shop: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    line: str,
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(init, "write_section", fail)

    assert main(["init", "--no-run", "--ci", "none"]) == (130 if isinstance(error, KeyboardInterrupt) else 2)

    assert capsys.readouterr().err == f"overproof: {line}\n"


class Runs:
    """In place of the runs: each ends with the next of those failures, then one with a report that passes."""

    def __init__(self, *failures: CannotVerify | None) -> None:
        self.failures = [*failures]
        self.typed: list[list[str]] = []

    def __call__(self, verification: Verification, arguments: argparse.Namespace, environ: object) -> Report:
        self.typed.append([*arguments.typed[1:]])
        verification.failure = self.failures.pop(0) if self.failures else None
        return pending.report() if verification.failure is None else verification.error(str(verification.failure))


NEVER = "it ended before Alembic"


def run(monkeypatch: pytest.MonkeyPatch, *failures: CannotVerify | None) -> tuple[int, list[list[str]]]:
    """The status of `overproof init`, and what each of its runs was given."""
    runs = Runs(*failures)
    monkeypatch.setattr(init, "conclude", runs)
    return main(["init", "--ci", "none"]), runs.typed


def test_what_works_is_written_and_its_report_comes_last(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, runs = run(monkeypatch, None)

    assert (status, runs) == (0, [["--set", "sqlalchemy.url={url+psycopg2}"]])
    _, report = capsys.readouterr().out.split(f"\nAdded to alembic.ini\n\n{SECTION}\n")
    assert "PASSED" in report
    assert read_configuration(shop).options == {"sqlalchemy.url": "{url+psycopg2}"}


def test_a_command_and_both_kinds_of_settings_are_tried_before_they_are_written(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs()
    monkeypatch.setattr(init, "conclude", runs)

    assert main(["init", "--ci", "none", "--env", "A={url}", "--set", "b=2", "--", "./migrate.sh", "--all"]) == 0

    assert runs.typed == [["--env", "A={url}", "--set", "b=2", "--", "./migrate.sh", "--all"]]
    configured = read_configuration(shop)
    assert (configured.command, configured.env, configured.options) == (
        ("./migrate.sh", "--all"),
        {"A": "{url}"},
        {"b": "2"},
    )


def test_an_error_corrects_the_settings_and_what_was_assumed_is_dropped_for_what_it_names(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (shop / "migrations" / "env.py").write_text("")
    first = CommandNeverReachedAlembic(NEVER, ["--env", "KEY=x"])
    second = CommandNeverReachedAlembic(NEVER, ["--env", "DB={url}", "--set", "sqlalchemy.echo=1"])

    status, runs = run(monkeypatch, first, second)

    assert status == 0
    assert runs == [
        ["--env", "DATABASE_URL={url+psycopg2}"],
        ["--env", "DATABASE_URL={url+psycopg2}", "--env", "KEY=x"],
        ["--env", "DB={url}", "--set", "sqlalchemy.echo=1"],
    ]
    assert capsys.readouterr().err == (
        "overproof: the command needs --env KEY=x\n"
        "overproof: the command needs --env DB={url} --set sqlalchemy.echo=1\n"
    )
    configured = read_configuration(shop)
    assert (configured.env, configured.options) == ({"DB": "{url}"}, {"sqlalchemy.echo": "1"})


def test_what_was_found_is_kept_whatever_an_error_adds(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shop / "migrations" / "env.py").write_text("import os\nos.environ['SHOP_DB']\n")

    _, runs = run(monkeypatch, CommandNeverReachedAlembic(NEVER, ["--env", "OTHER={url}"]))

    assert runs[-1] == ["--env", "SHOP_DB={url+psycopg2}", "--env", "OTHER={url}"]


@pytest.mark.parametrize(
    ("options", "number"),
    [([f"{n}={n}" for n in range(9)], 4), (["sqlalchemy.url={url+psycopg2}"], 1), (["a=1", "a=1", "a=1"], 2)],
)
def test_it_gives_up_after_some_runs_or_where_nothing_changes(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str], number: int
) -> None:
    status, runs = run(monkeypatch, *(CommandNeverReachedAlembic(NEVER, ["--set", each]) for each in options))

    assert (status, len(runs)) == (2, number)
    *_, last = capsys.readouterr().err.splitlines()
    assert last == (
        f"overproof: {NEVER}; nothing was written: name what is missing, as in overproof init --env NAME={{url}}, or write the"
        " settings all the same with --no-run"
    )
    assert (shop / "alembic.ini").read_text() == INI


@pytest.mark.parametrize(
    ("failure", "is_written"),
    [(OtherDatabase("another one"), False), (CommandNeverReachedAlembic(NEVER), False), (CannotVerify("what"), True)],
)
def test_settings_are_written_where_the_command_got_to_alembic(
    shop: Path, monkeypatch: pytest.MonkeyPatch, failure: CannotVerify, is_written: bool
) -> None:
    status, runs = run(monkeypatch, failure)

    assert (status, len(runs)) == (2, 1)
    assert ((shop / "alembic.ini").read_text() != INI) is is_written


def test_settings_that_are_there_are_tried_as_they_are(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shop / "alembic.ini").write_text(f"{INI}\n[overproof]\ntimeout = 9\n")

    status, runs = run(monkeypatch, CommandNeverReachedAlembic(NEVER, ["--set", "a=1"]))

    assert (status, runs) == (2, [[]])


def test_an_interrupted_run_writes_nothing(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _ = run(monkeypatch, CannotVerify(INTERRUPTED))

    assert (status, capsys.readouterr().err) == (130, f"overproof: {INTERRUPTED}\n")
    assert (shop / "alembic.ini").read_text() == INI
