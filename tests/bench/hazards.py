"""The gate and the linters of the package index on the labelled migrations: `tox -e bench`, or `python -m tests.bench.hazards`.

Each linter gets what its documentation asks for: the scripts, or the SQL that `alembic upgrade a:b --sql` prints of each. What it
says is held against the labels of tests/gate/hazards, which are PostgreSQL's own doing. docs/benchmarks.md gets a section of it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from app import __version__
from app.gate.server.throwaway import Server, throwaway_server
from tests.bench.page import HAZARDS as TITLE
from tests.bench.page import format_table, write_section
from tests.gate.hazards.case import HAZARDS, Case
from tests.gate.hazards.cases import ALL_CASES
from tests.gate.hazards.project import write_history
from tests.gate.hazards.verdicts import judge_cases, major_version

REWRITE, SCAN, INDEX, PILEUP, TIMEOUT = (
    "table-rewrite",
    "blocking-scan",
    "blocking-index",
    "lock-pileup",
    "lock-timeout",
)
BREAK, LOSS, ROWS = "breaking-change", "data-loss", "populated-upgrade"
INTERRUPTED, NOT_VALID = "interrupted-upgrade", "not-validated"

# What each rule can be said to warn of, read generously: a case counts as caught if one of these is among its labels.
SQUAWK: dict[str, set[str]] = {
    "adding-field-with-default": {REWRITE},
    "adding-foreign-key-constraint": {SCAN, PILEUP, BREAK},
    "adding-not-nullable-field": {SCAN, BREAK, ROWS},
    "adding-required-field": {BREAK, ROWS},
    "adding-serial-primary-key-field": {REWRITE, SCAN, INDEX, BREAK, ROWS},
    "ban-alter-domain-with-add-constraint": {SCAN, BREAK, NOT_VALID},
    "ban-alter-identity": {REWRITE, BREAK},
    "ban-alter-generated-expression": {REWRITE, BREAK},
    "ban-create-domain-with-constraint": {REWRITE, BREAK},
    "ban-drop-column": {BREAK, LOSS},
    "ban-drop-constraint": {BREAK},
    "ban-drop-default": {BREAK},
    "ban-drop-domain": {BREAK},
    "ban-drop-function": {BREAK},
    "ban-drop-generated-expression": {BREAK},
    "ban-drop-index": {INDEX},
    "ban-drop-not-null": {BREAK},
    "ban-drop-schema": {BREAK, LOSS},
    "ban-drop-sequence": {BREAK},
    "ban-drop-table": {BREAK, LOSS},
    "ban-drop-type": {BREAK},
    "ban-drop-view": {BREAK},
    "ban-set-schema": {BREAK},
    "ban-truncate-cascade": {LOSS},
    "changing-column-type": {REWRITE, INDEX, BREAK, LOSS, ROWS},
    "constraint-missing-not-valid": {SCAN, BREAK},
    "disallowed-unique-constraint": {INDEX, BREAK, ROWS},
    "prefer-robust-stmts": {INTERRUPTED},
    "renaming-column": {BREAK},
    "renaming-object": {BREAK},
    "renaming-table": {BREAK},
    "require-concurrent-index-creation": {INDEX},
    "require-concurrent-index-deletion": {INDEX},
    "require-concurrent-partition-detach": {PILEUP},
    "require-concurrent-reindex": {INDEX},
    "require-lock-timeout": {TIMEOUT},
}
# Matters of style, of security, and timeouts for statements: not what the labels are about.
SQUAWK_LEFT_OUT = {
    "ban-char-field",
    "prefer-big-int",
    "prefer-bigint-over-int",
    "prefer-bigint-over-smallint",
    "prefer-identity",
    "prefer-text-field",
    "prefer-timestamp-tz",
    "prefer-timestamptz",
    "require-enum-value-ordering",
    "require-statement-timeout",
    "syntax-error",
    "transaction-nesting",
}
# These say that something is missing from each file, whether it is set elsewhere or not needed. They count where they are right.
NEVER_AN_ALARM = {"require-lock-timeout", "prefer-robust-stmts"}

GUARD: dict[str, set[str]] = {
    "AG001": {BREAK, ROWS},
    "AG002": {INDEX},
    "AG004": {BREAK},
    "AG005": {BREAK, LOSS},
    "AG006": {REWRITE, INDEX, BREAK, LOSS, ROWS},
    "AG007": {SCAN, BREAK, ROWS},
    "AG008": {SCAN, PILEUP, BREAK},
    "AG009": {REWRITE},
    "AG010": {INDEX, BREAK, ROWS},
}

# The rules of django-migration-linter, which alembic-migration-linter runs.
DJANGO: dict[str, set[str]] = {
    "ADD_UNIQUE": {INDEX, BREAK, ROWS},
    "ALTER_COLUMN": {REWRITE, SCAN, INDEX, BREAK, LOSS, ROWS},
    "CREATE_INDEX": {INDEX},
    "CREATE_INDEX_EXCLUSIVE": {INDEX, PILEUP},
    "DROP_COLUMN": {BREAK, LOSS},
    "DROP_INDEX": {INDEX},
    "DROP_TABLE": {BREAK, LOSS},
    "NOT_NULL": {SCAN, BREAK, ROWS},
    "REINDEX": {INDEX},
    "RENAME_COLUMN": {BREAK},
    "RENAME_TABLE": {BREAK},
}

# migration-lint puts each statement into a class, and runs a squawk of its own beside that.
CLASSES: dict[str, set[str]] = {
    "restricted": {REWRITE, SCAN, INDEX, BREAK, ROWS},
    "backward-incompatible": {BREAK, LOSS, ROWS},
    "data and schema together": {PILEUP, LOSS},
}


@dataclass
class Material:
    """The labelled migrations as a linter finds them."""

    place: Path  # of the Alembic project
    revisions: Mapping[str, str]  # by the case's name
    sql: Mapping[str, Path]  # by revision, where Alembic can print it

    def by_case(self, rules_by_revision: Mapping[str, set[str]]) -> dict[str, set[str]]:
        return {name: rules_by_revision.get(revision, set()) for name, revision in self.revisions.items()}


@dataclass
class Contestant:
    """A program, and what it said of each case."""

    name: str
    kinds: Mapping[str, set[str]]  # what each of its rules warns of
    rules: Mapping[str, set[str]]  # those that spoke up, by the case's name
    unread: frozenset[str] = frozenset()  # cases that never reached it

    def is_caught(self, case: str, labels: frozenset[str]) -> bool:
        return any(self.kinds.get(rule, set()) & labels for rule in self.rules[case])

    def is_alarm(self, case: str) -> bool:
        return bool(self.rules[case] & self.kinds.keys() - NEVER_AN_ALARM)


# The linters.


def squawk(material: Material, major: int) -> Contestant:
    output = _run("squawk", "--reporter", "json", "--pg-version", f"{major}.0", *map(str, material.sql.values()))
    rules: dict[str, set[str]] = {}
    for entry in json.loads(output):
        rules.setdefault(Path(entry["file"]).stem, set()).add(entry["rule_name"])
    unknown = set().union(*rules.values()) - SQUAWK.keys() - SQUAWK_LEFT_OUT
    if unknown:
        sys.exit(f"bench: squawk has rules that are not mapped: {', '.join(sorted(unknown))}")
    return Contestant(_versioned("squawk", "squawk-cli"), SQUAWK, material.by_case(rules), _unread(material))


def alembic_guard(material: Material, major: int) -> Contestant:
    rules: dict[str, set[str]] = {}
    for entry in json.loads(_run("alembic-guard", "--format", "json", str(material.place / "migrations" / "versions"))):
        rules.setdefault(Path(entry["path"]).name.partition("_")[0], set()).add(entry["rule"])
    return Contestant(_versioned("alembic-guard"), GUARD, material.by_case(rules))


def alembic_migration_linter(material: Material, major: int) -> Contestant:
    output = _run("alembic-lint", "-c", "alembic.ini", "-d", "postgresql", "--no-cache", place=material.place)
    rules: dict[str, set[str]] = {}
    revision = ""
    for line in re.sub(r"\x1b\[[\d;]*m", "", output).splitlines():
        if found := re.match(r"\((\w+)\)", line):
            revision = found[1]
        elif re.fullmatch(r"\t[A-Z_]+", line):
            rules.setdefault(revision, set()).add(line.strip())
    return Contestant(_versioned("alembic-migration-linter"), DJANGO, material.by_case(rules), _unread(material))


def migration_lint(material: Material, major: int) -> Contestant:
    output = _run("python", "-c", _MIGRATION_LINT, str(major), *map(str, material.sql.values()))
    rules = {revision: set(said) for revision, said in json.loads(output.splitlines()[-1]).items()}
    by_case = material.by_case(rules)
    unread = _unread(material) | {case for case, said in by_case.items() if UNREADABLE in said}
    return Contestant(_versioned("migration-lint"), {**SQUAWK, **CLASSES}, by_case, unread)


UNREADABLE = "unreadable"
# Its command reads a git diff. This is what the command does with each file that is in it.
_MIGRATION_LINT = """
import json, logging, re, sys
from pathlib import Path
logging.disable(logging.CRITICAL)
from migration_lint.analyzer.squawk import SquawkLinter
from migration_lint.sql.constants import StatementType as Class
from migration_lint.sql.parser import classify_migration
def is_style(statement):  # a table without a primary key is "restricted" too
    return statement.upper().startswith("CREATE TABLE")
