from __future__ import annotations

import pytest

from app.cli import main
from app.gate.checks.base import Check
from app.gate.checks.pages import CheckPage, page_of
from app.gate.checks.registry import CHECKS, get_check
from app.gate.commands.explain import explanation
from app.gate.report.verdict import Severity


def test_without_a_check_all_of_them_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0

    lines = capsys.readouterr().out.splitlines()
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
    check = Check("new-name", Severity.ERROR, get_check("upgrade").examine, aliases=("old-name",))

    assert get_check("old-name", [check]) is check
    assert explanation(check).endswith("Former names\n    old-name")


def test_an_unknown_check_is_refused_with_the_name_that_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "round_trip"]) == 2

    assert capsys.readouterr().err == "overproof: there is no check called 'round_trip': did you mean 'round-trip'?\n"


def test_a_page_is_taken_apart_by_its_headings() -> None:
    page = page_of(get_check("allowance"))

    assert isinstance(page, CheckPage)
    assert page.title == "A comment in a revision's script that accepts a finding, but is not right"
    assert page.sections["Catches"].startswith("A comment that accepts a finding without a reason")
    assert "    # overproof: allow blocking-index: the table has 40 rows" in page.sections["How to fix"]
