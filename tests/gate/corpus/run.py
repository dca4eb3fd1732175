"""Turns the gate on real projects: `tox -e corpus`, or `tox -e corpus -- airflow fief` for some of them.

For each project in `projects.toml`: its exact versions go into a virtual environment of its own (kept between runs),
`overproof verify` runs its own upgrade command, and beside that are timed the plain command, and pytest-alembic's four
default tests where they can run. The table in docs/corpus.md is written anew; the prose around it is by hand, and must
explain each finding of level error: one that is not explained there, or is explained but gone, fails this command.

What it makes lies below `.overproof/corpus`, or below the folder that OVERPROOF_CORPUS names.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from app.gate.server.database import Database
from app.gate.server.throwaway import Server, throwaway_server
from app.gate.target.target import fill_placeholders
from tests.bench.overproof import ROOT, clean_environment, overproof
from tests.gate.corpus.page import PAGE, Row, unexplained, write_table

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("OVERPROOF_CORPUS", ROOT / ".overproof" / "corpus"))
PYTHON = "3.11"  # what the locks were made for
PYTEST = ["pytest==9.1.1", "pytest-alembic==0.13.1", "pluggy", "iniconfig", "pygments", "packaging"]


@dataclass(frozen=True)
class Project:
    """One entry of `projects.toml`, with the runner's own placeholders filled in."""

    name: str
    package: str
    version: str
    revisions: int
    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)  # {"/…/alembic.ini": template}
    prepare: str | None = None
    pytest_alembic: Mapping[str, str] | str = ""  # how to configure it, or why it cannot run

    @property
    def home(self) -> Path:
        return CACHE / self.name

    @property
    def python(self) -> Path:
        return self.home / "venv" / "bin" / "python"


def read_projects() -> list[Project]:
    described = tomllib.loads((HERE / "projects.toml").read_text())
    return [_project(name, entry, described["logging"]) for name, entry in described["projects"].items()]


def _project(name: str, entry: dict[str, Any], logging: str) -> Project:
    home = CACHE / name
    ours = {
        "{bin}": str(home / "venv" / "bin"),
        "{site}": str(home / "venv" / "lib" / f"python{PYTHON}" / "site-packages"),
        "{work}": str(home / "work"),
        "{logging}": logging,
    }

    def filled(value: Any) -> Any:
        if isinstance(value, str):
            for placeholder, text in ours.items():
                value = value.replace(placeholder, text)
            return value
        if isinstance(value, list):
            return [filled(each) for each in value]
        if isinstance(value, dict):
            return {filled(key): filled(each) for key, each in value.items()}
        return value

    versions = dict(line.split("==") for line in _lock(name).read_text().splitlines() if "==" in line)
    return Project(name=name, version=versions[entry["package"]], **filled(entry))


def _lock(name: str) -> Path:
    return HERE / "locks" / f"{name}.txt"


def find_uv() -> str:
    """The program that makes the environments. Exits if there is none."""
    return shutil.which("uv") or sys.exit("corpus: needs `uv`, which makes the environments: pip install uv")


def install(project: Project) -> None:
    """Puts the locked versions into the project's virtual environment, unless they are there already."""
    lock = _lock(project.name).read_text()
    done = project.home / "installed.txt"
    if done.exists() and done.read_text() == lock:
        return
    shutil.rmtree(project.home, ignore_errors=True)
    project.home.mkdir(parents=True)
    uv = find_uv()
    environment = project.home / "venv"
    subprocess.run([uv, "venv", "--quiet", "--python", PYTHON, environment], check=True)
    # The locks are complete, and some packages' own requirements contradict what works: nothing is resolved here.
    lock_file = str(_lock(project.name))
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--no-deps", "--python", project.python, "-r", lock_file], check=True
    )
    done.write_text(lock)


def verify(project: Project, *, database_url: str | None) -> tuple[dict[str, Any], float]:
    """The gate's report, and how many seconds it took in all. Raises SystemExit if there is no report."""
    work = _fresh_work(project)
    command = [
        *overproof(),
        "verify",
        "--base",
        "none",
        "--output",
        f"json:{project.home / 'report.json'}",
        "--output",
        "text",
    ]
    command += ["--env", "DATABASE_URL={url}"] if not project.env else []
    for name, value in project.env.items():
        command += ["--env", f"{name}={value}"]
    for number, (path, template) in enumerate(project.files.items()):
        source = project.home / f"template-{number}"
        source.write_text(template.lstrip())
        command += ["--file", f"{path}={source}"]
    if project.prepare:
        command += ["--prepare", project.prepare]
    if database_url:
        command += ["--database-url", database_url]
    command += ["--", *project.command]
    (project.home / "report.json").unlink(missing_ok=True)
    (project.home / "verify.sh").write_text(shlex.join(command) + "\n")
    began = time.perf_counter()
    with (project.home / "verify.txt").open("wb") as output:
        done = subprocess.run(
            command, cwd=work, env=clean_environment(), stdout=output, stderr=subprocess.STDOUT, check=False
        )
    took = time.perf_counter() - began
    if not (project.home / "report.json").exists():
        sys.exit(f"corpus: {project.name}: no report (status {done.returncode}); see {project.home / 'verify.txt'}")
    report: dict[str, Any] = json.loads((project.home / "report.json").read_text())
    return report, took


def _fresh_work(project: Project) -> Path:
    work = project.home / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    return work


