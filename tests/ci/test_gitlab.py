"""The job of `.gitlab/verify.yml`, run in a shell with a made-up pipeline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

TEMPLATE = Path(__file__).parents[2] / ".gitlab" / "verify.yml"

# In place of python3: notes what it is asked for, and makes an environment with an `overproof` that does the same.
FAKE = """\
    import json, os, pathlib, shutil, sys
    with open(os.environ["ASKED"], "a") as asked:
        asked.write(json.dumps([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]]) + "\\n")
    if sys.argv[1:3] == ["-m", "venv"]:
        programs = pathlib.Path(sys.argv[-1], "bin")
        programs.mkdir(parents=True)
        for name in ("python", "overproof"):
            shutil.copy(sys.argv[0], programs / name)
    if sys.argv[1:2] == ["verify"]:
        sys.exit(int(os.environ["STATUS"]))
"""

pytestmark = pytest.mark.processes


def filled(value: Any, inputs: dict[str, str]) -> Any:
    """The configuration with its inputs, as GitLab puts them in before anything is run."""
    if isinstance(value, dict):
        return {filled(key, inputs): filled(each, inputs) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, inputs) for each in value]
    if isinstance(value, str):
        for name, text in inputs.items():
            value = value.replace(f"$[[ inputs.{name} ]]", text)
        assert "$[[" not in value
    return value


def job_with(**inputs: str) -> dict[str, Any]:
    header, content = yaml.safe_load_all(TEMPLATE.read_text("utf-8"))
    defaults = {name: str(each["default"]) for name, each in header["spec"]["inputs"].items()}
    given = {name.replace("_", "-"): value for name, value in inputs.items()}
    assert given.keys() <= defaults.keys()
    (job,) = filled(content, defaults | given).values()
    assert isinstance(job, dict)
    return job


def run(place: Path, *, status: int = 0, variables: dict[str, str] | None = None, **inputs: str) -> list[list[str]]:
    """The commands that the job runs. Its exit status must be that of Overproof."""
    job = job_with(**({"install": "true"} | inputs))
    programs, project, asked = place / "bin", place / "project", place / "asked"
    programs.mkdir()
    project.mkdir(exist_ok=True)
    for name in ("python3", "git"):
        (programs / name).write_text(f"#!{sys.executable}\n{textwrap.dedent(FAKE)}")
        (programs / name).chmod(0o755)
    environment = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "TMPDIR": str(place),
        "ASKED": str(asked),
        "STATUS": str(status),
        "CI_PROJECT_DIR": str(project),
        "CI_JOB_ID": "5",
    }
    for name, value in job["variables"].items():
        environment[name] = value.replace("$CI_PROJECT_DIR", str(project))
    script = "\n".join(job["script"])  # GitLab runs the lines of a job in one shell
    ended = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=project, env=environment | (variables or {}), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == status, ended.stderr
    return [json.loads(line) for line in asked.read_text().splitlines()]


def test_by_default_it_verifies_against_the_branch_that_the_merge_request_is_for(tmp_path: Path) -> None:
    asked = run(tmp_path, variables={"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"})

    environment, project = tmp_path / "overproof-5", tmp_path / "project"
    assert asked == [
        ["python3", "-m", "venv", str(environment)],
        ["python", "-m", "pip", "install", "--quiet", "overproof"],
        ["git", "fetch", "--quiet", "origin", "+refs/heads/main:refs/remotes/origin/main"],
        [
            "overproof", "verify", "--output", "text", "--output", f"gitlab:{project}/gl-code-quality-report.json",
            "--output", f"junit:{project}/overproof-junit.xml", "--output", f"json:{project}/overproof-report.json", "--",
        ],
    ]  # fmt: skip


def test_every_input_is_handed_on(tmp_path: Path) -> None:
    (tmp_path / "project" / "backend").mkdir(parents=True)
    asked = run(
        tmp_path,
        command="./migrate.sh --name 'two words' -x url={url+psycopg2}",
        base="origin/release; touch pwned",
        fail_on="warning",
        version="0.1.0",
        working_directory="backend",
        record_url="https://record.example/api/v1/projects/shop",
        variables={"OVERPROOF_TOKEN": "ovp_secret"},
    )

    assert asked[1][-1] == "overproof==0.1.0"
    assert asked[-1][10:] == [
        "--base", "origin/release; touch pwned", "--fail-on", "warning",
        "--submit", "https://record.example/api/v1/projects/shop",
        "--", "./migrate.sh", "--name", "two words", "-x", "url={url+psycopg2}",
    ]  # fmt: skip
    assert not list(tmp_path.rglob("pwned"))


def test_without_a_token_nothing_is_posted(tmp_path: Path) -> None:
    assert "--submit" not in run(tmp_path, record_url="https://record.example/api/v1/projects/shop")[-1]


@pytest.mark.parametrize("status", [1, 2])
def test_the_job_fails_as_overproof_does(tmp_path: Path, status: int) -> None:
    run(tmp_path, status=status)


def test_its_reports_are_those_that_gitlab_is_told_of(tmp_path: Path) -> None:
    artifacts = job_with()["artifacts"]
    written = {word.rpartition("/")[2] for word in run(tmp_path)[-1] if word.partition(":")[2]}

    assert {*artifacts["paths"], *artifacts["reports"].values()} == written
    assert artifacts["when"] == "always"
