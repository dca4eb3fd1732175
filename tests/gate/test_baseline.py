from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.gate.baseline import BaselineError, read_baseline, render_baseline
from tests.gate.reporters.samples import finding


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "known.json"
    path.write_text(render_baseline([finding(fingerprint="b" * 32), finding(fingerprint="a" * 32)]))

    baseline = read_baseline(path, "known.json")

    assert baseline.fingerprints == {"a" * 32, "b" * 32}
    assert baseline.reason == "in the baseline known.json"


def test_a_person_can_review_it_line_by_line() -> None:
    lines = render_baseline([finding("It is wrong.", fingerprint="b" * 32), finding(fingerprint="a" * 32)]).splitlines()

    assert len(lines) == 7
    assert json.loads(lines[4])["message"] == "It is wrong."


def test_an_empty_one_is_json_too(tmp_path: Path) -> None:
    assert json.loads(render_baseline([]))["findings"] == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no baseline known.json: make it with --write-baseline"),
        ("{", "the baseline known.json cannot be read: "),
        ("[]", "known.json is not a baseline"),
        ('{"format": "other", "findings": []}', "the baseline known.json is of the format 'other', not"),
        ('{"format": "overproof-baseline/1", "findings": [{}]}', "known.json is not a baseline"),
    ],
)
def test_one_that_cannot_be_used_is_refused_in_a_line(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "known.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(BaselineError) as refusal:
        read_baseline(path, "known.json")

    assert str(refusal.value).startswith(message)
    assert "\n" not in str(refusal.value)
