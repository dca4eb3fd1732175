from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.gate.errors import BaselineError
from app.gate.judging.baseline import Baseline, Known, read_baseline, render_baseline, renew
from tests.gate.reporters.samples import finding, report


def known(name: str, **fields: str) -> Known:
    return Known(
        **{
            "check": "upgrade",
            "revision": "a1",
            "object": "",
            "subject": "s",
            "message": "m",
            "fingerprint": name,
            **fields,
        }
    )


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "known.json"
    path.write_text(render_baseline([known("b"), known("a", message='a "quote" and ü')]))

    baseline = read_baseline(path, "known.json")

    assert baseline.fingerprints == {"a", "b"}
    assert baseline.reason == "in the baseline known.json"
    assert render_baseline(baseline.known) == path.read_text()


def test_a_person_can_review_it_line_by_line() -> None:
    lines = render_baseline([known("b", revision="b2"), known("a", message="It is wrong.")]).splitlines()

    assert len(lines) == 7
    assert json.loads(lines[3].rstrip(","))["message"] == "It is wrong."


def test_an_empty_one_is_json_too() -> None:
    assert json.loads(render_baseline([]))["findings"] == []


def test_a_new_run_renews_what_it_judged_and_keeps_what_it_left_out() -> None:
    before = Baseline("known.json", frozenset({known("gone"), known("kept", check="schema-drift")}))

    after = renew(before, report(finding(check="upgrade", fingerprint="new"), finding(allowed="so it is")))

    assert after.fingerprints == {"new", "kept"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no baseline known.json: create it with --write-baseline"),
        ("{", "the baseline known.json cannot be read: "),
        ("[]", "known.json is not a baseline"),
        (
            '{"format": "overproof-baseline/1", "findings": []}',
            "the baseline known.json has the format 'overproof-baseline/1', not 'overproof-baseline/2': remove it, and recreate",
        ),
        ('{"format": "overproof-baseline/2", "findings": [{}]}', "known.json is not a baseline"),
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


def test_an_accepted_finding_is_written_with_all_that_a_reviewer_wants_to_know() -> None:
    whole, bare = (
        finding(check="upgrade", revision="a1", object="public.orders", fingerprint="f1"),
        finding(check="upgrade", revision=None, object=None, fingerprint="f2"),
    )

    after = renew(Baseline("known.json", frozenset()), report(whole, bare))

    assert {(each.fingerprint, each.check, each.revision, each.object) for each in after.known} == {
        ("f1", "upgrade", "a1", "public.orders"),
        ("f2", "upgrade", "", ""),
    }
    assert {each.message for each in after.known} == {whole.message}