linter, said = SquawkLinter(pg_version=sys.argv[1]), {}
for path in map(Path, sys.argv[2:]):
    sql = path.read_text()
    rules = said[path.stem] = re.findall(r"squawk \\w+: ([\\w-]+)", "\\n".join(linter.lint(sql, [])))
    try:
        classes = {each for statement, each in classify_migration(sql) if not is_style(statement)}
    except RuntimeError:
        classes = set()
        rules.append("unreadable")
    schema = {Class.BACKWARD_COMPATIBLE, Class.BACKWARD_INCOMPATIBLE}
    rules += ["restricted"] * (Class.RESTRICTED in classes)
    rules += ["backward-incompatible"] * (Class.BACKWARD_INCOMPATIBLE in classes)
    rules += ["data and schema together"] * (Class.DATA_MIGRATION in classes and bool(classes & schema))
print(json.dumps(said))
"""

LINTERS: Sequence[Callable[[Material, int], Contestant]] = (
    squawk,
    migration_lint,
    alembic_guard,
    alembic_migration_linter,
)


def _run(program: str, *arguments: str, place: Path | None = None) -> str:
    """What the program prints. Its exit status says that it found something."""
    beside = Path(sys.executable).parent / program
    done = subprocess.run(
        [str(beside), *arguments],
        cwd=place,
        env=os.environ | {"DATABASE_URL": "postgresql+psycopg2://nobody@nowhere/nothing"},
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout:
        sys.exit(f"bench: {program} says nothing ({done.returncode}): {done.stderr[-2000:]}")
    return done.stdout


def _versioned(name: str, package: str | None = None) -> str:
    return f"{name} {metadata.version(package or name)}"


def _unread(material: Material) -> frozenset[str]:
    return frozenset(name for name, revision in material.revisions.items() if revision not in material.sql)


# The material.


def write_material(place: Path, cases: Sequence[Case]) -> Material:
    """One project with all the cases, and the SQL of each that Alembic can print."""
    revisions = write_history(place / "project", cases)
    sql = {}
    (place / "sql").mkdir()
    with _working_directory(place / "project"):
        scripts = ScriptDirectory.from_config(Config("alembic.ini"))
        for revision in revisions.values():
            script = scripts.get_revision(revision)
            printed = io.StringIO()
            with contextlib.suppress(Exception), contextlib.redirect_stderr(io.StringIO()):
                config = Config("alembic.ini", output_buffer=printed)
                command.upgrade(config, f"{script.down_revision}:{revision}", sql=True)
                sql[revision] = place / "sql" / f"{revision}.sql"
                sql[revision].write_text(
                    re.sub(r"^UPDATE alembic_version .*\n", "", printed.getvalue(), flags=re.MULTILINE)
                )
    return Material(place / "project", revisions, sql)


@contextlib.contextmanager
def _working_directory(place: Path) -> Iterator[None]:
    earlier, url = Path.cwd(), os.environ.get("DATABASE_URL")
    os.environ["DATABASE_URL"] = "postgresql+psycopg2://nobody@nowhere/nothing"
    os.chdir(place)
    try:
        yield
    finally:
        os.chdir(earlier)
        os.environ.pop("DATABASE_URL")
        if url is not None:
            os.environ["DATABASE_URL"] = url


# The section.


@dataclass
class Section:
    """What there is to say on the page."""

    labels: Mapping[str, frozenset[str]]  # by the case's name
    contestants: Sequence[Contestant]
    postgres: str
    kinds: Sequence[str] = field(default_factory=lambda: sorted(HAZARDS))

    def text(self) -> str:
        hazardous = {case: labels for case, labels in self.labels.items() if labels}
        safe = [case for case, labels in self.labels.items() if not labels]
        parts = [
            INTRODUCTION.format(
                total=len(self.labels), hazardous=len(hazardous), safe=len(safe), postgres=self.postgres
            ),
            format_table(
                ["", "caught", "missed", "false alarms", "not read"],
                [self._summary(each, hazardous, safe) for each in self.contestants],
            ),
            "By kind: how many revisions do it, and of how many a program says so.\n",
            format_table(
                ["", "labelled", *(each.name.partition(" ")[0] for each in self.contestants)],
                [self._line_of(kind, hazardous) for kind in self.kinds],
            ),
            NOTES.format(unread=min(len(each.unread) for each in self.contestants if each.unread)),
        ]
        return "\n".join(parts)

    def _summary(
        self, contestant: Contestant, hazardous: Mapping[str, frozenset[str]], safe: Sequence[str]
    ) -> list[str]:
        caught = sum(contestant.is_caught(case, labels) for case, labels in hazardous.items())
        alarms = sum(contestant.is_alarm(case) for case in safe)
        return [contestant.name, str(caught), str(len(hazardous) - caught), str(alarms), str(len(contestant.unread))]

    def _line_of(self, kind: str, hazardous: Mapping[str, frozenset[str]]) -> list[str]:
        cases = [case for case, labels in hazardous.items() if kind in labels]
        told = [sum(each.is_caught(case, frozenset({kind})) for case in cases) for each in self.contestants]
        return [f"`{kind}`", str(len(cases)), *map(str, told)]


INTRODUCTION = """\
`tests/gate/hazards` holds {total} small migrations, each with the schema that it meets: {hazardous} hazardous ones and {safe} that look
like them and are safe. The labels are what PostgreSQL {postgres} does: which tables it rewrites or reads while others are locked
out, which statements of older code it refuses afterwards, which rows it cannot take along. All programs judge the same set.
"""
NOTES = """\
A hazardous revision counts as caught if a program names a hazard of a kind that it has, whatever else it says; a safe one is a false
alarm if a program says anything at all. Rules are read generously: `changing-column-type` counts for a rewrite, a rebuilt
index, older code that breaks, values that are lost and rows that do not fit (`tests/bench/hazards.py` has the whole list). Matters of
style are left out. `require-lock-timeout` and `prefer-robust-stmts`, which cannot see what `env.py` sets and what a transaction undoes,
count where they are right and are never an alarm. The linters of SQL get what `alembic upgrade a:b --sql` prints of each
revision; {unread} ask the database, so of them it prints nothing. What a program could not read counts as not reported.

