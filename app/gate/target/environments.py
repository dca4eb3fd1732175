"""The Python environment of the project: the active one unless it is Overproof's own, else the one in its folder."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDERS = (".venv", "venv")


def find_active() -> Path | None:
    """The environment that is active, unless it is the one that Overproof runs in."""
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if (value := os.environ.get(variable)) and not is_own(Path(value)):
            return Path(value)
    return None


def find_environment(directory: Path) -> Path | None:
    """The environment in the project's folder, or above it within the repository, as in a workspace of uv.

    It may be Overproof's own, where a project has Overproof among its tools.
    """
    for folder in _folders_up(directory):
        for name in FOLDERS:
            if programs_of(folder / name).is_dir():
                return folder / name
    return None


def _folders_up(directory: Path) -> Iterator[Path]:
    """The directory, and those above it up to the root of its repository. Outside of a repository, it alone."""
    directory = directory.absolute()
    above = [directory, *directory.parents]
    root = next((at for at, folder in enumerate(above) if (folder / ".git").exists()), 0)
    yield from above[: root + 1]


def is_own(environment: Path) -> bool:
    """Whether that is the environment in which Overproof runs."""
    return environment.resolve() == Path(sys.prefix).resolve()


def programs_of(environment: Path) -> Path:
    return environment / "bin"


def command_environment(directory: Path) -> dict[str, str]:
    """The variables that make the project's environment the active one. Empty if one is active already.

    Overproof's own is not active for the command: `poetry run` would use it.
    """
    if find_active() is not None:
        return {}
    found = find_environment(directory)
    if found is None:
        return {"VIRTUAL_ENV": ""} if os.environ.get("VIRTUAL_ENV") else {}
    path = os.environ.get("PATH", os.defpath)
    return {"VIRTUAL_ENV": str(found), "PATH": f"{programs_of(found)}{os.pathsep}{path}"}


def which(name: str, path: str | None = None) -> Path | None:
    """The program of that name on PATH, if it is not Overproof's own."""
    own = programs_of(Path(sys.prefix)).resolve()
    folders = (path or os.environ.get("PATH", os.defpath)).split(os.pathsep)
    others = [folder for folder in folders if folder and Path(folder).resolve() != own]
    found = shutil.which(name, path=os.pathsep.join(others))
    return Path(found) if found else None
