"""The command line of the gate: options, reports, exit statuses."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from app.cli import main
from app.gate.base_cache import BaseCache
from app.gate.checks.base import Check, Finding
from app.gate.checks.registry import CHECKS
from app.gate.commands import _submission, _verification
from app.gate.commands._record import Destination
from app.gate.errors import CannotVerify, ServerUnavailable
from app.gate.history.choose_base import ChosenBase
from app.gate.history.repository import Commit
from app.gate.judging import judge as judging
from app.gate.recording.model import ALL_EVIDENCE, Evidence, Recording
from app.gate.recording.recorded_statements import RecordedStatement
from app.gate.report.model import Report
from app.gate.report.verdict import NOT_ASKED_FOR, Severity
from app.gate.reporters import FORMATS
from app.gate.server.database import Database
from app.gate.server.throwaway import Server
from app.gate.target.target import Target
from tests.gate.checks.builders import failure, recording, revision, trip
from tests.gate.commands.conftest import Record
from tests.gate.projects import COMMAND, script, write_project
from tests.gate.report.test_schema import VALIDATOR

ROOT = Path(__file__).parents[3]

SOUND = recording(trip("a1"))
BROKEN = recording(trip("a1", up_failure=failure('relation "orders" does not exist')))


class Gate:
    """Stands in for the server and the recorder, so that a test is about the command line alone."""

    def __init__(self) -> None:
        self.result: list[Recording] | BaseException = [SOUND]
        self.database_url: str | None = None
        self.target: Target | None = None
        self.base: str | None = None
        self.same_schema_as: Commit | None = None
        self.statements: Sequence[RecordedStatement] = ()
        self.evidence = ALL_EVIDENCE

    version = "18.6"
    stand_ins: ClassVar[Mapping[str, str]] = {}

    def end(self) -> None: ...

    @contextmanager
    def throwaway_server(
        self, url: str | None, *, base_backup: Path | None = None, supervisor: None = None
    ) -> Iterator[Gate]:
        self.database_url = url
        yield self

    def record(
        self,
        target: Target,
        server: Gate,
        on_progress: Callable[[str, int, int], None],
        base: str | None = None,
        base_cache: BaseCache | None = None,
        evidence: frozenset[Evidence] = ALL_EVIDENCE,
        evidence_of_merged: frozenset[Evidence] = ALL_EVIDENCE,
        same_schema_as: Commit | None = None,
        statements: Sequence[RecordedStatement] = (),
    ) -> list[Recording]:
        self.statements = statements
        self.target, self.base, self.evidence, self.same_schema_as = target, base, evidence, same_schema_as
        on_progress("walk", 1, 1)
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Gate:
    """The command line in an empty folder, with an environment that says nothing."""
    gate = Gate()
    monkeypatch.setattr(_verification, "throwaway_server", gate.throwaway_server)
    monkeypatch.setattr(_verification, "Supervisor", nullcontext)
    monkeypatch.setattr("app.gate.recorder.record", gate.record)
    monkeypatch.chdir(tmp_path)
    for name in (
        "OVERPROOF_DATABASE_URL",
        "OVERPROOF_TOKEN",
        "DATABASE_URL",
        "VIRTUAL_ENV",
        "GITHUB_STEP_SUMMARY",
        "CI",
    ):
        monkeypatch.delenv(name, raising=False)
    return gate


def run(*arguments: str, command: tuple[str, ...] = ("true",)) -> int:
    return main(["verify", *arguments, "--", *command])


def report_at(path: Path | str) -> Report:
    text = Path(path).read_text()
    VALIDATOR.validate(json.loads(text))
    return Report.model_validate_json(text)


# Exit statuses


def test_a_sound_history_passes(gate: Gate, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0

    assert "\nPASSED: nothing to report.\n" in capsys.readouterr().out


def test_a_broken_history_fails(gate: Gate, capsys: pytest.CaptureFixture[str]) -> None:
    gate.result = [BROKEN]

    assert run() == 1

    assert "\nFAILED: 1 error.\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "error", [CannotVerify("the command never reached Alembic"), ServerUnavailable("nobody listens there")]
)
def test_what_cannot_be_verified_is_said_in_one_line(
    gate: Gate, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    gate.result = error

    assert run() == 2

    captured = capsys.readouterr()
    assert captured.err == f"overproof: {error}\n"
    assert captured.out == ""


def test_an_interrupted_run_says_so_and_reports_it(gate: Gate, capsys: pytest.CaptureFixture[str]) -> None:
    gate.result = KeyboardInterrupt()

    assert run("--output", "json:report.json") == 130

    assert capsys.readouterr().err == "overproof: interrupted\n"
    assert report_at("report.json").reason == "interrupted"


def test_a_defect_of_our_own_is_reported_with_its_traceback(gate: Gate, capsys: pytest.CaptureFixture[str]) -> None:
    gate.result = ZeroDivisionError("division by zero")

    assert run("--output", "json:report.json") == 2

    error = capsys.readouterr().err
    assert error.startswith("Traceback")
    assert error.endswith(
        "overproof: this is a defect of Overproof, please report it: ZeroDivisionError: division by zero\n"
    )
    assert report_at("report.json").verdict == "error"


def test_a_check_that_crashes_gives_status_2_and_the_findings_of_the_others(
    gate: Gate, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(walked: Recording) -> list[Finding]:
        raise LookupError("oh")

    gate.result = [BROKEN]
    checks = (Check("broken", Severity.ERROR, crash), *CHECKS)
    monkeypatch.setattr(judging, "judge", partial(judging.judge, checks=checks))

    assert run() == 2

    captured = capsys.readouterr()
    assert "a check crashed, which is a defect of Overproof: broken (LookupError: oh)" in captured.err
    assert 'relation "orders" does not exist' in captured.out


def test_fail_on_decides(gate: Gate) -> None:
    gate.result = [BROKEN]

    assert run("--fail-on", "never") == 0


# What to run


def test_options_reach_the_target(gate: Gate, tmp_path: Path) -> None:
    (tmp_path / "template.ini").write_text("url = {url}\n")

    run(
        *("--env", "URL={url+psycopg}", "--env", "MODE=a=b", "--file", "app.ini=template.ini"),
        *("--prepare", "python -c 'pass'", "--timeout", "7.5"),
        command=("flask", "db", "upgrade", "--directory", "x"),
    )

    assert gate.target == Target(
        command=("flask", "db", "upgrade", "--directory", "x"),
        environment={"URL": "{url+psycopg}", "MODE": "a=b"},
        files={tmp_path / "app.ini": "url = {url}\n"},
        prepare=("python", "-c", "pass"),
        directory=tmp_path,
        timeout_s=7.5,
    )


def test_the_command_line_wins_over_the_configuration(gate: Gate, tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text(
        "[overproof]\ncommand = false\ntimeout = 1\nenv =\n  A = 1\n  B = 2\nignore = upgrade, round-trip\nfail-on = never\n"
    )
    gate.result = [BROKEN]

    assert run("--timeout", "9", "--env", "B=3", "--select", "upgrade", "--fail-on", "error") == 1

    assert gate.target is not None
    assert gate.target.command == ("true",)
    assert gate.target.timeout_s == 9
    assert gate.target.environment == {"A": "1", "B": "3"}


def test_the_configuration_says_what_the_command_line_does_not(gate: Gate, tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text("[overproof]\ncommand = flask db upgrade\nfail-on = never\nenv =\n  A = 1\n")
    gate.result = [BROKEN]

    assert main(["verify"]) == 0

    assert gate.target is not None
    assert gate.target.command == ("flask", "db", "upgrade")


def test_a_check_that_few_projects_need_is_run_where_it_is_asked_for(gate: Gate, tmp_path: Path) -> None:
    def reason(*options: str) -> str | None:
        run(*options, "--output", "json:report.json")
        return next(each.reason for each in report_at("report.json").checks if each.id == "concurrent-upgrade")

    assert reason() == NOT_ASKED_FOR
    assert reason("--select", "concurrent-upgrade", "--select", "upgrade") != NOT_ASKED_FOR
    (tmp_path / "setup.cfg").write_text("[overproof]\nseverity =\n  concurrent-upgrade = warning\n")
    assert reason() != NOT_ASKED_FOR


def test_another_history_is_compared_with_where_it_is_named_and_then_it_is_no_base(
    gate: Gate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    for words in (("init", "-q", "-b", "main"), (*who, "commit", "-q", "--allow-empty", "-m", "one")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    (tmp_path / "setup.cfg").write_text("[overproof]\nbase = main\n")
    gate.result = [SOUND]

    run("--base", "none")
    assert gate.same_schema_as is None
    assert Evidence.OTHER_HISTORY not in gate.evidence

    run("--same-schema-as", "main", "--select", "upgrade")
    assert gate.base is None
    assert str(gate.same_schema_as).startswith("Commit(ref='main', id=")
    assert Evidence.OTHER_HISTORY in gate.evidence

    assert run("--same-schema-as", "gone") == 2
    assert "--same-schema-as gone names no commit here" in capsys.readouterr().err


def test_statements_of_production_are_read_from_their_file(
    gate: Gate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sent.sql"
    assert run("--statements", str(file)) == 2
    file.write_text("SELECT 1;")
    assert run("--statements", str(file)) == 2
    file.write_text("-- overproof-statements/1\n")
    assert run("--statements", str(file)) == 2
    file.write_text("-- overproof-statements/1\n-- overproof: statement\nSELECT 1; DROP TABLE orders\n")
    assert run("--statements", str(file)) == 2

    assert [line.partition("sent.sql ")[2] for line in capsys.readouterr().err.splitlines()] == [
        "cannot be read: No such file or directory",
        f"is no file of statements: its first line is not -- overproof-statements/1; overproof statements URL > {file} writes one",
        "has no statement in it",
        "has several statements in one record (SELECT 1; DROP TABLE orders …): begin each with a line -- overproof: statement",
    ]

    file.write_text("-- overproof-statements/1\n-- overproof: statement\nSELECT 1;\n")
    gate.result = [replace(SOUND, not_observed={"recorded": "there is no base"})]
    assert run("--statements", str(file)) == 0
    assert gate.statements == (RecordedStatement("SELECT 1"),)
    assert "the statements of --statements were not tried: there is no base" in capsys.readouterr().out
    gate.result = [SOUND]
    assert run("--statements", str(file), "--select", "upgrade") == 0
    assert "were not tried: breaking-change is not selected" in capsys.readouterr().out


def test_what_no_selected_check_needs_is_not_recorded(gate: Gate) -> None:
    run("--select", "round-trip", "--select", "data-loss")

    assert gate.evidence == {Evidence.LOCKS, Evidence.POPULATED}


def test_the_base_reaches_the_recorder_and_the_report(gate: Gate) -> None:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", *who, "commit", "-q", "--allow-empty", "-m", "one"], check=True)

    run("--base", "HEAD", "--output", "json:report.json")

    assert gate.base == "HEAD"
    assert report_at("report.json").target.base == "HEAD"


def test_a_base_that_cannot_be_read_is_refused_before_anything_runs(
    gate: Gate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--base", "origin/main") == 2

    assert capsys.readouterr().err.startswith(
        "overproof: --base origin/main names no commit here (fatal: not a git repository"
    )
    assert gate.target is None


def test_without_a_command_it_is_alembic_of_the_projects_environment(gate: Gate, tmp_path: Path) -> None:
    alembic = tmp_path / ".venv" / "bin" / "alembic"
    alembic.parent.mkdir(parents=True)
    alembic.write_text("#!/bin/sh\n")
    (tmp_path / "alembic.ini").write_text("[alembic]\n")

    assert main(["verify", "--output", "json:report.json"]) == 0

    assert gate.target is not None
    assert gate.target.command == (str(alembic), "upgrade", "head")


@pytest.mark.parametrize(
    ("option", "variable", "url"),
    [
        (None, None, None),
        (None, "", None),
        (None, "postgresql://a", "postgresql://a"),
        ("postgresql://b", "postgresql://a", "postgresql://b"),
    ],
)
def test_the_server_is_named_by_option_or_variable(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, option: str | None, variable: str | None, url: str | None
) -> None:
    if variable is not None:
        monkeypatch.setenv("OVERPROOF_DATABASE_URL", variable)

    run(*(["--database-url", option] if option else []))

    assert gate.database_url == url


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--select", "round-tripp"], "--select: there is no check called 'round-tripp': did you mean 'round-trip'?"),
        (["--ignore", "zzzzz"], "--ignore: there is no check called 'zzzzz': `overproof explain` lists them all"),
        (["--fail-on", "notice"], "--fail-on: can be error, warning or never, not 'notice'"),
        (["--timeout", "soon"], "--timeout: is a number of seconds above 0, not 'soon'"),
        (["--env", "DATABASE_URL"], "--env: 'DATABASE_URL' is not of the form NAME=VALUE"),
        (["--prepare", "a 'b"], "--prepare: is not a command (No closing quotation)"),
        (["--file", "a=missing.ini"], "cannot read the template "),
        (["--baseline", "known.json"], "there is no baseline known.json: create it with --write-baseline"),
        (["--write-baseline"], "--write-baseline needs a file: add --baseline FILE"),
        (["--select", "upgrade", "--ignore", "upgrade"], "nothing would be checked: no check is left of those"),
    ],
)
def test_an_option_that_cannot_be_used_is_refused_in_one_line_and_reported(
    gate: Gate, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(*arguments, "--output", "json:report.json") == 2

    error = capsys.readouterr().err
    assert error.startswith(f"overproof: {message}")
    assert error.count("\n") == 1
    assert report_at("report.json").verdict == "error"
    assert gate.target is None


def test_a_broken_configuration_is_refused_in_one_line(
    gate: Gate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "setup.cfg").write_text("[overproof]\ntime-out = 1\n")

    assert run() == 2

    assert capsys.readouterr().err == (
        "overproof: setup.cfg, [overproof]: there is no setting 'time-out': did you mean 'timeout'?\n"
    )


def test_an_abbreviated_option_is_no_option(gate: Gate, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("--data", "x")

    assert ended.value.code == 2


# Reports


def test_every_report_that_is_asked_for_is_written(gate: Gate, capsys: pytest.CaptureFixture[str]) -> None:
    gate.result = [BROKEN]
    Path("out").mkdir()

    status = run(*(f"--output={name}:out/{name}" for name in FORMATS))

    assert status == 1
    for name in FORMATS:
        assert "orders" in Path("out", name).read_text()
    assert capsys.readouterr().out == Path("out", "text").read_text()
    assert {path.name for path in Path("out").iterdir()} == set(FORMATS)


def test_every_report_that_is_asked_for_is_written_when_nothing_could_be_verified(gate: Gate) -> None:
    gate.result = CannotVerify("the command never reached Alembic")
    Path("out").mkdir()

    status = run(*(f"--output={name}:out/{name}" for name in FORMATS))

    assert status == 2
    for name in FORMATS:
        assert "the command never reached Alembic" in Path("out", name).read_text()


@pytest.mark.parametrize("output", ["json", "json:-"])
def test_a_format_without_a_file_goes_to_standard_output_alone(
    gate: Gate, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    run("--output", output)

    captured = capsys.readouterr()
    assert json.loads(captured.out)["verdict"] == "pass"
    assert captured.err == ""


def test_annotations_and_text_can_share_a_log(gate: Gate, capsys: pytest.CaptureFixture[str]) -> None:
    gate.result = [BROKEN]

    run("--output", "text", "--output", "github")

    lines = capsys.readouterr().out.splitlines()
    assert "FAILED: 1 error." in lines
    assert lines[-1].startswith("::error file=versions/a1.py,line=10,title=upgrade in a1::")


def test_the_github_format_appends_to_the_summary_of_the_job(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")

    run("--output", "github")

    assert "The migrations pass" in Path("summary.md").read_text()


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (
            ["yaml"],
            "--output: there is no format 'yaml'; the formats are text, json, markdown, github, gitlab, sarif, junit",
        ),
        (["json:"], "--output: 'json:' names no file after the colon"),
        (["json:."], "--output: . is a directory: name a file"),
        (
            ["json:missing/report.json"],
            "--output: there is no directory missing, so missing/report.json cannot be written",
        ),
        (
            ["json:/proc/version/x"],
            "--output: there is no directory /proc/version, so /proc/version/x cannot be written",
        ),
        (["text:a.txt", "json:/proc/x"], "--output: /proc/x cannot be written: "),
        (["json", "sarif"], "--output: json and sarif would be mixed on standard output: write one of them to a file"),
    ],
)
def test_an_output_that_cannot_be_is_refused_in_one_line(
    gate: Gate, capsys: pytest.CaptureFixture[str], outputs: list[str], message: str
) -> None:
    assert run(*(f"--output={each}" for each in outputs)) == 2

    assert capsys.readouterr().err.startswith(f"overproof: {message}")
    assert gate.target is None
    assert list(Path().iterdir()) == []


def test_a_report_that_cannot_be_written_is_status_2_in_one_line_and_leaves_the_old_one(
    gate: Gate, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("report.json").write_text("the old one")

    def no_space(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", no_space)

    assert run("--output", "json:report.json", "--output", "junit:junit.xml") == 2

    assert capsys.readouterr().err == (
        "overproof: cannot write the json report to report.json: No space left on device\n"
        "overproof: cannot write the junit report to junit.xml: No space left on device\n"
    )
    assert [path.name for path in Path().iterdir()] == ["report.json"]
    assert Path("report.json").read_text() == "the old one"


def test_a_report_may_go_to_a_device(gate: Gate) -> None:
    assert run("--output", f"json:{os.devnull}") == 0

    assert not Path(os.devnull).is_file()


def test_a_link_to_a_report_stays_a_link(gate: Gate) -> None:
    Path("elsewhere").mkdir()
    Path("report.json").symlink_to("elsewhere/report.json")

    run("--output", "json:report.json")

    assert Path("report.json").is_symlink()
    assert Path("elsewhere/report.json").is_file()


def test_no_password_of_the_command_gets_into_a_report(gate: Gate) -> None:
    run("--output", "json:report.json", command=("true", "--url", "postgresql://me:s3cret@db/app"))

    assert "s3cret" not in Path("report.json").read_text()


def test_the_log_of_a_job_gets_a_line_per_phase(
    gate: Gate, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")

    run()

    assert capsys.readouterr().err.splitlines() == [
        "overproof: preparing PostgreSQL: 1 server",
        "overproof: upgrading, downgrading and upgrading again: 1 revision",
    ]


# Baselines


def test_a_baseline_is_written_and_from_then_on_only_what_is_new_fails(gate: Gate) -> None:
    gate.result = [BROKEN]

    assert run("--baseline", "known.json", "--write-baseline") == 0
    assert run("--baseline", "known.json") == 0

    gate.result = [
        recording(
            trip("a1", up_failure=failure('relation "orders" does not exist')),
            trip("b2", up_failure=failure('relation "users" does not exist')),
            revisions=[revision("a1"), revision("b2", "a1")],
        )
    ]
    assert run("--baseline", "known.json", "--output", "json:report.json") == 1
    accepted = {each.revision: each.allowed for each in report_at("report.json").findings if each.check == "upgrade"}
    assert accepted == {"a1": "in the baseline known.json", "b2": None}


# For real


INDEXES = "op.create_index('ix_note', 'orders', ['note'])\nop.create_index('ix_both', 'orders', ['id', 'note'])"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two revisions; the second one's downgrade forgets an index."""
    columns = "sa.Column('id', sa.Integer, primary_key=True), sa.Column('note', sa.Text)"
    return write_project(
        tmp_path / "project",
        {
            "a1": script("a1", None, f"op.create_table('orders', {columns})", "op.drop_table('orders')"),
            "b2": script("b2", "a1", INDEXES, "op.drop_index('ix_note')"),
        },
    )


