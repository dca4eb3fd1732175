"""What `--help` and `explain` look like on a terminal."""

from __future__ import annotations

import io
import re
import shlex
from contextlib import redirect_stdout

import pytest

from app.cli import COMMANDS, main, parser_for
from app.gate.checks.registry import CHECKS
from app.help import filled, plain, terminal_width
from tests.commands_page import PAGE, commands_page

LINES = [(), *((each.name,) for each in COMMANDS), *(("token", verb) for verb in ("create", "list", "revoke"))]


def help_of(*words: str) -> str:
    output = io.StringIO()
    with pytest.raises(SystemExit), redirect_stdout(output):
        main([*words, "--help"])
    return output.getvalue()


@pytest.mark.parametrize("words", LINES, ids=" ".join)
@pytest.mark.parametrize("columns", [60, 100])
def test_help_fits_the_terminal_and_has_examples(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))

    prose, _, examples = help_of(*words).partition("\nExamples:\n")

    assert max(map(len, prose.splitlines())) <= columns
    typed = re.findall(rf"^    .*?(overproof {' '.join(words)}[^\n#|>]*)", examples, re.MULTILINE)
    assert typed


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_each_example_is_a_command_line_that_is_understood(words: tuple[str, ...]) -> None:
    _, _, examples = help_of(*words).partition("\nExamples:\n")

    for line in re.findall(r"^    (?:.*[ (])?overproof ([^\n#|>)]*)", examples, re.MULTILINE):
        typed = shlex.split(line)
        if "--help" in typed:
            continue
        command = next(each for each in COMMANDS if each.name == typed[0])
        arguments, unknown = parser_for(command).parse_known_args(typed)
        assert unknown == []
        assert callable(arguments.run)


def test_the_page_of_the_command_line_says_what_the_parsers_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == commands_page(), "Run `python -m tests.commands_page`."


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_a_page_fits_the_terminal_and_has_no_marks_of_its_source(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, check
) -> None:
    monkeypatch.setenv("COLUMNS", "70")

    assert main(["explain", check.id]) == 0

    prose = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("      ")]
    assert max(map(len, prose)) <= 70
    assert not any("``" in line or line.endswith("::") for line in prose)


def test_prose_is_filled_and_code_and_lists_are_kept() -> None:
    text = "One\ntwo ``three``::\n\n    code  stays\n        as it is\n\n- an item\n  that goes over lines\n- another"

    assert list(filled(text, 20)) == [
        *("One two `three`:", "", "    code  stays", "        as it is", ""),
        *("- an item that goes", "  over lines", "- another"),
    ]


def test_a_list_ends_where_the_prose_begins_again_and_tabs_are_four_blanks() -> None:
    text = "\n- one\n* two\n\n\tcode\nprose\n    more code\n\n  - an item within\n\nlong-word-with-hyphens-that-does-not-fit\n"

    assert list(filled(text, 16, "  ")) == [
        *("  - one", "  * two", "", "      code", "  prose", "      more code", ""),
        *("  - an item", "    within", "", "  long-word-with-hyphens-that-does-not-fit"),
    ]


def test_marks_of_the_source_are_left_out() -> None:
    assert plain("see :func:`run` and ``x y`` as here ::") == "see `run` and `x y` as here:"
    assert plain("a :: b: c") == "a :: b: c"


@pytest.mark.parametrize(("columns", "width"), [("20", 40), ("40", 40), ("70", 70), ("100", 100), ("300", 100)])
def test_prose_is_as_wide_as_the_terminal_within_reason(
    monkeypatch: pytest.MonkeyPatch, columns: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", columns)

    assert terminal_width() == width


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["verify", "--bse", "main"], "overproof verify: error: there is no option --bse: did you mean --base?"),
        (["explain", "--formatt=x"], "overproof explain: error: there is no option --formatt: did you mean --format?"),
        (["verify", "--v"], "overproof verify: error: there is no option --v: did you mean --env?"),  # not -v
        (["explain", "--nothing-like-it"], "no option --nothing-like-it: `overproof explain --help` lists the options"),
        (
            ["explain", "upgrade", "it", "now"],
            "overproof explain: error: it is one word too many: `overproof explain --he",
        ),
    ],
)
def test_an_unknown_option_is_refused_with_the_usage_of_its_command_and_a_suggestion(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)

    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert error.startswith(f"usage: overproof {words[0]}")
    assert message in error


@pytest.mark.parametrize(
    ("words", "verbosity"), [([], 0), (["--quiet"], -1), (["-q"], -1), (["--verbose"], 1), (["-v"], 1)]
)
def test_an_option_says_how_much_is_printed(words: list[str], verbosity: int) -> None:
    [verify] = [command for command in COMMANDS if command.name == "verify"]

    arguments, unknown = parser_for(verify).parse_known_args(["verify", *words])

    assert (arguments.verbosity, unknown) == (verbosity, [])
