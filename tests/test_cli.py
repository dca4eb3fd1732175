"""`overproof …`: what each command prints, how it ends, and what it does not wait for."""

from __future__ import annotations

import argparse
import errno
import io
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import httpx2
import pytest
from alembic.script import ScriptDirectory

from app import __version__, completion
from app.cli import COMMANDS, CommandFailed, main
from app.gate.server.database import Database
from app.projects.commands import SCOPES
from app.projects.models import Scope
from app.schema_version import MIGRATIONS
from app.serve import number

ROOT = Path(__file__).parents[1]
Start = Callable[..., subprocess.Popen[str]]


@pytest.mark.processes
@pytest.mark.parametrize("other", ["app/__init__.py", "app.py"])
def test_a_project_on_the_path_may_have_an_app_of_its_own(tmp_path: Path, other: str) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / other).touch()
    command = [str(Path(sys.executable).with_name("overproof")), "--version"]

    ended = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )

    assert ended.stdout.startswith(f"overproof {__version__}")


@pytest.fixture
def in_database(migrated_database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """What DATABASE_URL names: a database at head, for one test."""
    monkeypatch.setenv("DATABASE_URL", migrated_database.url())
    return migrated_database


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line with which it ended, status 2."""
    assert main(arguments) == 2
    output, line = capsys.readouterr()
    assert output == ""
    assert len(line.splitlines()) == 1
    return line


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_every_command_says_how_it_is_used(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])

    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: overproof {command}")


def test_the_list_of_commands_says_what_each_command_says_of_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = " ".join(capsys.readouterr().out.split())

    for command in COMMANDS:
        assert f"{command.name} {command.summary}" in listed


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["token"], ["serve", "--port", "many"]])
def test_what_cannot_be_understood_ends_with_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)

    assert end.value.code == 2
    assert "usage: overproof" in capsys.readouterr().err


def test_the_version_is_printed_and_no_command_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])

    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"overproof {__version__}")


def test_the_words_are_those_of_the_process_if_none_are_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["overproof", "explain", "single-head"])

    assert main() == 0

    assert "single-head" in capsys.readouterr().out


def ends_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    """The status of a command that such an error ends."""

    def run(arguments: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(completion, "run", run)
    return main(["completion", "bash"])


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (CommandFailed("nothing is there"), 2, "overproof: nothing is there\n"),
        (CommandFailed("not allowed", status=1), 1, "overproof: not allowed\n"),
        (KeyboardInterrupt(), 130, "overproof: interrupted\n"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 141, ""),
        (OSError(errno.EIO, "an error"), 2, "overproof: cannot write to standard output: an error\n"),
    ],
)
def test_what_ends_a_command_is_told_in_one_line_and_by_its_status(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], error: BaseException, status: int, line: str
) -> None:
    assert ends_with(monkeypatch, error) == status

    assert capfd.readouterr().err == line


@pytest.mark.parametrize("error", [OSError(errno.EIO, "an error", "a file"), OSError(errno.ECONNRESET, "reset")])
def test_an_error_that_is_not_of_the_output_is_a_fault(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    with pytest.raises(OSError) as raised:
        ends_with(monkeypatch, error)

    assert raised.value is error


@pytest.mark.parametrize("descriptor", [0, 1, 2])
def test_a_standard_stream_that_is_closed_is_opened_on_nothing(
    descriptor: int, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = os.dup(descriptor)
    try:
        os.close(descriptor)
        status = main(["completion", "bash"])
        opened = os.fstat(descriptor)
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)

    assert status == 0
    assert os.path.samestat(opened, Path(os.devnull).stat())


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_stream_that_python_does_not_have_is_one_on_nothing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(sys, name, None)

    assert main(["completion", "bash"]) == 0

    with getattr(sys, name) as stream:
        assert (stream.name, stream.writable()) == (os.devnull, True)


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_stream_spells_out_what_its_encoding_lacks(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, name, io.TextIOWrapper(written, encoding="ascii"))

    def run(arguments: argparse.Namespace) -> int:
        print("…", file=getattr(sys, name), flush=True)
        return 0

    monkeypatch.setattr(completion, "run", run)

    assert main(["completion", "bash"]) == 0
    assert written.getvalue() == b"\\u2026\n"


@pytest.mark.processes
@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["verify", "--help"], {"fastapi", "sqlmodel", "sqlalchemy", "uvicorn"}),
        (["explain"], {"fastapi", "sqlmodel", "sqlalchemy", "uvicorn"}),
        (["serve", "--help"], {"fastapi", "sqlmodel", "sqlalchemy", "pydantic", "app.gate"}),
        (["token", "--help"], {"fastapi", "sqlmodel", "sqlalchemy", "pydantic", "app.gate"}),
        (["--help"], {"fastapi", "sqlmodel", "sqlalchemy", "pydantic", "app.gate"}),
    ],
)
def test_a_command_waits_for_nothing_that_it_does_not_need(arguments: list[str], unwanted: set[str]) -> None:
    asked = (
        "import sys; from app.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit: pass\n"
        f"print('imported:', *sorted({unwanted!r} & sys.modules.keys()))"
    )

    ended = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)

    assert ended.stdout.splitlines()[-1] == "imported:"


@pytest.mark.processes
def test_whoever_reads_only_the_first_lines_sees_no_complaint() -> None:
    ended = subprocess.run(
        f"{sys.executable} -m app explain | head -n 1", shell=True, cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert ended.stderr == ""


def unbuffered() -> dict[str, str]:
    """Without PYTHONUNBUFFERED, which tox sets: then output waits in a buffer, as it does for users."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


@pytest.mark.processes
@pytest.mark.parametrize("arguments", [["explain"], ["explain", "lock-timeout"], ["verify", "--help"]])
def test_a_reader_that_has_exited_ends_a_command_without_a_complaint(arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)

    ended = subprocess.run(
        [sys.executable, "-m", "app", *arguments], cwd=ROOT, env=unbuffered(), stdout=write, stderr=subprocess.PIPE
    )
    os.close(write)

    assert (ended.returncode, ended.stderr) == (141, b"")


@pytest.mark.processes
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has /dev/full")
@pytest.mark.parametrize("arguments", [["explain"], ["explain", "lock-timeout"], ["verify", "--help"]])
def test_a_full_disk_is_one_line_and_status_2(arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "app", *arguments], cwd=ROOT, env=unbuffered(), stdout=full, stderr=subprocess.PIPE
        )

    line = b"overproof: cannot write to standard output: No space left on device\n"
    assert (ended.returncode, ended.stderr) == (2, line)


