"""What a pull request costs: `--base` on made-up histories in git repositories, with a branch that adds one revision to each.

The same revision everywhere, on two series of histories. In one they differ in nothing but their length: all have as many
tables as the shortest. In the other the tables, and with them the models, grow along as they do in a real project. Beside
each, plain Alembic on a database where there is nothing to do: what it costs to load the project's models and scripts,
which no gate that asks the project's own command can do without.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from app.gate.server.database import Database
from app.gate.server.throwaway import Server
from tests.bench.history import Change, Shop, write_shop
from tests.bench.overproof import UPGRADE, overproof, time_command

BASE = "main"
_VERIFY = [*overproof(), "verify", "--base", BASE, "--", *UPGRADE]
_GIT = ("git", "-c", "user.name=Bench", "-c", "user.email=bench@example.com", "-c", "commit.gpgsign=false")


@dataclass
class Figures:
    """Seconds of whole processes, on one history."""

    tables: int
    first: float  # of the gate, with nothing kept
    gate: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)


@dataclass
class Series:
    """Longer and longer histories."""

    title: str
    name: str  # of its folders
    most_tables: int | None
    figures: dict[int, Figures] = field(default_factory=dict)  # by the number of revisions at the base


@dataclass
class Project:
    """A history of a series, and what it is measured with."""

    path: Path
    database: Database  # for plain Alembic; the gate starts a server of its own
    figures: Figures
    title: str


def measure(folder: Path, lengths: Sequence[int], server: Server, rounds: int) -> list[Series]:
    """Both series, all histories in turn. The gate starts a server of its own, which is counted; plain Alembic has one that is not."""
    series = [
        Series("As many tables everywhere", "capped", _count_tables(min(lengths))),
        Series("Tables grow along", "growing", None),
    ]
    projects = [_prepare(folder, each, revisions, server) for each in series for revisions in lengths]
    for number in range(rounds):
        for project in projects:
            gate, plain = _verify(project.path), _upgrade(project.path, project.database)
            project.figures.gate.append(gate)
            project.figures.plain.append(plain)
            print(f"  round {number + 1}: {gate:6.2f} s, plain {plain:5.2f} s  {project.title}", flush=True)
    for project in projects:
        server.drop_database(project.database)
    return series


def _prepare(folder: Path, series: Series, revisions: int, server: Server) -> Project:
    """Write the history, and let the gate keep its base."""
    path = folder / f"branch-{series.name}-{revisions}"
    tables = write_branch(path, revisions, series.most_tables)
    title = f"{revisions} revisions, {tables} tables"
    first = _verify(path)
    print(f"  kept:    {first:6.2f} s  {title}", flush=True)
    database = server.create_database()
    _upgrade(path, database)
    series.figures[revisions] = Figures(tables, first)
    return Project(path, database, series.figures[revisions], title)


def _count_tables(revisions: int) -> int:
    """How many tables a history of that length has come to."""
    shop = Shop()
    shop.revisions(revisions)
    return len(shop.tables)


def _verify(project: Path) -> float:
    # Of each project its own, since a cache keeps only a few images.
    return time_command(
        "the gate", _VERIFY, project, {"OVERPROOF_CACHE": str(project.with_name(f"{project.name}-cache"))}
    )


def _upgrade(project: Path, database: Database) -> float:
    return time_command("plain Alembic", UPGRADE, project, {"DATABASE_URL": database.url("psycopg2")})


def describe(series: Sequence[Series]) -> str:
    """Tables for people, and what they come to."""
    return "\n".join(f"### {each.title}\n\n{_describe(each.figures)}" for each in series)


def _describe(figures: Mapping[int, Figures]) -> str:
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
    shortest, longest = min(figures), max(figures)
    short, long = figures[shortest], figures[longest]
    gate, plain = min(long.gate) / min(short.gate), min(long.plain) / min(short.plain)
    lines.append(
        f"\n{longest} revisions take {gate:.2f} times as long as {shortest} ({min(long.gate) - min(short.gate):+.2f} s); plain"
        f" `alembic upgrade head`, with nothing to do, {plain:.2f} times ({min(long.plain) - min(short.plain):+.2f} s)."
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


def write_branch(directory: Path, revisions: int, most_tables: int | None = None, kind: type[Branch] = Branch) -> int:
    """A repository with so many revisions on `main`, and one more on the branch that is checked out. Gives the number of tables."""
    directory.mkdir()
    shop = kind(most_tables=most_tables)
    changes = shop.revisions(revisions)
    write_shop(directory, shop, changes)
    (directory / ".gitignore").write_text("__pycache__/\n")
    _git(directory, "init", "-q", "-b", BASE)
    _commit(directory, f"{revisions} revisions")
    _git(directory, "checkout", "-q", "-b", "branch")
    write_shop(directory, shop, [*changes, shop.add_last()])
    _commit(directory, "one more")
    _git(directory, "repack", "-a", "-d", "-q")  # as in a clone; of many single files git would be slower
    return len(shop.tables)


def _commit(directory: Path, message: str) -> None:
    _git(directory, "add", ".")
    _git(directory, "commit", "-q", "-m", message)


def _git(directory: Path, *words: str) -> None:
    subprocess.run([*_GIT, *words], cwd=directory, check=True, capture_output=True)
