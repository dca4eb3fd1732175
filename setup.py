"""What setup.cfg cannot say: two things that go into what is built, and are not there in a checkout.

The commit, for `overproof --version`, and the migrations of the record, for `overproof upgrade-database`.
"""

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from app.commit import find_commit  # noqa: E402 - now that Python finds it


class BuildPy(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            app = Path(self.build_lib, "app")
            write_commit(app)
            shutil.copytree(
                ROOT / "migrations",
                app / "migrations",
                dirs_exist_ok=True,
                ignore=shutil.ignore_patterns("__pycache__"),
            )


class Sdist(sdist):
    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        write_commit(Path(base_dir, "app"))


def write_commit(app: Path) -> None:
    """Into a new file: the one that is there may be a hard link to that of the checkout."""
    if commit := find_commit():
        (app / "COMMIT").unlink(missing_ok=True)
        (app / "COMMIT").write_text(f"{commit}\n")


setup(cmdclass={"build_py": BuildPy, "sdist": Sdist})
