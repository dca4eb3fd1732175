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
    ("words", "offered"),
    [
        (["overproof", "ver"], ["verify"]),
        (["overproof", "verify", "--write"], ["--write-baseline"]),
        (["overproof", "verify", "--select", "round"], ["round-trip"]),
        (["overproof", "explain", "single"], ["single-head"]),
        (["overproof", "token", "cre"], ["create"]),
        (["overproof", "completion", "ba"], ["bash"]),
    ],
)
def test_bash_completes(words: list[str], offered: list[str], tmp_path: Path) -> None:
    environment = {"PATH": f"{PROGRAMS}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}

    ended = subprocess.run(
        [str(BASH), "--norc", "-c", ASK, "bash", *words],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert sorted(ended.stdout.split()) == offered, ended.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_its_own_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0

    assert "overproof" in capsys.readouterr().out


@pytest.mark.processes
def test_a_command_does_not_wait_for_it() -> None:
    program = "import sys; from app.cli import parser_for, COMMANDS; parser_for(COMMANDS[0]); print('argcomplete' in sys.modules)"

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ended.stdout == "False\n"
