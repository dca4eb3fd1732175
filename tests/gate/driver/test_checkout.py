"""The command runs the code of another commit, whichever way leads to the user's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.gate.target.target import DRIVER

SHOW = "import os, sys, shop.models; print(shop.models.AGE, os.getcwd(), shop.models.__file__)"
FINDER = """
import importlib.util, sys

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "shop":
            init = {root!r} + "/shop/__init__.py"
            return importlib.util.spec_from_file_location(name, init, submodule_search_locations=[{root!r} + "/shop"])

sys.meta_path.append(Finder)
"""


def write_code(root: Path, age: str, *, is_namespace: bool = False) -> None:
    (root / "shop").mkdir(parents=True)
    if not is_namespace:
        (root / "shop" / "__init__.py").touch()
    (root / "shop" / "models.py").write_text(f"AGE = {age!r}")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def run(place: Path, *words: str, path: str = "", sub: str = "") -> str:
    """What the program prints, started in the user's folder."""
    folders = [str(DRIVER), path] if path else [str(DRIVER)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(folders),
        "OVERPROOF_CHECKOUT": json.dumps([str(place / "user"), str(place / "base")]),
    }
    (place / "user" / sub).mkdir(parents=True, exist_ok=True)
    (place / "base" / sub).mkdir(parents=True, exist_ok=True)
    ended = subprocess.run(
        [sys.executable, *words], cwd=place / "user" / sub, env=environment, capture_output=True, text=True, check=True
    )
    return ended.stdout


@pytest.mark.processes
@pytest.mark.parametrize("is_namespace", [False, True])
@pytest.mark.parametrize("source", ["", "src", "libs/shop/src"])
def test_a_folder_on_the_path_is_that_of_the_checkout(place: Path, source: str, is_namespace: bool) -> None:
    write_code(place / "user" / source, "new", is_namespace=is_namespace)
    write_code(place / "base" / source, "old", is_namespace=is_namespace)

    said = run(place, "-c", SHOW, path=str(place / "user" / source), sub="backend")

    assert said.split() == ["old", f"{place}/base/backend", str(place / "base" / source / "shop" / "models.py")]


@pytest.mark.processes
def test_a_finder_of_an_editable_install_leads_to_the_checkout(place: Path) -> None:
    for age, folder in (("new", "user"), ("old", "base")):
        write_code(place / folder / "src", age)
    (place / "hooks").mkdir()
    # As a .pth file does, and after us, as this is found where ours is taken off the path.
    (place / "hooks" / "sitecustomize.py").write_text(FINDER.format(root=str(place / "user" / "src")))

    said = run(place, "-c", SHOW, path=str(place / "hooks"))

    assert said.split()[0] == "old"


@pytest.mark.processes
def test_the_script_that_is_started_is_that_of_the_checkout(place: Path) -> None:
    for age, folder in (("new", "user"), ("old", "base")):
        write_code(place / folder, age)
        (place / folder / "manage.py").write_text(f"import sys; print({age!r}, sys.argv[1:]); {SHOW}")

    for script in ("manage.py", str(place / "user" / "manage.py")):
        said = run(place, script, "upgrade", str(place / "user" / "shop"))
        assert said.splitlines()[0] == f"old ['upgrade', '{place}/base/shop']"
        assert said.splitlines()[1].startswith("old ")


@pytest.mark.processes
def test_code_of_both_is_noticed(place: Path) -> None:
    write_code(place / "user", "new")
    write_code(place / "base", "old")
    (place / "strays.py").write_text(
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('mine', {str(place / 'user' / 'shop' / 'models.py')!r})\n"
        "sys.modules['mine'] = importlib.util.module_from_spec(spec)\n"
        "from overproof_driver import checkout; print(checkout.strays())"
    )

    said = run(place, str(place / "strays.py"))

    assert said.strip() == str([str(place / "user" / "shop" / "models.py")])
