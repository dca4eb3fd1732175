"""Where the migrated schema and the models' own differ."""

from __future__ import annotations

import pytest

from app.gate.checks.base import Skipped
from app.gate.checks.schema_drift import examine
from tests.gate.checks.builders import failure, recording, snapshot

NOTHING = snapshot({})


def test_stays_quiet_about_equal_schemas():
    assert list(examine(recording(head=NOTHING, models=NOTHING, drift=()))) == []


def test_is_skipped_without_metadata():
    with pytest.raises(Skipped, match="target_metadata"):
        list(examine(recording(head=NOTHING, models=NOTHING, has_metadata=False)))


def test_is_skipped_when_the_models_cannot_be_created_and_says_why():
    with pytest.raises(Skipped, match='type "citext" does not exist'):
        list(examine(recording(head=NOTHING, model_failure=failure('type "citext" does not exist'))))


def test_is_skipped_with_the_reason_when_head_was_not_reached():
    with pytest.raises(Skipped, match="b2 does not apply"):
        list(examine(recording(models=NOTHING, missing={"head": "b2 does not apply"})))
