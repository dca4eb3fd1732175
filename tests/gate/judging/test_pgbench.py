"""The schema that pgbench makes, weighed by a snapshot of it at scale 10: a million accounts, a hundred tellers, ten
branches and a history that is empty.

`pgbench-scale-10.json` is what `pgbench -i -s 10 pgbench` and `overproof snapshot postgresql:///pgbench` gave on
PostgreSQL 18.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from app.gate.commands._deployed import read_deployed
from app.gate.judging.judge import judge
from app.gate.judging.sizes import Deployed
from app.gate.recorder import record
from app.gate.recording.model import Evidence, Recording
from app.gate.report.model import FindingEntry, Report
from app.gate.report.verdict import OF_SIZE
from app.gate.server.throwaway import Server
from tests.gate.projects import script, target, write_project

SCHEMA = """
    CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
    CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84)) WITH (fillfactor=100);
    CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84)) WITH (fillfactor=100);
    CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88)) WITH (fillfactor=100)
"""
NUMBERS = {"accounts": "abalance", "tellers": "tbalance", "branches": "bbalance", "history": "delta"}
REWRITE = "ALTER TABLE pgbench_{table} ALTER {number} TYPE bigint"
SCAN = "ALTER TABLE pgbench_{table} ADD CHECK ({number} < 10)"
INDEX = "CREATE INDEX ON pgbench_{table} ({number})"
LIMIT = "SET LOCAL lock_timeout = '5s'; "
UPGRADES = {
    **{
        f"{kind}_{table}": LIMIT + statement.format(table=table, number=number)
        for kind, statement in {"rewrite": REWRITE, "scan": SCAN, "index": INDEX}.items()
        for table, number in NUMBERS.items()
    },
    "both": f"{LIMIT}{SCAN.format(table='branches', number='bid')}; {SCAN.format(table='accounts', number='bid')}",
    "few": f"{LIMIT}{SCAN.format(table='branches', number='bid')}; {SCAN.format(table='tellers', number='bid')}",
    "no_limit": "ALTER TABLE pgbench_tellers ADD note text",
}
DEPLOYED = read_deployed("pgbench-scale-10.json", Path(__file__).parent, None, {})


@pytest.fixture(scope="module")
def walked(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    scripts, last = {"a1": script("a1", None, f'op.execute("""{SCHEMA}""")')}, "a1"
    for name, sql in UPGRADES.items():
        scripts[name] = script(name, last, f'op.execute("{sql}")')
        last = name
    env = "transaction_per_migration=True, connection=connection"
    place = write_project(tmp_path_factory.mktemp("pgbench") / "project", scripts)
    text = (place / "migrations" / "env.py").read_text().replace("connection=connection", env)
    (place / "migrations" / "env.py").write_text(text)
    (recording,) = record(target(place), server, evidence=frozenset({Evidence.LOCKS}))
    return recording


def by_revision(report: Report) -> Mapping[tuple[str, str | None], FindingEntry]:
    return {(each.check, each.revision): each for each in report.findings if each.check in OF_SIZE}


@pytest.mark.parametrize(
    ("check", "kind", "severity"),
    [
        ("table-rewrite", "rewrite", "error"),
        ("blocking-scan", "scan", "warning"),
        ("blocking-index", "index", "warning"),
    ],
)
def test_only_what_a_million_rows_wait_for_is_severe(check: str, kind: str, severity: str, walked: Recording) -> None:
    found = by_revision(judge([walked], deployed=DEPLOYED))
    without = by_revision(judge([walked]))

    said = {table: str(found[check, f"{kind}_{table}"].severity) for table in NUMBERS}

    assert said == {"accounts": severity, "tellers": "notice", "branches": "notice", "history": "notice"}
    assert {str(without[check, f"{kind}_{table}"].severity) for table in NUMBERS} == {severity}
    assert "pgbench_accounts has about 1 million rows (128 MB)." in found[check, f"{kind}_accounts"].message
    assert "pgbench_branches has about 10 rows (8 kB)." in found[check, f"{kind}_branches"].message
    assert "pgbench_history has about 0 rows (0 bytes)." in found[check, f"{kind}_history"].message


def test_of_tables_that_are_locked_together_the_largest_decides(walked: Recording) -> None:
    found = by_revision(judge([walked], deployed=DEPLOYED))

    assert found["lock-pileup", "both"].severity == "warning"
    assert found["lock-pileup", "few"].severity == "notice"
    assert found["lock-timeout", "no_limit"].severity == "notice"


@pytest.mark.parametrize(
    ("rows", "large"), [(10, {"accounts", "tellers", "branches"}), (11, {"accounts", "tellers"}), (1_000_001, set())]
)
def test_the_setting_moves_the_line(rows: int, large: set[str], walked: Recording) -> None:
    deployed: Deployed = replace(DEPLOYED, small_table_rows=rows)

    found = by_revision(judge([walked], deployed=deployed))

    assert {table for table in NUMBERS if found["table-rewrite", f"rewrite_{table}"].severity == "error"} == large
