"""Unchanged tables: a run in which autogenerate passes them over records exactly what one does that compares everything."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from app.gate.base_cache import BaseCache, with_base_cache
from app.gate.recorder import record
from app.gate.recording.model import Definition, Evidence, Key, Recording, Snapshot, Step
from app.gate.server.throwaway import Server, throwaway_server
from app.gate.target import process
from app.gate.walk.unchanged import find_unchanged, list_unchanged
from tests.gate.history.test_git_base import git
from tests.gate.projects import script, target, write_project

MODELS_AND_DRIFT = frozenset({Evidence.MODELS, Evidence.DRIFT})
MODELS = """\
import sqlalchemy as sa

metadata = sa.MetaData()
STATES = ["new", "paid"]
customers = sa.Table(
    "customers",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(40), server_default="nobody"),
    sa.Column("state", sa.Enum(*STATES, name="state")),
    sa.CheckConstraint("length(name) > 0", name="ck_name"),
)
orders = sa.Table(
    "orders",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("customer_id", sa.ForeignKey("customers.id", name="fk_customer"), index=True),
)
items = sa.Table(
    "items",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("note", sa.Text),
)
lines = sa.Table(
    "lines",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("total", sa.Integer),
)
# Events.
"""
A1 = script(
    "a1",
    None,
    """
    op.create_table(
        "customers",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(40), server_default="nobody"),
        sa.Column("state", sa.Enum("new", "paid", name="state")),
        sa.CheckConstraint("length(name) > 0", name="ck_name"),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("customer_id", sa.Integer, sa.ForeignKey("customers.id", name="fk_customer"), index=True),
    )
    op.create_table(
        "items",
        sa.Column("id", sa.Integer, primary_key=True),
    )
    op.create_table(
        "lines",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("total", sa.Integer),
    )
    """,
    """
    op.drop_table("lines")
    op.drop_table("items")
    op.drop_table("orders")
    op.drop_table("customers")
    op.execute("DROP TYPE state")
    """,
)


@dataclass(frozen=True)
class Edit:
    """What a branch does to the models, and in its revision."""

    id: str
    old: str = ""
    new: str = ""
    upgrade: str = ""
    downgrade: str = ""


NOTE = Edit(
    "nothing to find",
    upgrade='op.add_column("items", sa.Column("note", sa.Text))',
    downgrade='op.drop_column("items", "note")',
)
EDITS = [
    Edit("a model without its revision", 'sa.Column("name", sa.String(40)', 'sa.Column("name", sa.String(60)'),
    Edit("a label without its revision", 'STATES = ["new", "paid"]', 'STATES = ["new", "paid", "sent"]'),
    Edit("a constraint that autogenerate does not see", "length(name) > 0", "length(name) > 1"),
    Edit("a label that the models lack", upgrade="""op.execute("ALTER TYPE state ADD VALUE 'lost'")"""),
    Edit(
        "a revision without its model",
        upgrade='op.alter_column("customers", "name", type_=sa.String(50))',
        downgrade='op.alter_column("customers", "name", type_=sa.String(40))',
    ),
    Edit(
        "a table that the models do not know",
        upgrade='op.execute("ALTER TABLE orders RENAME TO purchases")',
        downgrade='op.execute("ALTER TABLE purchases RENAME TO orders")',
    ),
    Edit(
        "an enum of an unchanged table in another",
        'sa.Column("note", sa.Text),',
        'sa.Column("note", sa.Text),\n    sa.Column("state", sa.Enum(*STATES, name="state")),',
    ),
    Edit("an index without its revision", "# Events.", 'sa.Index("ix_total", lines.c.total)\n# Events.'),
    Edit(
        "a column and its model",
        'sa.Column("total", sa.Integer),',
        'sa.Column("total", sa.Integer),\n    sa.Column("tax", sa.Integer),',
        'op.add_column("lines", sa.Column("tax", sa.Integer))',
        'op.drop_column("lines", "tax")',
    ),
    Edit(
        "a table that the models have too",
        "# Events.",
        'sa.Table("added", metadata, sa.Column("id", sa.Integer))\n# Events.',
        'op.create_table("added", sa.Column("id", sa.Integer))',
        'op.drop_table("added")',
    ),
    Edit(
        "an event, which takes a run of the command",
        "# Events.",
        "sa.event.listen(items, 'after_create', sa.DDL('CREATE INDEX ix_note ON items (note)'))\n# Events.",
    ),
]
EVENT = EDITS[-1]
# With a domain of its own a branch has every table compared. Of the other edits, those of a group leave each other's tables alone.
DOMAIN = Edit(
    "a domain",
    upgrade='op.execute("CREATE DOMAIN amount AS integer")',
    downgrade='op.execute("DROP DOMAIN amount")',
)
GROUPS = [[], *(EDITS[first::5] for first in range(5)), [DOMAIN]]


@pytest.fixture(scope="module")
def branch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = write_project(tmp_path_factory.mktemp("project"), {"a1": A1}, models=MODELS)
    git(place, "init", "-q", "-b", "main")
    git(place, "add", ".")
    git(place, "commit", "-qm", "four tables")
    return place


@pytest.fixture(scope="module")
def cache(branch: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run has cached that has compared everything."""
    place = tmp_path_factory.mktemp("cache")
    write_branch(branch, [NOTE])
    base_cache = BaseCache(target(branch), "main", place)
    with_base_cache(base_cache, lambda base_backup: verify(branch, base_cache))
    base_cache.find()
    assert base_cache.found is not None
    assert base_cache.found.unchanged is not None
    assert base_cache.found.unchanged[0].keys() == {"public.customers", "public.orders", "public.lines"}
    return place


