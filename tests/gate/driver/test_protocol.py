"""What a real driver sends is what `protocol.py` says, and nothing else."""

import types
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.gate.driver.overproof_driver import protocol, serve
from app.gate.server.throwaway import Server
from app.gate.target.process import Process
from app.gate.target.runner import TargetRunner
from app.gate.target.session import DriverSession
from tests.gate.projects import COMMAND, script, target, write_project

MODELS = """
    from sqlalchemy import MetaData
    from sqlalchemy.orm import declarative_base

    metadata = MetaData()
    Base = declarative_base(metadata=metadata)

    import shop.orders
"""
MODEL = """
from models import Base
from sqlalchemy import Column, Integer

class {name}(Base):
    __tablename__ = "{table}"
    id = Column(Integer, primary_key=True)
    size = Column(Integer)
"""
SCRIPTS = {
    "a1": script("a1", None, "op.create_table('orders', sa.Column('id', sa.Integer))", "op.drop_table('orders')"),
    "b2": script("b2", "a1", "op.execute('ALTER TABLE orders ADD CHECK (id > 0)')"),
    "c3": script("c3", "b2", "op.execute('INSERT INTO orders SELECT 1 - count(*) FROM orders')"),
}

ANSWERS: dict[str, Any] = {
    "prepare": protocol.Prepared,
    "empty": protocol.EmptiedAnswer,
    "step": protocol.StepAnswer,
    "begin_rollback_only": protocol.Done,
    "roll_back": protocol.RollBackAnswer,
    "commit": protocol.Done,
    "query": protocol.ValueAnswer,
    "execute": protocol.Done,
    "ask": protocol.ValueAnswer,
    "script": protocol.Done,
    "fingerprints": protocol.FingerprintsAnswer,
    "creation": protocol.CreationAnswer,
    "create_models": protocol.Done,
    "drift": protocol.Drift,
    "hidden": protocol.HiddenAnswer,
    "unregistered": protocol.UnregisteredAnswer,
    "offline": protocol.OfflineAnswer,
    "model_statements": protocol.ModelStatementsAnswer,
    "run_whole": protocol.Done,
    "run_concurrently": protocol.VersionReached,
    "skip": protocol.Done,
    "finish": protocol.Done,
    "stamp": protocol.Done,
    "stop": protocol.Done,
}


