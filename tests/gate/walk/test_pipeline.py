"""The command goes on with what is foreseen while its answers are thought about. Nothing of what is recorded depends on that."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from app.gate.errors import CannotVerify
from app.gate.recording.model import Evidence
from app.gate.server.throwaway import Server
from app.gate.target.runner import TargetRunner
from app.gate.target.session import DriverSession, Unforeseen
from app.gate.walk.run import walk_all
from app.gate.walk.walker import Walker
from tests.gate.projects import script, target, write_project

ORDERS = (
    "op.create_table('orders', sa.Column('id', sa.Integer, primary_key=True), sa.Column('note', sa.Text, index=True))"
)
ADD = "op.add_column('orders', sa.Column('colour', sa.Text))"
DROP = "op.drop_column('orders', 'colour')"

HISTORIES: dict[str, list[tuple[str, str | None]]] = {
    "plain": [(ADD, DROP)],
    "renames a table": [("op.rename_table('orders', 'purchases')", "op.rename_table('purchases', 'orders')")],
    "renames a column": [
        (
            "op.alter_column('orders', 'note', new_column_name='remark')",
            "op.alter_column('orders', 'remark', new_column_name='note')",
        )
    ],
    "renames on the way down alone": [(ADD, "op.rename_table('orders', 'purchases')"), (ADD, DROP)],
    "renames what only the way down finds": [
        (
            "op.execute('CREATE TABLE lines (id int, order_id int REFERENCES orders)')",
            "op.execute('ALTER INDEX ix_orders_note RENAME TO ix_note'); op.drop_table('lines')",
        )
    ],
    "makes an enum": [
        ("op.execute(\"CREATE TYPE mood AS ENUM ('sad')\")", "op.execute('DROP TYPE mood')"),
        ("op.execute('ALTER TABLE orders ADD mood mood')", "op.execute('ALTER TABLE orders DROP mood')"),
    ],
    "leaves an enum": [("op.execute(\"CREATE TYPE mood AS ENUM ('sad')\")", "pass"), (ADD, DROP)],
    "adds to what is always read": [
        ("op.execute('CREATE SCHEMA shop')", "op.execute('DROP SCHEMA shop')"),
        ("op.execute('CREATE EXTENSION citext')", "op.execute('DROP EXTENSION citext')"),
        ("op.execute('CREATE PUBLICATION changes')", "op.execute('DROP PUBLICATION changes')"),
        (ADD, DROP),
    ],
    "undoes nothing": [
        (ADD, "pass"),
        ("op.create_table('lines', sa.Column('id', sa.Integer))", "op.drop_table('lines')"),
    ],
    "does not go up": [("op.execute('SELECT nonsense')", "pass"), (ADD, DROP)],
    "does not go down": [(ADD, "op.drop_column('orders', 'size')"), ("pass", "pass")],
    "does not go up again": [
        (
            "op.execute('CREATE TYPE mood AS ENUM ()'); " + ADD,
            DROP,
        ),
        ("op.create_index('ix_colour', 'orders', ['colour'])", "op.drop_index('ix_colour')"),
    ],
    "has no way down": [(ADD, None), ("pass", "pass")],
    "has a way down that is raised": [(ADD, "raise NotImplementedError"), ("pass", "pass")],
    "commits": [
        (ADD + "; op.get_bind().commit()", DROP),
        (ADD.replace("colour", "size"), DROP.replace("colour", "size") + "; op.get_bind().commit()"),
        ("pass", "pass"),
    ],
    "builds beside the traffic": [
        (
            "with op.get_context().autocommit_block(): op.create_index('ix', 'orders', ['id'], postgresql_concurrently=True)",
            "with op.get_context().autocommit_block(): op.drop_index('ix', postgresql_concurrently=True)",
        ),
        (ADD, DROP),
    ],
    "forgets what is prepared": [
        (ADD, f"op.execute('DEALLOCATE ALL'); {DROP}"),
        ("op.execute('DEALLOCATE ALL')", "pass"),
    ],
    "ends the process": [(ADD, "import os; os._exit(3)"), ("pass", "pass")],
}


def written(place: Path, revisions: list[tuple[str, str | None]]) -> Path:
    scripts = {"r0": script("r0", None, ORDERS, "op.drop_table('orders')")}
    for number, (up, down) in enumerate(revisions, start=1):
        scripts[f"r{number}"] = script(f"r{number}", f"r{number - 1}", up, down)
    return write_project(place, scripts)


def walked(place: Path, server: Server, timeout_s: float = 60.0) -> dict[str, Any]:
    """What the walk saw, less how long it took."""
    (walk,) = walk_all(TargetRunner(target(place, timeout_s=timeout_s), server, evidence=frozenset({Evidence.LOCKS})))
    return {revision: _without_times(asdict(trip)) for revision, trip in walk.trips.items()}


def _without_times(told: Any) -> Any:
    if isinstance(told, Mapping):
        return {name: _without_times(value) for name, value in told.items() if name != "duration_ms"}
    return [_without_times(each) for each in told] if isinstance(told, list | tuple) else told


@pytest.mark.parametrize("kind", HISTORIES)
def test_what_is_recorded_is_what_it_would_be_without_foresight(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    place = written(tmp_path, HISTORIES[kind])

    foreseen = walked(place, server)
    monkeypatch.setattr(Walker, "_foresee", lambda *_: None)

    assert foreseen == walked(place, server)


@pytest.mark.parametrize("body", ["op.execute('SELECT pg_sleep(600)')", "import signal; signal.pause()"])
@pytest.mark.parametrize("direction", ["downgrade", "again"])
def test_what_hangs_is_ended_though_it_was_foreseen(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, body: str, direction: str
) -> None:
    monkeypatch.setattr("app.gate.walk.walker._PATIENCE_S", 0.2)
    if direction == "downgrade":
        hangs = (ADD, body)
    else:
        hangs = (_on_the_second_time(tmp_path, body) + ADD, DROP)
    place = written(tmp_path / "project", [hangs, ("pass", "pass")])

    trips = walked(place, server, timeout_s=2.0)

    step = trips["r1"]["down" if direction == "downgrade" else "second_up"]
    assert step["failure"]["error"] == "Timeout"
    assert trips["r2"]["second_up"]["failure"] is None


def _on_the_second_time(place: Path, body: str) -> str:
    return f"""