def write_branch(place: Path, edits: Sequence[Edit]) -> None:
    models = MODELS
    for edit in edits:
        assert edit.old in models
        models = models.replace(edit.old, edit.new) if edit.old else models
    (place / "models.py").write_text(models)
    upgrade = "\n".join(edit.upgrade for edit in edits if edit.upgrade)
    downgrade = "\n".join(edit.downgrade for edit in reversed(edits) if edit.downgrade)
    revision = script("b2", "a1", upgrade, downgrade or "pass")
    (place / "migrations" / "versions" / "b2.py").write_text(revision)


def verify(place: Path, base_cache: BaseCache) -> Recording:
    with throwaway_server(base_backup=base_cache.base_backup) as server:
        (recording,) = record(target(place), server, base_ref="main", base_cache=base_cache, evidence=MODELS_AND_DRIFT)
    return recording


def without_durations(recording: Recording) -> Recording:
    def timeless(step: Step | None) -> Step | None:
        statements = tuple(replace(each, duration_ms=0.0) for each in step.statements) if step else ()
        return step and replace(step, duration_ms=0.0, statements=statements)

    trips = (
        replace(trip, up=timeless(trip.up), down=timeless(trip.down), second_up=timeless(trip.second_up))
        for trip in recording.trips
    )
    return replace(recording, trips=tuple(trips))


