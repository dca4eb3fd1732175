"""How measurements and the corpus start the gate: as a user would, from a shell that knows nothing of us."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
UPGRADE = [sys.executable, "-m", "alembic", "upgrade", "head"]


def overproof() -> list[str]:
    """The command `overproof`; from a checkout that is not installed, the same by hand.

    Not by PYTHONPATH, which the project's own process would inherit.
    """
    script = Path(sys.executable).with_name("overproof")
    if script.exists():
        return [str(script)]
    by_hand = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from app.cli import main; sys.exit(main())"
    return [sys.executable, "-c", by_hand]


def clean_environment() -> dict[str, str]:
    """Ours without what would leak into a stranger's process."""
    leaks = ("PYTHON", "VIRTUAL_ENV", "DATABASE_URL", "OVERPROOF", "PYTEST", "COV_", "COVERAGE", "TOX", "GITHUB_")
    return {name: value for name, value in os.environ.items() if not name.startswith(leaks)}


def time_command(name: str, command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> float:
    """Seconds from start to end of the whole process. Exits if it fails. `environment` is what it gets beside ours."""
    began = time.perf_counter()
    done = subprocess.run(
        list(command), cwd=directory, env=clean_environment() | dict(environment), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    took = time.perf_counter() - began
    if done.returncode:
        sys.exit(
            f"bench: {name} failed ({done.returncode}) in {directory}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        )
    return took
