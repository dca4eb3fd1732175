"""Which open changes collide: a pure function."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.changes.forks import Added, Branch, OpenChange, find_forks, forks_of

MAIN = Branch("main", ["b2"], {"a1", "b2"})


def added(revision: str, *parents: str, minute: int = 0, starts_branch: bool = False) -> Added:
    return Added(revision, parents, datetime(2026, 11, 30, tzinfo=UTC) + timedelta(minutes=minute), starts_branch)


def change(number: str, *revisions: Added) -> OpenChange:
    return OpenChange(number, f"branch-{number}", revisions)


def test_two_changes_on_one_parent_fork_and_the_one_seen_first_stays() -> None:
    late = change("7", added("c3", "b2", minute=5), added("d4", "c3", minute=5))
    early = change("9", added("e5", "b2", minute=1), added("f6", "e5", minute=9))

    (fork,) = find_forks([late, early], [MAIN])

    assert fork.parent == "b2"
    assert fork.first is not None
    assert (fork.first.change, fork.first.branch, fork.first.revision) == ("9", "branch-9", "e5")
    assert [each.change for each in fork.must_rebase] == ["7"]
    assert fork.onto == "f6"
    assert fork.command == "overproof rebase origin/main"
    assert fork.sentence == (
        "2 open pull requests add a revision on b2: 9 was first, so 7 must be rebased onto f6 once 9 is merged."
    )


def test_a_parent_that_is_no_head_any_more_is_a_fork_with_the_branch() -> None:
    (fork,) = find_forks([change("7", added("c3", "a1"))], [MAIN])

    assert fork.first is None
    assert ([each.change for each in fork.must_rebase], fork.onto) == (["7"], "b2")
    assert fork.sentence == (
        "Pull request 7 adds a revision on a1, which is not the head of main any more: rebase onto b2."
    )


def test_changes_on_the_head_alone_on_unknown_parents_and_without_branches_are_quiet() -> None:
    assert find_forks([change("7", added("c3", "b2"))], [MAIN]) == []
    assert find_forks([change("7", added("c3", "not-reported-yet"))], [MAIN]) == []
    assert find_forks([change("7", added("a1"))], []) == []
    assert find_forks([], [MAIN]) == []


def test_different_parents_are_no_fork() -> None:
    heads = Branch("main", ["b2", "x9"], {"a1", "b2", "x9"})

    assert find_forks([change("7", added("c3", "b2")), change("8", added("y1", "x9"))], [heads]) == []


def test_a_change_that_contains_the_other_is_no_fork() -> None:
    """Stacked pull requests, and one that merges the other's revision."""
    below = change("7", added("c3", "b2"))
    stacked = change("8", added("c3", "b2"), added("d4", "c3"))
    merging = change("9", added("c3", "b2"), added("e5", "b2"), added("f6", "c3", "e5"))

    assert find_forks([below, stacked], [MAIN]) == []
    assert find_forks([below, merging], [MAIN]) == []


def test_a_revision_that_starts_a_branch_on_purpose_is_no_fork() -> None:
    labelled = change("7", added("c3", starts_branch=True), added("d4", "c3"))

    assert find_forks([labelled, change("8", added("e5", "b2"))], [MAIN]) == []
    both = change("7", added("c3", starts_branch=True), added("d4", "b2"))
    assert [fork.parent for fork in find_forks([both, change("8", added("e5", "b2"))], [MAIN])] == ["b2"]


def test_two_first_revisions_fork_too() -> None:
    (fork,) = find_forks([change("7", added("a1", minute=1)), change("8", added("b1"))], [])

    assert (fork.parent, fork.first and fork.first.change, fork.command) == (None, "8", "overproof rebase")


def test_a_head_of_another_protected_branch_is_a_head() -> None:
    release = Branch("release-1", ["a1"], {"a1"})

    assert find_forks([change("7", added("c3", "a1"))], [MAIN, release]) == []


def test_of_three_changes_all_but_the_first_must_rebase() -> None:
    changes = [change(str(number), added(f"r{number}", "b2", minute=number)) for number in (3, 1, 2)]

    (fork,) = find_forks(changes, [MAIN])

    assert fork.first is not None
    assert (fork.first.change, [each.change for each in fork.must_rebase]) == ("1", ["2", "3"])
    assert list(forks_of([fork], "3")) == [fork]
    assert list(forks_of([fork], "4")) == []


def test_forks_are_sorted_by_parent_and_those_without_one_come_first() -> None:
    changes = [
        change(number, added(f"r{number}"), added(f"s{number}", "x9"), added(f"t{number}", "b2"))
        for number in ("7", "8")
    ]

    found = find_forks(changes, [Branch("main", ["b2", "x9"], {"b2", "x9"})])

    assert [fork.parent for fork in found] == [None, "b2", "x9"]
    assert found[0].sentence == (
        "Pull requests 7, 8 add a revision on no other revision, which is not the head of main any more: rebase onto b2, x9."
    )
    assert (found[0].onto, found[0].command) == ("b2, x9", "overproof rebase origin/main")


def test_of_two_that_were_seen_at_once_the_lower_number_was_first() -> None:
    (fork,) = find_forks([change("8", added("d4", "b2")), change("7", added("c3", "b2"))], [MAIN])

    assert (fork.first and fork.first.change, [each.change for each in fork.must_rebase]) == ("7", ["8"])


def test_a_branch_that_no_report_names_is_the_protected_one() -> None:
    (fork,) = find_forks([change("7", added("c3", "a1"))], [Branch("", ["b2"], {"a1", "b2"})])

    assert "which is not the head of the protected branch any more" in fork.sentence
    assert fork.command == "overproof rebase"
    assert list(forks_of([fork], "7")) == [fork]


@pytest.mark.parametrize(
    ("parent", "command"),
    [
        pytest.param("x9", "overproof rebase origin/next", id="the branch whose head it is"),
        pytest.param("y0", "overproof rebase 'origin/a b'", id="else the one that was seen last"),
    ],
)
def test_the_command_names_the_branch_into_which_they_are_merged(parent: str, command: str) -> None:
    branches = [Branch("a b", ["b2"], {"b2"}), Branch("next", ["x9"], {"x9"})]

    (fork,) = find_forks([change("7", added("c3", parent)), change("8", added("d4", parent))], branches)

    assert fork.command == command


def test_who_has_the_revision_of_the_other_as_well_is_no_rival() -> None:
    one = change("7", added("c3", "b2", minute=1))
    two = change("8", added("c3", "b2", minute=1), added("d4", "b2", minute=2))
    three = change("9", added("e5", "b2", minute=3))

    (fork,) = find_forks([one, two, three], [MAIN])

    assert fork.first is not None
    assert (fork.first.change, fork.first.revision) == ("7", "c3")
    assert [(each.change, each.revision) for each in fork.must_rebase] == [("9", "e5")]
    assert fork.sentence.startswith("2 open pull requests add a revision on b2: 7 was first, so 9 must be rebased")
