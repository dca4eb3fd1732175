"""Models that nothing imports are found in their source, and what is no model of the project's is not."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from app.gate.driver.overproof_driver.unregistered import find_unregistered

BASE = """
from sqlalchemy import MetaData, Column, Integer, Table
from sqlalchemy.orm import DeclarativeBase, registry


class Base(DeclarativeBase):
    pass


class Stamped(Base):
    __abstract__ = True


class Other(DeclarativeBase):
    pass


mapper_registry = registry(metadata=Base.metadata)
"""
MODEL = """
from sqlalchemy import Column, Integer
from {base} import Base


class {name}(Base):
    __tablename__ = "{table}"
    id = Column(Integer, primary_key=True)
"""
SHOP = {
    "shop/__init__.py": "",
    "shop/base.py": BASE,
    "shop/orders.py": MODEL.format(base="shop.base", name="Order", table="orders"),
}
LINE = MODEL.format(base="shop.base", name="Line", table="lines")
Find = Callable[..., list[tuple[str, str, str]]]


@pytest.fixture
def find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Find]:
    """Writes files, imports some modules as env.py would, and returns (module, name, table) of what was not registered."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def run(
        files: Mapping[str, str], *imported: str, base: str = "shop.base:Base", scripts: str | None = None
    ) -> list[tuple[str, str, str]]:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(textwrap.dedent(text))
        importlib.invalidate_caches()
        for module in imported:
            importlib.import_module(module)
        module, _, name = base.partition(":")
        owner = importlib.import_module(module)
        for attribute in name.split("."):
            owner = getattr(owner, attribute)
        loaded = set(sys.modules)
        found = find_unregistered([owner.metadata], scripts)
        assert set(sys.modules) == loaded, "a module was imported"
        return [(each["module"], each["name"], each["table"]) for each in found]

    yield run
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("module", "path", "text"),
    [
        ("shop.lines", "shop/lines.py", LINE),
        ("billing.models", "billing/models.py", LINE),
        ("lines", "lines.py", LINE),
        ("shop.deep.lines", "shop/deep/lines.py", LINE.replace("from shop.base", "from ..base")),
        ("shop.lines", "shop/lines/__init__.py", LINE.replace("from shop.base", "from ..base")),
        ("shop.lines", "shop/lines.py", "import typing\n\nif typing.TYPE_CHECKING:\n    import nowhere_at_all\n" + LINE),
        ("shop.lines", "shop/lines.py", LINE.replace("(Base)", "(base.Base)").replace("from shop.base import Base", "from shop import base")),
        ("shop.lines", "shop/lines.py", LINE.replace("(Base)", "(shop.base.Base)").replace("from shop.base import Base", "import shop.base")),
        ("shop.lines", "shop/lines.py", LINE.replace("Base", "Stamped")),
        ("shop.lines", "shop/lines.py", LINE.replace("class Line(Base)", "class Mine(Base):\n    __abstract__ = True\n\n\nclass Line(Mine)")),
        ("shop.lines", "shop/lines.py", LINE.replace("from shop.base import Base", "from shop.own import Own as Base")),
        ("shop.lines", "shop/lines.py", LINE.replace("(Base)", "").replace("class", "@mapper_registry.mapped\nclass").replace("import Base", "import mapper_registry")),
    ],
    ids=["the package", "a package beside", "a module beside", "relative", "relative in a package", "for type checkers", "by module", "by dots", "abstract base", "own base", "base of another file", "registry"],
)  # fmt: skip
def test_a_model_that_nothing_imports_is_found(find: Find, module: str, path: str, text: str) -> None:
    more = {"billing/__init__.py": "", "shop/deep/__init__.py": "", "shop/own.py": "from .base import Base\n\n\nclass Own(Base):\n    __abstract__ = True\n"}  # fmt: skip

    assert find({**SHOP, **more, path: text}, "shop.orders") == [(module, "Line", "lines")]


def test_a_table_of_core_is_found_with_its_schema(find: Find) -> None:
    table = """
        import sqlalchemy as sa
        from shop.base import Base

        lines = sa.Table("lines", Base.metadata, sa.Column("id", sa.Integer), schema="stock")
    """
    model = LINE.replace("    id =", '    __table_args__ = (None, {"schema": "stock"})\n    id =').replace(
        '"lines"', '"parts"'
    )

    found = find({**SHOP, "shop/lines.py": table, "shop/parts.py": model}, "shop.orders")

    assert found == [("shop.lines", "lines", "stock.lines"), ("shop.parts", "Line", "stock.parts")]


def test_where_no_model_at_all_is_imported_all_of_them_are_found(find: Find) -> None:
    assert find(SHOP, "shop.base") == [("shop.orders", "Order", "orders")]


SQLMODEL = """
from sqlmodel import Field, SQLModel


class {name}(SQLModel, table=True):
    id: int = Field(primary_key=True)
"""


