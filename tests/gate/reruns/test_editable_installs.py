"""The project is installed in its environment by a link to the user's folder, and the base's models are asked all the same."""

from __future__ import annotations

import site
import textwrap
import venv
from pathlib import Path

import pytest

from app.gate.checks.breaking_change import examine
from app.gate.recorder import record
from app.gate.recording.model import Evidence
from app.gate.server.throwaway import Server
from tests.gate.history.test_git_base import git
from tests.gate.projects import ENV, script, target, write_project
from tests.gate.reruns.test_running_code import CREATE

MODELS = """
    from sqlalchemy import Column, Integer, String
    from sqlalchemy.orm import declarative_base

    Base = declarative_base()

    class Order(Base):
        __tablename__ = "orders"
        id = Column(Integer, primary_key=True)
        note = Column(String(50))
"""
# What setuptools writes for packages that lie beside other folders: it knows where each of them is.
FINDER = """
    import sys
    from importlib.machinery import PathFinder
    from importlib.util import spec_from_file_location

    PACKAGES, NAMESPACES, PLACEHOLDER = {packages!r}, {namespaces!r}, "__editable__.acme.finder"

    class PackageFinder:
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            if name in PACKAGES:
                folder = PACKAGES[name]
                return spec_from_file_location(name, folder + "/__init__.py", submodule_search_locations=[folder])

    class NamespaceFinder:
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            if name in NAMESPACES:
                spec = PathFinder.find_spec(name, [NAMESPACES[name].rpartition("/")[0]])
                return spec

    sys.meta_path.append(PackageFinder)
    sys.meta_path.append(NamespaceFinder)
"""


def make_environment(folder: Path) -> Path:
    """A Python environment with what the tests' own has. Returns its site-packages."""
    venv.EnvBuilder(symlinks=True).create(folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "tests.pth").write_text("\n".join(site.getsitepackages()))
    alembic = folder / "bin" / "alembic"  # a script of its own does not put the working directory on the path
    alembic.write_text(f"#!{folder}/bin/python\nfrom alembic.config import main\nmain()\n")
    alembic.chmod(0o755)
    return packages


def install(how: str, packages: Path, place: Path) -> None:
    """As `pip install --editable` does by setuptools."""
    link = "__editable__.acme-1.pth"
    if how == "path":
        (packages / link).write_text(f"{place}/src\n")
    elif how == "links":  # editable_mode=strict
        built = place / "build" / "__editable__.acme-1"
        for file in (place / "src").rglob("*.py"):
            mirrored = built / file.relative_to(place / "src")
            mirrored.parent.mkdir(parents=True, exist_ok=True)
            mirrored.symlink_to(file)
        (packages / link).write_text(f"{built}\n")
    else:
        is_namespace = how == "finder of a namespace"
        found = {"acme.shop": f"{place}/acme/shop"} if is_namespace else {"acme": f"{place}/acme"}
        namespaces = {"acme": f"{place}/acme"} if is_namespace else {}
        finder = textwrap.dedent(FINDER).format(packages=found, namespaces=namespaces)
        (packages / "__editable___acme_finder.py").write_text(finder)
        (packages / link).write_text("import __editable___acme_finder\n")


@pytest.mark.parametrize(
    ("how", "source", "is_namespace"),
    [
        ("path", "src", True),
        ("links", "src", False),
        ("finder", ".", False),
        ("finder of a namespace", ".", True),
    ],
)
def test_the_models_of_the_base_are_asked(
    how: str, source: str, is_namespace: bool, tmp_path: Path, server: Server
) -> None:
    place = tmp_path / "project"
    models = place / source / "acme" / "shop" / "models.py"
    models.parent.mkdir(parents=True)
    models.write_text(textwrap.dedent(MODELS))
    (models.parent / "__init__.py").touch()
    if not is_namespace:
        (models.parents[1] / "__init__.py").touch()
    env = ENV.replace("from models import metadata", "from acme.shop.models import Base; metadata = Base.metadata")
    write_project(place, {"a1": script("a1", None, CREATE, "op.drop_table('orders')")}, env=env)
    ini = place / "alembic.ini"
    ini.write_text(ini.read_text().replace("prepend_sys_path", "# prepend_sys_path"))
    (place / ".gitignore").write_text("build/\n__pycache__\n")
    packages = make_environment(tmp_path / "env")
    install(how, packages, place)
    for words in (("init", "-q", "-b", "main"), ("add", "."), ("commit", "-qm", "base")):
        git(place, *words)
    (place / "migrations/versions/b2.py").write_text(script("b2", "a1", "op.drop_column('orders', 'note')"))
    models.write_text(models.read_text().replace("    note = ", "    # note = "))

    on_path = target(place, str(tmp_path / "env/bin/alembic"), "upgrade", "head")
    (recording,) = record(on_path, server, base_ref="main", evidence=frozenset({Evidence.LOCKS, Evidence.RUNNING}))

    assert recording.not_observed.get("running") is None
    [finding] = examine(recording)
    assert "SELECT of acme.shop.models.Order fails" in finding.message
