"""A model is edited, the two documented commands are run, and nothing is left to do by hand.

On a copy of this repository, with rows in its tables, as whoever changes a model finds it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from app.gate.recording.model import Snapshot
from app.gate.server.database import Database
from app.gate.snapshot.difference import difference
from app.gate.snapshot.read import read

ROOT = Path(__file__).parents[1]

ROWS = """
INSERT INTO project (id, slug, name, created_at)
VALUES (gen_random_uuid(), 'shop', 'The shop', now()), (gen_random_uuid(), 'store', 'The store', now());
INSERT INTO api_token (id, name, scope, digest, hint, created_at)
VALUES (gen_random_uuid(), 'first', 'admin', sha256('x'), 'x4Qk', now());
"""

# Every type that a SQLModel field can have, required (with a default) and not.
COLUMNS = """
    c_str: str = "it's 100% :new"
    c_str_short: str = Field(default="x", max_length=40)
    c_str_none: str | None = None
    c_int: int = 7
    c_int_none: int | None = Field(default=None, index=True)
    c_big: int = Field(default=0, sa_type=sa.BigInteger)
    c_float: float = 0.5
    c_bool: bool = False
    c_bool_none: bool | None = None
    c_decimal: Decimal = Field(default=Decimal("1.50"), max_digits=10, decimal_places=2)
    c_decimal_any: Decimal | None = None
    c_bytes: bytes = b"\\x00'\\xff"
    c_datetime: datetime = Field(default_factory=lambda: datetime.now(UTC))
    c_datetime_none: datetime | None = None
    c_datetime_naive: NaiveDatetime | None = None
    c_date: date = date(2026, 1, 2)
    c_time: time = time(3, 4)
    c_timedelta: timedelta = timedelta(days=1, seconds=2)
    c_uuid: UUID = Field(default_factory=uuid4, unique=True)
    c_uuid_none: UUID | None = None
    c_path: Path = Path("a/b")
    c_address: IPv4Address | None = None
    c_mood: Mood = Mood.GOOD
    c_mood_none: Mood | None = None
    c_plain_enum: Colour = Colour.RED
    c_number: Number = Number.TWO
    c_values: Mood = Field(default=Mood.SO_SO, sa_type=labels_of(Mood, "mood_by_value"))
    c_checked: Mood = Field(
        default=Mood.GOOD, sa_type=sa.Enum(Mood, native_enum=False, create_constraint=True, name="mood_checked")
    )
    c_bool_checked: bool = Field(default=True, sa_type=sa.Boolean(create_constraint=True, name="bool_checked"))
    c_native_checked: Mood = Field(default=Mood.GOOD, sa_type=sa.Enum(Mood, create_constraint=True, name="mood_twice"))
    c_literal: Literal["a", "b"] = Field(default="a", sa_type=sa.String)
    c_json: dict[str, Any] = Field(default_factory=dict, sa_type=sa.JSON)
    c_jsonb: dict[str, Any] = Field(default={"a": ["'"]}, sa_type=JSONB)
    c_variant: dict[str, Any] | None = Field(default=None, sa_type=sa.JSON().with_variant(JSONB(), "postgresql"))
    c_array: list[str] = Field(default_factory=list, sa_type=sa.ARRAY(sa.String))
    c_array_pg: list[int] | None = Field(default=None, sa_type=ARRAY(sa.Integer, dimensions=2))
    c_array_enum: list[Mood] = Field(default_factory=list, sa_type=sa.ARRAY(labels_of(Mood, "mood_in_array")))
    c_inet: str | None = Field(default=None, sa_type=INET)
    c_server: datetime = Field(sa_column_kwargs={"server_default": sa.func.now()}, default=None)
    c_server_text: str = Field(default="draft", sa_column_kwargs={"server_default": "draft"})
    c_computed: int | None = Field(default=None, sa_column=sa.Column(sa.Integer, sa.Computed("c_int * 2")))
    c_decorated: str = Field(default="x", sa_type=Shouted)
    c_reference: UUID | None = Field(default=None, foreign_key="note.id", ondelete="SET NULL", index=True)
    c_comment: str | None = Field(default=None, sa_column_kwargs={"comment": "It's a comment."})
"""

MODELS = f'''

import sqlalchemy as sa
from datetime import UTC, date, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Literal
from pydantic import NaiveDatetime
from sqlalchemy.dialects.postgresql import ARRAY, INET, JSONB
from sqlmodel import SQLModel


class Mood(StrEnum):
    GOOD = "good"
    SO_SO = "so-so's"


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Number(IntEnum):
    ONE = 1
    TWO = 2


class Shouted(sa.types.TypeDecorator[str]):
    """A type of the application's own."""

    impl = sa.String(20)
    cache_ok = True


class Note(SQLModel, table=True):
    """As somebody would write it who has not read STYLE.md."""

    __table_args__ = (CheckConstraint("length(text) > 0", name="text_is_not_empty"), sa.UniqueConstraint("text", "mood"))

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    text: str
    mood: Mood = Mood.GOOD


