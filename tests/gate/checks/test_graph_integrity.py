"""What Alembic says of a history that it cannot read, and what to do about it."""

from __future__ import annotations

import pytest

from app.gate.checks.graph_integrity import examine
from app.gate.recording.model import GraphProblemKind
from tests.gate.checks.builders import problem, recording, revision


@pytest.mark.parametrize(
    "kind",
    [GraphProblemKind.MISSING_PARENT, GraphProblemKind.DUPLICATE, GraphProblemKind.CYCLE, GraphProblemKind.UNREADABLE],
)
def test_each_problem_is_a_finding_at_its_file_with_advice(kind):
    found = problem(
        kind, "Revision b2 follows a1, which no script defines.", revision="b2", path="versions/b2.py", line=3
    )

    [finding] = examine(recording(problems=(found,)))

    assert finding.message == "Revision b2 follows a1, which no script defines."
    assert (finding.revision, finding.path, finding.line) == ("b2", "versions/b2.py", 3)
    assert finding.help


def test_a_missing_parent_is_reported_in_words_that_lead_to_the_script():
    said = "Revision a1 referenced from a1 -> b2 (head), add the note of an order is not present"

    [finding] = examine(
        recording(problems=(problem(GraphProblemKind.MISSING_PARENT, said, revision="b2", path="versions/b2.py"),))
    )

    assert finding.message == "b2 follows a1, which no script defines."


def test_a_long_error_is_reported_in_one_line_with_the_rest_as_detail():
    found = problem(GraphProblemKind.UNREADABLE, "versions/b2.py: invalid syntax\n    def upgrade(:\n")

    [finding] = examine(recording(problems=(found,)))

    assert finding.message == "versions/b2.py: invalid syntax."
    assert "def upgrade(:" in str(finding.detail)


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("ModuleNotFoundError: No module named 'shop'", "must import only"),
        ("SyntaxError: expected ':'", "Correct the script"),
        ("KeyError: 'SETTING'", "Correct the script"),
    ],
)
def test_only_of_an_import_that_fails_it_is_said_what_a_script_may_import(message, advice):
    [finding] = examine(recording(problems=(problem(GraphProblemKind.UNREADABLE, message, path="versions/b2.py"),)))

    assert advice in str(finding.help)


def test_stays_quiet_when_the_scripts_can_be_read():
    assert list(examine(recording(revisions=[revision("a1"), revision("b2", "a1")]))) == []
