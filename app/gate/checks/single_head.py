"""More than one head: `alembic upgrade head` refuses to choose.

Catches
    A history that forks: two revisions follow the same one, and no later revision joins them. Each pull request was
    right on its own; the second one to merge created the fork. `depends_on` does not join two heads: Alembic still
    finds both. Also a branch that is behind its base, where a revision there follows the same one as a new one here.

Why it hurts
    `alembic upgrade head` stops with "Multiple head revisions are present", usually in the middle of a deployment, and
    so does the next `alembic revision`.

How to fix
    If one of the two has not been applied anywhere yet, put it after the other. From the branch that added it::

        git fetch
        overproof rebase origin/main

    Or by hand: in the first of its scripts after the fork, set::

        down_revision = "a1b2c3"  # the other head

    Otherwise join them with a revision that does nothing else::

        alembic merge -m "merge a1b2c3 and d4e5f6" a1b2c3 d4e5f6

    If several heads are intended, give each branch a label and upgrade all of them::

        branch_labels = ("billing",)     # in the first script of the branch
        alembic upgrade heads

Stays quiet when
    The command upgrades `heads` and the branches are separate on purpose: they have different branch labels, or no
    revision in common (several histories in one database).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from itertools import combinations

from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.checks.support.naming import script_of
from app.gate.history.branches import Branches
from app.gate.recording.model import Graph, Recording
from app.gate.report.verdict import Severity
from app.gate.wording import counted, first_line, indented, listed


def examine(recording: Recording) -> Iterator[Finding]:
    graph = recording.graph
    if not graph.heads and graph.problems:
        raise CheckSkipped("Alembic cannot read the history; see graph-integrity")
    yield from _forks_with_the_base(recording)
    if len(graph.heads) < 2:
        return
    history = _History(graph)
    forks = history.accidental_forks()
    consequence = "`alembic upgrade head` and the next `alembic revision` will be refused"
    if graph.refusal is not None and "multiple head" in graph.refusal.lower():
        consequence = f"Alembic refuses to upgrade: {first_line(graph.refusal)}"
        forks = forks or [list(graph.heads)]
    for heads in forks:
        yield _finding(recording, history, heads, consequence)


def _forks_with_the_base(recording: Recording) -> Iterator[Finding]:
    """The heads that there will be once the branch is merged, where the base has grown since it was made."""
    base = recording.base
    for revision, parent, follower, head in base.forks if base is not None else ():
        script = recording.get_revision(revision)
        yield Finding(
            f"{base.ref if base else ''} has {follower} by now, which follows {parent} as {revision} does: once both are merged, the"
            " history has two heads, and `alembic upgrade head` will be refused.",
            f"fork-with-base {parent}",
            revision=revision,
            object=revision,
            help=f"Put {revision} after the head there, which is {head} ({script.path}):\n\n"
            + _rebase(base.ref if base else ""),
        )


def _finding(recording: Recording, history: _History, heads: Sequence[str], consequence: str) -> Finding:
    fork = history.find_fork(heads)
    where = f"The history forks after {fork}" if fork else "The history has branches with nothing in common"
    names = listed([script_of(recording, head) for head in heads], limit=10)
    culprit = history.latest(heads)
    return Finding(
        f"{where}, into {counted(len(heads), 'head')}: {names}. {consequence[0].upper()}{consequence[1:]}.",
        f"fork {fork}" if fork else "unrelated-branches",
        revision=culprit,
        object=", ".join(sorted(heads)),
        help=_help(recording, history, heads, culprit, fork),
    )


def _help(recording: Recording, history: _History, heads: Sequence[str], culprit: str, fork: str | None) -> str:
    join = indented(f'alembic merge -m "merge {" and ".join(heads)}" {" ".join(heads)}')
    if fork is None or history.are_separate(heads):
        return (
            "If these branches are separate on purpose, upgrade all of them:\n\n"
            f"{indented('alembic upgrade heads')}\n\nOtherwise join them:\n\n{join}"
        )
    first = recording.get_revision(history.first_of_branch(culprit, heads))
    if len(heads) > 2 or len(first.down_revisions) > 1:
        return f"Join the heads:\n\n{join}"
    other = next(head for head in heads if head != culprit)
    put = f"If {first.revision} has not been applied anywhere yet, put it after the other head"
    if recording.base is not None and history.is_new(culprit) and not history.is_new(other):
        way = f"{put} ({first.path}):\n\n{_rebase(recording.base.ref)}"
    else:
        way = f"{put}, in {first.path}:\n\n" + indented(f'down_revision = "{other}"')
    return f"{way}\n\nOtherwise join the heads:\n\n{join}"


def _rebase(ref: str) -> str:
    """What puts the branch's own revisions after those of that ref."""
    fetch = ["git fetch"] if "/" in ref else []  # a branch of a remote, as it was when it was last fetched
    return indented("\n".join([*fetch, f"overproof rebase {shlex.quote(ref)}"]))


class _History:
    """The graph, with the branches in it."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._by_id = {each.revision: each for each in graph.revisions}
        parents = {each.revision: each.down_revisions for each in graph.revisions}
        self._branches = Branches(parents, {each.revision: each.branch_labels for each in graph.revisions})

    def accidental_forks(self) -> list[list[str]]:
        """Groups of heads that fork from one revision and have no label to distinguish them."""
        groups: list[list[str]] = []
        for head in self._graph.heads:
            for group in groups:
                if any(self._branches.collide(head, other) for other in group):
                    group.append(head)
                    break
            else:
                groups.append([head])
        return [group for group in groups if len(group) > 1]

    def are_separate(self, heads: Sequence[str]) -> bool:
        return not any(self._branches.collide(one, other) for one, other in combinations(heads, 2))

    def find_fork(self, heads: Sequence[str]) -> str | None:
        """The last revision from which all of the heads descend."""
        common = self._branches.common_ancestors(heads)
        return next((each.revision for each in reversed(self._graph.revisions) if each.revision in common), None)

    def first_of_branch(self, head: str, heads: Sequence[str]) -> str:
        """The first revision of that head's branch. What all heads have in common may be more than the ancestors of
        the fork."""
        branch = self._branches.ancestors(head) - self._branches.common_ancestors(heads)
        return next(each.revision for each in self._graph.revisions if each.revision in branch)

    def latest(self, heads: Sequence[str]) -> str:
        """The head to point at: one that the branch under judgement added, if there is one."""
        return max(heads, key=lambda head: (self._by_id[head].is_new, list(self._by_id).index(head)))

    def is_new(self, head: str) -> bool:
        return self._by_id[head].is_new


CHECK = Check(id="single-head", severity=Severity.ERROR, examine=examine)
