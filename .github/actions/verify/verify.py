"""Runs `overproof verify` with the inputs of the action, and writes its outputs.

It ends with status 0 where Overproof was run, so that the comment is written in every case; the output `status` is that
of Overproof, with which the last step of the action ends.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

COMMENT = ("never", "on-findings")
SUBMITTED = re.compile(r"^overproof: submitted to (https?://\S+)\s*$")


def main() -> int:
    if os.environ.get("COMMENT") not in COMMENT:
        print(f"::error::comment can be {' or '.join(COMMENT)}, not {os.environ.get('COMMENT')!r}")
        return 2
    place = Path(tempfile.mkdtemp(prefix="overproof-report-", dir=os.environ["RUNNER_TEMP"]))
    report, markdown = place / "report.json", place / "report.md"
    try:
        words = arguments(report, markdown)
    except ValueError as error:
        print(f"::error::command is not a command ({error})")
        return 2
    status, run_url = run([str(Path(sys.executable).with_name("overproof")), *words])
    write_outputs(
        {
            **read(report),
            "markdown": str(markdown) if markdown.exists() else "",
            "status": str(status),
            "run-url": run_url,
        }
    )
    return 0


def arguments(report: Path, markdown: Path) -> list[str]:
    """Raises ValueError if the command is none."""
    inputs = {name: os.environ.get(name, "").strip() for name in ("COMMAND", "BASE", "FAIL_ON", "SARIF", "RECORD_URL")}
    words = ["verify"]
    for output in ("text", "github", f"json:{report}", f"markdown:{markdown}"):
        words += ["--output", output]
    if inputs["SARIF"]:
        words += ["--output", f"sarif:{Path(os.environ['GITHUB_WORKSPACE'], inputs['SARIF'])}"]
    if inputs["BASE"]:
        words += ["--base", inputs["BASE"]]
    if inputs["FAIL_ON"]:
        words += ["--fail-on", inputs["FAIL_ON"]]
    if inputs["RECORD_URL"] and os.environ.get("OVERPROOF_TOKEN", "").strip():
        words += ["--submit", inputs["RECORD_URL"]]
    elif inputs["RECORD_URL"]:
        print("The report is not posted to the record: there is no record-token, as in a pull request from a fork.")
        sys.stdout.flush()
    if inputs["COMMAND"]:
        words += ["--", *shlex.split(inputs["COMMAND"])]
    return words


def run(command: list[str]) -> tuple[int, str]:
    """The exit status, and the run in the record, which the command names on standard error."""
    run_url = ""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as process:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: process.send_signal(number))
        for line in process.stderr or ():
            sys.stderr.write(line)
            sys.stderr.flush()
            if found := SUBMITTED.match(line):
                run_url = found[1]
        return process.wait(), run_url


def read(path: Path) -> dict[str, str]:
    """The outputs that the report gives. What is refused before anything is run has none."""
    try:
        report: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {"verdict": "error", "errors": "0", "warnings": "0", "report": ""}
    counts = Counter(each["severity"] for each in report["findings"] if each["allowed"] is None)
    return {
        "verdict": report["verdict"],
        "errors": str(counts["error"]),
        "warnings": str(counts["warning"]),
        "report": str(path),
    }


def write_outputs(outputs: dict[str, str]) -> None:
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in outputs.items())


if __name__ == "__main__":
    sys.exit(main())
