"""One verification, from the settings to the report."""

from __future__ import annotations

import argparse
import importlib
import os
import shlex
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from app.gate.checks.registry import CHECKS
from app.gate.commands._messages import complain
from app.gate.commands._options import check_writable, override
from app.gate.commands._progress import progress_on
from app.gate.commands._recorded import notes_on_statements, read_statements
from app.gate.commands._stand_ins import notes_on_stand_ins
from app.gate.configuration import NO_CHECK_SELECTED, Configuration, read_configuration
from app.gate.errors import BaselineError, CannotVerify, UsageError
from app.gate.files import write_atomically
from app.gate.history.choose_base import DEPLOYED, choose_base, find_commit_of
from app.gate.history.paths import find_commit, repository_root
from app.gate.history.repository import Commit
from app.gate.judging.baseline import Baseline, read_baseline, render_baseline, renew
from app.gate.judging.sizes import Deployed
from app.gate.recording.model import ALL_EVIDENCE, Recording
from app.gate.recording.recorded_statements import RecordedStatement
from app.gate.recording.serialization import save
from app.gate.report.verdict import Verdict
from app.gate.server.throwaway import throwaway_server
from app.gate.supervisor.claims import recover
from app.gate.supervisor.client import Supervisor
from app.gate.target.discovery import default_command, default_environment, is_supported_platform, read_template
from app.gate.target.environments import command_environment
from app.gate.target.target import Target, find_misspelt_placeholder

if TYPE_CHECKING:
    from app.gate.base_cache import BaseCache
    from app.gate.report.model import Report, TargetEntry


