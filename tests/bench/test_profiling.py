"""What processor time is counted as."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.gate.driver.overproof_driver import _queries
from app.gate.snapshot._queries import SNAPSHOT_SQL
from app.gate.snapshot.incremental import PREPARED as PREPARED_BY_SNAPSHOT
from tests.bench import processes, profiling
from tests.bench.processes import Seen, Watched


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        (SNAPSHOT_SQL, "looks at the schema"),
        *((f"EXECUTE {name}", "looks at the schema") for name in PREPARED_BY_SNAPSHOT),
        *((f"EXECUTE {name}", "locks, files and counters of a statement") for name in _queries.PREPARED),
        (_queries.RELATIONS, "locks, files and counters of a statement"),
        (_queries.COUNTERS, "locks, files and counters of a statement"),
        ("EXECUTE overproof_rows", "rows"),
        ("SAVEPOINT overproof_ask", "transactions and rights"),
        ("CREATE TABLE orders (id serial)", "the rest"),
    ],
)
def test_a_statement_counts_as_the_question_that_it_is(statement: str, kind: str) -> None:
    assert profiling._kind_of_statement(statement) == kind


def test_a_stack_counts_as_its_innermost_part_that_has_a_kind() -> None:
    stack = ["/lib/json/decoder.py:decode", "/x/app/gate/snapshot/read.py:read", "/x/app/gate/rows/trial.py:try_rows"]

    assert profiling._kind_of_stack(stack, profiling.GATE) == "looks at the schema"


def test_the_body_of_a_module_is_a_part_of_its_import() -> None:
    stack = ["/x/app/gate/rows/trial.py:<module>", "<frozen importlib._bootstrap>:_find_and_load", "/x/app/cli.py:main"]

    assert profiling._kind_of_stack(stack, profiling.GATE) == "imports"


def test_of_several_runs_and_backends_those_that_used_the_most_are_the_walks() -> None:
    run = "python -m alembic upgrade head"
    seen = {
        1: Seen(f"overproof verify -- {run}", 2.0),
        2: Seen(run, 0.5),
        3: Seen(run, 1.5),
        4: Seen("postgres: postgres a_1 127.0.0.1(4711) idle", 3.0, "postgres a_1"),
        5: Seen("postgres: postgres a_2 127.0.0.1(4712) idle", 0.25, "postgres a_2"),
        6: Seen("postgres: overproof postgres 127.0.0.1(4713) idle", 0.25, "overproof postgres"),
        7: Seen("postgres: checkpointer", 0.125),
    }

    purposes = Watched(1, 8.0, seen).by_purpose(" alembic upgrade head")

    assert {name: spent for name, spent in purposes.items() if spent} == {
        processes.GATE: 2.0,
        processes.WALK: 1.5,
        processes.FURTHER: 0.5,
        processes.BACKEND: 3.0,
        processes.OTHER_BACKENDS: 0.5,
        processes.POSTGRES: 0.125,
        processes.UNSEEN: 0.375,
    }


@pytest.mark.processes
@pytest.mark.skipif(sys.platform != "linux", reason="the clock of a thread is Linux's")
def test_a_module_that_is_sampled_has_its_processor_time_written_down(tmp_path: Path) -> None:
    (tmp_path / "busy.py").write_text(
        "import sys, time\n"
        "def work():\n"
        "    while time.process_time() < 0.3: pass\n"
        "work(); time.sleep(0.3); print(sys.argv[1:], __name__)\n"
    )
    (tmp_path / "out").mkdir()
    sampled = [
        sys.executable,
        profiling.__file__.replace("profiling", "sampled"),
        str(tmp_path / "out"),
        "busy",
        "word",
    ]

    ended = subprocess.run(sampled, cwd=tmp_path, capture_output=True, text=True, check=True)

    (written,) = (tmp_path / "out").glob("*.json")
    report = json.loads(written.read_text())
    of_work = sum(used for stack, used in report["stacks"] if any(frame.endswith(":work") for frame in stack))
    assert ended.stdout == "['word'] __main__\n"
    assert 0.15 < of_work < 0.35, "what was slept does not count"
    assert report["whole_s"] < 0.5
