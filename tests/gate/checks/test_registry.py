"""Every check is listed, and documented in its own file."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from app.gate import checks
from app.gate.checks.base import Check
from app.gate.checks.pages import page_of
from app.gate.checks.registry import ALL_CHECKS, CHECKS, HAZARDS, ON_REQUEST
from app.gate.report.verdict import OF_SIZE

FOLDER = Path(str(checks.__file__)).parent
FILES_OF_CHECKS = {path.stem for path in FOLDER.glob("*.py") if re.search(r"^CHECK = ", path.read_text(), re.MULTILINE)}


def test_every_file_that_defines_a_check_is_registered():
    assert {check.id.replace("-", "_") for check in CHECKS} == FILES_OF_CHECKS


def test_every_file_with_an_examine_defines_a_check():
    with_examine = {
        path.stem
        for path in FOLDER.glob("*.py")
        if any(
            isinstance(node, ast.FunctionDef) and node.name == "examine" for node in ast.parse(path.read_text()).body
        )
    }

    assert with_examine == FILES_OF_CHECKS


def test_no_two_checks_answer_to_one_name():
    names = [name for check in ALL_CHECKS for name in (check.id, *check.aliases)]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("check", ALL_CHECKS, ids=lambda check: check.id)
def test_every_check_has_a_page_and_tests_of_its_own(check: Check):
    page = page_of(check)

    assert check.examine.__module__.endswith("." + check.id.replace("-", "_"))
    assert list(page.sections) == ["Catches", "Why it hurts", "How to fix", "Stays quiet when"]
    assert all(page.sections.values())
    assert len(page.title) < 100
    assert (Path(__file__).parent / f"test_{check.id.replace('-', '_')}.py").exists()


def test_a_check_keeps_the_history_alive_or_is_about_a_deployment():
    """Of a revision that is deployed everywhere, the first ones still matter."""
    alive = {
        "single-head", "graph-integrity", "merged-history", "upgrade", "round-trip", "irreversible", "schema-drift", "model-drift",
        "unregistered-models", "offline-sql", "concurrent-upgrade", "same-schema", "not-validated", "allowance",
    }  # fmt: skip

    assert alive & HAZARDS == set()
    assert alive | HAZARDS <= {check.id for check in CHECKS}
    assert OF_SIZE < HAZARDS < {check.id for check in CHECKS}
    assert alive | {"early-code"} >= ON_REQUEST
    assert {check.id for check in CHECKS} >= OF_SIZE
