"""For each ordinary project: what is typed, and what to type next, until there is a verdict. Two commands at most."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from app.gate.server.throwaway import Server
from tests.gate.first_minute.ordinary import write

ROOT = Path(__file__).parents[3]
TYPED = "overproof verify"

# the project: (what is typed first, what the error line then says to type; None if the first is enough)
PROJECTS = {
    "plain": (TYPED, "overproof verify --set sqlalchemy.url={url+psycopg2}"),
    "url": (TYPED, "overproof verify --set sqlalchemy.url={url+psycopg2}"),
    "async": (TYPED, "overproof verify --set sqlalchemy.url={url+asyncpg}"),
    "pyproject": (TYPED, "overproof verify --set sqlalchemy.url={url+psycopg2}"),
    "src": (TYPED, "overproof verify --set sqlalchemy.url={url+psycopg2}"),
    "settings": (TYPED, "overproof verify --env DB_URL={url+psycopg2} --env SECRET_KEY=x"),
    "environ": (TYPED, "overproof verify --env SHOP_DATABASE_URL={url+psycopg2}"),
    "environ, named": ("overproof verify --env SHOP_DATABASE_URL={url+psycopg2}", None),
    "flask": (TYPED, "overproof verify -- flask db upgrade"),
}


def type_in(place: Path, server_url: str, line: str) -> subprocess.CompletedProcess[str]:
    """The command as it is typed in that folder, where Overproof's own environment is the active one."""
    _, *words = shlex.split(line)
    # What most of the time goes into is tried elsewhere: here the walk alone, on the server that runs for the tests.
    at = words.index("verify") + 1
    words[at:at] = ["--select", "single-head", "--select", "round-trip"]
    outer = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "CI", "CONDA_PREFIX")}
    return subprocess.run(
        [sys.executable, str(ROOT / "app" / "bin" / "overproof"), *words],
        cwd=place,
        env={**outer, "PYTHONPATH": str(ROOT), "OVERPROOF_DATABASE_URL": server_url, "VIRTUAL_ENV": sys.prefix},
        capture_output=True,
        text=True,
        check=False,
    )


# Those in which the second command is tried as well: the others differ from them in where the first one fails.
TO_THE_VERDICT = ("plain", "async", "settings", "environ, named", "flask")


@pytest.mark.parametrize("kind", PROJECTS)
def test_the_first_command_works_or_says_what_to_type(kind: str, tmp_path: Path, server: Server) -> None:
    place = write(tmp_path / "shop", kind.partition(",")[0])
    server_url = server.create_database().url()
    typed, following = PROJECTS[kind]

    ended = type_in(place, server_url, typed)
    if following is not None:
        assert ended.returncode == 2, ended.stdout
        assert (
            ended.stderr.replace("--select single-head --select round-trip", "").rstrip().endswith(f"type {following}")
        )
    if kind in TO_THE_VERDICT:
        ended = ended if following is None else type_in(place, server_url, following)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "\nPASSED: nothing to report.\n" in ended.stdout