The set was made together with the gate, which was fixed until it judged all of it right. The linters were not. So it shows what can
be known by running a migration and not by reading it, rather than how the gate does on migrations that it has never seen; for those see
[the corpus](corpus.md).
"""


def measure(server: Server, folder: Path) -> Section:
    """Everything, on that server. The folder is empty."""
    major = major_version(server)
    cases = [case for case in ALL_CASES if case.since <= major]
    outcomes = judge_cases(cases, server, folder / "judged")
    found = {name: {each.check for each in told} for name, told in outcomes.items() if not isinstance(told, str)}
    if len(found) < len(cases):
        sys.exit(
            f"bench: not all of the labelled migrations run: {[each for each in outcomes.values() if isinstance(each, str)]}"
        )
    gate = Contestant(f"Overproof {__version__}", {kind: {kind} for kind in HAZARDS}, found)
    material = write_material(folder, cases)
    contestants = [gate, *(linter(material, major) for linter in LINTERS)]
    return Section({case.name: case.expected_by(major) for case in cases}, contestants, server.version)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.hazards", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--details", action="store_true", help="tell what each program got wrong; nothing is written")
    parser.add_argument("--database-url", help="a server to use instead of the embedded one")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="overproof-bench-") as folder,
        throwaway_server(asked.database_url) as server,
    ):
        section = measure(server, Path(folder))
    print(section.text())
    if asked.details:
        _print_details(section)
    else:
        write_section(TITLE, section.text())


def _print_details(section: Section) -> None:
    for contestant in section.contestants:
        print(f"\n{contestant.name}")
        for case, labels in section.labels.items():
            said = ", ".join(sorted(contestant.rules[case])) or "nothing"
            if labels and not contestant.is_caught(case, labels):
                print(f"  missed  {case}: {', '.join(sorted(labels))}; it says {said}")
            elif not labels and contestant.is_alarm(case):
                print(f"  alarm   {case}: {said}")


if __name__ == "__main__":
    main()