def check(value: Any, hint: Any, at: str = "answer") -> None:
    """Compare a value from JSON with a type, and a dictionary's keys with those of a TypedDict, at any depth."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if typing.is_typeddict(hint):
        check_keys(value, hint, at)
    elif origin in (typing.Union, types.UnionType):
        if value is not None:
            (inner,) = (each for each in arguments if each is not types.NoneType)
            check(value, inner, at)
        else:
            assert types.NoneType in arguments, at
    elif origin is list:
        for each in value:
            check(each, arguments[0], f"{at}[]")
    elif origin is tuple:  # an array in JSON
        for each, inner in zip(value, arguments, strict=True):
            check(each, inner, f"{at}[]")
    elif origin is dict:
        for each in value.values():
            check(each, arguments[1], f"{at}{{}}")
    elif hint is float:
        assert isinstance(value, int | float), at
    elif hint is not Any:
        assert type(value) is hint, at


def check_keys(value: dict[str, Any], hint: Any, at: str) -> None:
    hints = typing.get_type_hints(hint)
    assert hint.__required_keys__ <= value.keys() <= hints.keys(), at
    for key, each in value.items():
        check(each, hints[key], f"{at}.{key}")


@contextmanager
def a_session(place: Path, server: Server, *command: str) -> Iterator[tuple[DriverSession, Process]]:
    package = write_project(place, SCRIPTS, models=MODELS) / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "orders.py").write_text(MODEL.format(name="Order", table="orders"))
    (package / "lines.py").write_text(MODEL.format(name="Line", table="lines"))
    runner = TargetRunner(target(place, *command), server)
    with runner.database() as database, runner.process(database) as process:
        session = process.next_session()
        assert session is not None
        yield session, process


def test_the_driver_answers_exactly_the_requests_that_have_a_name():
    requests, endings = typing.get_args(protocol.Request), typing.get_args(protocol.Ending)

    assert serve.REQUESTS.keys() == set(requests)
    assert serve.ENDINGS.keys() == set(endings)
    assert ANSWERS.keys() == {*requests, *endings}


def test_each_request_is_answered_as_the_protocol_says(tmp_path: Path, server: Server) -> None:
    sent = {"offline"}
    with a_session(tmp_path, server) as (session, process):

        def ask(name: protocol.Request | protocol.Ending, **arguments: Any) -> dict[str, Any]:
            sent.add(name)
            answer: dict[str, Any] = session.request(name, **arguments)
            check(answer, ANSWERS[name], name)
            return answer

        check(session.handshake, protocol.Handshake, "handshake")
        assert ask("prepare")["plan"] == ["a1", "b2", "c3"]
        assert set(ask("fingerprints")["models"]) == {"public.orders"}
        assert {each["model"] for each in ask("model_statements")["statements"]} == {"shop.orders.Order"}
        assert ask("query", statements=["SELECT 1"]) == {"value": 1}
        assert ask("step", revision="a1", direction="upgrade")["statements"]
        ask("begin_rollback_only")
        ask("script", sql="INSERT INTO orders VALUES (1); INSERT INTO orders VALUES (2)")
        ask("execute", statements=["INSERT INTO orders VALUES (3)"])
        assert ask("ask", sql="SELECT count(*) FROM orders")["value"] == 3
        ask("commit")
        (statement,) = ask("step", revision="b2", direction="upgrade")["statements"]
        assert statement["locks"] == {"public.orders": ["AccessExclusiveLock"]}
        assert statement["lock_timeout_ms"] == 0
        ask("begin_rollback_only")
        version = ["SELECT count(*) FROM alembic_version WHERE version_num = 'b2'"]
        assert ask("step", revision="b2", direction="downgrade", observe=False, then=version)["value"] == 0
        assert ask("roll_back") == {"undone": True}
        failed = ask("step", revision="c3", direction="upgrade", then=version)
        assert failed["failure"]["table"] == "public.orders"
        assert "value" not in failed
        ask("execute", statements=["DELETE FROM orders"])
        assert "failure" not in ask("step", revision="c3", direction="upgrade")
        assert "add column public.orders.size" in [each["operation"] for each in ask("drift")["operations"]]
        assert ask("creation")["statements"]
        ask("hidden")
        ask("create_models")
        assert [each["name"] for each in ask("unregistered")["models"]] == ["Line"]
        assert ask("empty")["plan"] == ["a1", "b2", "c3"]
        assert "failure" not in ask("step", revision="a1", direction="upgrade")
        ask("finish")
        assert sent == serve.REQUESTS.keys() | {"finish"}
        late = session.receive(60.0)
        check(late, protocol.LateTables, "late")
        assert process.wait(60.0) == 0


@pytest.mark.parametrize(
    ("request_", "hint"),
    [
        ({"do": "execute", "statements": ["SELECT nonsense"]}, protocol.Failed),
        ({"do": "script", "sql": "SELECT nonsense"}, protocol.Failed),
        ({"do": "step", "revision": "b2", "direction": "upgrade", "stop_before": 0}, protocol.StepAnswer),
    ],
)
def test_what_does_not_go_well_is_answered_as_the_protocol_says(
    tmp_path: Path, server: Server, request_: dict[str, Any], hint: Any
) -> None:
    with a_session(tmp_path, server) as (session, _):
        session.request("prepare")

        check(session.request(**request_), hint, request_["do"])


def test_a_pause_is_announced_as_the_protocol_says(tmp_path: Path, server: Server) -> None:
    with a_session(tmp_path, server) as (session, _):
        session.request("prepare")

        paused = session.request("step", revision="a1", direction="upgrade", pause_before=0)
        check(paused, protocol.Paused, "pause")
        session.send("continue")
        check(session.receive(), protocol.StepAnswer, "step")


@pytest.mark.parametrize("name", sorted(serve.ENDINGS.keys() - {"finish"}))
def test_each_ending_is_answered_as_the_protocol_says(tmp_path: Path, server: Server, name: protocol.Ending) -> None:
    with a_session(tmp_path, server) as (session, process):
        if name in ("stamp", "stop"):
            session.request("prepare")
        answer = session.request(name)

        check(answer, ANSWERS[name], name)
        if name == "run_concurrently":
            session.send("continue")
        assert process.wait(60.0) == 0


def test_offline_sql_is_answered_as_the_protocol_says(tmp_path: Path, server: Server) -> None:
    with a_session(tmp_path, server, *COMMAND, "--sql") as (session, _):
        answer = session.request("offline", start=[])

        check(session.handshake, protocol.Handshake, "handshake")
        check(answer, protocol.OfflineAnswer)
        assert {revision for revision, _ in answer["pieces"]} == {None, "a1", "b2", "c3"}
