"""The CI job that verifies a project's migrations, as text, and the file in which it is to stand."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from app import __version__
from app.gate.commands.setup.project import Project
from app.gate.history.repository import GitFailed, Repository

_WORKFLOWS = Path(".github", "workflows")
_GITLAB = Path(".gitlab-ci.yml")
_CALLS = re.compile(r"\boverproof\b[^\n#]*\bverify\b")


class CiSystem(StrEnum):
    """A CI system for which there is a job."""

    GITHUB = "github"
    GITLAB = "gitlab"

    @property
    def label(self) -> str:
        return "GitHub Actions" if self is CiSystem.GITHUB else "GitLab CI"


@dataclass(frozen=True)
class Job:
    """A file with a job, or what stands in its place already."""

    path: Path
    text: str
    existing: Path | None = None  # a file that verifies already, or has that name
    note: str = ""  # what is still to be done by hand


def find_ci_system(root: Path) -> tuple[CiSystem, str] | None:
    """By the files in the repository, else by the host of its remote; with what it is known by."""
    if (root / _WORKFLOWS).is_dir():
        return CiSystem.GITHUB, str(_WORKFLOWS)
    if (root / _GITLAB).is_file():
        return CiSystem.GITLAB, str(_GITLAB)
    for host in _hosts_of(root):
        for system in CiSystem:
            if system.value in host:
                return system, f"the remote at {host}"
    return None


def _hosts_of(root: Path) -> Iterator[str]:
    """The hosts of the remotes, origin first: "github.com" of git@github.com:shop/shop.git."""
    repository = Repository(root)
    with suppress(GitFailed):
        for remote in sorted(repository.list_remotes(), key=lambda name: name != "origin"):
            url = repository.find_url(remote)
            yield _host_of(url).lower()


def _host_of(url: str) -> str:
    if "://" in url:
        return urlsplit(url).hostname or ""
    before, colon, _ = url.partition(":")  # git@github.com:shop/shop.git
    return before.rpartition("@")[2] if colon and "/" not in before else ""


def plan_job(system: CiSystem, project: Project, requirement: str) -> Job:
    """The job for that system. `requirement`: Overproof, as pip is to be asked for it."""
    branch = _default_branch(project.root)
    folder = os.path.relpath(project.directory, project.root)
    if system is CiSystem.GITHUB:
        path, text = project.root / _WORKFLOWS / "overproof.yml", _github(project, folder, branch, requirement)
        existing = _first_that_verifies((project.root / _WORKFLOWS).glob("*.y*ml"))
        return Job(path, text, existing or (path if path.exists() else None))
    text = _gitlab(project, folder, requirement, _stage_in(project.root / _GITLAB))
    existing = _first_that_verifies([project.root / _GITLAB, *(project.root / ".gitlab").glob("**/*.yml")])
    if not (project.root / _GITLAB).exists():
        return Job(project.root / _GITLAB, text, existing)
    path = project.root / ".gitlab" / "overproof.yml"
    note = f"add to {_GITLAB}:\n\n    include:\n      - local: {path.relative_to(project.root)}"
    return Job(path, text, existing or (path if path.exists() else None), note)


def _first_that_verifies(paths: Iterator[Path] | Sequence[Path]) -> Path | None:
    for path in sorted(paths):
        with suppress(OSError):
            if _CALLS.search(path.read_text("utf-8", "replace")):
                return path
    return None


def _default_branch(root: Path) -> str:
    repository = Repository(root)
    for remote in ("origin", "upstream"):
        with suppress(GitFailed):
            return repository.find_default_branch(remote).partition("/")[2]
    return "main"


def find_requirement() -> str:
    """Overproof as it is installed here: by the URL that pip was given, else by its version."""
    with suppress(importlib.metadata.PackageNotFoundError, ValueError, KeyError, TypeError):
        text = importlib.metadata.distribution("overproof").read_text("direct_url.json")
        direct = json.loads(text or "{}")
        if (vcs := direct.get("vcs_info")) is not None:
            return f"overproof @ {vcs['vcs']}+{direct['url']}@{vcs['commit_id']}"
        if urlsplit(direct.get("url", "file:")).scheme in ("http", "https"):
            return f"overproof @ {direct['url']}"
    return f"overproof=={__version__}"


# GitHub Actions

_GITHUB_TEMPLATE = """\
# Proves the migrations of each pull request on a throwaway PostgreSQL.
name: Migrations

on:
  pull_request:
  push:
    branches: [{branch}]

permissions:
  contents: read

