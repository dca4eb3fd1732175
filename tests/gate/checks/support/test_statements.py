"""Which statement made which change, judging by its text."""

from __future__ import annotations

from app.gate.checks.support.statements import changes_by, find_statement
from app.gate.recording.model import Direction, Step
from tests.gate.checks.builders import added, key, statement

# Unnamed in the script, so that PostgreSQL made the names up: only table and column are in the text.
OF_USERS = added(key("constraint", "users_email_key", "users"), type="unique", columns=["email"])
OF_ORDERS = added(key("constraint", "orders_email_key", "orders"), type="unique", columns=["email"])
ON_USERS = statement("ALTER TABLE users ADD UNIQUE (email)", line=10)
ON_ORDERS = statement("ALTER TABLE orders ADD UNIQUE (email)", line=11)
STEP = Step("a1", Direction.UPGRADE, 1.0, statements=(ON_USERS, ON_ORDERS), changes=(OF_USERS, OF_ORDERS))


def test_an_unnamed_constraint_belongs_to_the_statement_on_its_table() -> None:
    assert find_statement(STEP, OF_USERS) is ON_USERS
    assert find_statement(STEP, OF_ORDERS) is ON_ORDERS


def test_a_statement_made_the_changes_to_its_own_table_only() -> None:
    assert changes_by(STEP, ON_ORDERS, "public.orders") == [OF_ORDERS]
    assert changes_by(STEP, ON_USERS, "public.orders") == []


def test_an_index_of_an_unnamed_column_belongs_to_the_statement_on_its_table() -> None:
    of_users = added(key("index", "users_email_idx", "users"), definition="USING btree (email)")
    of_orders = added(key("index", "orders_email_idx", "orders"), definition="USING btree (email)")
    one, other = statement("CREATE INDEX ON users (email)"), statement("CREATE INDEX ON orders (email)")
    step = Step("a1", Direction.UPGRADE, 1.0, statements=(one, other), changes=(of_users, of_orders))

    assert (find_statement(step, of_users), find_statement(step, of_orders)) == (one, other)
