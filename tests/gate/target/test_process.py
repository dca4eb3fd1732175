"""A command that runs, and what its output says of why it ended."""

import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from app.gate.errors import CannotVerify, CommandExited
from app.gate.server.throwaway import Server
from app.gate.target._error_line import last_line
from app.gate.target.runner import TargetRunner
from app.gate.target.target import fill_placeholders
from tests.gate.projects import target


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("one\ntwo\n\n", "two"),
        ("", ""),
        ("Traceback (most recent call last):\n  File \"x\"\nKeyError: 'url'\n", "KeyError: 'url'"),
        (
            "sqlalchemy.exc.ProgrammingError: (psycopg2.errors.UndefinedTable) no\n[SQL: SELECT 1]\n(Background on this error at: x)\n",
            "sqlalchemy.exc.ProgrammingError: (psycopg2.errors.UndefinedTable) no",
        ),
        (
            'sqlalchemy.exc.IntegrityError: (psycopg2.errors.UniqueViolation) duplicate key value violates\nunique constraint "x"\nDETAIL:  Key\n',
            'sqlalchemy.exc.IntegrityError: (psycopg2.errors.UniqueViolation) duplicate key value violates unique constraint "x"',
        ),
        (
            " Usage: shop db [OPTIONS]\n╭─ Error ─────────╮\n│ Missing option  │\n│ '--url'.        │\n╰─────────────────╯\n",
            "Missing option '--url'.",
        ),
        ("+- Error -+\n| No such |\n| command |\n+---------+\n", "No such command"),
        ("| a | b |\n", "| a | b |"),
        ("12:00 1 ERROR shop Traceback\n12:00 1 ERROR shop ValueError: no\n12:00 1 ERROR shop\n", "ValueError: no"),
        (
            "ERROR: (psycopg2.errors.UniqueViolation) no\nDETAIL:  Key\n\n[SQL: CREATE]\n(Background on this error at: x)\n",
            "(psycopg2.errors.UniqueViolation) no",
        ),
        (
            "Traceback:\npydantic_core.ValidationError: 1 validation error for Settings\nsecret\n  Field required\n",
            "pydantic_core.ValidationError: 1 validation error for Settings: secret: Field required",
        ),
        (
            "ValidationError: 3 validation errors for Settings\na\n  Field required [type=missing]\n    For further information visit x\nb\n  Input should be an int [type=int]\nc\n  Field required [type=missing]\n",
            "ValidationError: 3 validation errors for Settings: a and c: Field required; b: Input should be an int",
        ),
        ("2026-11-22 11:01:20.611 27943 ERROR shop [-] no table\n", "ERROR shop [-] no table"),
        ("[12:00:01] no table\n", "no table"),
        ("FAILED: Can't locate revision identified by 'x'\n", "FAILED: Can't locate revision identified by 'x'"),
        (
            "Error: Could not import 'shop'.\n\nUsage: flask [OPTIONS]\nTry 'flask --help'.\n\nError: No such command 'db'.\n",
            "Error: Could not import 'shop'. Error: No such command 'db'.",
        ),
        ("Error: a\nValueError: b\n", "ValueError: b"),
        ("ValueError: a\nb\nC\nd\ne\n", "ValueError: a b C d"),
        ("KeyError: 'a'\n\nValueError: b\n", "ValueError: b"),
        (
            "ValidationError: 1 validation error for Settings\na\n" + "x" * 900,
            "ValidationError: 1 validation error for Settings: a: " + "x" * 447,
        ),
        ("x" * 900, "x" * 500),
        ("ValueError: " + "x" * 900, "ValueError: " + "x" * 488),
        ("Error: a\nError: " + "x" * 900, "Error: a Error: " + "x" * 484),
        ("IntegrityError: (psycopg2.errors.X) a\nb\nc\nd\n", "IntegrityError: (psycopg2.errors.X) a b c"),
        ("IntegrityError: (psycopg2.errors.X) a\nb\n[SQL: x]\nd\n", "IntegrityError: (psycopg2.errors.X) a b"),
    ],
)
def test_the_line_that_says_what_happened_is_told(output: str, told: str) -> None:
    assert last_line(output) == told


