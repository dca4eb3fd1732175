"""What shells complete."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import main
from app.completion import SHELLS

BASH = shutil.which("bash")
PROGRAMS = Path(sys.executable).parent
ROOT = Path(__file__).parents[1]

# Types the words, with the last one unfinished, and prints what bash would offer.
ASK = """
eval "$(overproof completion bash)"
COMP_LINE="$*" COMP_POINT=${#COMP_LINE} COMP_TYPE=9 COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
function_of() { complete -p overproof | sed 's/.*-F \\([^ ]*\\).*/\\1/'; }
"$(function_of)" overproof "${!#}" "${@: -2:1}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.processes
@pytest.mark.skipif(BASH is None, reason="there is no bash here")
@pytest.mark.parametrize(
    ("words", "offered"), [(["overproof", "ver"], ["verify"]), (["overproof", "token", "cre"], ["create"])]
)
def test_bash_completes(words: list[str], offered: list[str], tmp_path: Path) -> None:
    environment = {"PATH": f"{PROGRAMS}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}

    ended = subprocess.run(
        [str(BASH), "--norc", "-c", ASK, "bash", *words],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert sorted(ended.stdout.split()) == offered, ended.stderr


def offered_for(line: str, answer: Path) -> list[str]:
    """What is offered after that much of a command line, asked for as the functions of the shells do."""
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_STDOUT_FILENAME": str(answer)}
    ended = subprocess.run(
        [sys.executable, "-m", "app"],
        cwd=ROOT, env=os.environ | asked | {"COMP_LINE": line, "COMP_POINT": str(len(line))}, capture_output=True, text=True,
    )  # fmt: skip

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    return sorted(word.strip() for word in answer.read_text().split("\n"))


@pytest.mark.processes
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("overproof verify --write", ["--write-baseline"]),
        ("overproof verify --select round", ["round-trip"]),
        ("overproof explain single", ["single-head"]),
        ("overproof completion ba", ["bash"]),
    ],
)
def test_the_options_of_a_command_and_their_values_are_offered(line: str, offered: list[str], tmp_path: Path) -> None:
    assert offered_for(line, tmp_path / "answer") == offered


@pytest.mark.processes
def test_where_a_word_begins_options_are_offered_by_their_long_names(tmp_path: Path) -> None:
    assert offered_for("overproof completion ", tmp_path / "answer") == ["--help", "bash", "fish", "zsh"]


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_its_own_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0

    assert "overproof" in capsys.readouterr().out


@pytest.mark.processes
def test_a_command_does_not_wait_for_it() -> None:
    program = "import sys; from app.cli import parser_for, COMMANDS; parser_for(COMMANDS[0]); print('argcomplete' in sys.modules)"

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ended.stdout == "False\n"
