"""Which statements of earlier revisions may have corrected rows."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from app.gate.recording.model import Direction, RoundTrip, Statement, Step
from app.gate.walk._cleanups import find_cleanups
from tests.gate.checks.builders import revision
from tests.gate.projects import script


def walk_of(place: Path, **upgrades: str) -> Any:
    """A walk to the last of these revisions, of which none was run."""
    graph, paths, last = [], {}, None
    for name, upgrade in upgrades.items():
        paths[name] = place / f"{name}.py"
        paths[name].write_text(script(name, last, upgrade))
        graph.append(revision(name, last))
        last = name
    revisions = {each.revision: each for each in graph}
    arrival = SimpleNamespace(revisions=revisions, graph=SimpleNamespace(revisions=graph), paths=paths)
    return SimpleNamespace(arrival=arrival, trips={})


def test_they_are_the_texts_in_the_scripts_of_revisions_that_were_not_run(tmp_path: Path) -> None:
    walk = walk_of(
        tmp_path,
        a1="op.execute('UPDATE orders SET total = 0 WHERE total < 0'); op.execute('DELETE FROM lines')",
        b2="op.execute(sa.text('DELETE FROM shop.orders WHERE note IS NULL')); op.execute('DROP TABLE orders_old')",
        c3="op.execute('UPDATE orders SET total = 9')",
        d4="op.execute('UPDATE orders SET total = 10')",
    )

    assert find_cleanups(walk, "c3", ["shop.orders"]) == [
        "UPDATE orders SET total = 0 WHERE total < 0",
        "DELETE FROM shop.orders WHERE note IS NULL",
    ]


def test_of_a_revision_that_was_run_they_are_what_it_executed(tmp_path: Path) -> None:
    walk = walk_of(tmp_path, a1="op.execute('UPDATE orders SET total = 1')", b2="pass")
    executed = [Statement(sql, 1.0) for sql in ("UPDATE orders SET note = '100%%'", "ALTER TABLE orders ADD x text")]
    walk.trips["a1"] = RoundTrip("a1", up=Step("a1", Direction.UPGRADE, 1.0, statements=tuple(executed)))

    assert find_cleanups(walk, "b2", ["public.orders"]) == ["UPDATE orders SET note = '100%'"]


def test_where_sqlalchemy_writes_them_the_source_stands_for_them(tmp_path: Path) -> None:
    walk = walk_of(tmp_path, a1="op.execute(orders.update().where(orders.c.total < 0).values(total=0))", b2="pass")

    [source] = find_cleanups(walk, "b2", ["public.orders"])

    assert source.startswith("def upgrade():")
    assert find_cleanups(walk, "b2", ["public.lines"]) == []
