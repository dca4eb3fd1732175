"""Builds what is published, and tries it as somebody who installs it: `tox -e dist`.

The sdist, and the wheel from the sdist, are built and checked. The wheel goes into an empty environment, away from the
checkout; there it verifies a project, and serves the record. What was built stays in the directory that `--output` names.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from app import __version__
from app.commit import find_commit

ROOT = Path(__file__).parents[2]
PROJECTS = ROOT / "tests" / "gate" / "checks" / "projects"


def main() -> int:
    parser = argparse.ArgumentParser(prog="tox -e dist --", description=__doc__)
    parser.add_argument("--output", type=Path, help="the directory for the sdist and the wheel (default: none)")
    output: Path | None = parser.parse_args().output
    with tempfile.TemporaryDirectory(prefix="overproof-dist-") as name:
        place = Path(name)
        built = place / "built"
        run(sys.executable, "-m", "build", "--outdir", str(built), str(ROOT))
        sdist, wheel = sorted(built.iterdir(), key=lambda path: path.suffix == ".whl")
        run(sys.executable, "-m", "twine", "check", "--strict", str(sdist), str(wheel))
        check_contents(sdist, wheel)
        programs = install(wheel, place / "environment")
        check_version(programs)
        check_gate(programs, place / "project")
        check_record(programs, place / "record")
        if output is not None:
            output.mkdir(parents=True, exist_ok=True)
            for each in (sdist, wheel):
                shutil.copy2(each, output)
    print(f"\n{sdist.name} and {wheel.name} are fit to be published.")
    return 0


def run(*command: str, cwd: Path | None = None, **environment: str) -> str:
    """What the command prints on standard output. Raises SystemExit if it fails."""
    print(f"\n$ {' '.join(command)}", flush=True)
    ended = subprocess.run(
        command, cwd=cwd, env=clean_environment() | environment, stdout=subprocess.PIPE, text=True, check=False
    )
    if ended.returncode:
        sys.exit(f"{ended.stdout}\ndist: that ended with status {ended.returncode}")
    return ended.stdout


def clean_environment() -> dict[str, str]:
    """Without what would lead Python, or the gate, back to the checkout or to a server."""
    unwanted = ("PYTHONPATH", "DATABASE_URL", "OVERPROOF_DATABASE_URL", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in unwanted}


def require(condition: bool, message: str) -> None:
    if not condition:
        sys.exit(f"dist: {message}")


def check_contents(sdist: Path, wheel: Path) -> None:
    """What the repository has under app and migrations is in the wheel, and nothing else; the sdist has all of it."""
    tracked = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0")
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    missing = {each for each in tracked if each.startswith(("app/", "migrations/", "docs/", "tests/"))} - packed
    require(not missing, f"the sdist lacks {sorted(missing)}")
    with zipfile.ZipFile(wheel) as archive:
        installed = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {each for each in tracked if each.startswith("app/")}
    wanted |= {f"app/{each}" for each in tracked if each.startswith("migrations/")}
    script = {name for name in installed if ".data/scripts/" in name}
    wanted.remove("app/bin/overproof")  # it is the script
    require(len(script) == 1, f"the wheel has the scripts {sorted(script)}")
    require(installed - script == wanted, f"the wheel has and lacks {sorted((installed - script) ^ wanted)}")


def install(wheel: Path, environment: Path) -> Path:
    """The folder of the programs of an environment that has the wheel and what it needs."""
    run(sys.executable, "-m", "venv", str(environment))
    programs = environment / "bin"
    run(str(programs / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel))
    run(str(programs / "python"), "-m", "pip", "check")
    return programs


def check_version(programs: Path) -> None:
    commit = find_commit()
    expected = f"overproof {__version__}" + (f" ({commit})" if commit else "")
    require(
        run(str(programs / "overproof"), "--version", cwd=programs).strip() == expected,
        f"the version is not {expected}",
    )
    require("blocking-index (warning)" in run(str(programs / "overproof"), "explain", "blocking-index"), "no page")


def check_gate(programs: Path, project: Path) -> None:
    """A project with one finding. The environment has Alembic and a driver, so it does for the project too."""
    shutil.copytree(PROJECTS / "shared", project)
    for layer in ("both", "bad"):
        shutil.copytree(
            PROJECTS / "blocking_index" / layer / "versions", project / "migrations" / "versions", dirs_exist_ok=True
        )
    shutil.copy(PROJECTS / "blocking_index" / "bad" / "models.py", project / "shop")
    command = (str(programs / "python"), "-m", "alembic", "upgrade", "head")
    run(str(programs / "overproof"), "verify", "--output", "json:report.json", "--", *command, cwd=project)
    report = json.loads((project / "report.json").read_text("utf-8"))
    found = {each["check"] for each in report["findings"]}
    require("blocking-index" in found, f"the gate found {sorted(found)}")
    require(report["verdict"] == "pass", f"the verdict is {report['verdict']}")


def check_record(programs: Path, place: Path) -> None:
    """`serve --embedded` upgrades a database by the migrations of the wheel, and is ready only if it is at head."""
    place.mkdir()
    port = find_free_port()
    with serving(programs, place, port) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Uvicorn running" in line:
                break
        else:
            sys.exit(f"dist: the record did not start:\n{''.join(lines)}")
        with build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{port}/readyz", timeout=20) as answer:
            require(answer.status == 200, f"/readyz answers {answer.status}")


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(programs: Path, place: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    command = [str(programs / "overproof"), "serve", "--embedded", "--port", str(port)]
    print(f"\n$ {' '.join(command)}", flush=True)
    with subprocess.Popen(
        command, cwd=place, env=clean_environment() | {"PYTHONUNBUFFERED": "1"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)


if __name__ == "__main__":
    sys.exit(main())