class Sketch(Table, table=True):
    id: UUID = Field(default_factory=uuid4, primary_key=True)
{COLUMNS}

class Project(Table, table=True):'''


@dataclass(frozen=True)
class Checkout:
    """A copy of this repository, and a database at its head that has rows."""

    root: Path
    database: Database

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.root / path
        text = file.read_text()
        assert text.count(old) == 1, f"{path} should say {old!r} exactly once"
        file.write_text(text.replace(old, new))

    def alembic(self, *arguments: str) -> str:
        """What it said. Fails where it fails."""
        ended = subprocess.run(
            [sys.executable, "-m", "alembic", *arguments],
            cwd=self.root,
            env=os.environ | {"DATABASE_URL": self.database.url()},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    def go_to(self, revision: str) -> None:
        """Up or down, in this process: scripts know nothing of the models."""
        config = Config(self.root / "alembic.ini")
        config.attributes["connection"] = sa.create_engine(self.database.url("psycopg2"), poolclass=sa.NullPool)
        (command.downgrade if revision.startswith("-") else command.upgrade)(config, revision)

    def scripts(self) -> set[Path]:
        return set((self.root / "migrations").rglob("*.py"))

    def schema(self) -> Snapshot:
        with self.database.connect() as connection:
            return read(connection)


@pytest.fixture
def checkout(tmp_path: Path, migrated_database: Database, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    monkeypatch.setattr(sys, "path", sys.path[:])  # Alembic puts the copy on it
    for name in ("app", "migrations"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "alembic.ini", tmp_path)
    with migrated_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(ROWS)
    return Checkout(tmp_path, migrated_database)


def test_with_nothing_to_change_no_file_is_written_and_that_is_said(checkout: Checkout) -> None:
    before = checkout.scripts()

    said = checkout.alembic("revision", "--autogenerate", "-m", "change nothing")

    assert "no script was written" in said
    assert "Generating" not in said
    assert checkout.scripts() == before


def test_a_revision_without_autogenerate_is_a_script_to_be_filled_in(checkout: Checkout) -> None:
    before = checkout.scripts()

    checkout.alembic("revision", "-m", "do something by hand")

    (script,) = checkout.scripts() - before
    assert "import sqlalchemy as sa" in script.read_text()
    checkout.go_to("head")
    checkout.go_to("-1")


def test_new_columns_tables_and_enums_of_every_type_need_no_hand(checkout: Checkout) -> None:
    before = checkout.schema()
    scripts = checkout.scripts()
    checkout.edit("app/projects/models.py", "\n\nclass Project(Table, table=True):", MODELS)
    # The same columns in a table that has rows.
    checkout.edit(
        "app/projects/models.py", "    archived_at: datetime | None", f"{COLUMNS}\n    archived_at: datetime | None"
    )
    # A CHECK that says something else under the same name.
    checkout.edit(
        "app/projects/models.py", '"length(trim(name)) > 0"', "\"name LIKE '%_%' OR name ~ '(?\\\\:a| \\\\:b)'\""
    )
    # A label between others, in a type that is there.
    checkout.edit("app/projects/models.py", '    DEPLOY = "deploy"\n', '    DEPLOY = "deploy"\n    WATCH = "watch"\n')

    checkout.alembic("revision", "--autogenerate", "-m", "keep notes & sketches")
    checkout.alembic("upgrade", "head")

    (script,) = checkout.scripts() - scripts
    text = script.read_text()
    assert script.name.endswith(".py")
    assert "_keep_notes_sketches_" in script.name
    assert script == max(checkout.scripts() - {script.parents[1] / "env.py"}), "scripts sort by date"
    assert "sqlmodel" not in text
    assert "app." not in text
    assert "No new upgrade operations detected." in checkout.alembic("check")
    upgraded = checkout.schema()
    checkout.go_to("-1")
    assert difference(before, checkout.schema()) == ()
    checkout.go_to("head")
    assert difference(upgraded, checkout.schema()) == ()


def test_what_is_taken_out_of_the_models_goes_with_its_type_and_comes_back(checkout: Checkout) -> None:
    before = checkout.schema()
    models = checkout.root / "app" / "runs" / "models.py"
    text = models.read_text()
    models.write_text(text[: text.index("class RunCheck(")] + text[text.index("class RunFinding(") :])
    checkout.edit(
        "app/runs/models.py", '    severity: Severity = Field(sa_type=labels_of(Severity, "finding_severity"))\n', ""
    )

    checkout.alembic("revision", "--autogenerate", "-m", "forget checks")
    checkout.go_to("head")

    names = {key.name for key in checkout.schema().objects}
    assert not names & {"run_check", "check_outcome", "finding_severity"}
    assert "No new upgrade operations detected." in checkout.alembic("check")
    checkout.go_to("-1")
    assert difference(before, checkout.schema()) == ()


def test_a_database_that_is_not_at_head_is_told_to_be_upgraded_first(checkout: Checkout) -> None:
    checkout.go_to("-1")

    with pytest.raises(AssertionError, match="python -m alembic upgrade head"):
        checkout.alembic("revision", "--autogenerate", "-m", "too early")