@pytest.mark.parametrize(("has_registered", "found"), [(True, []), (False, ["zebra", "zebu"])])
def test_on_the_base_of_a_library_only_the_packages_of_the_models_count(
    find: Find, has_registered: bool, found: list[str]
) -> None:
    # SQLModel's one metadata is in this process, with tables of ours: a base that is like it stands for it.
    library = "from sqlmodel import SQLModel\n\n\nclass Base(SQLModel):\n    pass\n"
    from sqlalchemy import MetaData
    from sqlmodel import SQLModel

    class Library(SQLModel):
        metadata = MetaData()

    Library.__module__ = "sqlmodel.main"
    sys.modules["library_of_test"] = type(sys)("library_of_test")
    sys.modules["library_of_test"].Library = Library  # type: ignore[attr-defined]
    text = SQLMODEL.replace("Field, SQLModel", "Field\nfrom library_of_test import Library").replace(
        "(SQLModel", "(Library"
    )
    files = {
        "farm/__init__.py": library and "",
        "farm/cow.py": text.format(name="Cow"),
        "zoo/__init__.py": "",
        "zoo/zebra.py": text.format(name="Zebra"),
        "zoo/zebu.py": text.format(name="Zebu"),
    }
    try:
        imported = ["farm.cow"] if has_registered else []
        names = [table for _, _, table in find(files, *imported, base="library_of_test:Library")]
    finally:
        del sys.modules["library_of_test"]

    assert [name for name in names if name != "cow"] == found


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("shop/tests/lines.py", LINE),
        ("tests/lines.py", LINE),
        ("test_lines.py", LINE),
        ("examples/lines.py", LINE),
        ("shop/migrations/lines.py", LINE),
        (".venv/lib/lines.py", LINE),
        ("myenv/lib/lines.py", LINE),
        ("shop/lines.py", LINE.replace('"lines"', '"orders"')),
        ("shop/lines.py", LINE.replace("Base", "Other")),
        ("shop/lines.py", LINE.replace("    id", "    __abstract__ = True\n    id")),
        ("shop/lines.py", LINE.replace("    id", "    metadata = None\n    id")),
        ("shop/lines.py", LINE.replace("from shop.base import Base", "from nowhere_at_all import Base")),
        ("shop/lines.py", "import nowhere_at_all\n" + LINE),
        ("shop/lines.py", LINE + "\n\nif __name__ == '__main__':\n    pass\n"),
        ("shop/lines.py", LINE.replace('    __tablename__ = "lines"\n', "")),
        ("shop/lines.py", LINE.replace('"lines"', 'name()')),
        ("shop/lines.py", LINE.replace("    id", "    __table_args__ = args()\n    id")),
        ("shop/lines.py", "def make():\n" + textwrap.indent(LINE, "    ")),
        ("shop/lines.py", LINE + "\n(("),
        ("shop/lines.py", "from sqlalchemy.orm import declarative_base\n\nBase = declarative_base()\n" + LINE.replace("from shop.base import Base", "")),
        ("shop/lines.py", "class Base(Base):\n    pass\n\n\nclass Line(Line):\n    __tablename__ = 'lines'\n"),
    ],
    ids=["tests in it", "tests", "a test", "examples", "migrations", "hidden", "another environment", "registered elsewhere", "another base", "abstract",
         "another metadata", "unknown base", "not installed", "a program", "no table", "computed name", "computed schema", "in a function",
         "not Python", "a base of its own", "in a circle"],
)  # fmt: skip
def test_what_is_no_model_of_the_project_is_left_alone(find: Find, path: str, text: str) -> None:
    more = {"tests/__init__.py": "", "examples/__init__.py": "", "shop/tests/__init__.py": "", "myenv/__init__.py": "", "myenv/pyvenv.cfg": ""}  # fmt: skip

    assert find({**SHOP, **more, path: text}, "shop.orders") == []


def test_names_are_made_as_flask_sqlalchemy_makes_them(find: Find) -> None:
    base = "from flask_sqlalchemy import SQLAlchemy\n\ndb = SQLAlchemy()\n"
    model = "from shop.base import db\n\n\nclass {}(db.Model):\n    id = db.Column(db.Integer, primary_key=True)\n"
    files = {
        "shop/__init__.py": "",
        "shop/base.py": base,
        "shop/orders.py": model.format("Order"),
        "shop/lines.py": model.format("HTTPOrderLine"),
    }

    assert find(files, "shop.orders", base="shop.base:db.Model") == [("shop.lines", "HTTPOrderLine", "http_order_line")]


@pytest.mark.parametrize(("scripts", "found"), [("shop/migrations", ["lines"]), ("migrations", [])])
def test_an_installed_package_is_the_project_if_the_scripts_are_in_it(
    find: Find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scripts: str, found: list[str]
) -> None:
    site = tmp_path / "site-packages"
    monkeypatch.syspath_prepend(str(site))
    files = {f"site-packages/{name}": text for name, text in {**SHOP, "shop/lines.py": LINE}.items()}
    beside = {"site-packages/billing/__init__.py": "", "site-packages/billing/parts.py": LINE.replace("lines", "parts")}

    unregistered = find({**files, **beside}, "shop.orders", scripts=str(site / scripts))

    assert [table for _, _, table in unregistered] == found
