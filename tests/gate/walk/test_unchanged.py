"""Settled tables: a run that passes them over tells exactly what one tells that looks at everything."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.gate.base_cache import BaseCache, with_base_cache
from app.gate.recorder import record
from app.gate.recording.model import Definition, Key, Recording, Snapshot
from app.gate.server.throwaway import Server, throwaway_server
from app.gate.target import process
from app.gate.walk.unchanged import add_unchanged, find_unchanged, list_unchanged
from tests.gate.history.test_git_base import git
from tests.gate.projects import script, target, write_project

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
    """,
    """
    op.drop_table("items")
    op.drop_table("orders")
    op.drop_table("customers")
    op.execute("DROP TYPE state")
    """,
)
NOTE = ('op.add_column("items", sa.Column("note", sa.Text))', 'op.drop_column("items", "note")')
LABEL = ("""op.execute("ALTER TYPE state ADD VALUE 'sent'")""", None)
LONGER = (
    'op.alter_column("customers", "name", type_=sa.String(50))',
    'op.alter_column("customers", "name", type_=sa.String(40))',
)
RENAMED = (
    'op.execute("ALTER TABLE orders RENAME TO purchases")',
    'op.execute("ALTER TABLE purchases RENAME TO orders")',
)


@pytest.fixture(scope="module")
def branch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = write_project(tmp_path_factory.mktemp("project"), {"a1": A1}, models=MODELS)
    git(place, "init", "-q", "-b", "main")
    git(place, "add", ".")
    git(place, "commit", "-qm", "three tables")
    return place


@pytest.fixture(scope="module")
def cache(branch: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the base was base_cache by a run that saw everything."""
    place = tmp_path_factory.mktemp("cache")
    write_branch(branch, MODELS, *NOTE)
    base_cache = BaseCache(target(branch), "main", place)
    with_base_cache(base_cache, lambda image: verify(branch, base_cache))
    assert base_cache.facts["settled"]["0"].keys() == {"public.customers", "public.orders"}
    return place


def write_branch(place: Path, models: str, upgrade: str, downgrade: str | None) -> None:
    (place / "models.py").write_text(models)
    (place / "migrations" / "versions" / "b2.py").write_text(script("b2", "a1", upgrade, downgrade))


def verify(place: Path, base_cache: BaseCache) -> Recording:
    with throwaway_server(image=base_cache.image) as server:
        (recording,) = record(target(place), server, base_ref="main", base_cache=base_cache)
    return recording


@pytest.mark.parametrize(
    ("old", "new", "steps", "runs"),
    [
        pytest.param("", "", NOTE, 2, id="nothing to find"),
        pytest.param('"name", sa.String(40)', '"name", sa.String(60)', NOTE, 2, id="a model without its revision"),
        pytest.param('"new", "paid"', '"new", "paid", "sent"', NOTE, 2, id="a label without its revision"),
        pytest.param("length(name) > 0", "length(name) > 1", NOTE, 2, id="a constraint that autogenerate does not see"),
        pytest.param("", "", LABEL, 2, id="a label that the models lack"),
        pytest.param("", "", LONGER, 2, id="a revision without its model"),
        pytest.param("", "", RENAMED, 2, id="a table that the models do not know"),
        pytest.param(
            'sa.Column("note", sa.Text),',
            'sa.Column("note", sa.Text),\n    sa.Column("state", sa.Enum(*STATES, name="state")),',
            NOTE,
            2,
            id="an enum of a settled table in another",
        ),
        pytest.param(
            "# Events.",
            "sa.event.listen(items, 'after_create', sa.DDL('CREATE INDEX ix_note ON items (note)'))",
            NOTE,
            3,
            id="an event, which takes a run of the command",
        ),
    ],
)
def test_it_is_as_if_everything_had_been_looked_at(
    branch: Path,
    cache: Path,
    server: Server,
    old: str,
    new: str,
    steps: tuple[str, str | None],
    runs: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_branch(branch, MODELS.replace(old, new), *steps)
    commands: list[object] = []
    start = process.start_command

    def start_and_note(command: Sequence[str], *rest: Any) -> Any:
        commands.append(command)
        return start(command, *rest)

    monkeypatch.setattr(process, "start_command", start_and_note)
    base_cache = BaseCache(target(branch), "main", cache)
    base_cache.find()
    assert base_cache.image is not None

    found = verify(branch, base_cache)

    # The walk and --sql; what the models have beyond the settled tables is mostly created without a run.
    assert (
        len(commands) == runs
    )  # the walk and --sql; what the models have beyond the settled tables is created by SQL alone
    (seen,) = record(target(branch), server, base_ref="main")
    assert found.models == seen.models
    assert found.head == seen.head
    assert found.drift == seen.drift
    assert found.offline == seen.offline
    assert found.not_observed == seen.not_observed


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


def test_a_table_like_its_model_is_settled() -> None:
    snapshot = Snapshot(BEFORE)

    assert list_unchanged(FINGERPRINTS, snapshot, snapshot, snapshot, told=()) == {"public.orders": "f1"}


@pytest.mark.parametrize(
    "changes",
    [
        {TOTAL: {"type": "integer"}},
        {STATES: {"labels": ["new", "paid"]}},
        {Key("trigger", "public", "t", "orders"): {}},
    ],
)
def test_a_table_that_differs_from_its_model_is_not_settled(changes: dict[Key, Definition]) -> None:
    head = Snapshot(BEFORE | changes)

    assert list_unchanged(FINGERPRINTS, head, head, Snapshot(BEFORE), told=()) == {}


@pytest.mark.parametrize("told", ["public.orders", "public.orders.total", "public.orders(total)"])
def test_a_table_of_which_something_was_told_is_not_settled(told: str) -> None:
    snapshot = Snapshot(BEFORE)

    assert list_unchanged(FINGERPRINTS, snapshot, snapshot, snapshot, [told]) == {}
    assert (
        list_unchanged(FINGERPRINTS, snapshot, snapshot, snapshot, [f"public.more_{told}", "public.orders_too"]) != {}
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
def test_a_table_that_the_branch_touches_is_looked_at(changes: dict[Key, Definition]) -> None:
    now = Snapshot(BEFORE | changes)

    assert find_unchanged({"public.orders": "f1"}, FINGERPRINTS, Snapshot(BEFORE), now) == frozenset()


def test_a_table_with_another_model_is_looked_at() -> None:
    snapshot = Snapshot(BEFORE)

    assert find_unchanged({"public.orders": "f1"}, FINGERPRINTS, snapshot, snapshot) == {"public.orders"}
    assert find_unchanged({"public.orders": "f0"}, FINGERPRINTS, snapshot, snapshot) == frozenset()
    assert find_unchanged({}, FINGERPRINTS, snapshot, snapshot) == frozenset()


def test_what_was_not_created_is_as_at_head() -> None:
    other = Key("table", "public", "items")
    head = Snapshot(BEFORE | {other: {"options": ["fillfactor=70"]}})

    assert add_unchanged(Snapshot({other: {}}), head, {"public.orders"}).objects == BEFORE | {other: {}}