@pytest.mark.parametrize(
    "edits",
    [pytest.param([NOTE, *some], id=", ".join(edit.id for edit in some)) for some in GROUPS],
)
def test_the_recording_is_the_same_as_if_every_table_had_been_compared(
    branch: Path, cache: Path, server: Server, edits: Sequence[Edit], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_branch(branch, edits)
    commands: list[object] = []
    start = process.start_command

    def start_and_note(command: Sequence[str], *rest: Any) -> Any:
        commands.append(command)
        return start(command, *rest)

    monkeypatch.setattr(process, "start_command", start_and_note)
    base_cache = BaseCache(target(branch), "main", cache)
    base_cache.find()
    assert base_cache.found is not None

    found = verify(branch, base_cache)

    # The walk; and the models are created by their SQL where that is enough.
    assert len(commands) == 1 + (EVENT in edits)
    (expected,) = record(target(branch), server, base_ref="main", evidence=MODELS_AND_DRIFT)
    assert without_durations(found) == without_durations(expected)


ORDERS = Key("table", "public", "orders")
TOTAL = Key("column", "public", "total", "orders")
STATE = Key("column", "public", "state", "orders")
STATES = Key("enum", "public", "order_state")
BEFORE: dict[Key, Definition] = {
    ORDERS: {},
    TOTAL: {"type": "numeric"},
    STATE: {"type": "public.order_state[]"},
    STATES: {"labels": ["new"]},
}
FINGERPRINTS = {"public.orders": ("f1", ["public.order_state"])}


def test_a_table_like_its_model_is_noted() -> None:
    snapshot = Snapshot(BEFORE)

    assert list_unchanged(FINGERPRINTS, snapshot, snapshot, snapshot, mentioned=()) == {"public.orders": "f1"}


@pytest.mark.parametrize(
    "changes",
    [
        {TOTAL: {"type": "integer"}},
        {STATES: {"labels": ["new", "paid"]}},
        {Key("trigger", "public", "t", "orders"): {}},
    ],
)
def test_a_table_that_differs_from_its_model_is_not(changes: dict[Key, Definition]) -> None:
    head = Snapshot(BEFORE | changes)

    assert list_unchanged(FINGERPRINTS, head, head, Snapshot(BEFORE), mentioned=()) == {}


@pytest.mark.parametrize("mentioned", ["public.orders", "public.orders.total", "public.orders(total)"])
def test_a_table_that_is_mentioned_is_not(mentioned: str) -> None:
    snapshot = Snapshot(BEFORE)

    assert list_unchanged(FINGERPRINTS, snapshot, snapshot, snapshot, [mentioned]) == {}
    assert (
        list_unchanged(FINGERPRINTS, snapshot, snapshot, snapshot, [f"public.more_{mentioned}", "public.orders_too"])
        != {}
    )


@pytest.mark.parametrize(
    "changes",
    [
        {TOTAL: {"type": "integer"}},
        {STATES: {"labels": ["new", "paid"]}},
        {Key("index", "public", "ix", "orders"): {}},
        {Key("sequence", "public", "s"): {"owned_by": "public.orders.total"}},
        {Key("domain", "public", "money"): {}},
    ],
)
def test_a_table_that_the_branch_touches_is_compared(changes: dict[Key, Definition]) -> None:
    now = Snapshot(BEFORE | changes)

    assert find_unchanged({"public.orders": "f1"}, FINGERPRINTS, Snapshot(BEFORE), now) == frozenset()


@pytest.mark.parametrize("kind", ["schema", "extension", "function", "procedure", "aggregate", "sequence"])
def test_what_no_table_rests_on_has_none_compared(kind: str) -> None:
    now = Snapshot(BEFORE | {Key(kind, "public", "other"): {}})

    assert find_unchanged({"public.orders": "f1"}, FINGERPRINTS, Snapshot(BEFORE), now) == {"public.orders"}
    assert list_unchanged(FINGERPRINTS, Snapshot(BEFORE), now, now, mentioned=()) == {"public.orders": "f1"}


def test_the_same_definition_read_twice_is_no_change() -> None:
    again = Snapshot({each: dict(definition) for each, definition in BEFORE.items()})

    assert find_unchanged({"public.orders": "f1"}, FINGERPRINTS, Snapshot(BEFORE), again) == {"public.orders"}


@pytest.mark.parametrize("gone", [STATES, TOTAL, Key("index", "public", "ix", "orders")])
def test_a_table_that_lost_something_is_compared(gone: Key) -> None:
    before = Snapshot(BEFORE | {Key("index", "public", "ix", "orders"): {}})
    now = Snapshot({each: definition for each, definition in before.objects.items() if each != gone})

    assert find_unchanged({"public.orders": "f1"}, FINGERPRINTS, before, now) == frozenset()


def test_another_enum_or_table_concerns_others() -> None:
    other: dict[Key, Definition] = {
        Key("enum", "public", "other"): {"labels": ["a"]},
        Key("table", "public", "others"): {},
        Key("sequence", "public", "s"): {"owned_by": 'public."others".id'},
    }
    now = Snapshot(BEFORE | other)

    assert find_unchanged({"public.orders": "f1"}, FINGERPRINTS, Snapshot(BEFORE), now) == {"public.orders"}
    models = {**FINGERPRINTS, "public.others": ("f2", [])}
    assert find_unchanged({each: f for each, (f, _) in models.items()}, models, Snapshot(BEFORE), now) == {
        "public.orders"
    }


@pytest.mark.parametrize("kind", ["view", "materialized view", "foreign table"])
def test_a_view_that_changes_is_one_table_of_many(kind: str) -> None:
    changed = Snapshot(BEFORE | {Key(kind, "public", "orders"): {"definition": "SELECT 1"}})
    other = Snapshot(BEFORE | {Key(kind, "public", "others"): {"definition": "SELECT 1"}})

    assert find_unchanged({"public.orders": "f1"}, FINGERPRINTS, Snapshot(BEFORE), changed) == frozenset()
    assert find_unchanged({"public.orders": "f1"}, FINGERPRINTS, Snapshot(BEFORE), other) == {"public.orders"}


@pytest.mark.parametrize("changed", [Key("domain", "public", "money"), STATES, TOTAL])
def test_what_the_branch_has_changed_is_not_noted_though_its_model_is_the_same(changed: Key) -> None:
    head = Snapshot(BEFORE | {changed: {"type": "text", "labels": ["new", "paid"]}})

    assert list_unchanged(FINGERPRINTS, Snapshot(BEFORE), head, head, mentioned=()) == {}


def test_a_model_with_other_enums_or_no_table_is_not_noted() -> None:
    snapshot = Snapshot(BEFORE)

    assert list_unchanged({"public.orders": ("f1", [])}, snapshot, snapshot, snapshot, mentioned=()) == {}
    assert list_unchanged({"public.gone": ("f1", [])}, snapshot, snapshot, snapshot, mentioned=()) == {}


def test_a_table_with_another_model_is_compared() -> None:
    snapshot = Snapshot(BEFORE)

    assert find_unchanged({"public.orders": "f1"}, FINGERPRINTS, snapshot, snapshot) == {"public.orders"}
    assert find_unchanged({"public.orders": "f0"}, FINGERPRINTS, snapshot, snapshot) == frozenset()
    assert find_unchanged({}, FINGERPRINTS, snapshot, snapshot) == frozenset()