def overproof(
    directory: Path, database: Database, *arguments: str, command: tuple[str, ...] = COMMAND, **environment: str
) -> subprocess.Popen[str]:
    """`overproof verify` as a process of its own, on databases of its own of the server that runs for the tests."""
    kept = {
        name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "GITHUB_STEP_SUMMARY", "CI"}
    }
    return subprocess.Popen(
        [sys.executable, "-m", "app", "verify", *arguments, "--", *command],
        cwd=directory,
        env={**kept, "PYTHONPATH": str(ROOT), "OVERPROOF_DATABASE_URL": database.url(), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str], timeout_s: float) -> tuple[str, str]:
    """What it printed, less the lines that say now and then where a run is that takes long."""
    out, err = process.communicate(timeout=timeout_s)
    lines = [line for line in err.splitlines(keepends=True) if not line.startswith("overproof: after ")]
    return out, "".join(lines)


def databases(database: Database) -> set[str]:
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database")
        return {name for (name,) in cursor.fetchall()}


def until(condition: Callable[[], Any], patience_s: float = 30.0) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def test_a_real_project_is_verified_and_nothing_is_left_behind(project: Path, blank_database: Database) -> None:
    before = databases(blank_database)

    process = overproof(project, blank_database, "--output", "json:report.json")
    out, err = ended(process, 120)

    assert (process.returncode, err) == (1, "")
    assert "error round-trip at migrations/versions/b2.py:" in out
    report = report_at(project / "report.json")
    assert report.target.script_location == "migrations"
    assert [each.revision for each in report.graph.revisions] == ["a1", "b2"]
    assert report.snapshot
    assert databases(blank_database) == before


