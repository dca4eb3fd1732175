"""The second upgrade over rows, on small projects."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.gate.recorder import record
from app.gate.recording.model import Change, Direction, Evidence, Key, Populated, RoundTrip, RowKind, Statement, Step
from app.gate.rows.touched import find_rows, touched_tables
from app.gate.server.throwaway import Server
from app.gate.target.runner import TargetRunner
from app.gate.target.target import Target
from app.gate.walk.plan import RecordingPlan
from app.gate.walk.run import walk_all
from tests.gate.checks.builders import added, altered, key, removed, snapshot
from tests.gate.hazards.case import body
from tests.gate.projects import COMMAND, ENV, script, target, write_project

CREATE_ORDERS = """
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("note", sa.Text),
        sa.Column("email", sa.String(50)),
        sa.Column("total", sa.Numeric(10, 2)),
    )
"""
ORDERS = script("a1", None, CREATE_ORDERS, 'op.drop_table("orders")')


EVIDENCE = frozenset({Evidence.LOCKS, Evidence.POPULATED})
CLEAR = """
    op.execute("DROP TABLE IF EXISTS orders, purchases, lines CASCADE")
    op.execute("DROP TYPE IF EXISTS mood")
"""
HISTORY: dict[str, str] = {}  # the scripts that most tests share, by revision


def over_orders(upgrade: str, downgrade: str | None, *before: str) -> str:
    """Add a revision, over an `orders` of its own, to the history that most tests share. `before` are upgrades that come before it."""
    number = len(HISTORY)
    steps: list[tuple[str, str, str | None]] = [
        (f"orders_{number}", body(CLEAR, CREATE_ORDERS), None),
        *((f"before_{number}_{index}", earlier, "pass") for index, earlier in enumerate(before)),
        (f"revision_{number}", upgrade, downgrade),
    ]
    for revision, up, down in steps:
        HISTORY[revision] = script(revision, next(reversed(HISTORY), None), up, down)
    return revision


@pytest.fixture(scope="module")
def trips(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, RoundTrip]:
    """The round trips of the history that most tests share, by revision."""
    return recorded(tmp_path_factory.mktemp("history"), server, HISTORY)


def tried(trip: RoundTrip) -> Populated:
    assert trip.populated is not None
    return trip.populated


REQUIRED_COLUMN = over_orders(
    'op.add_column("orders", sa.Column("channel", sa.Text, nullable=False))', 'op.drop_column("orders", "channel")'
)


NO_LONGER_UNIQUE = over_orders(
    """
    op.drop_index("ix_orders_email")
    op.create_unique_constraint("uq_orders_email", "orders", ["email"])
    """,
    """
    op.drop_constraint("uq_orders_email", "orders")
    op.create_index("ix_orders_email", "orders", ["email"])
    """,
    'op.create_index("ix_orders_email", "orders", ["email"], unique=True)',
)


def test_rows_that_only_an_incomplete_downgrade_allows_are_not_tried(trips: dict[str, RoundTrip]) -> None:
    trip = trips[NO_LONGER_UNIQUE]

    assert [change.key.name for change in trip.left_behind] == ["ix_orders_email"]
    assert tried(trip).step.failure is None
    assert tried(trip).tables["public.orders"] > 0


def test_a_required_column_without_a_default_fails_over_any_rows(trips: dict[str, RoundTrip]) -> None:
    trip = trips[REQUIRED_COLUMN]

    populated = tried(trip)
    assert populated.step.failure is not None
    assert (populated.rows, populated.step.failure.sqlstate) == (RowKind.ORDINARY, "23502")
    assert populated.tables == {"public.orders": 3}
    # It is the rows: without them the upgrade can be repeated.
    assert trip.second_up is not None
    assert trip.second_up.failure is None
    assert trip.second_up_differences == ()


@pytest.mark.parametrize(
    ("revision", "sqlstate"),
    [
        (
            over_orders(
                'op.alter_column("orders", "note", nullable=False)', 'op.alter_column("orders", "note", nullable=True)'
            ),
            "23502",
        ),
        (
            over_orders('op.create_unique_constraint("uq", "orders", ["email"])', 'op.drop_constraint("uq", "orders")'),
            "23505",
        ),
        (
            over_orders(
                'op.alter_column("orders", "note", type_=sa.String(40))',
                'op.alter_column("orders", "note", type_=sa.Text)',
            ),
            "22001",
        ),
        (
            over_orders(
                'for (note,) in op.get_bind().execute(sa.text("SELECT note FROM orders")): note.strip()', "pass"
            ),
            None,
        ),
    ],
    ids=["NULLs", "duplicates", "long texts", "a script that reckons with no NULL"],
)
def test_edge_cases_that_the_schema_allows_are_distinguished_from_any_rows(
    trips: dict[str, RoundTrip], revision: str, sqlstate: str | None
) -> None:
    trip = trips[revision]

    populated = tried(trip)
    assert populated.step.failure is not None
    assert (populated.rows, populated.step.failure.sqlstate) == (RowKind.EDGE_CASES, sqlstate)
    assert trip.second_up is not None
    assert trip.second_up.failure is None


@pytest.mark.parametrize(
    "revision",
    [
        over_orders('op.create_check_constraint("ck", "orders", "total > 5000")', 'op.drop_constraint("ck", "orders")'),
        over_orders('op.create_index("ix", "orders", ["note"])', 'op.drop_index("ix")'),
        over_orders('op.rename_table("orders", "purchases")', 'op.rename_table("purchases", "orders")'),
        over_orders(
            """
            op.execute("UPDATE orders SET note = '' WHERE note IS NULL")
            op.alter_column("orders", "note", nullable=False)
            """,
            'op.alter_column("orders", "note", nullable=True)',
        ),
        over_orders(
            'op.alter_column("orders", "email", type_=sa.Uuid, postgresql_using="email::uuid")',
            'op.alter_column("orders", "email", type_=sa.String(50))',
        ),
    ],
    ids=["a CHECK", "an index", "another name", "filled first", "another type"],
)
def test_what_gets_along_with_rows_fails_over_none_and_loses_none(trips: dict[str, RoundTrip], revision: str) -> None:
    trip = trips[revision]

    populated = tried(trip)
    assert populated.step.failure is None
    assert populated.tables == {"public.orders": 8}
    assert populated.step is trip.second_up
    assert populated.lost_upwards == populated.lost_downwards == ()
    assert trip.tables_without_rows == {}


@pytest.mark.parametrize(
    "revision",
    [
        over_orders('op.create_index("ix", "orders", ["email"])', 'op.drop_index("ix")'),
        over_orders(
            'op.add_column("orders", sa.Column("other", sa.Integer, sa.ForeignKey("orders.id", name="fk")))',
            'op.drop_column("orders", "other")',
        ),
    ],
    ids=["an index", "a foreign key of a new column"],
)
def test_what_is_the_same_over_any_rows_is_tried_over_none(trips: dict[str, RoundTrip], revision: str) -> None:
    assert trips[revision].populated is None
    assert trips[revision].tables_without_rows == {}


LOSES = over_orders(
    'op.drop_column("orders", "note"); op.alter_column("orders", "total", type_=sa.Integer)',
    """
        op.alter_column("orders", "total", type_=sa.Numeric(10, 2))
        op.add_column("orders", sa.Column("note", sa.Text))
        """,
)


def test_losses_are_noted_in_both_directions(trips: dict[str, RoundTrip]) -> None:
    trip = trips[LOSES]

    populated = tried(trip)
    assert sorted((loss.column or "", loss.kind) for loss in populated.lost_upwards) == [
        ("note", "column dropped"),
        ("total", "values rounded"),
    ]
    assert sorted((loss.column or "", loss.kind) for loss in populated.lost_downwards) == [
        ("note", "values removed"),
        ("total", "values rounded"),
    ]


LOSES_AND_FAILS = over_orders(
    'op.drop_column("orders", "note"); op.create_unique_constraint("uq", "orders", ["email"])',
    'op.drop_constraint("uq", "orders"); op.add_column("orders", sa.Column("note", sa.Text))',
)


def test_losses_are_noted_even_where_edge_cases_are_refused(trips: dict[str, RoundTrip]) -> None:
    trip = trips[LOSES_AND_FAILS]

    populated = tried(trip)
    assert populated.rows == RowKind.EDGE_CASES
    assert populated.step.failure is not None
    assert [loss.kind for loss in populated.lost_upwards] == ["column dropped"]


SEED = "op.execute(\"INSERT INTO orders (id, note) VALUES (1, 'first'), (2, 'second')\")"


BY_VALUE = "op.execute(\"DELETE FROM orders WHERE note IN ('first', 'second')\")"
BY_KEY = "op.execute('DELETE FROM orders WHERE id < 3')"
A_VALUE = "op.execute(\"UPDATE orders SET note = NULL WHERE note IN ('first', 'second')\")"
SEED_AGAIN = "op.execute(\"UPDATE orders SET note = 'first' WHERE id = 1\")"


@pytest.mark.parametrize(
    "revision",
    [
        over_orders(upgrade, downgrade, SEED)
        for upgrade, puts_back in ((BY_VALUE, SEED), (BY_KEY, SEED), (A_VALUE, SEED_AGAIN))
        for downgrade in (puts_back, "op.execute('SELECT 1')", None)
    ],
    ids=[
        f"{what}, {downgrade}"
        for what in ("by a value", "by the key", "a value of theirs")
        for downgrade in ("put back", "not put back", "no way")
    ],
)
def test_what_a_migration_inserted_a_migration_may_take_away(trips: dict[str, RoundTrip], revision: str) -> None:
    populated = tried(trips[revision])

    assert populated.lost_upwards == populated.lost_downwards == ()


DELETES_ALL = over_orders("op.execute('DELETE FROM orders')", SEED, SEED)


def test_rows_that_may_be_a_user_s_count_next_to_those_that_a_migration_inserted(trips: dict[str, RoundTrip]) -> None:
    trip = trips[DELETES_ALL]

    [loss] = tried(trip).lost_upwards
    assert (loss.kind, loss.count, loss.total) == ("rows deleted", 8, 10)


@pytest.mark.parametrize(
    "revision",
    [
        over_orders('op.create_table("lines", sa.Column("id", sa.Integer))', 'op.drop_table("lines")'),
        over_orders(
            'op.create_table("lines", sa.Column("o", sa.Integer, sa.ForeignKey("orders.id")))', 'op.drop_table("lines")'
        ),
        over_orders("op.execute(\"CREATE TYPE mood AS ENUM ('sad')\")", 'op.execute("DROP TYPE mood")'),
        over_orders(
            'op.add_column("orders", sa.Column("channel", sa.Text, nullable=False, server_default="web"))',
            'op.drop_column("orders", "channel")',
        ),
        over_orders(
            'op.alter_column("orders", "email", type_=sa.String(200))',
            'op.alter_column("orders", "email", type_=sa.String(50))',
        ),
        over_orders("op.execute('SELECT 1')", "pass"),
    ],
    ids=["a new table", "a new table with a foreign key", "a new type", "a default", "more room", "nothing"],
)
def test_what_touches_no_older_rows_is_not_tried(trips: dict[str, RoundTrip], revision: str) -> None:
    trip = trips[revision]

    assert trip.second_up is not None
    assert trip.second_up.failure is None
    assert trip.populated is None
    assert trip.tables_without_rows == {}


RESTARTS_SEQUENCE = over_orders('op.execute("ALTER SEQUENCE orders_id_seq RESTART")', "pass")


def test_an_insert_that_fails_after_the_upgrade_is_noted(trips: dict[str, RoundTrip]) -> None:
    [refused] = tried(trips[RESTARTS_SEQUENCE]).refused_inserts

    assert (refused.table, refused.column, refused.next_value) == ("public.orders", "id", 1)


LEAVES_TYPE = over_orders(
    """
        op.execute("CREATE TYPE mood AS ENUM ('sad')")
        op.execute("ALTER TABLE orders ADD mood mood")
        """,
    'op.execute("ALTER TABLE orders DROP mood")',
)


def test_a_failure_that_is_not_the_rows_is_the_ordinary_one(trips: dict[str, RoundTrip]) -> None:
    trip = trips[LEAVES_TYPE]

    assert trip.populated is None
    assert trip.second_up is not None
    assert trip.second_up.failure is not None
    assert trip.second_up.failure.sqlstate == "42710"


READS_JSON = over_orders(
    """
    import json
    rows = op.get_bind().execute(sa.text("SELECT note FROM orders WHERE note IS NOT NULL")).fetchall()
    op.add_column("orders", sa.Column("kinds", sa.Integer))
    for (note,) in rows:
        op.execute(f"UPDATE orders SET kinds = {len(json.loads(note))}")
    op.drop_column("orders", "email")
    """,
    'op.add_column("orders", sa.Column("email", sa.String(50))); op.drop_column("orders", "kinds")',
)


def test_a_script_that_wants_json_in_a_text_gets_some(trips: dict[str, RoundTrip]) -> None:
    trip = trips[READS_JSON]

    populated = tried(trip)
    assert populated.step.failure is None
    assert [loss.column for loss in populated.lost_upwards] == ["email"]


READS_KEYS = over_orders(
    "for (id, note) in op.get_bind().execute(sa.text('SELECT id, note FROM orders')): {}[note]", "pass"
)


def test_a_script_that_no_text_suits_is_reported_with_its_first_failure(trips: dict[str, RoundTrip]) -> None:
    trip = trips[READS_KEYS]

    populated = tried(trip)
    assert populated.step.failure is not None
    assert (populated.rows, populated.step.failure.message) == (RowKind.ORDINARY, "'note-1'")


INDEX_ON_UNFILLABLE = over_orders(
    'op.create_index("ix", "orders", ["note"])',
    'op.drop_index("ix")',
    'op.execute("ALTER TABLE orders ADD CONSTRAINT ck CHECK (id * id = 2)")',
)


def test_a_table_that_cannot_be_filled_is_reported(trips: dict[str, RoundTrip]) -> None:
    trip = trips[INDEX_ON_UNFILLABLE]

    assert trip.populated is None
    assert trip.tables_without_rows == {"public.orders": "no values were found that satisfy CHECK ck ((id * id) = 2)"}


def test_no_mark_is_left_of_the_rows(tmp_path: Path, server: Server) -> None:
    # The sequence would be past 1, and the row of the last revision would refer to nothing.
    place = write_project(
        tmp_path,
        {
            "a1": script(
                "a1", None, 'op.execute("CREATE TABLE orders (id serial PRIMARY KEY, up integer REFERENCES orders)")'
            ),
            "b2": script("b2", "a1", 'op.execute("UPDATE orders SET up = id")', 'op.execute("SELECT 1")'),
            "c3": script(
                "c3",
                "b2",
                'op.execute("INSERT INTO orders DEFAULT VALUES"); op.execute("INSERT INTO orders (up) VALUES (1)")',
                'op.execute("DELETE FROM orders")',
            ),
        },
    )

    (walk,) = walk_all(TargetRunner(target(place), server), RecordingPlan(evidence=EVIDENCE))

    assert walk.trips["b2"].populated is not None
    assert walk.trips["c3"].up is not None
    assert walk.trips["c3"].up.failure is None


# What cannot be held, or has no way down.


def recorded(place: Path, server: Server, scripts: dict[str, str]) -> dict[str, RoundTrip]:
    """The trips over the whole of a recording, runs on databases of their own included."""
    (recording,) = record(target(write_project(place, scripts)), server, evidence=EVIDENCE)
    return {trip.revision: trip for trip in recording.trips}


def test_an_upgrade_without_a_way_down_is_tried_over_rows_too(tmp_path: Path, server: Server) -> None:
    trips = recorded(
        tmp_path,
        server,
        {
            "a1": ORDERS,
            "b2": script("b2", "a1", 'op.drop_column("orders", "note")', None),
            "c3": script("c3", "b2", 'op.alter_column("orders", "email", nullable=False)', "raise NotImplementedError"),
            "d4": script("d4", "c3", 'op.add_column("orders", sa.Column("x", sa.Text, nullable=False))', None),
        },
    )

    assert [loss.kind for loss in tried(trips["b2"]).lost_upwards] == ["column dropped"]
    assert tried(trips["b2"]).lost_downwards == ()
    assert (tried(trips["c3"]).rows, tried(trips["d4"]).rows) == (RowKind.EDGE_CASES, RowKind.ORDINARY)
    assert tried(trips["d4"]).step.failure is not None


BLOCK = "with op.get_context().autocommit_block():\n    "


def test_a_downgrade_that_takes_away_what_was_there_before_is_reported_whatever_inserted_it(
    tmp_path: Path, server: Server
) -> None:
    up = BLOCK + "op.create_index('ix', 'orders', ['email'], postgresql_concurrently=True)"
    down = "op.drop_index('ix'); op.execute('DELETE FROM orders WHERE id = 1')"

    trips = recorded(
        tmp_path, server, {"a1": ORDERS, "b2": script("b2", "a1", SEED), "c3": script("c3", "b2", up, down)}
    )

    assert tried(trips["c3"]).lost_upwards == ()
    assert [(loss.kind, loss.old) for loss in tried(trips["c3"]).lost_downwards] == [("rows deleted", "id = 1")]


def test_an_upgrade_that_commits_by_itself_is_tried_over_rows_on_a_database_of_its_own(
    tmp_path: Path, server: Server
) -> None:
    unique = "op.create_index('uq', 'orders', ['email'], unique=True, postgresql_concurrently=True)"
    trips = recorded(
        tmp_path,
        server,
        {
            "a1": ORDERS,
            "b2": script("b2", "a1", f"{BLOCK}{unique}", f"{BLOCK}op.drop_index('uq', postgresql_concurrently=True)"),
            "c3": script(
                "c3", "b2", f"{BLOCK}op.execute('UPDATE orders SET note = NULL')", f"{BLOCK}op.execute('SELECT 1')"
            ),
            "d4": script("d4", "c3", f"{BLOCK}op.execute('ALTER TABLE orders ADD x integer NOT NULL')", None),
        },
    )

    failure = tried(trips["b2"]).step.failure
    assert failure is not None
    assert (tried(trips["b2"]).rows, failure.sqlstate) == (RowKind.EDGE_CASES, "23505")
    assert tried(trips["c3"]).step.failure is None
    assert [loss.kind for loss in tried(trips["c3"]).lost_upwards] == ["values removed"]
    assert [loss.kind for loss in tried(trips["c3"]).lost_downwards] == ["values removed"]
    assert tried(trips["d4"]).rows == RowKind.ORDINARY
    # The rows are nowhere in the walk itself.
    assert trips["b2"].second_up is not None
    assert trips["b2"].second_up.failure is None


@pytest.mark.parametrize("ends", ["commit()", "connection.rollback()"])
def test_an_upgrade_that_ends_the_transaction_over_rows_only_is_tried_over_rows(
    tmp_path: Path, server: Server, ends: str
) -> None:
    # Airflow's cc1e65623dc7 loads the DAGs of its rows, on a session that shares the connection and is closed at the end.
    upgrade = f"""
        connection = op.get_bind()
        if connection.execute(sa.text("SELECT FROM orders")).fetchall():
            connection.{ends}
        op.execute("UPDATE orders SET note = NULL")
    """
    trips = recorded(tmp_path, server, {"a1": ORDERS, "b2": script("b2", "a1", upgrade, "op.execute('SELECT 1')")})

    assert tried(trips["b2"]).step.failure is None
    assert [loss.kind for loss in tried(trips["b2"]).lost_upwards] == ["values removed"]
    assert trips["b2"].second_up is not None
    assert trips["b2"].second_up.failure is None


def test_rows_with_deferred_constraints_are_tried_as_the_committed_ones_that_they_are_in_use(
    tmp_path: Path, server: Server
) -> None:
    # warehouse's e1b0e2c4a1e6: the foreign key of rows that are not committed yet is checked again by an UPDATE, and at the commit.
    refers = """
        op.create_table("people", sa.Column("id", sa.Integer, primary_key=True))
        op.add_column("orders", sa.Column("buyer", sa.Integer, sa.ForeignKey("people.id", deferrable=True, initially="DEFERRED")))
    """
    upgrade = """
        op.execute("UPDATE orders SET note = 'sold'")
        op.alter_column("orders", "note", nullable=False)
    """
    downgrade = "op.alter_column('orders', 'note', nullable=True)"
    scripts = {"a1": ORDERS, "b2": script("b2", "a1", refers), "c3": script("c3", "b2", upgrade, downgrade)}

    trips = recorded(tmp_path, server, scripts)

    assert tried(trips["c3"]).step.failure is None
    assert tried(trips["c3"]).tables["public.orders"] > 0


def test_of_many_revisions_that_commit_the_last_ones_are_tried(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.gate.reruns._rows.COMMITTING_REVISIONS", 1)
    update = f"{BLOCK}op.execute('UPDATE orders SET total = 1')"

    trips = recorded(
        tmp_path,
        server,
        {"a1": ORDERS, "b2": script("b2", "a1", update, update), "c3": script("c3", "b2", update, update)},
    )

    assert trips["b2"].populated is None
    assert trips["b2"].tables_without_rows == {
        "public.orders": "it commits, and only the last 1 revisions that do are tried over rows"
    }
    assert trips["c3"].populated is not None


def test_an_upgrade_that_ends_the_process_over_rows_is_reported_and_takes_nothing_from_the_others(
    tmp_path: Path, server: Server
) -> None:
    ends = "import os\nif op.get_bind().execute(sa.text('SELECT FROM orders')).fetchall(): os._exit(3)"
    update = "op.execute('UPDATE orders SET total = 1')"

    trips = recorded(
        tmp_path,
        server,
        {
            "a1": ORDERS,
            "b2": script("b2", "a1", update, None),
            "c3": script("c3", "b2", ends, None),
            "d4": script("d4", "c3", update, None),
        },
    )

    assert trips["c3"].populated is None
    assert trips["c3"].tables_without_rows["public.orders"].startswith("over rows, ")
    for name in ("b2", "d4"):
        assert trips[name].tables_without_rows == {}
        assert tried(trips[name]).step.failure is None


# The project's own rows.


def own_rows(place: Path, sql: str) -> None:
    folder = place / "migrations" / "versions" / "overproof_rows"
    folder.mkdir(parents=True)
    (folder / "z9.sql").write_text(sql)


SET_NOT_NULL = ('op.alter_column("orders", "note", nullable=False)', 'op.alter_column("orders", "note", nullable=True)')


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg", "asyncpg"])
def test_rows_of_the_project_s_own_take_the_place_of_ours(tmp_path: Path, server: Server, driver: str) -> None:
    scripts = {"a1": ORDERS, "z9": script("z9", "a1", *SET_NOT_NULL)}
    place = write_project(tmp_path, scripts, env=ENV_ASYNC if driver == "asyncpg" else ENV)
    own_rows(
        place,
        """
        -- Whatever a driver makes of it: 100% of :these and $1; too
        INSERT INTO orders (id, note) VALUES (1, 'a; b');
        DO $$BEGIN INSERT INTO orders (id, note) VALUES (2, '100%'); END$$;
        """,
    )
    on_driver = Target(COMMAND, {"DATABASE_URL": f"{{url+{driver}}}"}, directory=place)
    (walk,) = walk_all(TargetRunner(on_driver, server), RecordingPlan(evidence=EVIDENCE))

    trip = walk.trips["z9"]
    assert trip.rows_failure is None
    populated = tried(trip)
    assert populated.tables == {"public.orders": 2}
    assert populated.step.failure is None


def test_rows_of_the_project_s_own_that_the_upgrade_does_not_bear_are_reported_as_such(
    tmp_path: Path, server: Server
) -> None:
    place = write_project(tmp_path, {"a1": ORDERS, "z9": script("z9", "a1", *SET_NOT_NULL)})
    own_rows(place, "INSERT INTO orders (id) VALUES (1)")

    (walk,) = walk_all(TargetRunner(target(place), server), RecordingPlan(evidence=EVIDENCE))

    populated = tried(walk.trips["z9"])
    assert populated.rows == RowKind.OWN
    assert populated.step.failure is not None


def test_rows_of_the_project_s_own_that_do_not_load_are_reported_and_ours_are_used(
    tmp_path: Path, server: Server
) -> None:
    place = write_project(tmp_path, {"a1": ORDERS, "z9": script("z9", "a1", *SET_NOT_NULL)})
    own_rows(place, "INSERT INTO orders (id) VALUES (1); INSERT INTO oders VALUES (1)")

    (walk,) = walk_all(TargetRunner(target(place), server), RecordingPlan(evidence=EVIDENCE))

    trip = walk.trips["z9"]
    assert trip.rows_failure is not None
    assert trip.rows_failure.message == 'relation "oders" does not exist'
    assert tried(trip).tables == {"public.orders": 8}
    assert tried(trip).rows == RowKind.EDGE_CASES


def test_rows_are_found_next_to_the_script_or_in_the_folder_of_env_py(tmp_path: Path) -> None:
    versions = tmp_path / "migrations/versions"
    versions.mkdir(parents=True)
    assert find_rows(versions / "a1.py", str(tmp_path / "migrations"), "a1") is None

    for folder in (tmp_path / "migrations/overproof_rows", versions / "overproof_rows"):
        folder.mkdir()
        (folder / "a1.sql").touch()
        assert find_rows(versions / "a1.py", str(tmp_path / "migrations"), "a1") == folder / "a1.sql"


# Which tables.


DELETES_DOWNWARDS = over_orders("pass", 'op.execute("DELETE FROM orders")')


def test_a_way_down_that_deletes_rows_is_tried_whatever_the_upgrade_does(trips: dict[str, RoundTrip]) -> None:
    trip = trips[DELETES_DOWNWARDS]

    assert [(loss.table, loss.kind, loss.count) for loss in tried(trip).lost_downwards] == [
        ("public.orders", "rows deleted", 8)
    ]


def test_tables_are_touched_by_what_happens_to_them_and_not_by_a_mere_lock() -> None:
    tables = ["changed", "scanned", "written", "rewritten", "locked", "named", "updated", "filled"]
    before = snapshot({key("table", name): {} for name in tables})
    statements = (
        Statement("…", 1.0, scans=("public.scanned", "public.new")),
        Statement("…", 1.0, written={"public.written": 0}, rewrites=("public.rewritten",)),
        Statement("…", 1.0, locks={"public.locked": frozenset({"ShareRowExclusiveLock"})}),
        Statement("UPDATE named SET a = 1", 1.0, transactional=False),
        Statement(
            "UPDATE updated SET a = 1 WHERE id = 7", 1.0, locks={"public.updated": frozenset({"RowExclusiveLock"})}
        ),
        Statement("INSERT INTO filled SELECT …", 1.0, locks={"public.filled": frozenset({"RowExclusiveLock"})}),
    )
    changes = (altered(key("column", "a", "changed"), {}, {"type": "text"}), added(key("table", "new")))
    up = Step("a1", Direction.UPGRADE, 1.0, statements=statements, changes=changes)

    assert touched_tables(up, before) == {
        f"public.{name}" for name in ("changed", "scanned", "written", "rewritten", "named", "updated")
    }


@pytest.mark.parametrize(
    ("sql", "locked"),
    [
        ("ALTER TABLE orders DROP COLUMN note", {}),
        ("ALTER TABLE shop.orders DROP note, ADD note text", {}),
        ('ALTER TABLE "orders" DROP COLUMN "note" CASCADE', {}),
        ("DROP TABLE orders", {}),
        ("DROP TYPE mood CASCADE", {"shop.orders": frozenset({"AccessExclusiveLock"})}),
        ("DO $$ BEGIN DROP TABLE lines, orders; END $$", {}),
    ],
)
def test_what_is_dropped_and_created_again_alike_was_touched(sql: str, locked: dict[str, frozenset[str]]) -> None:
    before = snapshot({key("table", "orders", schema="shop"): {}, key("table", "other", schema="shop"): {}})
    up = Step("a1", Direction.UPGRADE, 1.0, statements=(Statement(sql, 1.0, locks=locked),), changes=())

    assert touched_tables(up, before) == {"shop.orders"}


@pytest.mark.parametrize(
    ("sql", "touched"),
    [
        ("SELECT setval('orders_id_seq', 1)", "orders"),
        ("ALTER SEQUENCE orders_id_seq RESTART", "orders"),
        ("ALTER TABLE lines ALTER id RESTART", "lines"),
        ("SELECT setval('public.lines_id_seq', 1)", "lines"),
        ("SELECT setval('lines_other_seq', 1)", None),
        ("ALTER TABLE plain ALTER id RESTART", None),
        ("SELECT setval('other_seq', 1)", None),
        ("COMMENT ON SEQUENCE orders_id_seq IS 'x'", "orders"),
        ("SELECT 'orders_id_seq', 'lines'", None),
    ],
)
def test_a_table_is_touched_where_its_sequence_is_moved_and_no_other_is(sql: str, touched: str | None) -> None:
    before = snapshot(
        {
            **{key("table", name): {} for name in ("orders", "lines", "plain")},
            key("column", "id", "orders"): {"default": "nextval('public.orders_id_seq'::regclass)"},
            key("column", "id", "lines"): {"identity": "always", "sequence": {"start": 1}},
            key("column", "id", "plain"): {"default": "7"},
        }
    )
    up = Step("a1", Direction.UPGRADE, 1.0, statements=(Statement(sql, 1.0),), changes=())

    assert touched_tables(up, before) == {f"public.{name}" for name in (touched,) if name}


DEFAULT = {"default": "nextval('orders_id_seq'::regclass)"}
IDENTITY = {"identity": "always", "sequence": {"start": 1}}


@pytest.mark.parametrize(
    ("change", "is_touched"),
    [
        (added(key("trigger", "touch", "orders")), True),
        (altered(key("trigger", "touch", "orders"), {"definition": "a"}, {"definition": "b"}), True),
        (removed(key("trigger", "touch", "orders")), False),
        (altered(key("column", "id", "orders"), {}, DEFAULT), True),
        (altered(key("column", "id", "orders"), DEFAULT, {}), True),
        (altered(key("column", "id", "orders"), {}, IDENTITY), True),
        (altered(key("column", "id", "orders"), IDENTITY, {**IDENTITY, "sequence": {"start": 9}}), True),
        (altered(key("column", "id", "orders"), {"default": "1"}, {"default": "2"}), False),
        (altered(key("column", "id", "orders"), {**DEFAULT, "comment": "a"}, {**DEFAULT, "comment": "b"}), False),
    ],
)
def test_a_table_is_touched_by_what_the_next_insert_does_in_another_way(change: Change, is_touched: bool) -> None:
    before = snapshot({key("table", "orders"): {}})
    up = Step("a1", Direction.UPGRADE, 1.0, changes=(change,))

    assert touched_tables(up, before) == ({"public.orders"} if is_touched else set())


BODY = "BEGIN INSERT INTO log (at) VALUES (now()); RETURN NEW; END"


@pytest.mark.parametrize(
    ("change", "body", "is_touched"),
    [
        (removed(key("column", "at", "log")), BODY, True),
        (added(key("constraint", "ck", "log")), BODY, True),
        (removed(key("table", "log")), BODY, True),
        (altered(key("function", "f()"), {"body": "1"}, {"body": "2"}), BODY, True),
        (removed(key("column", "at", "log")), "BEGIN PERFORM g(); RETURN NEW; END", True),
        (removed(key("column", "at", "log")), "BEGIN RETURN NEW; END", False),
        (removed(key("index", "ix", "log")), BODY, False),
    ],
    ids=["column", "constraint", "table", "itself", "by another function", "not at all", "index"],
)
def test_a_table_is_touched_by_a_change_of_what_its_triggers_use(change: Change, body: str, is_touched: bool) -> None:
    before = snapshot(
        {
            key("table", "orders"): {},
            key("trigger", "logged", "orders"): {"definition": "AFTER INSERT ON orders EXECUTE FUNCTION f()"},
            key("function", "f()"): {"body": body},
            key("function", "g()"): {"body": BODY},
        }
    )
    up = Step("a1", Direction.UPGRADE, 1.0, changes=(change,))

    assert touched_tables(up, before) == ({"public.orders"} if is_touched else set())


@pytest.mark.parametrize(
    ("caller", "definition"),
    [
        (key("column", "number", "orders"), {"default": "public.g()"}),
        (key("constraint", "ck", "orders"), {"type": "check", "definition": "CHECK ((g() > 0))"}),
    ],
)
def test_a_table_is_touched_by_a_change_of_what_its_defaults_and_checks_use(
    caller: Key, definition: dict[str, object]
) -> None:
    before = snapshot({key("table", "orders"): {}, caller: definition, key("function", "g()"): {"body": BODY}})
    up = Step("a1", Direction.UPGRADE, 1.0, changes=(removed(key("table", "log")),))

    assert touched_tables(up, before) == {"public.orders"}


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("UPDATE orders SET a = (SELECT b FROM lines WHERE lines.c = orders.c)", {"lines"}),
        ("UPDATE orders SET a = b FROM shop.lines AS l WHERE l.c = orders.c", set()),
        ("UPDATE orders SET a = b FROM public.lines AS l WHERE l.c = orders.c", {"lines"}),
        ("INSERT INTO new SELECT 1 FROM orders o, lines l WHERE l.c = o.c", {"orders", "lines"}),
        ("DELETE FROM orders USING lines WHERE 'FROM new' = a", {"orders", "lines"}),
        ("ALTER TABLE orders ADD a int -- FROM lines", set()),
    ],
)
def test_the_tables_are_touched_from_which_a_statement_takes_rows(sql: str, names: set[str]) -> None:
    before = snapshot({key("table", name): {} for name in ("orders", "lines", "new")})
    up = Step("a1", Direction.UPGRADE, 1.0, statements=(Statement(sql, 1.0),), changes=())

    assert touched_tables(up, before) == {f"public.{name}" for name in names}


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE orders DROP CONSTRAINT ck",
        "ALTER TABLE orders ALTER COLUMN note DROP NOT NULL",
        "ALTER TABLE orders ALTER COLUMN note DROP DEFAULT, ALTER COLUMN id DROP IDENTITY",
        "DROP INDEX ix_orders",
        "DROP TRIGGER touch ON orders",
    ],
)
def test_what_drops_a_rule_drops_no_values(sql: str) -> None:
    before = snapshot({key("table", "orders"): {}})
    locked = {"public.orders": frozenset({"AccessExclusiveLock"})}
    up = Step("a1", Direction.UPGRADE, 1.0, statements=(Statement(sql, 1.0, locks=locked),), changes=())

    assert touched_tables(up, before) == frozenset()


ENV_ASYNC = """
    import asyncio
    import os

    from alembic import context
    from sqlalchemy import pool
    from sqlalchemy.ext.asyncio import create_async_engine


    def run(connection):
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()


    async def run_async():
        engine = create_async_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)
        async with engine.connect() as connection:
            await connection.run_sync(run)
        await engine.dispose()


    asyncio.run(run_async())
