from __future__ import annotations

import pytest

from app.gate.checks.allowance import examine
from app.gate.history.allowances import parse_allowances
from app.gate.recording.model import Allowance
from tests.gate.checks.builders import recording, revision


def test_a_comment_accepts_a_check_for_a_reason() -> None:
    source = '"""add note"""\n\n# overproof: allow table-rewrite: the table has 40 rows: no more\n'

    assert parse_allowances(source) == (Allowance("table-rewrite", "the table has 40 rows: no more", 3),)


@pytest.mark.parametrize(
    "comment",
    [
        "# overproof: allow irreversible: forward only",
        "#overproof:allow irreversible:forward only",
        "op.drop_table('a')  # Overproof: Allow irreversible : forward only",
        "op.drop_table('a')  # noqa: S608  # overproof: allow irreversible: forward only",
        "    # overproof: allow irreversible: forward only",
    ],
)
def test_it_may_be_written_in_more_ways_than_one(comment: str) -> None:
    assert parse_allowances(f"if True:\n    {comment}\n    pass\n") == (Allowance("irreversible", "forward only", 2),)


def test_several_checks_may_share_a_reason() -> None:
    assert parse_allowances("# overproof: allow a, b-c,d: because") == (
        Allowance("a", "because", 1),
        Allowance("b-c", "because", 1),
        Allowance("d", "because", 1),
    )


def test_a_string_is_no_comment() -> None:
    source = 'SQL = """\n# overproof: allow table-rewrite: not a comment\n"""\nx = "# overproof: allow a: b"\n'

    assert parse_allowances(source) == ()


def test_a_comment_within_a_call_counts() -> None:
    source = 'op.execute(\n    "UPDATE a"  # overproof: allow data-loss: it was never read\n)\n'

    assert parse_allowances(source) == (Allowance("data-loss", "it was never read", 2),)


@pytest.mark.parametrize("comment", ["# overproof: allow table-rewrite", "# overproof: allow table-rewrite:   "])
def test_a_reason_may_be_missing(comment: str) -> None:
    assert parse_allowances(comment) == (Allowance("table-rewrite", "", 1),)


@pytest.mark.parametrize(
    "comment",
    [
        "# overproof: ignore table-rewrite: because",
        "# overproof: allow",
        "# overproof: allow table-rewrite because it is small",
        "# overproof: allow all checks: because",
    ],
)
def test_a_slip_of_the_pen_is_not_overlooked(comment: str) -> None:
    assert parse_allowances(comment) == (Allowance("", comment, 1),)


def test_other_comments_are_other_peoples() -> None:
    assert parse_allowances("# see overproof's manual\n# noqa: E501\n# the overproof gate: allow it\n") == ()


def test_a_script_that_python_cannot_read_returns_what_came_before_the_error() -> None:
    assert parse_allowances("# overproof: allow a: b\ndef (:\n  'unterminated\n")[:1] == (Allowance("a", "b", 1),)
    assert parse_allowances("# overproof: allow a: b\nx = (\n")[:1] == (Allowance("a", "b", 1),)


def test_an_allowance_without_a_reason_is_a_finding_at_its_line() -> None:
    script = revision("a1", allowances=(Allowance("table-rewrite", "", 7),))

    (found,) = examine(recording(revisions=[script]))

    assert found.message == "This comment allows table-rewrite without a reason, so it accepts nothing."
    assert (found.revision, found.line) == ("a1", 7)
    assert "# overproof: allow table-rewrite: <reason>" in (found.help or "")


def test_a_comment_that_is_not_understood_is_a_finding_that_quotes_it() -> None:
    script = revision("a1", allowances=(Allowance("", "# overproof: ignore it", 7),))

    (found,) = examine(recording(revisions=[script]))

    assert found.detail == "# overproof: ignore it"
    assert "# overproof: allow <check>: <reason>" in (found.help or "")


def test_stays_quiet_when_there_is_a_reason() -> None:
    script = revision("a1", allowances=(Allowance("table-rewrite", "it is small", 7),))

    assert list(examine(recording(revisions=[script]))) == []
