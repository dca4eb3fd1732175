"""What a run's processor time goes to: by process, and by kind of question. Linux only, since it reads /proc.

By process as the kernel counts it, in runs that nothing disturbs. By kind in further runs: PostgreSQL logs what each
statement has used (log_statement_stats), and the gate and the project's commands run under `sampled.py`. Both make a run
slower, so these figures add up to more. Only processor time counts, so what else runs on the machine matters little.
"""

from __future__ import annotations

import json
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from app.gate.server.binaries import find_binaries
from app.gate.wording import counted
from tests.bench import branch
from tests.bench.history import write_history
from tests.bench.overproof import UPGRADE, clean_environment, overproof
from tests.bench.page import format_table
from tests.bench.processes import Watched, run_watched

_SAMPLED = [sys.executable, str(Path(__file__).with_name("sampled.py"))]
_COMMAND = " alembic upgrade head"  # in the command line of every run of the project's command
_START = "start of the interpreter"
_REST = "the rest"
_IMPORT = "imports"

# Of PostgreSQL: how a statement begins, or what stands in it; the first that fits.
STATEMENTS = {
    "looks at the schema": r"EXECUTE overproof_changes|^SELECT answer\.text|overproof\.marker|PREPARE overproof_changes"
    r"|EXPLAIN \(FORMAT JSON\)",
    "locks, files and counters of a statement": r"(EXECUTE|PREPARE) overproof_(locked|changed)\b|SELECT c\.oid::bigint"
    r"|pg_prepared_statements AS? ?WHERE name IN|CASE WHEN \(SELECT count\(\*\) FROM pg_catalog\.pg_prepared",
    "rows": r"overproof_rows|\$overproof\$|overproof\.(next|wanted|rows|contents|statement_timeout)|jsonb_build_object\('now'",
    "transactions and rights": r"BEGIN|COMMIT|ROLLBACK|(RELEASE )?SAVEPOINT|SELECT txid_current|SELECT set_config\('role'"
    r"|(RE)?SET (LOCAL )?ROLE|ALTER ROLE",
    "databases and roles": r"(CREATE|DROP|ALTER) (DATABASE|ROLE)|GRANT .* WITH",
    "autogenerate's questions": r"SELECT pg_catalog\.|SELECT .* FROM pg_catalog\.pg_",
}
# Of Python: where a stack is, from its innermost frame outwards; the first that fits.
GATE = {
    _IMPORT: r"importlib\._bootstrap\S*:_find_and_load\b",
    "looks at the schema": r"/app/gate/snapshot/",
    "rows": r"/app/gate/rows/",
    "the history on disk": r"/app/gate/history/",
    "checks and verdict": r"/app/gate/(checks|judging)/",
    "reports": r"/app/gate/(reporters|report)/|/commands/_(delivery|excerpts)\.py",
    "server and supervisor, start and end": r"/app/gate/(server|supervisor)/|/app/gate/base_cache\.py",
    "messages between gate and driver": r"/app/gate/target/session\.py",
    "commands, started and ended": r"/app/gate/target/",
    "the rest of the walk": r"/app/gate/walk/",
    "the rest of further runs": r"/app/gate/reruns/",
}
COMMAND = {
    "autogenerate": r"/alembic/autogenerate/|/overproof_driver/(metadata|models|creation|declared|unchanged|unregistered)",
    "offline SQL": r"/overproof_driver/offline\.py",
    "locks, files and counters of a statement": r"/overproof_driver/(looks|effects|observer)\.py:(?!_run\b|_execute|<lambda>)",
    "questions of the gate": r"/overproof_driver/statements\.py",
    "messages between gate and driver": r"/overproof_driver/channel\.py",
    "env.py and revision scripts, read and run": r"/versions/|/alembic/script/|/overproof_driver/(history|errors)\.py",
    _IMPORT: r"importlib\._bootstrap\S*:_find_and_load\b",
    "transactions and steps": r"/overproof_driver/(transactions|steps|rights|state|serve)\.py",
}
INTRODUCTION = """\
Processor time, by `tox -e bench -- --part profile`: the median of {rounds}, each run with a server of its own. By process it is what
the kernel counts in a run that nothing disturbs; by kind of question it is from another run, in which PostgreSQL logs what each
statement uses and the Python processes are sampled, so that those figures come to a little more; of a command that is killed, or ends
at once, there are no samples. Of the commands and of the backends, the one that used the most counts as the walk's: of a walk in
segments the others are among the further runs.
"""
COMMANDS = (["--help"], ["verify", "--help"], ["explain"], ["explain", "round-trip"], ["graph", "--check"])


