"""Code that is started before the upgrade."""

from __future__ import annotations

from typing import Any

import pytest

from app.gate.checks.base import CheckSkipped
from app.gate.checks.early_code import examine
from app.gate.configuration import Configuration
from app.gate.judging.judge import judge
from app.gate.recording.model import Failure
from app.gate.recording.running import ModelColumn, ModelTable, RefusedStatement, RunningCode
from app.gate.report.verdict import CODE_STARTS_LATER, Severity
from app.gate.reporters.text import render
from tests.gate.checks.builders import recording, trip

NOTE = ModelTable("public.orders", "shop.Order", {"note": ModelColumn("TEXT")})


def refused(action: str, model: str = "shop.Order", message: str = 'column "channel" does not exist') -> Any:
    failure = Failure("E", message, sqlstate="42703")
    return RefusedStatement("", model, "public.orders", action, ("channel",), f"{action} …", failure)


def running(*too_early: RefusedStatement) -> RunningCode:
    return RunningCode("c0ffee", (NOTE,), 20, (), too_early)


def test_what_the_old_schema_refuses_is_one_finding_for_the_run_with_a_list():
    early = running(refused("SELECT"), refused("INSERT"), refused("SELECT", "shop.Customer"))

    [finding] = examine(recording(trip("a1"), trip("b2"), running=early))

    assert finding.revision == "a1"
    assert finding.message == (
        "Code of this branch fails on the schema before it, for shop.Order and shop.Customer:"
        ' column "channel" does not exist.'
    )
    assert str(finding.detail).splitlines()[1] == '- column "channel" does not exist: INSERT …'


def test_the_list_ends_after_forty():
    [finding] = examine(recording(trip("a1"), running=running(*[refused("SELECT")] * 50)))

    assert str(finding.detail).splitlines()[-1] == "- and 10 more"


def test_stays_quiet_when_nothing_is_refused():
    assert list(examine(recording(trip("a1"), running=running()))) == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "there is no base"),
        ({"running": RunningCode("c0ffee", (NOTE,), 20)}, "the branch has no models"),
        ({"not_observed": {"running": "the models of main were not loaded"}}, "the models of main were not loaded"),
    ],
)
def test_where_no_models_were_asked_it_is_skipped(fields: dict[str, Any], reason: str):
    with pytest.raises(CheckSkipped, match=reason):
        list(examine(recording(trip("a1"), **fields)))


def test_it_is_off_unless_asked_for_and_a_report_does_not_mention_that():
    one = recording(trip("a1"), running=running(refused("SELECT")))

    quiet = judge([one], Configuration(not_asked_for=frozenset({"early-code"})))
    asked = judge([one], Configuration(severities={"early-code": Severity.WARNING}))

    assert quiet.findings == []
    assert next(each for each in quiet.checks if each.id == "early-code").reason == CODE_STARTS_LATER
    assert "early-code" not in render(quiet)
    assert [(each.check, each.severity) for each in asked.findings] == [("early-code", Severity.WARNING)]
