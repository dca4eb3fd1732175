"""`overproof rebase [REF]`: puts the branch's own revisions after the head of REF, by their `down_revision`.

It reads scripts and Git, and runs none of the project's code.
"""

from __future__ import annotations

import argparse
import difflib
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.gate.commands._help import HelpFormatter
from app.gate.commands._messages import printable, refuse
from app.gate.configuration import read_configuration
from app.gate.errors import CannotVerify
from app.gate.files import replace_all
from app.gate.history.choose_base import AUTO, advice_on, find_base_ref, how_to_fetch
from app.gate.history.rebasing import CannotRebase, Rebase, branches_of, plan_rebase
from app.gate.history.reparenting import CannotReparent, new_parents, reparent
from app.gate.history.repository import GitFailed, Repository
from app.gate.history.sides import Script, Sides, read_sides
from app.gate.target.script_folders import find_script_folders
from app.gate.wording import listed

DESCRIPTION = """\
Puts the branch's own revisions after the head of REF, which has grown since the branch was made: `down_revision` of the first
of them, and the line `Revises:`, are changed, and nothing else. No database is needed, and none of the project's code is run.
"""

EPILOG = """\
Exit status: 0 done, or there is nothing to do; 2 nothing was changed, with the reason in one line.

Examples:

    git fetch && overproof rebase
    overproof rebase origin/release --dry-run
"""


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "rebase",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "ref",
        metavar="REF",
        nargs="?",
        default=AUTO,
        help="the branch whose head they shall follow (default: the target branch of a pull request in CI, else the default"
        " branch of the remote)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would be changed as a diff, and change nothing"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    directory = Path.cwd().resolve()
    try:
        refs = _find_refs(arguments.ref, directory, os.environ)
        command = read_configuration(directory).command
        histories = _plan(refs, directory, command)
        files = dict(_rewritten(histories))
    except CannotVerify as error:
        return refuse(str(error))
    if not files:
        return _say([_nothing_to_do(refs, histories)])
    if arguments.dry_run:
        return _say(_diff(files, refs.root))
    try:
        replace_all(files)
    except OSError as error:
        return refuse(f"nothing was changed: {error.filename}: {error.strerror}")
    lines = [line for each in histories for line in _what_was_done(each, refs)]
    return _say([*lines, *_what_to_run(histories, refs, command)])


@dataclass(frozen=True)
class _Refs:
    root: Path
    ref: str
    commit: str
    parted: str  # the newest commit that it and HEAD have in common


@dataclass(frozen=True)
class _History:
    sides: Sides
    rebase: Rebase


def _find_refs(asked: str, directory: Path, environ: Mapping[str, str]) -> _Refs:
    """Raises CannotVerify."""
    repository = Repository(directory)
    try:
        root = repository.find_root().resolve()
        ref = find_base_ref(repository, environ) if asked == AUTO else asked
    except GitFailed as error:
        advice = advice_on(error, directory) or "change to the project's Git checkout"
        raise CannotVerify(f"{error}: {advice}") from error
    if ref is None:
        raise CannotVerify("there is no branch of a remote here: name the branch, as in overproof rebase main")
    try:
        commit = repository.find_commit(ref)
    except GitFailed as error:
        raise CannotVerify(f"{ref} names no commit here ({error}): {how_to_fetch(ref)}") from error
    try:
        parted = repository.find_merge_base(commit, "HEAD")
    except GitFailed as error:
        raise CannotVerify(f"{ref} cannot be compared with HEAD: {error}") from error
    if parted is None:
        raise CannotVerify(f"{ref} and HEAD have no commit in common here: {how_to_fetch(ref, is_shallow=True)}")
    return _Refs(root, ref, commit, parted)


def _plan(refs: _Refs, directory: Path, command: Sequence[str]) -> list[_History]:
    """Raises CannotVerify."""
    folders = find_script_folders(directory, command)
    if not folders:
        raise CannotVerify(f"there are no scripts of Alembic below {directory}: change to the project's directory")
    try:
        every = [read_sides(refs.root, each, refs.commit, refs.parted) for each in folders]
    except GitFailed as error:
        raise CannotVerify(f"{refs.ref} cannot be read: {error}") from error
    histories = []
    for sides in every:
        own = {name: script.place for name, script in sides.own.items()}
        merged = {name: script.place for name, script in sides.merged.items()}
        rebase = plan_rebase(own, merged, refs.ref, is_start=sides.is_start)
        if rebase.changes:
            _refuse_changes_of_merged(sides, refs)
        histories.append(_History(sides, rebase))
    return histories


