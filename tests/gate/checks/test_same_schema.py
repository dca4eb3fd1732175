"""What is said of a history that is to replace another one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.gate.checks.base import CheckSkipped
from app.gate.checks.same_schema import examine
from app.gate.recording.other_history import OtherHistory, SeedDifference
from app.gate.report.verdict import Severity
from tests.gate.checks.builders import added, failure, key, recording, removed

SQUASHED = OtherHistory("origin/main", "0123456789abcdef", heads_there=("d4",), heads_here=("z9",))


def test_what_the_old_history_has_and_the_new_one_has_not_is_one_error() -> None:
    gone = removed(key("index", "ix_orders_note", "orders"))
    more = added(key("table", "notes"))

    [finding] = examine(recording(other_history=replace(SQUASHED, differences=(gone, more))))

    assert finding.severity is Severity.ERROR
    assert finding.message == (
        "The revisions here make another schema than those of origin/main: table notes and index ix_orders_note on orders."
    )
    assert "index public.ix_orders_note is gone" in str(finding.detail)
    assert finding.subject == "schema index orders.ix_orders_note, table notes"


def test_a_name_that_postgresql_has_generated_is_a_warning() -> None:
    names = (removed(key("constraint", "user_pkey", "users")), added(key("constraint", "users_pkey", "users")))

    [finding, _] = examine(recording(other_history=replace(SQUASHED, only_names=names)))

    assert finding.severity is Severity.WARNING
    assert "has another name here than with the revisions of origin/main" in finding.message


def test_other_rows_are_an_error_with_the_rows() -> None:
    rows = SeedDifference("public.kinds", only_there=('{"id": 1}',), count_there=1)

    [finding] = examine(recording(other_history=replace(SQUASHED, seeds=(rows,))))

    assert finding.severity is Severity.ERROR
    assert finding.message.endswith("other rows into kinds than those of origin/main: 1 row there, 0 here.")
    assert finding.detail == '- only there: {"id": 1}'


def test_other_numbers_of_a_sequence_are_a_warning() -> None:
    rows = SeedDifference("public.kinds", columns=("id",), is_numbering=True, count_there=2, count_here=2)

    [finding] = examine(recording(other_history=replace(SQUASHED, seeds=(rows,))))

    assert finding.severity is Severity.WARNING
    assert "the rows are the same but for id, which a sequence numbers" in finding.message


def test_a_stamped_database_that_the_command_fails_on_or_changes_is_an_error() -> None:
    fails = replace(SQUASHED, failure_after_stamp=failure("relation exists", sqlstate="42P07"))
    changes = replace(SQUASHED, changes_after_stamp=(added(key("table", "notes")),))

    (failed, _), (changed, _) = (list(examine(recording(other_history=each))) for each in (fails, changes))

    assert "stamped with z9 cannot be upgraded by the command here: relation exists" in failed.message
    assert "is changed all the same by the command here: table notes" in changed.message


def test_an_equal_history_under_another_id_is_told_how_to_stamp() -> None:
    [finding] = examine(recording(other_history=replace(SQUASHED, varying=("public.kinds.at",))))

    assert finding.severity is Severity.NOTICE
    assert str(finding.help).endswith("\n\n    alembic stamp --purge z9")
    assert "Not compared, since they differ from run to run: public.kinds.at." in finding.message


def test_an_equal_history_under_the_same_id_says_which_databases_are_left_behind() -> None:
    same = replace(SQUASHED, heads_here=("d4",), gone=("a1", "b2"))

    [finding] = examine(recording(other_history=same))

    assert finding.severity is Severity.NOTICE
    assert "needs nothing, and one at a1 or b2 cannot be upgraded any more" in finding.message
    assert finding.help == "Upgrade each database to d4 with the code of origin/main first."


def test_stays_quiet_about_an_equal_history_under_the_same_id() -> None:
    assert list(examine(recording(other_history=replace(SQUASHED, heads_here=("d4",))))) == []


def test_is_skipped_where_no_other_history_is_named() -> None:
    with pytest.raises(CheckSkipped, match="--same-schema-as names one"):
        list(examine(recording()))


def test_a_finding_about_several_objects_names_the_first() -> None:
    gone = (removed(key("table", "notes")), removed(key("table", "orders")), removed(key("table", "users")))

    [finding] = examine(recording(other_history=replace(SQUASHED, differences=gone)))

    assert finding.object == "public.notes"
