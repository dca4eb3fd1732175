"""What a branch does to revisions that are merged already."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.gate.checks.base import CheckSkipped
from app.gate.checks.merged_history import examine
from app.gate.recording.model import Divergence
from tests.gate.checks.builders import problem, recording, revision

MAIN = Divergence("origin/main", "0123456789abcdef")
SCRIPTS = [revision("a1", is_new=False), revision("n9", "a1"), revision("b2", "n9", is_new=False)]


def test_an_edited_revision_is_named_with_the_command_that_puts_it_back() -> None:
    edited = recording(revisions=SCRIPTS, base=replace(MAIN, edited=(("a1", "versions/a1.py"),)))

    [finding] = examine(edited)

    assert (finding.revision, finding.path) == ("a1", "versions/a1.py")
    assert finding.message.startswith("a1 does something else than on origin/main")
    assert "git checkout 0123456789ab -- versions/a1.py" in str(finding.help)


def test_a_removed_revision_is_named() -> None:
    removed = recording(revisions=SCRIPTS, base=replace(MAIN, removed=(("c3", "versions/c3.py"),)))

    [finding] = examine(removed)

    assert finding.message.startswith("c3 is on origin/main but not here")


def test_a_revision_that_slips_in_is_one_finding_though_it_edits_the_one_after_it() -> None:
    base = replace(MAIN, edited=(("b2", "versions/b2.py"),), inserted_below=(("n9", "versions/n9.py"),))

    [finding] = examine(recording(revisions=SCRIPTS, base=base))

    assert finding.revision == "n9"
    assert finding.message.startswith("n9 is new and comes before revisions of origin/main")
    assert str(finding.help).endswith("git checkout 0123456789ab -- versions/b2.py\n    overproof rebase origin/main")


def test_stays_quiet_when_the_branch_only_adds() -> None:
    assert list(examine(recording(revisions=SCRIPTS, base=MAIN))) == []


def test_is_skipped_without_a_base() -> None:
    with pytest.raises(CheckSkipped, match="--base names one"):
        list(examine(recording(revisions=SCRIPTS)))


def test_is_skipped_where_the_history_cannot_be_read_and_not_where_a_part_of_it_can() -> None:
    problems = (problem("unreadable", "a1.py: invalid syntax"),)

    with pytest.raises(CheckSkipped, match="graph-integrity"):
        list(examine(recording(revisions=[], base=MAIN, problems=problems)))
    assert list(examine(recording(revisions=SCRIPTS, base=MAIN, problems=problems))) == []
    assert list(examine(recording(revisions=[], base=MAIN))) == []