@dataclass
class Profile:
    """The rounds of one scenario, each {"the gate": 1.9 s, …}."""

    title: str
    processes: list[dict[str, float]] = field(default_factory=list)
    statements: list[dict[str, float]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)  # of the statements
    gate: list[dict[str, float]] = field(default_factory=list)
    command: list[dict[str, float]] = field(default_factory=list)
    further: list[dict[str, float]] = field(default_factory=list)

    def text(self) -> str:
        parts = [f"### {self.title}\n"]
        for head, rounds in (
            ("by process", self.processes),
            ("PostgreSQL, by what its sessions ran", self.statements),
            ("the gate's process", self.gate),
            ("the walk's command", self.command),
            ("further runs of the command", self.further),
        ):
            if rounds:
                parts.append(self._table(head, rounds))
        return "\n".join(parts)

    def _table(self, head: str, rounds: Sequence[Mapping[str, float]]) -> str:
        middle = {name: median(each.get(name, 0.0) for each in rounds) for name in rounds[0]}
        whole = sum(middle.values()) or 1.0
        lines = [[name, f"{each:.2f} s", f"{100 * each / whole:.0f} %"] for name, each in middle.items()]
        if rounds is self.statements:
            lines = [[*cells, f"{self.counts.get(cells[0], 0):,}"] for cells in lines]
            return format_table(
                [head, "processor time", "of it", "statements"], [*lines, ["all", f"{whole:.2f} s", "", ""]]
            )
        return format_table([head, "processor time", "of it"], [*lines, ["all", f"{whole:.2f} s", ""]])


@dataclass
class Scenario:
    """A run of the gate, and how it is measured."""

    profile: Profile
    project: Path
    options: Sequence[str]
    folder: Path
    postgres: LoggingPostgres

    def prepare(self) -> None:
        """Fill the caches of the base, which depend on the command and on PostgreSQL, and have Python compile the scripts."""
        self._run_plain()
        self._run_sampled()

    def run(self) -> None:
        """A round."""
        self.profile.processes.append(self._run_plain().by_purpose(_COMMAND))
        watched = self._run_sampled()
        self.profile.counts = {}
        self.profile.statements.append(_by_statement(self.postgres.log, self.profile.counts))
        _add_stacks(self.profile, watched, self._stacks)

    @property
    def _stacks(self) -> Path:
        return self.folder / "stacks"

    @property
    def _environment(self) -> dict[str, str]:
        return clean_environment() | {"OVERPROOF_CACHE": str(self.project.with_name(f"{self.project.name}-cache"))}

    def _run_plain(self) -> Watched:
        return run_watched([*overproof(), "verify", *self.options, "--", *UPGRADE], self.project, self._environment)

    def _run_sampled(self) -> Watched:
        shutil.rmtree(self._stacks, ignore_errors=True)
        self._stacks.mkdir()
        self.postgres.log.unlink(missing_ok=True)
        sampled = [*_SAMPLED, str(self._stacks)]
        return run_watched(
            [*sampled, "app", "verify", *self.options, "--", *sampled, "alembic", "upgrade", "head"],
            self.project,
            self._environment | {"OVERPROOF_PG_BINDIR": str(self.postgres.directory)},
        )


