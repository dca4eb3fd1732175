"""The heads that `alembic upgrade head` refuses, and those that are there on purpose."""

from __future__ import annotations

import pytest

from app.gate.checks.base import CheckSkipped
from app.gate.checks.single_head import examine
from tests.gate.checks.builders import problem, recording, revision

REFUSED = "Multiple head revisions are present for given argument 'head'; please specify a specific target revision"


def test_a_fork_is_one_finding_that_names_both_heads_and_their_files():
    fork = recording(revisions=[revision("a1"), revision("b2", "a1"), revision("c3", "a1")], refusal=REFUSED)

    [finding] = examine(fork)

    assert finding.message.startswith(
        "The history forks after a1, into 2 heads: b2 (versions/b2.py) and c3 (versions/c3.py)."
    )
    assert REFUSED in finding.message
    assert 'alembic merge -m "merge b2 and c3" b2 c3' in str(finding.help)


def test_the_way_to_rebase_names_the_first_script_after_the_fork_and_the_other_head():
    fork = recording(
        revisions=[revision("a1"), revision("b2", "a1"), revision("c3", "a1"), revision("d4", "c3")], refusal=REFUSED
    )

    [finding] = examine(fork)

    assert finding.revision == "d4"
    assert "versions/c3.py" in str(finding.help)
    assert 'down_revision = "b2"' in str(finding.help)


def test_points_at_the_head_that_the_branch_added():
    scripts = [revision("a1"), revision("b2", "a1"), revision("c3", "a1", is_new=False)]

    [finding] = examine(recording(revisions=scripts, refusal=REFUSED))

    assert finding.revision == "b2"


def test_an_unlabelled_fork_is_an_accident_even_where_the_command_asks_for_heads():
    fork = recording(revisions=[revision("a1"), revision("b2", "a1"), revision("c3", "a1")])

    [finding] = examine(fork)

    assert "will be refused" in finding.message


def test_a_fork_within_a_labelled_branch_is_an_accident():
    scripts = [
        revision("a1"),
        revision("m2", "a1"),
        revision("b1", "a1", labels=["billing"]),
        revision("b2", "b1"),
        revision("b3", "b1"),
    ]

    [finding] = examine(recording(revisions=scripts))

    assert finding.object == "b2, b3"


def test_depends_on_joins_no_heads():
    scripts = [revision("a1"), revision("b2", "a1"), revision("c3", "a1", depends_on=("b2",))]

    [finding] = examine(recording(revisions=scripts, refusal=REFUSED))

    assert finding.object == "b2, c3"


def test_refused_branches_that_are_meant_to_stay_apart_get_the_advice_to_upgrade_all_of_them():
    scripts = [revision("a1", labels=["shop"]), revision("b1", labels=["billing"])]

    [finding] = examine(recording(revisions=scripts, refusal=REFUSED))

    assert "alembic upgrade heads" in str(finding.help)


def test_three_heads_are_merged_at_once():
    scripts = [revision("a1"), revision("b2", "a1"), revision("c3", "a1"), revision("d4", "a1")]

    [finding] = examine(recording(revisions=scripts, refusal=REFUSED))

    assert "into 3 heads" in finding.message
    assert "b2 c3 d4" in str(finding.help)


@pytest.mark.parametrize(
    "scripts",
    [
        [],
        [revision("a1")],
        [revision("a1"), revision("b2", "a1"), revision("c3", "a1"), revision("d4", "b2", "c3")],
    ],
    ids=["an empty history", "one revision", "a fork that is merged"],
)
def test_stays_quiet_about_one_head(scripts):
    assert list(examine(recording(revisions=scripts))) == []


def test_stays_quiet_about_branches_with_labels_of_their_own():
    scripts = [revision("a1"), revision("b2", "a1", labels=["billing"]), revision("c3", "a1", labels=["shop"])]

    assert list(examine(recording(revisions=scripts))) == []


def test_stays_quiet_about_a_labelled_branch_beside_the_main_line():
    scripts = [revision("a1"), revision("b2", "a1"), revision("c3", "a1", labels=["shop"]), revision("d4", "c3")]

    assert list(examine(recording(revisions=scripts))) == []


def test_stays_quiet_about_histories_with_nothing_in_common():
    scripts = [revision("a1"), revision("b1"), revision("b2", "b1", depends_on=("a1",))]

    assert list(examine(recording(revisions=scripts))) == []


def test_is_skipped_when_alembic_cannot_read_the_history():
    with pytest.raises(CheckSkipped, match="graph-integrity"):
        list(examine(recording(revisions=[], problems=(problem("unreadable", "SyntaxError"),))))


def test_heads_whose_branch_begins_with_a_merge_are_merged():
    scripts = [revision("a1"), revision("x9"), revision("b2", "a1", "x9"), revision("c3", "a1", "x9")]

    [finding] = examine(recording(revisions=scripts))

    assert str(finding.help).startswith("Join the heads:")
    assert "down_revision" not in str(finding.help)


def test_of_three_heads_none_is_put_after_another():
    scripts = [revision("a1"), revision("b2", "a1"), revision("c3", "a1"), revision("d4", "a1")]

    [finding] = examine(recording(revisions=scripts))

    assert str(finding.help).startswith("Join the heads:")
    assert "down_revision" not in str(finding.help)
