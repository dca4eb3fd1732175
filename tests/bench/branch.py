"""What a pull request costs: `--base` on made-up histories in git repositories, with a branch that adds one revision to each.

The same revision everywhere, so that the histories differ in nothing but their length, and in the tables that come with it. Beside it,
plain Alembic on a database where there is nothing to do: what it costs to load the project's models and scripts, which no
gate that asks the project's own command can do without.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from app.gate.server import Database, Server
from tests.bench.history import Change, Shop, write_shop
from tests.bench.overproof import clean_environment, overproof

BASE = "main"
_UPGRADE = [sys.executable, "-m", "alembic", "upgrade", "head"]
_VERIFY = [*overproof(), "verify", "--base", BASE, "--", *_UPGRADE]
_GIT = ("git", "-c", "user.name=Bench", "-c", "user.email=bench@example.com", "-c", "commit.gpgsign=false")


@dataclass
class Figures:
    """Seconds of whole processes, on one history."""

    tables: int
    first: float  # of the gate, with nothing kept
    gate: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)


def measure(folder: Path, lengths: Sequence[int], server: Server, rounds: int) -> dict[int, Figures]:
    """By the number of revisions at the base. The gate starts a server of its own, which is counted; plain Alembic has one that is not."""
    figures: dict[int, Figures] = {}
    projects = {revisions: folder / f"branch-{revisions}" for revisions in lengths}
    databases: dict[int, Database] = {}
    for revisions, project in projects.items():
        tables = write_branch(project, revisions)
        figures[revisions] = Figures(tables, _verify(project))
        print(f"  kept:    {figures[revisions].first:6.2f} s  {revisions} revisions", flush=True)
        databases[revisions] = server.create_database()
        _upgrade(project, databases[revisions])
    for number in range(rounds):
        for revisions, project in projects.items():
            figures[revisions].gate.append(_verify(project))
            figures[revisions].plain.append(_upgrade(project, databases[revisions]))
            taken = f"{figures[revisions].gate[-1]:6.2f} s, plain {figures[revisions].plain[-1]:5.2f} s"
            print(f"  round {number + 1}: {taken}  {revisions} revisions", flush=True)
    for database in databases.values():
        server.drop_database(database)
    return figures


def _verify(project: Path) -> float:
    return _run(_VERIFY, project, {"OVERPROOF_CACHE": str(project.with_name("cache"))})


def _upgrade(project: Path, database: Database) -> float:
    return _run(_UPGRADE, project, {"DATABASE_URL": database.url("psycopg2")})


def _run(command: Sequence[str], project: Path, environment: Mapping[str, str]) -> float:
    """Seconds from start to end of the whole process. Exits if it fails."""
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=project, env=clean_environment() | dict(environment), stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    took = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"bench: {' '.join(command)} failed in {project}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return took


def describe(figures: Mapping[int, Figures]) -> str:
    """A table for people, and what it comes to."""
    lines = [
        "| revisions | tables | least | median | rounds | nothing kept yet | plain Alembic, nothing to do | beyond that |",
        "| ---: " * 8 + "|",
    ]
    for revisions, each in figures.items():
        least, plain = min(each.gate), min(each.plain)
        lines.append(
            f"| {revisions} | {each.tables} | {least:.2f} s | {median(each.gate):.2f} s | {len(each.gate)} |"
            f" {each.first:.2f} s | {plain:.2f} s | {least - plain:.2f} s |"
        )
    short, long = (figures[number] for number in (min(figures), max(figures)))
    more, more_plain = min(long.gate) - min(short.gate), min(long.plain) - min(short.plain)
    lines.append(
        f"\nOn the longest history it takes {more:.2f} s or {more / min(short.gate):.0%} more than on the shortest. Plain"
        f" `alembic upgrade head`, with nothing to do, takes {more_plain:.2f} s or {more_plain / min(short.plain):.0%} more:"
        " the project's models and scripts, which the command loads before anybody can ask it for anything."
    )
    return "\n".join(lines) + "\n"


class Branch(Shop):
    """A shop whose last revision is the same whatever came before."""

    def add_last(self) -> list[Change]:
        """A column and an index on the oldest table, which depends on no other."""
        table = self.tables[0]
        table.indexes["ix_remark"] = ["remark"]
        index = f"op.create_index('ix_remark', {table.name!r}, ['remark'])"
        return [
            self._add(table, "remark", "sa.String(80), nullable=True"),
            Change("index remark", [index], [f"op.drop_index('ix_remark', {table.name!r})"]),
        ]


def write_branch(directory: Path, revisions: int) -> int:
    """A repository with so many revisions on `main`, and one more on the branch that is checked out. Gives the number of tables."""
    directory.mkdir()
    shop = Branch()
    changes = shop.revisions(revisions)
    write_shop(directory, shop, changes)
    (directory / ".gitignore").write_text("__pycache__/\n")
    _git(directory, "init", "-q", "-b", BASE)
    _commit(directory, f"{revisions} revisions")
    _git(directory, "checkout", "-q", "-b", "branch")
    write_shop(directory, shop, [*changes, shop.add_last()])
    _commit(directory, "one more")
    return len(shop.tables)


def _commit(directory: Path, message: str) -> None:
    _git(directory, "add", ".")
    _git(directory, "commit", "-q", "-m", message)


def _git(directory: Path, *words: str) -> None:
    subprocess.run([*_GIT, *words], cwd=directory, check=True, capture_output=True)
