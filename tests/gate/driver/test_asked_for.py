"""What the command looks for in its environment, in vain, is written down where the gate reads it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.gate.errors import CannotVerify
from app.gate.recorder import record
from app.gate.server.throwaway import Server
from app.gate.target.target import DRIVER
from tests.gate.history.test_git_base import git
from tests.gate.projects import ENV, script, target, write_project

pytestmark = pytest.mark.processes

READS = """
import os
assert os.getenv("SHOP_DB_URL") is None and "SHOP_DB_URL" not in os.environ
assert os.environ.get("PATH") and os.environ.get("SHOP_COLOUR", "red") == "red"
try:
    os.environ["OS_DATABASE__CONNECTION"]
except KeyError:
    pass
else:
    raise AssertionError
"""
SETTINGS = """
from pydantic_settings import BaseSettings, SettingsConfigDict
class Shop(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="shop_")
    db_host: str = "localhost"
    db_name: str = "shop"
    colour: str = "red"
assert Shop().db_host == "there", Shop()
"""


@pytest.mark.parametrize(
    ("code", "names"),
    [(READS, ["SHOP_DB_URL", "OS_DATABASE__CONNECTION"]), (SETTINGS, ["SHOP_DB_NAME"])],
    ids=["os.environ", "pydantic"],
)
def test_what_is_looked_for_and_not_set_is_noted_once(tmp_path: Path, code: str, names: list[str]) -> None:
    noted = tmp_path / "asked-for"
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(DRIVER),
        "OVERPROOF_ASKED_FOR": str(noted),
        "SHOP_DB_HOST": "there",
    }

    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)

    assert [name for name in noted.read_text().split() if name.startswith(("SHOP", "OS_"))] == names


def test_a_file_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(DRIVER), "OVERPROOF_ASKED_FOR": str(tmp_path / "gone" / "asked-for")}

    subprocess.run(
        [sys.executable, "-c", READS.replace('os.environ.get("PATH") and', "")], env=environment, check=True, timeout=60
    )


@pytest.mark.parametrize("base", [None, "main"])
def test_the_line_names_it_with_a_base_and_without(base: str | None, tmp_path: Path, server: Server) -> None:
    env = ENV.replace('os.environ["DATABASE_URL"]', 'os.environ.get("SHOP_DB_URL", "sqlite://")')
    project = write_project(tmp_path, {"a1": script("a1", None)}, env=env)
    git(project, "init", "-q", "-b", "main")
    git(project, "add", ".")
    git(project, "commit", "-qm", "base")
    (project / "migrations" / "versions" / "b2.py").write_text(script("b2", "a1"))

    with pytest.raises(CannotVerify, match=r"another system \(sqlite\): it looked for SHOP_DB_URL in its"):
        record(target(project), server, base_ref=base)
