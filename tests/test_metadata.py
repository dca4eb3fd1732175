"""Every package's models are aggregated, so that none is forgotten by the migrations."""

from __future__ import annotations

from pathlib import Path

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