"""


# Constraints that are validated.

NOT_VALID = {
    "a CHECK": ("ADD CONSTRAINT rule CHECK (total > 5)", "23514"),
    "a foreign key": ("ADD CONSTRAINT rule FOREIGN KEY (up) REFERENCES orders", "23503"),
}


def validated(tmp_path: Path, server: Server, rule: str, *between: str) -> Populated:
    """What is found over rows of a revision that validates a constraint of an earlier one."""
    first = script("a1", None, 'op.execute("CREATE TABLE orders (id serial PRIMARY KEY, total integer, up integer)")')
    upgrades = [f"ALTER TABLE orders {rule} NOT VALID", *between, "ALTER TABLE orders VALIDATE CONSTRAINT rule"]
    scripts = {"a1": first}
    for number, upgrade in enumerate(upgrades, 2):
        down = 'op.execute("ALTER TABLE orders DROP CONSTRAINT rule")' if number == 2 else "pass"
        scripts[f"a{number}"] = script(f"a{number}", f"a{number - 1}", f'op.execute("{upgrade}")', down)
    return tried(recorded(tmp_path, server, scripts)[f"a{len(scripts)}"])


@pytest.mark.parametrize("kind", NOT_VALID)
def test_rows_from_before_a_constraint_may_break_it_when_it_is_validated(tmp_path, server, kind):
    rule, sqlstate = NOT_VALID[kind]

    found = validated(tmp_path, server, rule)

    assert [(each.sqlstate, each.constraint) for each in found.assumptions] == [(sqlstate, "rule")]
    assert found.step.failure is None
    assert found.lost_downwards == ()


def test_rows_that_are_corrected_before_a_constraint_is_validated_do_not_break_it(tmp_path, server):
    found = validated(tmp_path, server, NOT_VALID["a CHECK"][0], "UPDATE orders SET total = 6 WHERE total <= 5")

    assert found.assumptions == ()