@dataclass
class Verification:
    """One run, from the options to the report. What is known so far is also in the report of an error."""

    directory: Path
    started_at: datetime
    clock: float  # perf_counter() at the start
    configuration: Configuration = field(default_factory=Configuration)
    base: str | None = None
    same_schema_as: Commit | None = None
    statements: Sequence[RecordedStatement] = ()
    not_covered: list[str] = field(default_factory=list)
    is_quiet: bool = False
    recording: Path | None = None
    baseline: Baseline | None = None
    deployed: Deployed | None = None
    is_baseline_written: bool = False
    recordings: Sequence[Recording] = ()
    postgres: str | None = None
    failure: CannotVerify | None = None

    def settle(self, arguments: argparse.Namespace) -> None:
        """Combine command line, configuration and defaults."""
        configuration = override(read_configuration(self.directory), arguments)
        self.configuration = configuration  # known from here on, whatever fails later
        self.is_quiet = arguments.verbosity < 0
        if not is_supported_platform():
            raise CannotVerify("the gate runs on Linux and macOS; on Windows, run it in WSL")
        if not configuration.command:
            self.configuration = replace(configuration, command=default_command(self.directory))
            if not self.is_quiet:
                complain(f"the command is {shlex.join(map(self._shown, self.configuration.command))}")
        _refuse_misspelt_placeholders(configuration)
        if all(configuration.deselects(check) is not None for check in CHECKS):
            raise UsageError(NO_CHECK_SELECTED)
        if configuration.deployed is not None:
            from app.gate.commands._deployed import read_deployed  # with HTTP, which few runs need

            deployed = read_deployed(configuration.deployed, self.directory, arguments.submit, os.environ)
            self.deployed = replace(deployed, small_table_rows=configuration.small_table_rows)
        chosen = choose_base(self._asked_base(), self.directory, os.environ)
        self.base = chosen.ref
        if chosen.note is not None:
            self.not_covered.append(chosen.note)
            if not self.is_quiet:
                complain(chosen.note)
        if arguments.same_schema_as is not None:
            self.same_schema_as = find_commit_of("--same-schema-as", arguments.same_schema_as, self.directory)
        if arguments.statements is not None:
            self.statements = read_statements(Path(arguments.statements))
        if arguments.recording:
            self.recording = Path(arguments.recording)
            check_writable("--recording", self.recording)
        self._settle_baseline(arguments)

    def _settle_baseline(self, arguments: argparse.Namespace) -> None:
        """Raises UsageError and BaselineError."""
        configuration = self.configuration
        self.is_baseline_written = arguments.write_baseline
        if configuration.baseline is None:
            if arguments.write_baseline:
                raise UsageError("--write-baseline needs a file: add --baseline FILE")
        elif arguments.write_baseline:
            check_writable("--baseline", self.directory / configuration.baseline)
        else:
            self.baseline = read_baseline(self.directory / configuration.baseline, str(configuration.baseline))

    def _asked_base(self) -> str:
        """Raises UsageError."""
        if self.configuration.base != DEPLOYED:
            return self.configuration.base
        if self.deployed is None or self.deployed.commit is None:
            raise UsageError(
                "--base deployed needs the commit that is deployed: add --deployed record:ENVIRONMENT, of an environment to which"
                " overproof deployed was said for one commit"
            )
        return self.deployed.commit

    def go(self, database_url: str | None) -> Report:
        # They take long to import, and the run mostly waits until they are needed.
        threading.Thread(target=_import, args=["app.gate.recorder", "app.gate.judging.judge"], daemon=True).start()
        files = {
            self.directory / path: read_template(self.directory / template)
            for path, template in self.configuration.files.items()
        }
        with Supervisor() as supervisor:  # which takes a while to start, too
            return self._go_under(supervisor, files, database_url)

    def _go_under(self, supervisor: Supervisor, files: Mapping[Path, str], database_url: str | None) -> Report:
        for name in recover(self.directory):
            complain(f"{name} was left behind by a run that was killed, and is restored")
        target = self._target(files)
        # A recording is for developing checks, so it has everything.
        evidence = ALL_EVIDENCE if self.recording else self.configuration.needed_evidence()
        of_merged = ALL_EVIDENCE if self.recording else self.configuration.needed_evidence(of_merged=True)
        supervisors = iter([supervisor])  # a second server, in place of one from a stale base, has another
        with progress_on(sys.stderr, is_quiet=self.is_quiet) as on_progress:

            def run(base_backup: Path | None = None, base_cache: BaseCache | None = None) -> Report:
                on_progress("server", 0, 1)
                with throwaway_server(
                    database_url, base_backup=base_backup, supervisor=next(supervisors, None)
                ) as server:
                    from app.gate.recorder import record

                    self.postgres = server.version
                    self.recordings = record(
                        target,
                        server,
                        on_progress,
                        self.base,
                        base_cache,
                        evidence,
                        of_merged,
                        self.same_schema_as,
                        self.statements,
                    )
                    self.not_covered += notes_on_stand_ins(server.stand_ins, self.recordings)
                    self.not_covered += notes_on_statements(self.statements, self.recordings)
                    server.end()  # which takes a while: the checks run in the meantime
                    return self._conclude()

            if not self.base or database_url:
                return run()
            from app.gate.base_cache import BaseCache, with_base_cache

            base_cache = BaseCache(target, self.base)
            return with_base_cache(base_cache, lambda base_backup: run(base_backup, base_cache))

    def _conclude(self) -> Report:
        if self.recording is not None:
            self._keep_recordings(self.recording)
        return self._accept_all() if self.is_baseline_written else self._judge()

    def error(self, reason: str) -> Report:
        from app.gate.judging.judge import report_error

        return report_error(
            reason,
            target=self._entry(),
            started_at=self.started_at,
            duration_ms=self._duration_ms(),
            postgres=self.postgres,
        )

    def _target(self, files: Mapping[Path, str]) -> Target:
        configuration = self.configuration
        activation = command_environment(self.directory)
        environment = dict(configuration.env) or default_environment(
            configuration.command, self.directory, activation.get("PATH")
        )
        return Target(
            command=configuration.command,
            environment=environment,
            activation=activation,
            files=files,
            options=configuration.options,
            prepare=configuration.prepare,
            directory=self.directory,
            timeout_s=configuration.timeout_s,
        )

    def _judge(self) -> Report:
        from app.gate.commands._excerpts import with_excerpts
        from app.gate.judging.judge import judge

        report = judge(
            self.recordings,
            self.configuration,
            target=self._entry(),
            not_covered=self.not_covered,
            baseline=self.baseline,
            deployed=self.deployed,
            started_at=self.started_at,
            duration_ms=self._duration_ms(),
        )
        return with_excerpts(report, repository_root(self.directory))

    def _keep_recordings(self, path: Path) -> None:
        try:
            save(self.recordings, path)
        except OSError as error:
            raise CannotVerify(f"cannot write the recording {path}: {error.strerror}") from error

    def _accept_all(self) -> Report:
        """Write the baseline, and judge by it. If a check crashed, it is not known what would be accepted."""
        report = self._judge()
        if report.verdict is Verdict.ERROR or self.configuration.baseline is None:
            return report
        path, name = self.directory / self.configuration.baseline, str(self.configuration.baseline)
        baseline = renew(read_baseline(path, name) if path.exists() else Baseline(name), report)
        try:
            write_atomically(path, render_baseline(baseline.known))
        except OSError as error:
            raise BaselineError(f"cannot write the baseline {name}: {error.strerror}") from error
        self.baseline = baseline
        return self._judge()

    def _entry(self) -> TargetEntry:
        from app.gate.judging.redaction import redact
        from app.gate.report.model import TargetEntry

        # Without `resolve`: the interpreter of a virtual environment is a link to one outside it.
        locations = dict.fromkeys(self._shown(each.script_location) for each in self.recordings)
        return TargetEntry(
            command=[self._shown(word) for word in self.configuration.command],
            script_location=", ".join(locations) or None,
            commit=find_commit(self.directory),
            base=redact(self.base) if self.base else None,
        )

    def _shown(self, text: str) -> str:
        """A path relative to the project, so that it is the same on every machine; anything else unchanged."""
        from app.gate.judging.redaction import redact

        path = Path(text)
        if path.is_absolute() and path.is_relative_to(self.directory):
            text = str(path.relative_to(self.directory))
        return redact(text)

    def _duration_ms(self) -> float:
        return round((perf_counter() - self.clock) * 1000, 3)


def _refuse_misspelt_placeholders(configuration: Configuration) -> None:
    """Raises UsageError: {ur} would be handed to the command as it is."""
    texts = {
        "the command": configuration.command,
        "--prepare": configuration.prepare,
        **{f"--env {name}": (value,) for name, value in configuration.env.items()},
        **{f"--set {name}": (value,) for name, value in configuration.options.items()},
        **{f"--file {path}": (str(path),) for path in configuration.files},
    }
    for place, words in texts.items():
        for word in words:
            if (misspelt := find_misspelt_placeholder(word)) is not None:
                wrong, right = misspelt
                raise UsageError(f"{place}: there is no placeholder {wrong}: did you mean {right}?")


def _import(*names: str) -> None:
    for name in names:
        importlib.import_module(name)
