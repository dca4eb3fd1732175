"""Which Python environment is the project's, and what is said where there is none."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from app.gate.errors import CannotVerify
from app.gate.target.discovery import default_command, find_program
from app.gate.target.environments import command_environment, find_active


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with alembic.ini and .venv, where no environment is active."""
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "/usr/bin")
    (tmp_path / "alembic.ini").touch()
    make_environment(tmp_path / ".venv")
    return tmp_path


def make_environment(place: Path) -> Path:
    (place / "bin").mkdir(parents=True)
    for name in ("alembic", "flask"):
        (place / "bin" / name).touch(mode=0o755)
    return place


def test_the_active_environment_comes_first(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    active = make_environment(project / "elsewhere")
    monkeypatch.setenv("VIRTUAL_ENV", str(active))

    assert default_command(project) == (str(active / "bin/alembic"), "upgrade", "head")
    assert command_environment(project) == {}


def test_overproofs_own_environment_is_not_the_projects(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    monkeypatch.setenv("PATH", f"{sys.prefix}/bin{os.pathsep}/usr/bin")

    assert default_command(project) == (str(project / ".venv/bin/alembic"), "upgrade", "head")
    assert command_environment(project)["VIRTUAL_ENV"] == str(project / ".venv")


def test_a_program_is_looked_for_in_the_projects_environment_first(project: Path) -> None:
    path = command_environment(project)["PATH"]

    assert path == f"{project}/.venv/bin:/usr/bin"
    assert find_program("flask", project, path) == project / ".venv/bin/flask"


def test_a_workspace_has_one_environment_at_the_root_of_its_repository(project: Path) -> None:
    (project / ".git").mkdir()
    member = project / "packages" / "shop"
    member.mkdir(parents=True)
    (member / "alembic.ini").touch()

    assert default_command(member) == (str(project / ".venv/bin/alembic"), "upgrade", "head")


def test_without_an_environment_the_machines_alembic_is_used_but_not_overproofs(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = project / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "alembic.ini").touch()
    machine = make_environment(project / "usr")
    own = make_environment(project / "own")
    monkeypatch.setattr(sys, "prefix", str(own))

    monkeypatch.setenv("PATH", f"{own}/bin:{machine}/bin")
    assert default_command(elsewhere) == (str(machine / "bin/alembic"), "upgrade", "head")

    monkeypatch.setenv("PATH", f"{own}/bin")
    with pytest.raises(
        CannotVerify, match=r"there is no alembic in .*/elsewhere/\.venv, and no other environment is active"
    ):
        default_command(elsewhere)


def test_where_alembic_would_find_no_configuration_the_line_says_what_to_type(project: Path) -> None:
    (project / "alembic.ini").unlink()
    with pytest.raises(CannotVerify, match="change to the directory in which you run alembic"):
        default_command(project)

    (project / "backend").mkdir()
    (project / "backend/alembic.ini").touch()
    with pytest.raises(CannotVerify, match=r"but backend/alembic.ini is there: type cd backend && overproof verify"):
        default_command(project)

    (project / "migrations").mkdir()
    (project / "migrations/alembic.ini").touch()
    (project / "migrations/env.py").write_text("from flask import current_app\n")
    with pytest.raises(CannotVerify, match="is Flask-Migrate's: type overproof verify -- flask db upgrade"):
        default_command(project)

    (project / "pyproject.toml").write_text("[tool.alembic]\n")
    assert default_command(project)[1:] == ("upgrade", "head")


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_an_environment_is_active_by_either_variable_unless_it_is_overproofs_own(
    project: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    assert find_active() is None
    monkeypatch.setenv(variable, sys.prefix)
    assert find_active() is None
    monkeypatch.setenv(variable, str(project / "elsewhere"))
    assert find_active() == project / "elsewhere"


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_overproofs_own_environment_does_not_hide_the_other(
    project: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.setenv(name, sys.prefix)
    monkeypatch.setenv(variable, str(project / "elsewhere"))

    assert find_active() == project / "elsewhere"


@pytest.mark.parametrize("folder", [".venv", "venv"])
def test_an_environment_is_found_in_a_folder_of_the_project_and_put_first(
    project: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    (project / ".venv").rename(project / "moved")
    assert command_environment(project) == {}
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    assert command_environment(project) == {"VIRTUAL_ENV": ""}

    place = make_environment(project / folder)

    assert command_environment(project) == {"VIRTUAL_ENV": str(place), "PATH": f"{place / 'bin'}:/usr/bin"}
