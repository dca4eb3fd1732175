"""What production was sent, and the new schema refuses. How it is found out: tests/gate/reruns/test_recorded_statements.py."""

from __future__ import annotations

import pytest

from app.gate.checks.base import Finding
from app.gate.checks.breaking_change import examine
from app.gate.recording.model import Failure
from app.gate.recording.running import RecordedStatements, RefusedStatement
from tests.gate.checks.builders import recording, trip

UNKNOWN = Failure("E", 'column "note" does not exist', sqlstate="42703", table="public.orders")
REFUSED = Failure("E", "null value", sqlstate="23502", table="public.orders")


def findings(*refused: RefusedStatement) -> list[Finding]:
    found = examine(recording(trip("a1"), trip("b2"), recorded=RecordedStatements(20, 0, refused)))
    return [each for each in found if each.subject.startswith("recorded")]


def refused(sql: str, revision: str = "b2", failure: Failure = UNKNOWN) -> RefusedStatement:
    return RefusedStatement(revision, "", "public.orders", "", (), sql, failure)


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (["SELECT 1"], '1 statement that production was sent is refused after b2: column "note" does not exist.'),
        (
            ["SELECT 1", "SELECT 2"],
            '2 statements that production was sent are refused after b2: column "note" does not exist, and 1 more.',
        ),
        (
            ["SELECT 1", "SELECT 2", "SELECT 3"],
            '3 statements that production was sent are refused after b2: column "note" does not exist, and 2 more.',
        ),
    ],
)
def test_one_error_is_one_finding_that_counts_its_statements(statements: list[str], message: str) -> None:
    [finding] = findings(*map(refused, statements))

    assert (finding.message, finding.revision, finding.object) == (message, "b2", "public.orders")


def test_another_error_and_another_revision_are_findings_of_their_own() -> None:
    found = findings(refused("SELECT 1"), refused("INSERT …", failure=REFUSED), refused("SELECT 2", "a1"))

    assert sorted((str(each.revision), each.subject) for each in found) == [
        ("a1", found[0].subject),
        ("b2", "recorded statements 23502"),
        ("b2", found[0].subject),
    ]


@pytest.mark.parametrize(("length", "is_cut"), [(300, False), (301, True)])
def test_ten_statements_are_listed_and_a_long_one_is_cut(length: int, is_cut: bool) -> None:
    [finding] = findings(refused("y" * length), *(refused(f"SELECT\n {number}") for number in range(10)))

    first, *others, last = str(finding.detail).splitlines()
    assert first.endswith("y…" if is_cut else ": " + "y" * length)
    assert first.count("y") == 300
    assert others[0].endswith(": SELECT 0")
    assert (len(others), last) == (9, "- and 1 more")