def test_a_command_that_never_reaches_alembic_is_status_2(project: Path, blank_database: Database) -> None:
    process = overproof(project, blank_database, command=(sys.executable, "-c", "print('hello')"))
    out, err = ended(process, 60)

    assert process.returncode == 2
    assert out == ""
    assert err.startswith("overproof: the command never reached Alembic")
    assert err.count("\n") == 1


def test_a_server_that_does_not_answer_is_status_2_without_its_password(
    project: Path, blank_database: Database
) -> None:
    process = overproof(project, blank_database, "--database-url", "postgresql://me:s3cret@127.0.0.1:1/app")
    out, err = ended(process, 60)

    assert process.returncode == 2
    assert err.startswith("overproof: ")
    assert err.count("\n") == 1
    assert "s3cret" not in out + err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing_behind(
    project: Path, blank_database: Database, server: Server, number: signal.Signals
) -> None:
    before = databases(blank_database)
    (project / "migrations/versions/c3.py").write_text(
        script("c3", "b2", "import pathlib, time\npathlib.Path('reached').touch()\ntime.sleep(600)", "pass")
    )

    process = overproof(project, blank_database, "--output", "json:report.json")
    until((project / "reached").exists)
    process.send_signal(number)
    out, err = ended(process, 60)

    assert (process.returncode, out, err) == (130, "", "overproof: interrupted\n")
    assert report_at(project / "report.json").reason == "interrupted"
    until(lambda: databases(blank_database) == before)


