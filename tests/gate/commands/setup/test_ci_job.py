"""Which CI system a project has, and that the job for it is one that the system would take."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from app import __version__
from app.gate.commands.setup.ci_job import CiSystem, Job, find_ci_system, find_requirement, plan_job
from app.gate.commands.setup.project import Project, find_installer
from app.gate.commands.setup.url import UrlSource


def project_in(root: Path, folder: str = ".") -> Project:
    directory = root / folder
    directory.mkdir(exist_ok=True)
    installer = find_installer(directory, root)
    return Project(directory, root, "Alembic", "alembic.ini", (), UrlSource("x"), installer, ".venv")


def repository(place: Path, url: str) -> Path:
    for words in (["init", "-q", "-b", "main"], ["remote", "add", "origin", url]):
        subprocess.run(["git", *words], cwd=place, check=True)
    return place


@pytest.mark.parametrize(
    ("url", "system"),
    [
        ("git@github.com:shop/shop.git", CiSystem.GITHUB),
        ("https://user:secret@github.example/shop/shop", CiSystem.GITHUB),
        ("ssh://git@gitlab.shop.example:2222/shop.git", CiSystem.GITLAB),
        ("https://example.com/github/shop", None),
        ("/srv/gitlab/shop.git", None),
    ],
)
def test_the_system_is_known_by_the_host_of_the_remote(tmp_path: Path, url: str, system: CiSystem | None) -> None:
    found = find_ci_system(repository(tmp_path, url))

    assert (found[0] if found else None) is system
    assert found is None or "secret" not in found[1]


def test_files_of_a_system_count_more_than_the_remote(tmp_path: Path) -> None:
    repository(tmp_path, "git@github.com:shop/shop.git")
    (tmp_path / ".gitlab-ci.yml").touch()

    assert find_ci_system(tmp_path) == (CiSystem.GITLAB, ".gitlab-ci.yml")


INSTALLED = {
    "uv.lock": "uv sync",
    "poetry.lock": "poetry install",
    "pdm.lock": "pdm install",
    "Pipfile": "pipenv install",
    "requirements.txt": ".venv/bin/python -m pip install -r requirements.txt",
    "setup.py": ".venv/bin/python -m pip install -e .",
}


@pytest.mark.parametrize("name", INSTALLED)
def test_a_workflow_installs_the_project_with_its_own_tool_and_verifies(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()

    workflow = yaml.safe_load(plan_job(CiSystem.GITHUB, project_in(tmp_path), "overproof==1.0").text)

    job = workflow["jobs"]["overproof"]
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands[0].endswith('/pip" install overproof==1.0')
    assert commands[-2] == INSTALLED[name]
    assert commands[-1] == '"$RUNNER_TEMP/overproof/bin/overproof" verify --output text --output github'
    assert workflow["permissions"] == {"contents": "read"}
    assert job["steps"][0]["with"]["fetch-depth"] == 0


def test_a_project_below_the_root_is_verified_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").touch()
    (tmp_path / ".python-version").write_text("3.12\n")
    project = project_in(tmp_path, "back end")

    planned = plan_job(CiSystem.GITHUB, project, "overproof==1.0")
    github = yaml.safe_load(planned.text)["jobs"]["overproof"]
    gitlab = yaml.safe_load(plan_job(CiSystem.GITLAB, project, "overproof==1.0").text)["overproof"]

    assert planned.path == tmp_path / ".github" / "workflows" / "overproof.yml"
    assert github["defaults"]["run"]["working-directory"] == "back end"
    assert {"python-version-file": ".python-version"} in [step.get("with") for step in github["steps"]]
    assert "cd 'back end'" in gitlab["script"]
    assert gitlab["artifacts"]["reports"] == {
        "codequality": "back end/overproof.json",
        "junit": "back end/overproof.xml",
    }


def test_a_pipeline_that_is_there_is_not_edited_but_can_include_the_job(tmp_path: Path) -> None:
    (tmp_path / ".gitlab-ci.yml").write_text("stages:\n  - lint\n  - deploy\n")

    job = plan_job(CiSystem.GITLAB, project_in(tmp_path), "overproof==1.0")

    assert job.path == tmp_path / ".gitlab" / "overproof.yml"
    assert job.existing is None
    assert yaml.safe_load(job.text)["overproof"]["stage"] == "lint"
    _, _, include = job.note.partition("\n\n")
    assert yaml.safe_load(include) == {"include": [{"local": ".gitlab/overproof.yml"}]}


@pytest.mark.parametrize(
    ("system", "name", "text"),
    [
        (CiSystem.GITHUB, ".github/workflows/overproof.yml", "name: something else\n"),
        (CiSystem.GITHUB, ".github/workflows/ci.yaml", "jobs: {a: {steps: [{run: venv/bin/overproof verify}]}}\n"),
        (CiSystem.GITLAB, ".gitlab-ci.yml", "a: {script: [overproof --x verify]}\n"),
        (CiSystem.GITLAB, ".gitlab/overproof.yml", ""),
    ],
)
def test_what_stands_there_already_is_found(tmp_path: Path, system: CiSystem, name: str, text: str) -> None:
    for path in (tmp_path / ".gitlab-ci.yml", tmp_path / name):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / name).write_text(text)

    job: Job = plan_job(system, project_in(tmp_path), "overproof==1.0")

    assert job.existing == tmp_path / name


def test_files_in_another_encoding_are_read_all_the_same(tmp_path: Path) -> None:
    (tmp_path / ".gitlab-ci.yml").write_bytes(b"# \xff\nstages: [lint, deploy]\n")
    (tmp_path / "pyproject.toml").write_bytes(b"# \xff\nrequires-python = '>=3.9'\n")
    (tmp_path / ".github" / "workflows").mkdir(parents=True)
    (tmp_path / ".github" / "workflows" / "ci.yml").write_bytes(b"# \xff\n- run: overproof verify\n")
    project = project_in(tmp_path)

    gitlab, github = (plan_job(system, project, "overproof==1.0") for system in (CiSystem.GITLAB, CiSystem.GITHUB))

    assert yaml.safe_load(gitlab.text)["overproof"]["stage"] == "lint"
    assert github.existing == tmp_path / ".github" / "workflows" / "ci.yml"
    assert "python-version-file: pyproject.toml" in github.text


@pytest.mark.parametrize(
    ("direct_url", "requirement"),
    [
        (None, f"overproof=={__version__}"),
        ({"url": "file:///src/overproof", "dir_info": {"editable": True}}, f"overproof=={__version__}"),
        ({"url": "https://x.example/o.whl", "archive_info": {}}, "overproof @ https://x.example/o.whl"),
        (
            {"url": "https://x.example/o.git", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}},
            "overproof @ git+https://x.example/o.git@c0ffee",
        ),
    ],
)
def test_the_job_installs_overproof_from_where_it_was_installed_here(
    monkeypatch: pytest.MonkeyPatch, direct_url: object, requirement: str
) -> None:
    text = None if direct_url is None else json.dumps(direct_url)
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: SimpleNamespace(read_text=lambda name: text))

    assert find_requirement() == requirement