def test_the_first_administrators_token_comes_from_the_command_line(
    in_database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = said(capsys, "token", "create", "--admin").strip()

    assert re.fullmatch(r"ovp_[\w-]{43}", secret)
    listed = said(capsys, "token", "list")
    assert f"…{secret[-4:]}  admin   valid, never used  from the command line" in listed
    assert secret not in listed


def test_a_token_that_was_revoked_is_listed_as_that(in_database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "token", "create", "--admin", "--name", "lost")
    identifier = said(capsys, "token", "list").split()[0]

    said(capsys, "token", "revoke", identifier)

    assert "revoked 20" in said(capsys, "token", "list")


def test_a_projects_token_is_made_for_that_project(in_database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    with in_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO project (id, slug, name, created_at) VALUES (gen_random_uuid(), 'shop', 'The shop', now())"
        )

    said(capsys, "token", "create", "--project", "shop", "--scope", "report", "--name", "CI")

    assert "report  valid, never used  CI" in said(capsys, "token", "list", "--project", "shop")
    assert said(capsys, "token", "list") == ""


def test_a_token_is_listed_with_its_restrictions(in_database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    with in_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO project (id, slug, name, created_at) VALUES (gen_random_uuid(), 'shop', 'The shop', now())"
        )

    said(capsys, "token", "create", "--project", "shop", "--scope", "report", "--trusted", "--expires-in-days", "30")
    said(capsys, "token", "create", "--project", "shop", "--scope", "deploy", "--environment", "staging")

    report, deploy = said(capsys, "token", "list", "--project", "shop").splitlines()
    assert re.search(r"valid until 20\d\d-\d\d-\d\d trusted, never used", report)
    assert "valid for staging, never used" in deploy


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["create", "--admin", "--environment", "staging"], "only a token with the scope deploy can be for one"),
        (["create", "--admin", "--expires-in-days", "0"], "--expires-in-days must be a whole number from 1 to"),
        (["create", "--scope", "report"], "belongs to a project: add --project SLUG"),
        (["create", "--admin", "--project", "nowhere"], "there is no project 'nowhere'"),
        (["create", "--admin", "--name", "a\nb"], "--name"),
        (["list", "--project", "nowhere"], "there is no project 'nowhere'"),
        (["revoke", "00000000-0000-0000-0000-000000000000"], "`overproof token list` lists the tokens"),
    ],
)
def test_a_token_that_cannot_be_had_is_one_line(
    in_database: Database, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    assert line in refused(capsys, "token", *arguments)


def test_a_database_is_upgraded_without_the_checkout(
    blank_database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", blank_database.url())
    monkeypatch.chdir(tmp_path)

    first = said(capsys, "upgrade-database")
    second = said(capsys, "upgrade-database")

    head = str(ScriptDirectory(str(MIGRATIONS)).get_current_head())
    assert first == second == f"The database is at {head}.\n"
    with blank_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT version_num FROM alembic_version")
        assert cursor.fetchall() == [(head,)]


def test_without_a_database_to_upgrade_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)

    assert "DATABASE_URL is not set" in refused(capsys, "upgrade-database")


def test_the_command_line_knows_all_scopes() -> None:
    assert tuple(Scope) == SCOPES


@pytest.mark.parametrize(
    ("given", "variable", "expected"), [(None, None, 8000), (None, "", 8000), (None, "5000", 5000), (80, "5000", 80)]
)
def test_an_option_comes_before_the_environment_and_that_before_the_default(
    monkeypatch: pytest.MonkeyPatch, given: int | None, variable: str | None, expected: int
) -> None:
    monkeypatch.delenv("PORT", raising=False)
    if variable is not None:
        monkeypatch.setenv("PORT", variable)

    assert number("--port", given, "PORT", 8000, most=65535) == expected


@pytest.mark.parametrize("variable", ["0", "-1", "many", "65536", "٣"])
def test_a_port_that_cannot_be_is_refused_by_the_name_of_where_it_stands(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv("PORT", variable)

    with pytest.raises(CommandFailed, match="PORT must be a whole number from 1 to 65535"):
        number("--port", None, "PORT", 8000, most=65535)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def start_serving(processes: None) -> Iterator[Start]:
    """`start_serving(directory, *arguments, VARIABLE="value")`. What still runs at the end of the test is killed."""
    with ExitStack() as stack:

        def start(cwd: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-m", "app", "serve", *arguments],
                cwd=cwd,
                env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


def lines_until(process: subprocess.Popen[str], words: str) -> list[str]:
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return lines
    pytest.fail(f"it ended without {words!r}:\n{''.join(lines)}")


def get(url: str, secret: str = "") -> str:
    opener = build_opener(ProxyHandler({}))
    opener.addheaders = [("Authorization", f"Bearer {secret}")] if secret else []
    with opener.open(url, timeout=20) as answer:
        return str(answer.read().decode())


def wait_for_listener(port: int) -> None:
    """A worker says that its startup is complete just before it listens."""
    deadline = time.monotonic() + 30
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, f"nothing listens on {port}"


def end(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=30)[0]


def page_after_sign_in(site: str, secret: str) -> str:
    """The first page, on a connection of its own."""
    with httpx2.Client(base_url=site, follow_redirects=True, headers={"Connection": "close"}) as client:
        return client.post("/sign-in", data={"token": secret}).text


def test_it_serves_where_heroku_says_with_as_many_workers_and_logs_no_secret(
    in_database: Database, start_serving: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = said(capsys, "token", "create", "--admin").strip()
    port = free_port()
    process = start_serving(ROOT, PORT=str(port), WEB_CONCURRENCY="2")

    log = lines_until(process, "Application startup complete") + lines_until(process, "Application startup complete")
    wait_for_listener(port)
    answer = get(f"http://127.0.0.1:{port}/api/v1/projects", secret)
    signed_in = [page_after_sign_in(f"http://127.0.0.1:{port}", secret) for _ in range(4)]
    log.append(end(process))

    assert '"items":[]' in answer
    assert all("Sign out" in page for page in signed_in)  # whichever worker answers
    assert "GET /api/v1/projects" in "".join(log)
    assert secret not in "".join(log)
    assert in_database.password not in "".join(log)


def test_embedded_it_needs_nothing_gives_out_the_first_token_and_keeps_what_it_is_told(
    tmp_path: Path, start_serving: Start
) -> None:
    port = free_port()
    environment = {"DATABASE_URL": "", "PORT": str(port)}

    first = start_serving(tmp_path, "--embedded", **environment)
    lines = lines_until(first, "Uvicorn running")
    wait_for_listener(port)
    (secret,) = re.findall(r"ovp_[\w-]{43}", "".join(lines))
    assert '"items":[]' in get(f"http://127.0.0.1:{port}/api/v1/projects", secret)
    end(first)
    second = start_serving(tmp_path, "--embedded", **environment)
    lines = lines_until(second, "Uvicorn running")
    assert '"items":[]' in get(f"http://127.0.0.1:{port}/api/v1/projects", secret)
    end(second)

    assert "ovp_" not in "".join(lines)
    assert first.returncode == second.returncode == 0


def explain_to(stdout: int) -> subprocess.CompletedProcess[str]:
    """`overproof explain lock-timeout`, which leaves what it prints in Python's own buffer until it ends."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        [sys.executable, "-m", "app", "explain", "lock-timeout"],
        cwd=ROOT,
        env=environment,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


@pytest.mark.processes
def test_a_reader_who_goes_away_ends_a_command_without_a_word() -> None:
    reader, writer = os.pipe()
    os.close(reader)

    ended = explain_to(writer)

    os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, "")


@pytest.mark.processes
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_is_full_is_told_in_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        ended = explain_to(full.fileno())

    assert ended.returncode == 2
    assert ended.stderr == "overproof: cannot write to standard output: No space left on device\n"


def test_the_script_takes_only_another_package_called_app_off_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "app").mkdir()
    script = runpy.run_path(str(ROOT / "app" / "bin" / "overproof"), run_name="overproof")

    assert script["holds_another_app"](str(tmp_path))
    assert not script["holds_another_app"](str(ROOT))