def test_no_one_reading_the_report_is_no_trouble(project: Path, blank_database: Database) -> None:
    process = overproof(project, blank_database)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, err = ended(process, 120)

    assert (process.returncode, err) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_full_disk_is_one_line_and_status_2(project: Path, blank_database: Database) -> None:
    process = overproof(project, blank_database, "--output", "json:/dev/full")
    _, err = ended(process, 120)

    assert process.returncode == 2
    assert err == "overproof: cannot write the json report to /dev/full: No space left on device\n"


@pytest.mark.processes
@pytest.mark.parametrize(
    "modules",
    [
        "app.gate.commands.verify",
        "app.gate.recorder, app.gate.base_cache, app.gate.judging.judge, app.gate.reporters.text, app.gate.commands._excerpts",
    ],
    ids=["at first", "in the end"],
)
def test_a_run_does_not_wait_for_what_it_does_not_need(modules: str) -> None:
    unwanted = {"fastapi", "sqlmodel", "rich", "alembic", "mako", "sqlalchemy", "jinja2", "argcomplete", "playwright"}
    code = f"import sys, {modules}; print(*{unwanted!r} & set(sys.modules))"

    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert loaded.stdout.strip() == ""


# The record

SHOP = "https://record.example/api/v1/projects/shop"


def test_a_report_is_submitted_after_it_was_written_and_the_run_is_named(
    gate: Gate, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted: list[tuple[str, str | None, Report]] = []

    def submit(report: Report, destination: Destination, environ: object) -> _submission.Submitted:
        submitted.append((destination.url("/runs"), destination.token, report_at("report.json")))
        return _submission.Submitted("", destination.url("/runs/0000"), ["2 open pull requests fork."])

    monkeypatch.setattr(_submission, "submit", submit)
    monkeypatch.setenv("OVERPROOF_TOKEN", "ovp_secret")
    gate.result = [BROKEN]

    assert run("--submit", SHOP, "--output", "json:report.json") == 1

    ((url, token, report),) = submitted
    assert (url, token, report.verdict) == (f"{SHOP}/runs", "ovp_secret", "fail")
    assert capsys.readouterr().err.endswith(
        f"overproof: submitted to {SHOP}/runs/0000\noverproof: 2 open pull requests fork.\n"
    )


@pytest.mark.parametrize(("options", "status"), [([], 0), (["--submit-required"], 2)])
def test_a_report_that_cannot_be_submitted_is_one_line_and_fails_the_command_only_if_that_is_required(
    gate: Gate, capsys: pytest.CaptureFixture[str], options: list[str], status: int
) -> None:
    assert run("--submit", SHOP, *options) == status

    captured = capsys.readouterr()
    assert captured.err == f"overproof: could not submit the report to {SHOP}: OVERPROOF_TOKEN is not set\n"
    assert "\nPASSED" in captured.out


@pytest.mark.parametrize("options", [["--submit", "shop"], ["--submit-required"]])
def test_a_record_that_cannot_be_is_refused_before_anything_runs(gate: Gate, options: list[str]) -> None:
    assert run(*options) == 2
    assert gate.target is None


def test_the_projects_command_does_not_get_the_token(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERPROOF_TOKEN", "ovp_secret")
    monkeypatch.setattr(_submission, "submit", lambda *arguments: _submission.Submitted("", "", []))

    run("--submit", SHOP)

    assert gate.target is not None
    assert "OVERPROOF_TOKEN" not in os.environ


# What is deployed

SNAPSHOT = {
    "format": "overproof-snapshot/1",
    "taken_at": "2026-11-30T12:00:00Z",
    "revisions": {"public.alembic_version": ["a1"], "audit.alembic_version": None},
    "tables": {"public.orders": {"rows": 12, "bytes": 8192}, "public.events": {"rows": None, "bytes": 0}},
}


def test_findings_are_weighed_by_a_snapshot_in_a_file(gate: Gate, tmp_path: Path) -> None:
    (tmp_path / "shop.json").write_text(json.dumps(SNAPSHOT))
    (tmp_path / "setup.cfg").write_text("[overproof]\nsmall-table-rows = 500\n")

    assert run("--deployed", "shop.json", "--output", "json:report.json") == 0

    deployed = report_at("report.json").deployed
    assert deployed is not None
    assert deployed.model_dump() == {
        "source": "shop.json",
        "taken_at": "2026-11-30T12:00:00Z",
        "revisions": ["a1"],
        "small_table_rows": 500,
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "--deployed: shop.json cannot be read: No such file or directory"),
        ("{", "--deployed: shop.json is not JSON"),
        ("[]", "--deployed: shop.json is not what overproof snapshot prints"),
        ('{"format": "overproof-report/1"}', "its format is 'overproof-report/1', and not 'overproof-snapshot/1'"),
        (json.dumps({**SNAPSHOT, "tables": {"public.orders": {"rows": -1}}}), "is not what overproof snapshot prints"),
        (json.dumps({**SNAPSHOT, "tables": [1]}), "is not what overproof snapshot prints"),
    ],
)
def test_a_file_that_is_no_snapshot_is_refused_in_one_line(
    gate: Gate, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "shop.json").write_text(content)

    assert run("--deployed", "shop.json") == 2

    assert said in capsys.readouterr().err
    assert gate.target is None


