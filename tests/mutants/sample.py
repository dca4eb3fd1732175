"""A seeded sample of mutants, by strata and operators."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from tests.mutants.operators import Mutant, mutants_of

# What is drawn of each, out of 18. The first that a file's path begins with is its own.
STRATA = {
    "checks, judge": (9, ("app/gate/checks/", "app/gate/judging/")),
    "gate": (5, ("app/gate/",)),
    "service": (4, ("app/",)),
}


def stratum_of(path: str) -> str:
    return next(name for name, (_, folders) in STRATA.items() if path.startswith(folders))


def sizes(total: int) -> dict[str, int]:
    """How many mutants of each stratum make a sample of that size."""
    parts = sum(share for share, _ in STRATA.values())
    drawn = {name: total * share // parts for name, (share, _) in STRATA.items()}
    drawn[next(iter(drawn))] += total - sum(drawn.values())
    return drawn


def draw(root: Path, files: Collection[str], total: int, seed: int, only: Collection[str] = ()) -> list[Mutant]:
    """At most one a line. With `only`, the whole sample is of those strata."""
    by_stratum: dict[str, list[Mutant]] = {name: [] for name in STRATA if not only or name in only}
    for path in sorted(path for path in files if path.endswith(".py")):  # of templates too, lines are run
        if (stratum := stratum_of(path)) in by_stratum:
            by_stratum[stratum] += mutants_of(path, (root / path).read_bytes())
    shares = sizes(total)
    whole = sum(shares[name] for name in by_stratum)
    drawn: list[Mutant] = []
    for name, mutants in by_stratum.items():
        size = round(total * shares[name] / whole)
        drawn += _draw(mutants, size, random.Random(f"{seed} {name}"))
    return drawn


def _draw(mutants: Sequence[Mutant], size: int, chance: random.Random) -> list[Mutant]:
    """An operator first, by the root of how many places it has: texts are many, and mostly make small mistakes."""
    left: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        left.setdefault(mutant.operator, []).append(mutant)
    drawn: dict[tuple[str, int], Mutant] = {}
    while left and len(drawn) < size:
        [operator] = chance.choices(list(left), weights=[len(places) ** 0.5 for places in left.values()])
        mutant = left[operator].pop(chance.randrange(len(left[operator])))
        if not left[operator]:
            del left[operator]
        drawn.setdefault((mutant.path, mutant.line), mutant)
    return list(drawn.values())


def counts(outcomes: Mapping[Mutant, str]) -> dict[str, dict[str, int]]:
    """{"gate": {"killed": 20, "survived": 5}}"""
    counted: dict[str, dict[str, int]] = {}
    for mutant, outcome in outcomes.items():
        of_stratum = counted.setdefault(stratum_of(mutant.path), {})
        of_stratum[outcome] = of_stratum.get(outcome, 0) + 1
    return counted
