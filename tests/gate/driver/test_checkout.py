"""The command runs the code of another commit, whichever way leads to the user's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from app.gate.driver.overproof_driver import checkout
from app.gate.driver.overproof_driver.checkout import Translation, read_translation
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


# In this process.


@pytest.fixture
def translation(place: Path, monkeypatch: pytest.MonkeyPatch) -> Translation:
    for folder in ("user", "base"):
        write_code(place / folder, folder)
    (place / "user" / "only.py").touch()
    monkeypatch.setattr(sys, "prefix", str(place / "user" / ".venv"))
    return Translation(str(place / "user"), str(place / "base"))


@pytest.mark.parametrize(
    ("path", "translated"),
    [
        ("user/shop/models.py", "base/shop/models.py"),
        ("user/shop/../shop", "base/shop"),
        ("user", "base"),
        ("linked/shop", "base/shop"),
        ("user/only.py", None),
        ("user/shop/new.py", None),
        ("username/shop", None),
        ("user/.venv", None),
        ("user/.venv/lib/shop.py", None),
        ("user/site-packages/shop", None),
        ("user/dist-packages/shop", None),
        ("elsewhere", None),
        ("base/shop", None),
        ("base/links/models.py", "base/shop/models.py"),
        ("user/links/models.py", "base/shop/models.py"),
        ("base/links/other.py", None),
    ],
)
def test_a_path_is_that_of_the_same_place_in_the_checkout(
    place: Path, translation: Translation, path: str, translated: str | None
) -> None:
    (place / "linked").symlink_to(place / "user")
    for folder in ("user", "base"):
        for inner in ("links", ".venv/lib", "site-packages/shop", "dist-packages/shop"):
            (place / folder / inner).mkdir(parents=True)
        (place / folder / ".venv" / "lib" / "shop.py").touch()
    (place / "user" / "links" / "models.py").touch()
    (place / "base" / "links" / "models.py").symlink_to(place / "user" / "shop" / "models.py")
    (place / "base" / "links" / "other.py").symlink_to(place / "user" / "only.py")

    assert translation.of(str(place / path)) == (None if translated is None else str(place / translated))


def test_only_absolute_paths_are_translated(
    place: Path, translation: Translation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place / "user")

    paths = ["shop", "", str(place / "user" / "shop"), str(place / "user" / "only.py"), "/nowhere"]

    assert translation.of_all(paths) == ["shop", "", str(place / "base" / "shop"), *paths[3:]]
    assert translation.of("") is None
    assert translation.of("shop") == str(place / "base" / "shop")


@pytest.mark.parametrize(
    ("path", "folder", "is_in"), [("/a", "/a", True), ("/a/b", "/a/", True), ("/ab", "/a", False), ("/a", "/", True)]
)
def test_a_path_is_in_a_folder_or_is_that_folder(path: str, folder: str, is_in: bool) -> None:
    assert checkout._is_in(path, folder) is is_in


class Found:
    """A finder of one module."""

    def __init__(self, spec: ModuleSpec | None) -> None:
        self.spec = spec
        self.asked: list[tuple[object, ...]] = []

    def find_spec(self, *asked: object) -> ModuleSpec | None:
        self.asked.append(asked)
        return self.spec


def spec_of(translation: Translation, monkeypatch: pytest.MonkeyPatch, spec: ModuleSpec | None) -> ModuleSpec | None:
    """What is found by the translating finder, before another that finds that."""
    finder, found = checkout._Finder(translation), Found(spec)
    monkeypatch.setattr(sys, "meta_path", [finder, object(), Found(None), found])
    spec = finder.find_spec("shop", ["/p"], None)
    assert found.asked == [("shop", ["/p"], None)]
    return spec


def test_a_module_is_taken_from_the_checkout(
    place: Path, translation: Translation, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, base = place / "user" / "shop", place / "base" / "shop"
    module = spec_from_file_location("shop", user / "models.py")
    package = spec_from_file_location("shop", user / "__init__.py", submodule_search_locations=["/x", str(user)])
    alone = spec_from_file_location("only", place / "user" / "only.py")

    found = spec_of(translation, monkeypatch, module)
    assert found is not None
    assert (found.name, found.origin, found.submodule_search_locations) == ("shop", str(base / "models.py"), None)
    found = spec_of(translation, monkeypatch, package)
    assert found is not None
    assert (found.origin, found.submodule_search_locations) == (str(base / "__init__.py"), [str(base), "/x"])
    assert spec_of(translation, monkeypatch, alone) is alone
    assert spec_of(translation, monkeypatch, None) is None


def test_a_module_without_a_file_is_left_alone_and_a_namespace_has_the_checkout_s_folders(
    place: Path, translation: Translation, monkeypatch: pytest.MonkeyPatch
) -> None:
    built_in = ModuleSpec("shop", None, origin="built-in")
    there = spec_from_file_location("shop", place / "base" / "shop" / "models.py")
    namespace = ModuleSpec("shop", None, is_package=True)
    namespace.submodule_search_locations = [str(place / "user" / "shop"), str(place / "base" / "shop"), "/x"]

    assert spec_of(translation, monkeypatch, built_in) is built_in
    assert spec_of(translation, monkeypatch, there) is there
    assert spec_of(translation, monkeypatch, namespace) is namespace
    assert namespace.submodule_search_locations == [str(place / "base" / "shop"), "/x"]


def test_files_of_the_user_s_that_the_checkout_has_are_strays(
    place: Path, translation: Translation, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"m{number}" for number in range(7)]
    for folder in ("user", "base"):
        for name in names:
            (place / folder / f"{name}.py").touch()
    for number, name in enumerate([*reversed(names), "only"]):
        module = ModuleType(f"stray_{number}")
        module.__file__ = str(place / "user" / f"{name}.py")
        monkeypatch.setitem(sys.modules, module.__name__, module)

    monkeypatch.delenv("OVERPROOF_CHECKOUT", raising=False)
    assert checkout.strays() == []
    assert read_translation() is None
    monkeypatch.setenv("OVERPROOF_CHECKOUT", json.dumps([translation.root, translation.place]))
    assert checkout.strays() == [str(place / "user" / f"{name}.py") for name in names[:5]]


@pytest.fixture
def moving(place: Path, translation: Translation, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """In the user's folder, with programs that are only noted."""
    started: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(os, "execv", lambda path, words: started.append((path, words)))
    monkeypatch.setattr(sys, "path", [str(place / "user"), "/x"])
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "orig_argv", ["python", "-c", str(place / "user" / "shop")], raising=False)
    for name, value in {
        "OVERPROOF_CHECKOUT": json.dumps([translation.root, translation.place]),
        "OVERPROOF_MOVED": "",
        "PWD": "",
        "PYTHONPATH": os.pathsep.join(["/x", str(place / "user")]),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(place / "user" / "shop")
    return started


def test_a_python_with_alembic_goes_to_the_checkout_and_starts_once_more(
    place: Path, moving: list[tuple[str, list[str]]]
) -> None:
    checkout.move()

    assert moving == [(sys.executable, ["python", "-c", str(place / "base" / "shop")])]
    assert str(Path.cwd()) == os.environ["PWD"] == str(place / "base" / "shop")
    assert os.environ["OVERPROOF_MOVED"] == "1"
    assert os.environ["PYTHONPATH"] == f"/x:{place / 'base'}"


def test_started_once_more_it_looks_for_modules_in_the_checkout(
    place: Path, moving: list[tuple[str, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVERPROOF_MOVED", "1")

    checkout.move()

    assert moving == []
    assert sys.path == [str(place / "base"), "/x"]
    assert isinstance(sys.meta_path[0], checkout._Finder)
    assert Path.cwd() == (place / "user" / "shop")


@pytest.mark.parametrize("lack", ["alembic", "folder", "checkout"])
def test_elsewhere_nothing_is_done(
    place: Path, moving: list[tuple[str, list[str]]], monkeypatch: pytest.MonkeyPatch, lack: str
) -> None:
    if lack == "alembic":
        monkeypatch.setattr(checkout, "_has_alembic", lambda: False)
    elif lack == "folder":
        monkeypatch.chdir(place)
    else:
        monkeypatch.delenv("OVERPROOF_CHECKOUT")

    checkout.move()

    assert moving == []
    assert sys.path == [str(place / "user"), "/x"]
    assert os.environ["OVERPROOF_MOVED"] == ""


def test_where_the_words_of_a_process_are_not_known_it_goes_on(
    place: Path, moving: list[tuple[str, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkout, "_words", list)

    checkout.move()

    assert moving == []
    assert sys.path == [str(place / "base"), "/x"]


@pytest.mark.parametrize(
    ("spec", "is_there"),
    [(ModuleSpec("alembic", None, origin="/x/alembic/__init__.py"), True), (ModuleSpec("alembic", None), False), (None, False)],
)  # fmt: skip
def test_alembic_is_no_folder_of_that_name(
    monkeypatch: pytest.MonkeyPatch, spec: ModuleSpec | None, is_there: bool
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: {"alembic": spec}[name])

    assert checkout._has_alembic() is is_there


def test_the_words_of_a_process_are_those_that_python_keeps_or_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python", "-c", "x"], raising=False)
    assert checkout._words() == ["python", "-c", "x"]

    monkeypatch.delattr(sys, "orig_argv")
    if sys.platform == "linux":
        assert checkout._words() == [
            os.fsdecode(word) for word in Path("/proc/self/cmdline").read_bytes().split(b"\0")[:-1]
        ]
    monkeypatch.setattr(os.path, "exists", lambda _: False)
    assert checkout._words() == []
