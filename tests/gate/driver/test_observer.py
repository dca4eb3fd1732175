"""The observer on a migration's connection, in this process. In a target, `hazards` and `walk` try it."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext

from app.gate.driver.overproof_driver.errors import CommitInRollbackOnly, Stopped
from app.gate.driver.overproof_driver.observer import StepObserver
from app.gate.driver.overproof_driver.transactions import MigrationConnection
from app.gate.server.database import Database

ALTER = "ALTER TABLE orders ADD note text"


def stop() -> None:
    raise Stopped()


class Step:
    """A step whose script is this file."""

    def __init__(self, sql_connection: sa.Connection) -> None:
        self.sql = sql_connection
        self.connection = MigrationConnection(MigrationContext.configure(sql_connection))
        self.observer = StepObserver(self.connection)

    def start(self, *, observe: bool = True, stop_before: int | None = None) -> None:
        self.connection.keeps_queries_prepared = observe
        if self.connection.is_rollback_only:
            self.connection.prepare_queries()
        halts = {} if stop_before is None else {stop_before: stop}
        self.observer.start(__file__, observe, self.connection.begin_step(), halts)

    def run(self, *statements: str) -> None:
        for statement in statements:
            self.sql.exec_driver_sql(statement)

    def seen(self) -> list[dict[str, Any]]:
        """The statements, less what differs from run to run."""
        left_out = ("line", "duration_ms", "lock_timeout_ms")
        return [{k: v for k, v in each.items() if k not in left_out} for each in self.observer.stop()]


def a_step(database: Database, isolation_level: Any) -> Iterator[Step]:
    engine = sa.create_engine(database.url("psycopg2"), isolation_level=isolation_level)
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)")
        connection.commit()
        step = Step(connection)
        step.connection.take_over()
        step.observer.listen()
        step.connection.begin()
        step.connection.find_autocommit()
        step.connection.commit()
        yield step
        step.observer.close()
        step.connection.roll_back()
    engine.dispose()


@pytest.fixture
def step(blank_database: Database) -> Iterator[Step]:
    yield from a_step(blank_database, "READ COMMITTED")


@pytest.fixture
def autocommit_step(blank_database: Database) -> Iterator[Step]:
    yield from a_step(blank_database, "AUTOCOMMIT")


def test_a_statement_is_seen_with_its_locks_and_the_line_of_the_script(step):
    step.start()
    step.run(ALTER)

    (statement,) = step.observer.stop()
    assert statement["locks"] == {"public.orders": ["AccessExclusiveLock"]}
    assert statement["transactional"] is True
    assert statement["line"] == Step.run.__code__.co_firstlineno + 2
    assert statement["duration_ms"] > 0


def test_where_nothing_is_observed_a_statement_is_seen_with_its_text(step):
    step.start(observe=False)
    step.run(ALTER)

    assert step.seen() == [{"sql": ALTER, "transactional": True}]


def test_what_goes_past_sqlalchemy_is_seen_at_the_end(step):
    step.start()
    step.connection.execute(ALTER)

    (statement,) = step.seen()
    assert statement["sql"] == "(statements sent past SQLAlchemy)"
    assert statement["locks"] == {"public.orders": ["AccessExclusiveLock"]}


def test_after_a_commit_in_sql_each_statement_is_looked_into_alone(step):
    step.start()
    step.run("COMMIT", "CREATE INDEX ix ON orders (id)", "CREATE INDEX CONCURRENTLY iy ON orders (id)")

    _, index, concurrently = step.seen()
    assert index["locks"] == {"public.orders": ["ShareLock"]}
    assert (index["transactional"], concurrently["transactional"]) == (False, False)
    assert concurrently["index_builds"] == ["public.orders"]
    assert "locks" not in concurrently
    assert step.connection.has_committed


def test_after_the_script_s_own_begin_statements_are_in_a_transaction_again(step):
    step.start()
    step.run("COMMIT", "BEGIN", ALTER, "INSERT INTO orders VALUES (2)")

    alter, insert = step.seen()[2:]
    assert (alter["transactional"], insert["transactional"]) == (True, True)
    assert alter["locks"] == {"public.orders": ["AccessExclusiveLock"]}
    assert "AccessExclusiveLock" not in insert["locks"]["public.orders"]
    assert insert["written"] == {"public.orders": 1}


def test_after_sqlalchemy_s_commit_the_next_transaction_is_counted(step):
    step.start()
    step.run("INSERT INTO orders VALUES (2), (3)")
    step.sql.commit()
    step.run("INSERT INTO orders VALUES (4)")

    first, commit, second = step.seen()
    assert commit == {"sql": "COMMIT", "transactional": True}
    assert (first["written"], second["written"]) == ({"public.orders": 2}, {"public.orders": 1})


def test_rows_that_a_step_left_behind_in_the_counters_are_not_the_next_one_s(step):
    step.start()
    step.run("INSERT INTO orders VALUES (2)", "COMMIT", "INSERT INTO orders VALUES (3)")
    step.observer.stop()
    step.connection.undo()
    step.start()
    step.run("INSERT INTO orders VALUES (4)")

    assert [each["written"] for each in step.seen()] == [{"public.orders": 1}]


def test_a_connection_that_commits_each_statement_has_each_looked_into(autocommit_step):
    autocommit_step.start()
    autocommit_step.run(ALTER, "CREATE INDEX CONCURRENTLY ix ON orders (id)")

    alter, index = autocommit_step.seen()
    assert alter["locks"] == {"public.orders": ["AccessExclusiveLock"]}
    assert (alter["transactional"], index["transactional"]) == (False, False)
    assert index["index_builds"] == ["public.orders"]


def test_a_step_stops_before_a_statement(step):
    step.start(stop_before=1)
    step.run(ALTER)

    with pytest.raises(Stopped):
        step.run("SELECT 1")


def test_a_step_stops_before_a_commit(step):
    step.start(stop_before=1)
    step.run(ALTER)

    with pytest.raises(Stopped):
        step.sql.commit()


@pytest.mark.parametrize("statement", ["COMMIT", "end;", "Rollback"])
def test_a_rollback_only_transaction_is_not_ended_in_sql(step, statement):
    step.connection.begin_rollback_only()
    step.start()

    with pytest.raises(CommitInRollbackOnly):
        step.run(statement)


def test_a_rollback_only_transaction_is_not_committed(step):
    step.connection.begin_rollback_only()
    step.start()
    step.run("SAVEPOINT s", "ROLLBACK TO s", "ROLLBACK TO SAVEPOINT s")

    with pytest.raises(CommitInRollbackOnly):
        step.sql.commit()


def test_a_rollback_only_transaction_that_was_ended_otherwise_is_noticed(step):
    step.connection.begin_rollback_only()
    step.connection.check_rollback_only()
    step.connection.execute("COMMIT")

    with pytest.raises(CommitInRollbackOnly):
        step.connection.check_rollback_only()


def test_the_first_error_is_kept(step):
    step.start()
    for statement in ("SELECT nonsense", "SELECT 1"):
        with pytest.raises(sa.exc.DBAPIError):
            step.run(statement)

    assert step.observer.first_error.statement == "SELECT nonsense"
    assert step.observer.stop() == []


def test_statements_on_other_connections_are_not_seen(step, blank_database):
    engine = sa.create_engine(blank_database.url("psycopg2"))
    step.start()
    with engine.connect() as other:
        other.exec_driver_sql("SELECT 1")
        other.commit()
    engine.dispose()

    assert step.seen() == []


@pytest.mark.parametrize("setting", ["on", "off"])
def test_planning_the_observer_s_queries_leaves_the_script_s_settings_as_they_were(step, setting):
    step.connection.execute(f"SET enable_seqscan = {setting}")

    step.connection.prepare_queries()

    assert step.connection.scalar("SHOW enable_seqscan") == setting
    assert len(step.connection.rows("SELECT FROM pg_prepared_statements WHERE name LIKE 'overproof_%'")) == 2
