"""Runs the steps of a composite action as the runner of GitHub Actions would, as far as ours need it.

`run` steps are run in a shell. What `uses` another action gives the outputs that the test made up. Expressions are
names of contexts, texts, `==`, `!=`, `&&` and `||`.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


@dataclass
class Job:
    """A job of a made-up workflow: its folders, and what GitHub would set."""

    place: Path
    workspace: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # outputs of steps that use another action
    log: str = ""

    def use(self, action: Path, **inputs: str) -> tuple[int, dict[str, str]]:
        """The status of the first step that fails, else 0, and the outputs of the action."""
        definition = yaml.safe_load((action / "action.yml").read_text("utf-8"))
        defaults = {name: str(each.get("default", "")) for name, each in definition["inputs"].items()}
        unknown = inputs.keys() - defaults.keys()
        assert not unknown
        contexts: dict[str, Any] = {
            "inputs": defaults | inputs,
            "steps": {name: {"outputs": dict(each)} for name, each in self.given.items()},
            "runner": {"os": "Linux", "arch": "X64", "temp": str(self.place)},
            "github": {"token": "the-token-of-the-job"},
        }
        status = 0
        for step in definition["runs"]["steps"]:
            if "run" not in step or not _holds(step.get("if"), contexts):
                continue
            status, outputs = self._run(step, action, contexts)
            contexts["steps"][step.get("id", "")] = {"outputs": outputs}
            if status:
                break
        return status, {name: _filled(each["value"], contexts) for name, each in definition["outputs"].items()}

    def _run(self, step: Mapping[str, Any], action: Path, contexts: Mapping[str, Any]) -> tuple[int, dict[str, str]]:
        output = self.place / "output"
        output.write_text("")
        assert step["shell"] == "bash"
        ended = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", _filled(step["run"], contexts)],
            cwd=self.workspace / _filled(step.get("working-directory", "."), contexts),
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.place),
                "GITHUB_ACTIONS": "true",
                "GITHUB_ACTION_PATH": str(action),
                "GITHUB_OUTPUT": str(output),
                "GITHUB_WORKSPACE": str(self.workspace),
                "RUNNER_TEMP": str(self.place),
                **self.environment,
                **{name: _filled(value, contexts) for name, value in step.get("env", {}).items()},
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.log += ended.stdout
        pairs = [line.partition("=") for line in output.read_text().splitlines()]
        return ended.returncode, {name: value for name, _, value in pairs}


def _filled(text: str, contexts: Mapping[str, Any]) -> str:
    return re.sub(r"\$\{\{\s*(.*?)\s*\}\}", lambda match: str(_value(match[1], contexts)), text)


def _holds(condition: str | None, contexts: Mapping[str, Any]) -> bool:
    if condition is None:
        return True
    expression = re.fullmatch(r"\$\{\{\s*(.*?)\s*\}\}", condition)
    assert expression
    return bool(_value(expression[1], contexts))


def _value(expression: str, contexts: Mapping[str, Any]) -> Any:
    """A name that is not there is an empty text, as on GitHub."""
    python = re.sub(r"'[^']*'|[\w-]+(?:\.[\w-]+)+", lambda match: repr(_look_up(match[0], contexts)), expression)
    return eval(python.replace("&&", " and ").replace("||", " or "), {"__builtins__": {}})


def _look_up(name: str, contexts: Mapping[str, Any]) -> str:
    if name.startswith("'"):
        return name[1:-1]
    value: Any = contexts
    for part in name.split("."):
        value = value.get(part, {})
    return value if isinstance(value, str) else ""
