"""What the command looks for in its environment, in vain, is written down where the gate reads it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.gate.target.target import DRIVER

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
