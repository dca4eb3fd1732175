"""Whatever the README says to type is a command line that `overproof verify` understands."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from app.cli import COMMANDS, parser_for
from app.gate.commands._options import override
from app.gate.configuration import READERS, Configuration, read_configuration
from app.gate.target.target import find_misspelt_placeholder

README = (Path(__file__).parents[3] / "README.md").read_text()
TYPED = sorted(
    set(re.findall(r"(?:^|[`/ ])(overproof verify[^`\n]*?)(?= +#|`|$)", README, re.MULTILINE))
    - {"overproof verify --help"}
)
OPTIONS = set(re.findall(r"`(--[a-z-]+)", README.partition("### Options and settings")[2].partition("\n## ")[0]))
VERIFY = next(each for each in COMMANDS if each.name == "verify")


def parsed(line: str) -> argparse.Namespace:
    _, *words = shlex.split(line)
    return parser_for(VERIFY).parse_args(words)


def test_the_readme_has_command_lines() -> None:
    assert len(TYPED) > 10


@pytest.mark.parametrize("line", TYPED)
def test_what_the_readme_says_to_type_is_understood(line: str) -> None:
    arguments = parsed(line)

    configured = override(Configuration(), arguments)

    texts = [*configured.command, *configured.env.values(), *configured.options.values()]
    assert [find_misspelt_placeholder(text) for text in texts if find_misspelt_placeholder(text)] == []


def test_each_option_of_the_readme_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        with pytest.raises(SystemExit):
            parser_for(command).parse_args([command.name, "--help"])
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))

    assert OPTIONS
    assert OPTIONS - known == set()


def test_the_settings_of_the_readme_are_read(tmp_path: Path) -> None:
    section = re.search(r"```ini\n(\[overproof\]\n.*?)```", README, re.DOTALL)
    assert section is not None
    (tmp_path / "setup.cfg").write_text(section[1])

    configured = read_configuration(tmp_path)

    assert configured.command == ("flask", "db", "upgrade")
    assert set(re.findall(r"^([a-z-]+) =", section[1], re.MULTILINE)) <= set(READERS)