def test_the_snapshot_and_the_commit_come_from_the_record(
    gate: Gate, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    record.answers = [
        (200, {}, {"items": [{"id": "0000"}], "next_cursor": None}),
        (200, {}, SNAPSHOT),
        (200, {}, {"items": [{"commit": "5f0c", "status": "live"}, {"commit": "1111", "status": "ended"}]}),
    ]
    monkeypatch.setenv("OVERPROOF_RECORD", record.url)
    monkeypatch.setenv("OVERPROOF_TOKEN", "ovp_secret")
    asked: list[str] = []

    def choose_base(base: str, *_: object) -> ChosenBase:
        asked.append(base)
        return ChosenBase()

    monkeypatch.setattr(_verification, "choose_base", choose_base)

    assert run("--deployed", "record:production", "--base", "deployed", "--output", "json:report.json") == 0

    assert {*record.methods} == {"GET"}
    assert all("Content-Type" not in headers for _, headers, _ in record.requests)
    place = "/api/v1/projects/shop/environments/production"
    assert [path for path, _, _ in record.requests] == [
        f"{place}/snapshots?limit=1",
        f"{place}/snapshots/0000",
        f"{place}/deployments?limit=50",
    ]
    deployed = report_at("report.json").deployed
    assert deployed is not None
    assert (deployed.source, asked) == ("production", ["5f0c"])
    assert "OVERPROOF_TOKEN" not in os.environ


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([(200, {}, {"items": []})], "the record has no snapshot of production"),
        ([(404, {}, {"detail": "There is no such environment."})], "there is no such environment"),
        ([(200, {}, {"items": [{}]})], "the answer is not that of a record"),
    ],
)
def test_a_record_without_a_snapshot_is_refused_in_one_line(
    gate: Gate,
    record: Record,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answers: list[Any],
    said: str,
) -> None:
    record.answers = answers
    monkeypatch.setenv("OVERPROOF_RECORD", record.url)
    monkeypatch.setenv("OVERPROOF_TOKEN", "ovp_secret")

    assert run("--deployed", "record:production") == 2

    assert said in capsys.readouterr().err


def test_the_deployed_commit_is_no_base_where_it_is_not_known(
    gate: Gate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shop.json").write_text(json.dumps(SNAPSHOT))

    assert run("--deployed", "shop.json", "--base", "deployed") == 2

    assert "--base deployed needs the commit that is deployed" in capsys.readouterr().err


def test_a_run_lasts_as_many_milliseconds_as_the_clock_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_verification, "perf_counter", lambda: 12.5004567)
    begun: Any = SimpleNamespace(clock=10.25)

    assert _verification.Verification._duration_ms(begun) == 2250.457