jobs:
  overproof:
    runs-on: ubuntu-24.04
    timeout-minutes: 30
{job}    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
        with:
          fetch-depth: 0 # the base of the pull request is read from the history
          persist-credentials: false
      # With the Python of the runner: the project may have an older one than Overproof needs.
      - run: python3 -m venv "$RUNNER_TEMP/overproof" && "$RUNNER_TEMP/overproof/bin/pip" install {requirement}
      - uses: actions/setup-python@5fda3b95a4ea91299a34e894583c3862153e4b97 # v7.0.0
        with:
          {python}
{install}      - uses: actions/cache@27d5ce7f107fe9357f9df03efb73ab90386fccae # v5.0.5
        with:
          path: ~/.cache/overproof
          key: overproof-${{{{ github.event.pull_request.base.sha || github.sha }}}}
      - run: '"$RUNNER_TEMP/overproof/bin/overproof" verify --output text --output github'
"""


def _github(project: Project, folder: str, branch: str, requirement: str) -> str:
    job = ""
    if folder != ".":
        job += f"    defaults:\n      run:\n        working-directory: {_scalar(folder)}\n"
    if project.installer.variables:
        job += "    env:\n" + _mapping(project.installer.variables, "      ")
    return _GITHUB_TEMPLATE.format(
        branch=_scalar(branch),
        job=job,
        requirement=shlex.quote(requirement),
        python=_python_of(project, folder),
        install="".join(f"      - run: {command}\n" for command in project.installer.commands),
    )


def _python_of(project: Project, folder: str) -> str:
    """Which Python the project needs, from the file in which it says so."""
    for name, says in ((".python-version", r"^\d"), ("pyproject.toml", r"^\s*(?:requires-python|python)\s*=")):
        for place in dict.fromkeys((folder, ".")):
            with suppress(OSError):
                text = (project.root / place / name).read_text("utf-8", "replace")
                if re.search(says, text, re.MULTILINE):
                    return f"python-version-file: {_scalar(str(Path(place, name)))}"
    return 'python-version: "3.x"'


# GitLab CI

_GITLAB_TEMPLATE = """\
# Proves the migrations of each merge request on a throwaway PostgreSQL.
overproof:
  stage: {stage}
  image: python:3.13
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
  variables:
    GIT_DEPTH: "0" # the base of the merge request is read from the history
    OVERPROOF_CACHE: $CI_PROJECT_DIR/.cache/overproof
{variables}  cache:
    key: overproof-$CI_MERGE_REQUEST_DIFF_BASE_SHA
    paths: [.cache/overproof]
  script:
    - python3 -m venv /tmp/overproof && /tmp/overproof/bin/pip install {requirement}
    - BRANCH="${{CI_MERGE_REQUEST_TARGET_BRANCH_NAME:-$CI_DEFAULT_BRANCH}}"
    - git fetch origin "+refs/heads/$BRANCH:refs/remotes/origin/$BRANCH"
{install}    - /tmp/overproof/bin/overproof verify --output text --output junit:overproof.xml --output gitlab:overproof.json
  artifacts:
    when: always
    reports:
      codequality: {codequality}
      junit: {junit}
"""


def _gitlab(project: Project, folder: str, requirement: str, stage: str) -> str:
    commands = [*([f"cd {shlex.quote(folder)}"] if folder != "." else []), *project.installer.commands]
    return _GITLAB_TEMPLATE.format(
        stage=_scalar(stage),
        variables=_mapping(project.installer.variables, "    "),
        requirement=shlex.quote(requirement),
        install="".join(f"    - {command}\n" for command in commands),
        codequality=_scalar(str(Path(folder, "overproof.json"))),
        junit=_scalar(str(Path(folder, "overproof.xml"))),
    )


def _stage_in(path: Path) -> str:
    """ "test", which each pipeline has that names no stages; else the first of those that it names."""
    with suppress(OSError):
        text = path.read_text("utf-8", "replace")
        found = re.search(r"^stages:[ \t]*(?:\[([^\]]*)\]|((?:\n[ \t]*-[^\n]*)+))", text, re.MULTILINE)
        if found:
            names = re.findall(r"[\w.-]*\w[\w.-]*(?: [\w.-]+)*", found[1] or re.sub(r"\n[ \t]*-", "\n", found[2]))
            return "test" if "test" in names or not names else str(names[0])
    return "test"


def _scalar(text: str) -> str:
    """A value of YAML, in quotes where it could be taken for something else."""
    return text if re.fullmatch(r"[A-Za-z][\w./-]*", text) else json.dumps(text)


def _mapping(values: Mapping[str, str], indent: str) -> str:
    return "".join(f"{indent}{name}: {json.dumps(value)}\n" for name, value in values.items())
