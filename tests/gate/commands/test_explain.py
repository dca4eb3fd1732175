from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from app.cli import main
from app.gate.checks.base import Check
from app.gate.checks.pages import DOCUMENTATION_URL, CheckPage, find_url, page_of
from app.gate.checks.registry import CHECKS, get_check
from app.gate.commands._documentation import COMMAND, render_index, render_page, render_pages
from app.gate.commands.explain import explanation
from app.gate.report.verdict import Severity

DOCUMENTATION = Path(__file__).parents[3] / "docs/checks"


def test_without_a_check_all_of_them_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0

    lines = re.sub(r"\n +", " ", capsys.readouterr().out).splitlines()  # a long title continues on the next line
    assert [line.split()[0] for line in lines] == [check.id for check in CHECKS]
    assert lines[-1].split(maxsplit=2) == [
        "allowance",
        "warning",
        "A comment in a revision's script that accepts a finding, but is not right",
    ]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_each_check_has_a_page_from_its_docstring(check: Check, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", check.id]) == 0

    page = capsys.readouterr().out
    assert page.startswith(f"{check.id} ({check.severity})\n=====")
    for section in ("Catches", "Why it hurts", "How to fix", "Stays quiet when"):
        assert f"\n{section}\n" in page
        assert page_of(check).sections[section]


def test_a_retired_name_leads_to_the_check() -> None:
    check = Check("new-name", Severity.ERROR, get_check("upgrade").examine, aliases=("old-name", "older"))

    assert get_check("old-name", [check]) is check
    assert explanation(check).endswith("Former names\n    old-name, older")


def test_an_unknown_check_is_refused_with_the_name_that_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "round_trip"]) == 2

    assert capsys.readouterr().err == "overproof: there is no check called 'round_trip': did you mean 'round-trip'?\n"


def test_a_page_is_taken_apart_by_its_headings() -> None:
    page = page_of(get_check("allowance"))

    assert isinstance(page, CheckPage)
    assert page.title == "A comment in a revision's script that accepts a finding, but is not right"
    assert page.sections["Catches"].startswith("A comment that accepts a finding without a reason")
    assert "    # overproof: allow blocking-index: the table has 40 rows" in page.sections["How to fix"]


def test_the_documentation_is_what_the_docstrings_say() -> None:
    pages = render_pages()
    written = {path.name: path.read_text(encoding="utf-8") for path in DOCUMENTATION.iterdir()}

    differing = sorted(name for name in {*pages, *written} if pages.get(name) != written.get(name))

    assert not differing, (
        f"{', '.join(differing)} in docs/checks: run `{COMMAND}`, and remove what is no check any more"
    )


def test_the_pages_of_all_checks_are_written_to_a_folder(tmp_path: Path) -> None:
    assert main(["explain", "--format", "markdown", "--output", str(tmp_path / "new" / "checks")]) == 0

    written = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "new" / "checks").iterdir()}
    assert written == render_pages()


def test_a_page_and_the_index_are_printed_as_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "lock-timeout", "--format", "markdown"]) == 0
    assert capsys.readouterr().out == render_page(get_check("lock-timeout"))

    assert main(["explain", "--format", "markdown"]) == 0
    assert capsys.readouterr().out == render_index()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--output", "there"], "use it with --format markdown and without CHECK"),
        (["upgrade", "--format", "markdown", "--output", "there"], "use it with --format markdown and without CHECK"),
        (["--format", "markdown", "--output", "/dev/null/there"], "cannot write to /dev/null/there: Not a directory"),
    ],
)
def test_pages_that_cannot_be_written_are_one_line(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", *arguments]) == 2

    assert capsys.readouterr().err.endswith(f"{line}\n")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_the_markdown_of_a_page_has_the_text_and_the_code_of_the_docstring(check: Check) -> None:
    tokens = MarkdownIt("commonmark").parse(render_page(check))
    page = page_of(check)

    headings = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    assert headings == [check.id, *page.sections]
    fences = [token.content for token in tokens if token.type == "fence"]
    lines = {line.strip() for line in page.text.splitlines()}
    assert len(fences) == sum(line.endswith("::") for line in page.text.splitlines())
    assert all(line.strip() in lines for fence in fences for line in fence.splitlines())
    assert not any(
        token.type == "code_block" or "::" in token.content.partition("`")[0]
        for token in tokens
        if token.type != "fence"
    )


def test_each_known_check_has_an_address_and_no_other_name_has() -> None:
    assert find_url("lock-timeout") == DOCUMENTATION_URL.format(check="lock-timeout")
    assert find_url("no-such-check](https://elsewhere.example") is None