def measure(folder: Path, revisions: int, rounds: int) -> str:
    """The whole gate, and a branch with one new revision, each with a server of its own; then commands without one."""
    folder.chmod(0o755)  # as root, another account runs PostgreSQL
    postgres = LoggingPostgres(folder / "postgres")
    history, behind = folder / "profile", folder / "profile-branch"
    write_history(history, revisions)
    tables = branch.write_branch(behind, max(revisions // 2, 1))
    title = f"One new revision, {max(revisions // 2, 1)} revisions and {tables} tables behind it"
    whole = Profile(f"The whole gate, {revisions} revisions")
    new = Profile(f"{title}, with what an earlier run has kept")
    scenarios = [
        Scenario(whole, history, ("--base", "none"), folder, postgres),
        Scenario(new, behind, ("--base", branch.BASE), folder, postgres),
    ]
    for scenario in scenarios:
        scenario.prepare()
    for number in range(rounds):
        for scenario in scenarios:
            scenario.run()
            spent = sum(scenario.profile.processes[-1].values())
            print(f"  round {number + 1}: {spent:6.2f} s  {scenario.profile.title}", flush=True)
    return "\n".join(
        [
            INTRODUCTION.format(rounds=counted(rounds, "round")),
            whole.text(),
            new.text(),
            _measure_commands(history, rounds),
        ]
    )


class LoggingPostgres:
    """A directory with PostgreSQL's programs, which log what each statement has used."""

    def __init__(self, directory: Path) -> None:
        there = find_binaries().directory
        self.directory = directory
        self.log = directory / "log" / "statements.json"
        directory.mkdir()
        self.log.parent.mkdir()
        self.log.parent.chmod(0o777)  # another account may write to it
        for program in there.iterdir():
            if program.name != "postgres":
                (directory / program.name).symlink_to(program)
        settings = {
            "log_statement_stats": "on",
            "logging_collector": "on",
            "log_destination": "jsonlog",
            "log_directory": self.log.parent,
            "log_filename": "statements.log",
            "log_file_mode": "0644",
            "log_rotation_size": "0",
            "log_rotation_age": "0",
        }
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        # With one argument it is asked for its version.
        script = f'#!/bin/sh\n[ $# -gt 1 ] || exec {there}/postgres "$@"\nexec {there}/postgres "$@" {options}\n'
        (directory / "postgres").write_text(script)
        (directory / "postgres").chmod(0o755)


def _by_statement(log: Path, counts: dict[str, int]) -> dict[str, float]:
    seconds = dict.fromkeys((*STATEMENTS, _REST), 0.0)
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        if entry.get("message") == "QUERY STATISTICS":
            used = re.search(r"([\d.]+) s user, ([\d.]+) s system", entry["detail"])
            kind = _kind_of_statement(entry.get("statement", ""))
            seconds[kind] += sum(map(float, used.groups())) if used else 0.0
            counts[kind] = counts.get(kind, 0) + 1
    return seconds


def _kind_of_statement(statement: str) -> str:
    words = " ".join(statement.split())
    return next((kind for kind, pattern in STATEMENTS.items() if re.search(pattern, words)), _REST)


def _add_stacks(profile: Profile, watched: Watched, folder: Path) -> None:
    """What the samplers have written: that of the gate, that of the command that used the most, and all others."""
    reports = {int(path.stem): json.loads(path.read_text()) for path in folder.glob("*.json")}
    profile.gate.append(_by_stack(reports.pop(watched.root), GATE))
    most, *others = sorted(reports.values(), key=lambda each: -float(each["whole_s"]))
    profile.command.append(_by_stack(most, COMMAND))
    further = [_by_stack(each, COMMAND) for each in others]
    profile.further.append({name: sum(each[name] for each in further) for name in profile.command[-1]})


def _by_stack(report: Mapping[str, Any], kinds: Mapping[str, str]) -> dict[str, float]:
    seconds = dict.fromkeys((*kinds, _REST), 0.0)
    for stack, used in report["stacks"]:
        seconds[_kind_of_stack(stack, kinds)] += used
    return {_START: report["whole_s"] - sum(seconds.values())} | seconds


def _kind_of_stack(stack: Sequence[str], kinds: Mapping[str, str]) -> str:
    """The kind of the innermost frame that has one. The body of a module is a part of the import that runs it."""
    for frame in stack:
        if not frame.endswith(":<module>"):
            for kind, pattern in kinds.items():
                if re.search(pattern, frame):
                    return kind
    return _REST


def _measure_commands(project: Path, rounds: int) -> str:
    """Commands that start no server."""
    lines = []
    for words in COMMANDS:
        used = []
        for _ in range(2 * rounds + 1):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(
                [*overproof(), *words], cwd=project, env=clean_environment(), check=True, capture_output=True
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        lines.append([f"`overproof {' '.join(words)}`", f"{median(used):.2f} s"])
    return f"### Commands without a server\n\n{format_table(['', 'processor time'], lines)}"