import pathlib
runs = pathlib.Path({str(place / "runs")!r})
runs.write_text(runs.read_text() + "." if runs.exists() else ".")
if runs.read_text() == "..":
    {body}
"""


@pytest.mark.parametrize("body", ["op.execute('SELECT pg_sleep(600)')", "import os; os._exit(3)"])
def test_a_revision_that_applies_once_alone_is_told_as_such(tmp_path: Path, server: Server, body: str) -> None:
    once = _on_the_second_time(tmp_path, body) + ADD
    ends = "import os; os._exit(3)"
    place = written(tmp_path / "project", [(once, None), (ends, "pass")])

    with pytest.raises(CannotVerify, match="revision r1 applied once and not again on another empty database"):
        walked(place, server, timeout_s=2.0)


def test_a_request_that_was_not_foreseen_is_not_sent(server: Server, tmp_path: Path) -> None:
    with TargetRunner(target(written(tmp_path, [])), server).database() as database:
        runner = TargetRunner(target(tmp_path), server)
        with runner.process(database) as process:
            session = process.arrive()
            assert isinstance(session, DriverSession)
            session.ask("prepare")
            session.foresee({"do": "query", "statements": ["SELECT 1"]}, {"do": "query", "statements": ["SELECT 2"]})

            assert session.ask("query", statements=["SELECT 1"]) == {"value": 1}
            with pytest.raises(Unforeseen):
                session.ask("query", statements=["SELECT 3"])
            assert session.ask("query", statements=["SELECT 2"]) == {"value": 2}
            assert session.ask("query", statements=["SELECT 3"]) == {"value": 3}
