"""What the proof of the running code costs: a pull request with one new revision, with the proof and without it.

In turn with both, plain Alembic on a database where there is nothing to do: what one start of the project's command costs,
which the proof cannot do without. Wall time by the clock, and processor time as the kernel counts it, of the gate with all
that it starts: that depends less on what else the machine does.
"""

from __future__ import annotations

import resource
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from app.gate.server.throwaway import Server
from tests.bench.branch import BASE, Branch, write_branch
from tests.bench.history import Change
from tests.bench.overproof import UPGRADE, overproof, time_command
from tests.bench.page import format_table

_VERIFY = [*overproof(), "verify", "--base", BASE]
WITH = "the whole gate"
WITHOUT = "without `breaking-change`"
PLAIN = "plain `alembic upgrade head`, nothing to do"


@dataclass
class Taken:
    """Seconds of whole processes, one of each for a round."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def add(self, command: list[str], project: Path, environment: Mapping[str, str]) -> None:
        began = _processor_time()
        self.wall.append(time_command("running", command, project, environment))
        self.processor.append(_processor_time() - began)


def _processor_time() -> float:
    """Of all processes that have ended and were started by us, or by these."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Widening(Branch):
    """Its last revision does more than to add something: of a mere column, the base's code need not be asked."""

    def add_last(self) -> list[Change]:
        table = self.tables[0]
        old = table.strings["title"]
        table.columns["title"] = table.columns["title"].replace(f"String({old})", f"String({old + 20})")
        alter = f"op.alter_column({table.name!r}, 'title', type_=sa.String({{}}), existing_type=sa.String({{}}))"
        change = Change("widen title", [alter.format(old + 20, old)], [alter.format(old, old + 20)])
        return [change, *super().add_last()]


def measure(folder: Path, revisions: int, server: Server, rounds: int) -> str:
    """The text of the section."""
    project = folder / f"running-{revisions}"
    tables = write_branch(project, revisions, kind=Widening)
    database = server.create_database()
    cache = {"OVERPROOF_CACHE": str(folder / "running-cache")}
    plain = {"DATABASE_URL": database.url("psycopg2")}
    for _ in range(2):  # what is kept of the base, and bytecode
        Taken().add([*_VERIFY, "--", *UPGRADE], project, cache)
    Taken().add(UPGRADE, project, plain)
    taken = {name: Taken() for name in (WITH, WITHOUT, PLAIN)}
    for number in range(rounds):
        taken[WITH].add([*_VERIFY, "--", *UPGRADE], project, cache)
        taken[WITHOUT].add([*_VERIFY, "--ignore", "breaking-change", "--", *UPGRADE], project, cache)
        taken[PLAIN].add(UPGRADE, project, plain)
        last = ", ".join(f"{each.wall[-1]:.2f} s" for each in taken.values())
        print(f"  round {number + 1}: {last}", flush=True)
    server.drop_database(database)
    return describe(taken, revisions, tables)


def describe(taken: Mapping[str, Taken], revisions: int, tables: int) -> str:
    lines = [
        [name, *(f"{kind(times):.2f} s" for times in (each.wall, each.processor) for kind in (min, median))]
        for name, each in taken.items()
    ]
    head = ["", "wall time, least", "median", "processor time, least", "median"]
    rounds = len(taken[WITH].wall)
    return (
        f"A branch whose one new revision widens a column, on {revisions} revisions and {tables} tables, with what an earlier run has kept"
        f"\nof the base; the base's models are asked in a checkout of its own. {rounds} rounds, in turn.\n\n"
        f"{format_table(head, lines)}\n"
        f"The proof of the running code adds {_added(taken, 'wall')}\nOf processor time, it adds {_added(taken, 'processor')}\n"
    )


def _added(taken: Mapping[str, Taken], kind: str) -> str:
    """By the least of all rounds."""
    with_proof, without, plain = (min(getattr(taken[name], kind)) for name in (WITH, WITHOUT, PLAIN))
    return (
        f"{with_proof - without:.2f} s, which is {with_proof - without - plain:+.2f} s beside one start of the command."
    )