def _for(project: Project, database: Database) -> Project:
    """The project with that database's placeholders filled in."""

    def filled(text: str) -> str:
        return fill_placeholders(text, database)

    of_pytest = project.pytest_alembic
    return replace(
        project,
        command=[filled(word) for word in project.command],
        env={name: filled(value) for name, value in project.env.items()},
        files={filled(path): filled(template.lstrip()) for path, template in project.files.items()},
        prepare=project.prepare and filled(project.prepare),
        pytest_alembic=of_pytest
        if isinstance(of_pytest, str)
        else {name: filled(value) for name, value in of_pytest.items()},
    )


@contextmanager
def configured(project: Project) -> Iterator[dict[str, str]]:
    """The environment in which the project's own commands reach its database, its files written, prepared."""
    work = _fresh_work(project)
    for path, text in project.files.items():
        Path(path).write_text(text)
    environment = clean_environment() | project.env
    if project.prepare:
        subprocess.run(shlex.split(project.prepare), cwd=work, env=environment, check=True, capture_output=True)
    yield environment


def time_plain(project: Project, server: Server) -> tuple[float, bool]:
    """Seconds that the project's own command takes on an empty database, and whether it succeeds."""
    database = server.create_database()
    project = _for(project, database)
    try:
        with configured(project) as environment, (project.home / "plain.txt").open("wb") as output:
            began = time.perf_counter()
            done = subprocess.run(
                project.command,
                cwd=project.home / "work",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
            return time.perf_counter() - began, done.returncode == 0
    finally:
        server.drop_database(database)


def time_pytest_alembic(project: Project, server: Server) -> tuple[float, str] | str:
    """Seconds that its four default tests take and what became of them ("3 passed, 1 failed"), or why they cannot run.

    pytest lies in a folder beside the environment, so that the project's own packages stay what the lock says.
    """
    if isinstance(project.pytest_alembic, str):
        return project.pytest_alembic
    extra = CACHE / "pytest"
    if not extra.exists():
        install_pytest = [find_uv(), "pip", "install", "--quiet", "--no-deps", "--python", str(project.python)]
        subprocess.run([*install_pytest, "--target", str(extra), *PYTEST], check=True)
    empty = project.home / "pytest.ini"  # so that neither our settings nor the project's reach these tests
    empty.write_text("[pytest]\npytest_alembic_enabled =\n")
    # env.py reads its URL from the environment or a file, so all four tests meet one database, made anew for each.
    database = server.create_database()
    project = _for(project, database)
    config = dict(project.pytest_alembic) if not isinstance(project.pytest_alembic, str) else {}
    settings = {
        "config": config,
        "url": database.url(config.get("driver", "psycopg2")),
        "prepare": shlex.split(config.get("prepare", project.prepare or "")),
    }
    try:
        with configured(project) as environment, (project.home / "pytest.txt").open("wb") as output:
            options = ["-q", "-p", "no:cacheprovider", "-c", str(empty), "--noconftest", "--rootdir", str(HERE)]
            environment |= {"CORPUS_PYTEST_ALEMBIC": json.dumps(settings), "PYTHONPATH": str(extra)}
            began = time.perf_counter()
            subprocess.run(
                [project.python, "-m", "pytest", *options, HERE / "pytest_alembic_defaults.py"],
                cwd=project.home / "work",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
            took = time.perf_counter() - began
    finally:
        server.drop_database(database)
    summary = re.findall(r"\d+ (?:passed|failed|errors?)", (project.home / "pytest.txt").read_text().splitlines()[-1])
    return took, ", ".join(summary) or "did not run"


def main() -> None:
    parser = argparse.ArgumentParser(prog="tox -e corpus --", description=__doc__.splitlines()[0])
    projects = {project.name: project for project in read_projects()}
    parser.add_argument("names", nargs="*", metavar="PROJECT", help=f"of {', '.join(projects)} (default: all)")
    parser.add_argument("--database-url", help="a server to use instead of the embedded one")
    parser.add_argument("--gate-only", action="store_true", help="leave the other timings as they were")
    parser.add_argument("--keep-page", action="store_true", help="do not write docs/corpus.md")
    asked = parser.parse_args()
    for name in asked.names:
        if name not in projects:
            parser.error(f"no project is called {name!r}: {', '.join(projects)}")

    with throwaway_server(asked.database_url) as server:
        for name in asked.names or projects:
            project = projects[name]
            print(f"{name}: {project.package} {project.version}", flush=True)
            install(project)
            row = Row.load(project.home / "row.json")
            row.load_average = os.getloadavg()[0]
            report, row.gate_s = verify(project, database_url=asked.database_url)
            row.take(report, name=name, package=project.package, version=project.version)
            if row.revisions != project.revisions:
                print(f"  {row.revisions} revisions were seen, and {project.revisions} are known", flush=True)
            if not asked.gate_only:
                row.plain_s, row.plain_ok = time_plain(project, server)
                row.pytest_alembic = time_pytest_alembic(project, server)
            row.save(project.home / "row.json")
            print(f"  {row.verdict} in {row.gate_s:.1f} s; plain upgrade {row.plain_s or 0:.1f} s", flush=True)

    rows = [
        Row.load(project.home / "row.json") for project in projects.values() if (project.home / "row.json").exists()
    ]
    if not asked.keep_page:
        write_table(rows)
    complaints = unexplained([row for row in rows if not asked.names or row.name in asked.names])
    for complaint in complaints:
        print(complaint)
    if complaints:
        sys.exit(f"corpus: look into these, then say in {PAGE.relative_to(ROOT)} what they are.")


if __name__ == "__main__":
    main()
