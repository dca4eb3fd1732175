"""The mark of tests that start a program cannot be forgotten."""

import subprocess
from contextlib import suppress

import pytest

from tests.processes import GUARD, Guard

STARTS = ("subprocess.Popen", ("true", ["/bin/true"], None, None))


def test_a_test_without_the_mark_fails_where_it_starts_a_program():
    guard = Guard()

    with pytest.raises(pytest.fail.Exception, match=r"starts a program .*: /bin/true"), guard.watch():
        guard.hear(*STARTS)


def test_it_fails_as_well_if_the_code_under_test_swallows_the_failure():
    guard = Guard()

    with pytest.raises(pytest.fail.Exception, match="/bin/true"), guard.watch(), suppress(pytest.fail.Exception):
        guard.hear(*STARTS)


def test_git_may_be_asked():
    guard = Guard()

    with guard.watch():
        guard.hear("subprocess.Popen", ("git", ["git", "log"], None, None))


@pytest.mark.processes
def test_python_tells_the_guard_before_it_starts_a_program():
    with pytest.raises(pytest.fail.Exception, match=r"starts a program .*: true"), GUARD.watch():
        subprocess.run(["true"], check=True)


def test_what_uses_a_fixture_that_starts_a_program_has_the_mark(processes: None, request: pytest.FixtureRequest):
    assert request.node.get_closest_marker("processes") is not None
    subprocess.run(["true"], check=True)
