"""Findings weighed by the sizes of tables in a deployed database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.gate.checks.base import Finding
from app.gate.configuration import Configuration
from app.gate.judging.judge import judge
from app.gate.judging.sizes import Deployed, TableSize
from app.gate.recording.model import Recording
from app.gate.report.model import FindingEntry, Report
from app.gate.report.verdict import OF_SIZE, Severity
from tests.gate.checks.builders import key, recording, snapshot, trip
from tests.gate.judging.test_judge import check, found, history

SIZES = {
    "public.orders": TableSize(400_000_000, 48 * 2**30),
    "public.settings": TableSize(40, 8192),
    "public.events": TableSize(None, 0),
}
PRODUCTION = Deployed("production", SIZES, frozenset({"a1"}), "2026-11-30T12:00:00Z")


def weighed(
    finding: Finding, name: str = "table-rewrite", *, of: Recording | None = None, **fields: Any
) -> tuple[FindingEntry, Report]:
    report = judge([of or history()], checks=[check(name, finding)], **{"deployed": PRODUCTION, **fields})
    [entry] = report.findings
    return entry, report


def test_a_large_table_is_named_with_its_rows_and_bytes() -> None:
    entry, report = weighed(found("It waits.", object="public.orders"))

    assert entry.severity is Severity.ERROR
    assert entry.message == "It waits. In production, orders has about 400 million rows (48 GB)."
    assert [each.model_dump() for each in entry.tables] == [
        {"table": "public.orders", "weight": "large", "rows": 400_000_000, "bytes": 48 * 2**30}
    ]
    assert report.deployed is not None
    assert (report.deployed.source, report.deployed.revisions) == ("production", ["a1"])


@pytest.mark.parametrize("name", sorted(OF_SIZE))
def test_a_hazard_on_a_small_table_is_a_notice(name: str) -> None:
    entry, _ = weighed(found(object="public.settings.note"), name)

    assert entry.severity is Severity.NOTICE
    assert entry.message.endswith("In production, settings has about 40 rows (8 kB).")


def test_what_size_does_not_matter_to_keeps_its_severity() -> None:
    entry, _ = weighed(found(object="public.settings"), "data-loss")

    assert (entry.severity, entry.tables) == (Severity.ERROR, [])


def test_a_table_that_is_not_there_yet_is_new() -> None:
    entry, _ = weighed(found("It waits.", object="public.later"))

    assert entry.severity is Severity.NOTICE
    assert entry.message == "It waits. In production there is no later yet."


def test_a_table_that_should_be_there_is_not_called_new() -> None:
    """The deployed database is at the schema from which the walk starts, and someone has dropped the table."""
    walk = recording(trip("a1"), trip("b2"), start=snapshot({key("table", "lost"): {}}))
    walk = replace(walk, trips=walk.trips[1:])

    entry, _ = weighed(found(object="public.lost", revision="b2"), of=walk)

    assert entry.severity is Severity.ERROR


def test_a_table_is_followed_through_its_renames() -> None:
    walk = recording(trip("a1", renamed=[(key("table", "orders"), key("table", "purchases"))]), trip("b2"))

    entry, _ = weighed(found(object="public.purchases.id", revision="b2"), of=walk)

    assert (entry.severity, entry.tables[0].rows) == (Severity.ERROR, 400_000_000)


def test_rows_that_were_never_counted_weigh_nothing_down() -> None:
    entry, report = weighed(found("It waits.", object="public.events"))

    assert (entry.severity, entry.message) == (Severity.ERROR, "It waits.")
    (sentence,) = report.not_covered
    assert sentence == (
        "production does not have the rows of events, which was never analyzed: run ANALYZE there and take the snapshot again;"
        " until then hazards are weighed as on large tables"
    )


def test_a_snapshot_without_sizes_says_so() -> None:
    bare = replace(PRODUCTION, sizes={name: TableSize(None, 0) for name in SIZES})

    entry, report = weighed(found(object="public.settings"), deployed=bare)

    assert entry.severity is Severity.ERROR
    assert report.not_covered[0].startswith("production has no sizes, since no table was ever analyzed:")


def test_of_several_tables_one_large_one_is_enough() -> None:
    both = found("They wait.", object="public.orders, public.settings")

    entry, _ = weighed(both, "lock-pileup")

    assert entry.severity is Severity.ERROR
    assert entry.message == (
        "They wait. In production, orders has about 400 million rows (48 GB) and settings has about 40 rows (8 kB)."
    )


def test_the_tables_that_a_finding_names_itself_come_first() -> None:
    entry, _ = weighed(found(object=None, tables=("public.settings",)), "unindexed-foreign-key")

    assert entry.severity is Severity.NOTICE


def test_a_severity_that_the_project_has_set_stays() -> None:
    configuration = Configuration(severities={"table-rewrite": Severity.WARNING})

    entry, _ = weighed(found(object="public.settings"), configuration=configuration)

    assert entry.severity is Severity.WARNING


def test_how_many_rows_make_a_table_large_is_a_setting() -> None:
    entry, _ = weighed(found(object="public.settings"), deployed=replace(PRODUCTION, small_table_rows=40))

    assert entry.severity is Severity.ERROR


def test_the_fingerprint_does_not_depend_on_sizes() -> None:
    finding = found(object="public.orders")

    with_sizes, _ = weighed(finding)
    without, _ = weighed(finding, deployed=None)

    assert with_sizes.fingerprint == without.fingerprint


def test_a_table_that_is_not_there_yet_does_not_hide_those_behind_it() -> None:
    entry, _ = weighed(found("They wait.", object="public.later, public.orders"))

    assert entry.severity is Severity.ERROR
    assert [(each.table, each.weight) for each in entry.tables] == [("public.later", "new"), ("public.orders", "large")]
    assert entry.message == (
        "They wait. In production, orders has about 400 million rows (48 GB). In production there is no later yet."
    )


def test_a_name_with_a_dot_is_the_table_that_is_known_by_it() -> None:
    dotted = replace(PRODUCTION, sizes={"public.old.orders": TableSize(7, 0), "public.old": TableSize(None, 0)})

    for name in ("public.old.orders", "public.old.orders.note"):
        entry, _ = weighed(found(object=name), deployed=dotted)
        assert [(each.table, each.rows) for each in entry.tables] == [("public.old.orders", 7)]


@pytest.mark.parametrize(
    ("deployed", "table", "first", "weight"),
    [
        ({"a1"}, "lost", 1, "unknown"),
        ({"a1", "x9"}, "lost", 1, "unknown"),
        ({"a1"}, "other", 1, "new"),
        ({"a0"}, "lost", 1, "new"),
        (set(), "lost", 1, "new"),
        (set(), "lost", 0, "new"),
        ({"a1"}, "lost", 0, "unknown"),
        ({"x9"}, "lost", 0, "unknown"),
        ({"a1"}, "lost", 2, "new"),
    ],
    ids=[
        "the walk starts from the deployed revision", "and there is another branch", "a table that never was", "it starts from another",
        "nothing is deployed", "nothing is deployed, and it starts from nothing", "it starts from nothing", "and another branch is deployed", "nothing was walked",
    ],
)  # fmt: skip
def test_a_table_is_missing_only_where_the_walk_starts_from_what_is_deployed(
    deployed: set[str], table: str, first: int, weight: str
) -> None:
    walk = recording(trip("a1"), trip("b2"), start=snapshot({key("table", "lost"): {}}))
    walk = replace(walk, trips=walk.trips[first:])
    production = replace(PRODUCTION, revisions=frozenset(deployed))

    entry, _ = weighed(found(object=f"public.{table}", revision="b2"), of=walk, deployed=production)

    assert [each.weight for each in entry.tables] == [weight]


def test_a_walk_without_a_start_tells_nothing_of_what_was_there() -> None:
    entry, _ = weighed(found(object="public.lost", revision="b2"), of=recording(trip("a1"), trip("b2")))

    assert [each.weight for each in entry.tables] == ["new"]


def test_a_hazard_behind_one_that_size_does_not_matter_to_is_weighed_too() -> None:
    small = found(object="public.settings")
    checks = [check("data-loss", small), check("table-rewrite", small), check("lock-pileup", small)]

    report = judge([history()], checks=checks, deployed=PRODUCTION)

    assert [each.severity for each in report.findings] == [Severity.ERROR, Severity.NOTICE, Severity.NOTICE]


def test_several_tables_that_were_never_counted_are_named_in_one_sentence() -> None:
    bare = replace(PRODUCTION, sizes={**SIZES, "public.logs": TableSize(None, 0)})

    _, report = weighed(found(object="public.logs, public.events"), deployed=bare)

    (sentence,) = report.not_covered
    assert sentence.startswith(
        "production does not have the rows of logs and events, which were never analyzed: run ANALYZE"
    )
