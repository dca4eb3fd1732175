"""The environment of the command."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg import pq

from app.gate.server.database import Database
from app.gate.server.throwaway import Server
from app.gate.target.target import _LIBPQ_VARIABLES, DRIVER, Target, fill_placeholders, find_misspelt_placeholder
from tests.gate.projects import target


def test_nothing_that_libpq_reads_of_another_server_reaches_the_command(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar}
    assert "PGPORT" in known
    for name in known:
        monkeypatch.setenv(name, "of another server")

    environment = target(tmp_path, sys.executable).environment_for(replace(server.database("shop"), is_embedded=True))

    assert known & environment.keys() == set()


def test_the_table_has_every_variable_of_libpq() -> None:
    """Those of this version, and https://www.postgresql.org/docs/current/libpq-envars.html: some are no parameters."""
    of_this_version = {option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar}

    assert of_this_version <= set(_LIBPQ_VARIABLES)
    no_parameters = {"PGSERVICEFILE", "PGREQUIRESSL", "PGDATESTYLE", "PGTZ", "PGGEQO", "PGPASSFILE", "PGHOSTADDR"}
    assert no_parameters <= set(_LIBPQ_VARIABLES)
    assert all(re.fullmatch(r"PG[A-Z_]+", name) for name in _LIBPQ_VARIABLES)


@pytest.mark.parametrize(
    ("template", "filled"),
    [("{dbname}", ("{dbname}", "{database}")), ("{db}", ("{db}", "{database}")), ("{dsn}", ("{dsn}", "{url}")),
     ("{uri}", ("{uri}", "{url}")), ("{username}", ("{username}", "{user}")), ("{ur}", ("{ur}", "{url}")), ("{url}", None)],
)  # fmt: skip
def test_another_word_for_a_placeholder_is_corrected(template: str, filled: tuple[str, str] | None) -> None:
    assert find_misspelt_placeholder(template) == filled


SHOP = Database("op_1", "db.example", 5433, "ann", "s3cret")


def test_each_placeholder_is_filled_in_and_other_braces_are_left() -> None:
    template = "{url} {url+asyncpg} {host} {port} {user} {password} {database} {name} {URL} {}"

    assert fill_placeholders(template, SHOP) == (
        "postgresql://ann:s3cret@db.example:5433/op_1 postgresql+asyncpg://ann:s3cret@db.example:5433/op_1"
        " db.example 5433 ann s3cret op_1 {name} {URL} {}"
    )
    assert Target(("x", "{database}")).command_for(SHOP) == ["x", "op_1"]


@pytest.mark.parametrize(
    ("path", "template", "is_serial"),
    [
        ("a.ini", "{url}", True),
        ("a.ini", "{url+asyncpg}", True),
        ("a.ini", "{database}", True),
        ("a.ini", "{host} {databases}", False),
        ("{database}.ini", "{url}", False),
    ],
)
def test_runs_take_turns_where_one_file_names_the_database(path: str, template: str, is_serial: bool) -> None:
    target = Target(("x",), files={Path("b.ini"): "plain", Path(path): template})

    assert target.must_run_serially is is_serial
    assert target.files_for(SHOP) == {
        Path("b.ini"): "plain", Path(path.replace("{database}", "op_1")): fill_placeholders(template, SHOP)
    }  # fmt: skip


def test_programs_are_looked_for_where_the_command_looks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/of/us")

    assert Target(("x",)).path == "/of/us"
    assert Target(("x",), activation={"PATH": "/of/venv"}).path == "/of/venv"
    assert Target(("x",), {"PATH": "/given"}, activation={"PATH": "/of/venv"}).path == "/given"
    monkeypatch.delenv("PATH")
    assert Target(("x",)).path == os.defpath


def test_the_environment_is_ours_then_the_project_s_then_what_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "1")
    monkeypatch.setenv("PGHOST", "elsewhere")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/x", "", str(DRIVER)]))
    target = Target(("x",), {"A": "{user}", "B": "b"}, activation={"A": "a", "VIRTUAL_ENV": "/v"})

    environment = target.environment_for(SHOP)

    assert [environment.get(name) for name in ("OURS", "A", "B", "VIRTUAL_ENV", "PGHOST", "OVERPROOF_SET")] == [
        "1", "ann", "b", "/v", "elsewhere", None
    ]  # fmt: skip
    assert environment["PYTHONPATH"] == os.environ["PYTHONPATH"]
    assert "PGHOST" not in target.environment_for(replace(SHOP, is_embedded=True))


def test_all_runs_hash_alike_unless_the_user_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    first, second = (Target(("x",)).environment_for(SHOP)["PYTHONHASHSEED"] for _ in range(2))
    assert first == second
    assert 0 <= int(first) < 2**32

    monkeypatch.setenv("PYTHONHASHSEED", "random")
    assert Target(("x",)).environment_for(SHOP)["PYTHONHASHSEED"] == "random"
    assert Target(("x",), {"PYTHONHASHSEED": "7"}).environment_for(SHOP)["PYTHONHASHSEED"] == "7"


def test_options_are_handed_over_to_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/x", "", str(DRIVER)]))
    target = Target(("x",), options={"a": "{user}", "two:b": "x", "three:four:c": "y"})

    environment = target.environment_for(SHOP)

    assert json.loads(environment["OVERPROOF_SET"]) == [["", "a", "ann"], ["two", "b", "x"], ["three:four", "c", "y"]]
    assert environment["PYTHONPATH"] == os.pathsep.join([str(DRIVER), "/x"])
    monkeypatch.delenv("PYTHONPATH")
    assert target.environment_for(SHOP)["PYTHONPATH"] == str(DRIVER)


def test_a_run_has_five_minutes_for_each_step() -> None:
    assert Target(("x",)).timeout_s == 300.0
    assert DRIVER.joinpath("sitecustomize.py").is_file()