def _refuse_changes_of_merged(sides: Sides, refs: _Refs) -> None:
    """Raises CannotRebase if the branch has changed revisions that are on the ref."""
    for paths, what in ((list(map(str, sides.edited)), "changed"), (list(sides.removed), "removed")):
        if paths:
            shown = [os.path.relpath(refs.root / path, refs.root) for path in paths]
            raise CannotRebase(
                f"the branch has {what} {listed(shown)}, which {refs.ref} has: restore it first"
                f" (git checkout {refs.parted[:12]} -- {shlex.join(shown)}), and make the change in a new revision"
            )


def _rewritten(histories: Sequence[_History]) -> Iterator[tuple[Path, tuple[bytes, bytes]]]:
    """(path, its content before and after). Raises CannotRebase."""
    for history in histories:
        for revision, change in history.rebase.changes.items():
            script = history.sides.own[revision]
            try:
                yield script.path, (script.source, reparent(script.source, change))
            except CannotReparent as error:
                after = ", ".join(new_parents(script.place.parents, change))
                raise CannotRebase(f"{script.path} cannot be changed: {error}: make it {after} by hand") from error


def _nothing_to_do(refs: _Refs, histories: Sequence[_History]) -> str:
    own = [revision for each in histories for revision in each.sides.own]
    if not own:
        return f"Nothing to do: there is no revision here that {refs.ref} does not have."
    stays = [revision for each in histories for revision in each.rebase.stays]
    if stays:
        return f"Nothing to do: {listed(stays)} starts a labelled branch, and stays where it is."
    return f"Nothing to do: {_follow(own)} the head of {refs.ref} already."


def _follow(revisions: Sequence[str]) -> str:
    return f"{listed(revisions)} {'follows' if len(revisions) == 1 else 'follow'}"


def _what_was_done(history: _History, refs: _Refs) -> Iterator[str]:
    for revision, change in history.rebase.changes.items():
        script = history.sides.own[revision]
        before, after = script.place.parents, new_parents(script.place.parents, change)
        instead = f" in place of {listed(before)}" if before else ""
        yield f"{revision} now follows {listed(after)}{instead}: {_shown(script, refs)}"
        if len(before) > len(after) == 1:
            yield f"    It joins no heads any more; if it does nothing else, remove it, and have what follows it follow {after[0]}."


def _shown(script: Script, refs: _Refs) -> str:
    return str(script.path.relative_to(refs.root)) if script.path.is_relative_to(refs.root) else str(script.path)


def _what_to_run(histories: Sequence[_History], refs: _Refs, command: Sequence[str]) -> Iterator[str]:
    ref = shlex.quote(refs.ref)
    if refs.commit != refs.parted:
        yield from (
            "",
            f"Commit that, and bring the branch up to date with {refs.ref}, whose revisions are not all here:",
        )
        yield f"    git merge {ref}"
    yield from ("", "Prove what is new:", f"    overproof verify --base {ref}")
    for history in histories:
        yield from _for_databases(history, command)


def _for_databases(history: _History, command: Sequence[str]) -> Iterator[str]:
    """How to correct a database that has run the branch's revisions: what precedes them now, it would never run."""
    changes, targets = history.rebase.changes, history.rebase.targets
    before = dict.fromkeys(parent for change in changes.values() for parent, after in change.items() if after)
    if len(targets) != 1:
        return
    merged = branches_of({name: script.place for name, script in history.sides.merged.items()})
    below = {each for parent in before if parent for each in merged.ancestors(parent) - {parent}}
    yield from ("", f"A database that has run {next(iter(changes))} already, such as yours, is put right there by:")
    at = command.index("upgrade") if "upgrade" in command else 0
    program = shlex.join(command[:at] or ["alembic"])
    yield f"    {program} downgrade {shlex.quote(targets[0])}"
    yield f"    {program} stamp {shlex.join(each or 'base' for each in before if each not in below)}"
    yield f"    {shlex.join(command) if at else 'alembic upgrade head'}"


def _diff(files: Mapping[Path, tuple[bytes, bytes]], root: Path) -> Iterator[str]:
    for path, (old, new) in files.items():
        name = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
        before, after = (each.decode("utf-8", "backslashreplace").splitlines() for each in (old, new))
        yield from difflib.unified_diff(before, after, f"a/{name}", f"b/{name}", lineterm="")


def _say(lines: Sequence[str] | Iterator[str]) -> int:
    for line in lines:
        print(printable(line, sys.stdout.encoding))
    return 0
