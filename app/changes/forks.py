"""Find forks: a pure function of the open changes and the protected branches."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from app.changes.schemas import Contender, Fork


class Added(NamedTuple):
    """A revision that an open change adds."""

    revision: str
    parents: tuple[str, ...]
    first_seen_at: datetime
    starts_branch: bool = False  # on purpose, with a branch label


class OpenChange(NamedTuple):
    id: str
    branch: str | None
    added: Sequence[Added]  # parents before children

    @property
    def revisions(self) -> frozenset[str]:
        return frozenset(each.revision for each in self.added)

    @property
    def head(self) -> str:
        return self.added[-1].revision


class Branch(NamedTuple):
    """A protected branch."""

    name: str
    heads: Sequence[str]
    revisions: Collection[str]


class Claim(NamedTuple):
    """A change's revision on a parent that the change does not have itself."""

    change: OpenChange
    added: Added

    @property
    def contender(self) -> Contender:
        return Contender(change=self.change.id, branch=self.change.branch, revision=self.added.revision)


def find_forks(changes: Iterable[OpenChange], branches: Sequence[Branch]) -> list[Fork]:
    """Sorted by parent. What is on a parent that is no head any more must be rebased in any case."""
    forks = []
    for parent, claims in sorted(_claims_by_parent(changes).items(), key=lambda item: item[0] or ""):
        passed = _branch_that_passed(parent, branches)
        if passed is not None:
            forks.append(_fork_with_branch(parent, claims, passed))
        elif rivals := _rivals(claims):
            forks.append(_fork_of_changes(parent, rivals, branches))
    return forks


def _claims_by_parent(changes: Iterable[OpenChange]) -> Mapping[str | None, list[Claim]]:
    """The oldest claim first."""
    found: dict[str | None, list[Claim]] = defaultdict(list)
    for change in changes:
        own = change.revisions
        for added in change.added:
            if added.starts_branch:
                continue
            for parent in added.parents or (None,):
                if parent not in own:
                    found[parent].append(Claim(change, added))
    return {parent: sorted(claims, key=_age) for parent, claims in found.items()}


def _age(claim: Claim) -> tuple[datetime, str]:
    return (claim.added.first_seen_at, claim.change.id)


def _branch_that_passed(parent: str | None, branches: Sequence[Branch]) -> Branch | None:
    """The branch that has the parent below its heads, unless it is the head of another one."""
    if parent is not None and any(parent in branch.heads for branch in branches):
        return None
    return next((each for each in branches if (each.heads if parent is None else parent in each.revisions)), None)


def _fork_with_branch(parent: str | None, claims: Sequence[Claim], branch: Branch) -> Fork:
    contenders = [claim.contender for claim in claims]
    where = branch.name or "the protected branch"
    return Fork(
        parent=parent,
        first=None,
        must_rebase=contenders,
        onto=", ".join(branch.heads),
        command=_command(branch),
        sentence=f"{_names(contenders)} a revision on {parent or 'no other revision'}, which is not the head of {where}"
        f" any more: rebase onto {', '.join(branch.heads)}.",
    )


def _names(contenders: Sequence[Contender]) -> str:
    if len(contenders) == 1:
        return f"Pull request {contenders[0].change} adds"
    return f"Pull requests {', '.join(each.change for each in contenders)} add"


def _rivals(claims: Sequence[Claim]) -> list[Claim]:
    """Those of which another one adds a different revision on the same parent, and not theirs as well."""
    return [claim for claim in claims if any(_is_rival(claim, other) for other in claims)]


def _is_rival(one: Claim, other: Claim) -> bool:
    return (
        one.change.id != other.change.id
        and one.added.revision not in other.change.revisions
        and other.added.revision not in one.change.revisions
    )


def _fork_of_changes(parent: str | None, rivals: Sequence[Claim], branches: Sequence[Branch]) -> Fork:
    first = rivals[0]
    behind = [claim for claim in rivals if _is_rival(claim, first)]
    number = len({claim.change.id for claim in (first, *behind)})
    others = ", ".join(claim.change.id for claim in behind)
    return Fork(
        parent=parent,
        first=first.contender,
        must_rebase=[claim.contender for claim in behind],
        onto=first.change.head,
        command=_command(_target(parent, branches)),
        sentence=f"{number} open pull requests add a revision on {parent or 'no other revision'}: {first.change.id} was"
        f" first, so {others} must be rebased onto {first.change.head} once {first.change.id} is merged.",
    )


def _target(parent: str | None, branches: Sequence[Branch]) -> Branch | None:
    """The branch into which they would be merged."""
    return next((branch for branch in branches if parent in branch.heads), branches[0] if branches else None)


def _command(branch: Branch | None) -> str:
    if branch is None or not branch.name:
        return "overproof rebase"
    return f"overproof rebase {shlex.quote(f'origin/{branch.name}')}"  # it will be pasted into a shell


def forks_of(forks: Iterable[Fork], change: str) -> Iterator[Fork]:
    """Those that the change is part of."""
    for fork in forks:
        if change in {each.change for each in (fork.first, *fork.must_rebase) if each is not None}:
            yield fork
