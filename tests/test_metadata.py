"""Every package's models are aggregated, so that none is forgotten by the migrations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import UniqueConstraint

from app.metadata import DOMAINS, metadata

ROOT = Path(__file__).parents[1]


def test_every_models_module_on_disk_is_aggregated() -> None:
    on_disk = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in (ROOT / "app").glob("*/models.py")}

    assert {module.__name__ for module in DOMAINS} == on_disk


def test_every_time_knows_its_zone_and_every_foreign_key_says_what_becomes_of_it() -> None:
    for table in metadata.tables.values():
        for column in table.columns:
            if column.name.endswith("_at"):
                assert getattr(column.type, "timezone", None) or column.type.impl.timezone, column  # type: ignore[attr-defined]
        for key in table.foreign_key_constraints:
            assert key.ondelete, key.name


def test_the_migrations_make_the_tables_of_the_models(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})

        assert compare_metadata(context, metadata) == []


SMALL = {"project", "api_token"}  # a copy of them is everywhere


def test_the_project_leads_each_key_so_that_tables_can_be_distributed_by_it() -> None:
    for table in metadata.sorted_tables:
        if table.name in SMALL:
            continue
        keys: list[Any] = [
            table.primary_key,
            *(each for each in table.constraints if isinstance(each, UniqueConstraint)),
        ]
        for key in [*keys, *table.indexes]:
            assert next(iter(key.columns)).name == "project_id", key.name
        for reference in table.foreign_key_constraints:
            assert next(iter(reference.columns)).name == "project_id", reference.name
