"""Which tests reach which line, and how long each takes: from one run of the tests in the copy in which the mutants will be."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from coverage import CoverageData

from tests.mutants.imports import Imports


@dataclass(frozen=True)
class Reach:
    """What a run of the tests has shown of them and of the lines of `app/`."""

    durations: Mapping[str, float]  # of each test that passed, in seconds
    quick: frozenset[str]  # tests that start no program
    lines: Mapping[str, Mapping[int, frozenset[str]]]  # path -> line -> tests
    tree: str = ""  # the digest of what was run

    def tests_of(self, path: str, line: int) -> list[str]:
        """The tests that reach a line: first those that start no program, then those of the file that mirrors it, the shortest first."""
        lines = self.lines.get(path, {})
        # What runs as a module is imported is reached by whatever uses the module.
        tests = lines.get(line) or frozenset().union(*lines.values())
        mirror = mirror_of(path)
        known = [test for test in tests if test in self.durations]
        return sorted(
            known, key=lambda test: (test not in self.quick, not test.startswith(mirror), self.durations[test], test)
        )


def mirror_of(path: str) -> str:
    """The test file of a file: "tests/runs/test_service.py" of "app/runs/service.py"."""
    file = Path(path)
    return str(Path("tests", *file.parts[1:-1], f"test_{file.name.lstrip('_')}"))


def measure(copy: Path, arguments: Iterable[str]) -> Reach:
    """Run the tests in that copy of the repository, with those arguments of pytest's."""
    coverage, report = copy / ".reach.coverage", copy / ".reach.json"
    subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "tests.mutants.durations", "--cov", "--cov-context=test", "--cov-report=",
            *arguments,
        ],
        cwd=copy, env=environment(copy) | {"COVERAGE_FILE": str(coverage), "REACH_FILE": str(report)}, check=False,
    )  # fmt: skip
    told = json.loads(report.read_text())
    data = CoverageData(str(coverage))
    data.read()
    lines: dict[str, dict[int, frozenset[str]]] = {}
    for file in filter(os.path.isfile, data.measured_files()):  # a test may compile a text as if it were a file
        by_line = data.contexts_by_lineno(file)
        lines[str(Path(file).relative_to(copy))] = {
            line: frozenset(context.rpartition("|")[0] for context in contexts if context)
            for line, contexts in by_line.items()
        }
    for path, by_import in reached_by_import(copy, lines, told["durations"]).items():
        lines[path] = by_import | {line: tests for line, tests in lines[path].items() if tests}
    return Reach(told["durations"], frozenset(told["quick"]), lines, digest(copy))


def reached_by_import(root: Path, paths: Iterable[str], tests: Iterable[str]) -> dict[str, dict[int, frozenset[str]]]:
    """For what only runs as a file is imported, such as tables: the tests in files that import it."""
    imports = Imports(root)
    by_file: dict[str, list[str]] = {}
    for test in tests:
        by_file.setdefault(test.partition("::")[0], []).append(test)
    imported = {file: imports.closure(file) for file in by_file}
    return {
        path: {1: frozenset(test for file, of in by_file.items() if path in imported[file] for test in of)}
        for path in paths
    }


def digest(tree: Path) -> str:
    """Of the application and its tests, as they are there: lines and tests have other names in another."""
    seen = hashlib.sha256()
    for file in sorted(file for folder in ("app", "tests") for file in (tree / folder).rglob("*.py")):
        seen.update(str(file.relative_to(tree)).encode() + b"\0" + file.read_bytes())
    return seen.hexdigest()


def environment(copy: Path) -> dict[str, str]:
    """In which Python takes `app` from the copy, also where a test starts another Python."""
    return os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}


def save(reach: Reach, path: Path) -> None:
    path.write_text(json.dumps(asdict(reach), default=list))


def load(path: Path) -> Reach:
    told = json.loads(path.read_text())
    lines = {
        path: {int(line): frozenset(tests) for line, tests in by_line.items()}
        for path, by_line in told["lines"].items()
    }
    return Reach(told["durations"], frozenset(told["quick"]), lines, told["tree"])