def test_a_command_that_ends_before_it_says_a_word_is_gone_and_leaves_no_socket_open(
    tmp_path: Path, server: Server
) -> None:
    hangs_up = "import os, socket; socket.socket(socket.AF_UNIX).connect(os.environ['OVERPROOF_DRIVER'])"
    runner = TargetRunner(target(tmp_path, sys.executable, "-c", hangs_up), server)

    with runner.blank_database() as database, runner.process(database) as process, pytest.raises(CommandExited):
        process.next_session()  # pytest fails for a socket that is left to the garbage collector


def test_a_project_whose_alembic_is_too_old_is_refused(tmp_path: Path, server: Server) -> None:
    refuses = (
        "import os, socket; s = socket.socket(socket.AF_UNIX); s.connect(os.environ['OVERPROOF_DRIVER']);"
        """ s.sendall(b'{"unsupported": "Alembic 0.9 is older than 1.5"}\\n')"""
    )
    runner = TargetRunner(target(tmp_path, sys.executable, "-c", refuses), server)

    with (
        runner.blank_database() as database,
        runner.process(database) as process,
        pytest.raises(CannotVerify, match=r"Alembic 0.9 is older than 1.5: raise it there"),
    ):
        process.next_session()


@pytest.mark.parametrize(("template", "takes_turns"), [("[alembic]\n", False), ("url = {url}\n", True)])
def test_a_file_that_is_right_already_is_left_alone_while_another_run_may_read_it(
    tmp_path: Path, server: Server, template: str, takes_turns: bool
) -> None:
    path = tmp_path / "alembic.ini"
    plain = target(tmp_path, sys.executable, "-c", "pass")
    runner = TargetRunner(replace(plain, files={path: template}), server)
    written = []
    for _ in range(2):
        with runner.blank_database() as database, runner.process(database) as process:
            process.wait(60)
            assert path.read_text() == fill_placeholders(template, database)
            written.append((path.stat().st_ino, path.stat().st_mtime_ns))

    assert runner.must_run_serially is takes_turns
    assert takes_turns or written[0] == written[1]


def test_each_run_may_have_a_file_of_its_own_and_so_may_what_prepares_its_database(
    tmp_path: Path, server: Server
) -> None:
    reads = "import pathlib, sys; print(pathlib.Path(sys.argv[1]).read_text())"
    plain = target(tmp_path, sys.executable, "-c", reads, "{database}.ini")
    files = {tmp_path / "{database}.ini": "name = {database}\n"}
    runner = TargetRunner(replace(plain, files=files, prepare=plain.command), server)

    with (
        runner.database() as one,
        runner.database() as two,
        runner.process(one) as of_one,
        runner.process(two) as of_two,
    ):
        told = [(process.wait(60), process.output().strip()) for process in (of_one, of_two)]

    assert told == [(0, f"name = {one.name}"), (0, f"name = {two.name}")]
    assert not runner.must_run_serially


def test_what_prepares_a_database_ends_with_everything_else(tmp_path: Path, server: Server) -> None:
    sleeps = (sys.executable, "-c", "import time; open('begun', 'w').close(); time.sleep(600)")
    runner = TargetRunner(replace(target(tmp_path), prepare=sleeps), server)
    raised: list[Exception] = []

    def prepare() -> None:
        try:
            with runner.database():
                pass
        except CannotVerify as error:
            raised.append(error)

    thread = threading.Thread(target=prepare)
    thread.start()
    while not (tmp_path / "begun").exists():
        thread.join(0.01)
    runner.close()
    thread.join(60)

    assert not thread.is_alive()
    assert len(raised) == 1


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path, server: Server) -> None:
    path = tmp_path / "nowhere" / "alembic.ini"
    runner = TargetRunner(replace(target(tmp_path), files={path: "url = {url}\n"}), server)

    with (
        runner.blank_database() as database,
        pytest.raises(CannotVerify, match=r"cannot write .*, which --file names: No such file or directory"),
        runner.process(database),
    ):
        pass
