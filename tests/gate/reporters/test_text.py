from __future__ import annotations

import io

import pytest
from hypothesis import given
from rich.console import Console

from app.gate.report.model import (
    NOT_SELECTED,
    CheckEntry,
    Excerpt,
    GraphEntry,
    JudgedEntry,
    Report,
    RevisionEntry,
    StepEntry,
)
from app.gate.report.verdict import Outcome, Severity, Verdict
from app.gate.reporters.text import lines_of, print_on, render
from tests.gate.reporters.samples import ATTACKS, finding, report
from tests.gate.reporters.strategies import reports
from tests.gate.reporters.test_escaping import is_workflow_command


def test_what_was_judged_comes_first_then_the_verdict_and_a_summary_of_one_line_last() -> None:
    judged = JudgedEntry(base="origin/main", commit="0123456789abcdef", revisions=["b2"])

    lines = render(report(finding(), judged=judged)).splitlines()

    assert lines[:6] == [
        "Command    alembic upgrade head",
        "Versions   Alembic 1.20.1, SQLAlchemy 2.1.9, PostgreSQL 18.6",
        "Base       origin/main at 0123456789ab",
        "Judged     1 of 2 revisions",
        "",
        "FAILED: 1 error.",
    ]
    assert lines[-1] == "2 revisions and 2 checks on PostgreSQL 18.6 in 1.2 s: 1 error; failed."
    assert lines[-3] == "Details of each check: overproof explain round-trip"


def test_an_index_has_a_line_for_each_finding_errors_first_and_fits_a_screen() -> None:
    warnings = [finding(severity=Severity.WARNING, object="public.orders.note") for _ in range(40)]

    lines = render(report(*warnings, finding(revision=None, path=None, line=None))).splitlines()

    index = lines[lines.index("FAILED: 1 error and 40 warnings.") + 2 :]
    assert index[0] == "  error    round-trip  -            the whole history"
    assert index[1] == "  warning  round-trip  orders.note  a1.py:20"
    assert index[19] == "  … and 22 warnings"
    assert index[20] == ""


@pytest.mark.parametrize(("number", "last"), [(20, "  error    round-trip  -  a1.py:20"), (21, "  … and 2 errors")])
def test_an_index_of_twenty_lines_is_whole(number: int, last: str) -> None:
    lines = render(report(*(finding() for _ in range(number)))).splitlines()

    start = lines.index(f"FAILED: {number} errors.") + 2
    assert lines[start + 19 : start + 21] == [last, ""]


def test_what_is_long_in_the_index_is_clipped_so_that_it_fits() -> None:
    names = [
        ("o" * n, f"versions/{'p' * m}.py", line) for n, m, line in ((9, 31, 1), (90, 31, 1), (90, 40, 22), (3, 4, 5))
    ]

    lines = render(report(*(finding(object=name, path=path, line=line) for name, path, line in names))).splitlines()

    start = lines.index("FAILED: 4 errors.") + 2
    assert lines[start : start + 4] == [
        f"  error    round-trip  ooooooooo            {'p' * 31}.py:1",
        f"  error    round-trip  {'o' * 18}…  {'p' * 31}.py:1",
        f"  error    round-trip  {'o' * 18}…  {'p' * 35}…",
        "  error    round-trip  ooo                  pppp.py:5",
    ]  # fmt: skip


def test_a_place_takes_the_room_that_the_rest_of_the_index_leaves() -> None:
    lines = render(report(finding(path=f"versions/{'p' * 70}.py", object="o"))).splitlines()

    assert f"  error    round-trip  o  {'p' * 53}…" in lines


@pytest.mark.parametrize(("room", "is_one_line"), [(0, True), (1, False)])
def test_a_place_for_which_there_is_no_room_has_a_line_of_its_own(room: int, is_one_line: bool) -> None:
    path = "p" * (80 - len("  error round-trip at :20") + room)

    text = render(report(finding(path=path)))

    assert (f"  error round-trip at {path}:20\n" in text) is is_one_line
    assert (f"  error round-trip\n  at {path}:20\n" in text) is not is_one_line


@pytest.mark.parametrize(("number", "last"), [(20, "      | l19\n\n"), (21, "      | l19\n      | … 1 more line\n\n")])
def test_twenty_lines_of_a_detail_are_shown(number: int, last: str) -> None:
    assert last in render(report(finding(detail="\n".join(f"l{at}" for at in range(number)))))


@pytest.mark.parametrize(("first", "lines"), [(8, [" 8 | a", " 9 | b", "10 | c"]), (7, ["7 | a", "8 | b", "9 | c"])])
def test_the_numbers_of_an_excerpt_are_as_wide_as_the_last_one(first: int, lines: list[str]) -> None:
    text = render(report(finding(excerpt=Excerpt(first_line=first, lines=["a", "b", "c"]), line=8)))

    assert [line[6:] for line in text.splitlines() if " | " in line] == lines


def test_a_line_of_a_script_that_is_endless_is_cut() -> None:
    text = render(report(finding(excerpt=Excerpt(first_line=20, lines=["x" * 600]), help=f"Do:\n\n    {'y' * 600}")))

    assert f"    > 20 | {'x' * 488}…\n" in text
    assert f"        {'y' * 492}…\n" in text


def test_each_kind_of_line_has_its_style() -> None:
    of_each = (finding(severity=each, detail="SELECT 1") for each in Severity)
    styles = {line.text: line.style for line in lines_of(report(*of_each, finding(allowed="so")), 80, 1)}

    assert [styles[f"  {each} round-trip at versions/a1.py:20"] for each in Severity] == [
        "bold red",
        "bold yellow",
        "bold cyan",
    ]
    assert [styles[f"  {each:<7}  round-trip  -  a1.py:20"] for each in Severity] == [
        "bold red",
        "bold yellow",
        "bold cyan",
    ]
    for line in ("Revision a1 (create orders)", "What the revisions do", "Accepted", "Not judged"):
        assert styles[line] == "bold"
    assert styles["Command    alembic upgrade head"] == styles["      | SELECT 1"] == "dim"
    assert styles["    Something is wrong."] == ""


def test_lines_of_a_script_around_the_place_are_dim_and_so_is_nothing_at_it() -> None:
    excerpt = Excerpt(first_line=19, lines=["a", "b"])

    styles = {line.text: line.style for line in lines_of(report(finding(excerpt=excerpt)), 80, 0)}

    assert (styles["      19 | a"], styles["    > 20 | b"]) == ("dim", "")
    assert list(lines_of(report(verdict=Verdict.ERROR, reason="no"), 80, 0))[-1].style == "bold red"
    assert list(lines_of(report(), 80, 0))[-1].style == "bold green"


@pytest.mark.parametrize(("columns", "expected"), [(60, 60), (100, 100), (200, 110)])
def test_prose_is_as_wide_as_the_terminal_within_reason(columns: int, expected: int) -> None:
    shown = io.StringIO()

    print_on(Console(file=shown, width=columns), report(finding("a " * 200)))

    assert max(len(line.rstrip()) for line in shown.getvalue().splitlines()) in (expected, expected - 1)


def test_on_a_narrow_terminal_lines_of_a_script_keep_sixty_columns() -> None:
    lines = list(lines_of(report(finding(excerpt=Excerpt(first_line=19, lines=["x" * 99, "y"]))), 40, 0))

    assert [len(line.text) for line in lines if "xxx" in line.text] == [60]


def test_the_marked_line_is_shown_in_full_and_the_lines_around_it_are_clipped() -> None:
    marked, other = f"    op.add_column({'x' * 100}, nullable=False)", f"    op.execute({'y' * 100})"
    excerpt = Excerpt(first_line=19, lines=[other, marked, other])

    lines = render(report(finding(excerpt=excerpt))).splitlines()

    assert f"    > 20 | {marked}" in lines
    assert [len(line) for line in lines if "op.execute" in line] == [80, 80]


def test_in_colours_the_last_line_has_that_of_the_verdict() -> None:
    shown = io.StringIO()

    print_on(Console(file=shown, force_terminal=True, width=100, color_system="standard"), report(finding()))

    last = shown.getvalue().rstrip("\n").rpartition("\n")[2]
    assert last.startswith("\x1b[1;31m2 revisions and 2 checks")


def test_nothing_new_means_that_hazards_were_not_tried() -> None:
    revisions = [RevisionEntry(revision="a1", new=False)]
    judged = JudgedEntry(base="origin/main", commit="0123", revisions=["a1"])

    text = render(report(judged=judged, graph=GraphEntry(revisions=revisions)))

    assert "Judged     1 of 1 revision; none is new, so hazards were not tried\n" in text


def test_revisions_behind_one_that_does_not_apply_were_not_tried() -> None:
    judged = JudgedEntry(revisions=["a1", "b2"])
    steps = [StepEntry(revision="a1", direction="upgrade", duration_ms=1)]

    text = render(report(finding(check="upgrade"), judged=judged, steps=steps))

    assert "Judged     2 of 2 revisions; 1 of them could not be tried\n" in text
    assert "Judged     2 of 2 revisions\n" in render(report(finding(), judged=judged, steps=steps))


def test_code_to_paste_stands_in_full_for_errors_and_for_warnings_on_request() -> None:
    error, warning = (finding(severity=each, help=f"Do this:\n\n    {each}()") for each in ("error", "warning"))

    assert "        error()\n" in render(report(error))
    text = render(report(warning))
    assert "Fix: Do this.\n" in text
    assert "warning()" not in text
    assert "Code for the fixes of warnings: --verbose\n" in text
    assert "        warning()\n" in render(report(warning), verbosity=1)
    assert "        warning()\n" in render(report(warning, error), verbosity=1)


def test_quiet_is_the_index_and_verbose_also_what_the_revisions_do() -> None:
    quiet, verbose = (render(report(finding("It is wrong.")), verbosity) for verbosity in (-1, 1))

    assert "  error    round-trip  -  a1.py:20\n\n2 revisions" in quiet
    assert "It is wrong." not in quiet
    assert (
        "  b2 add note\n    changes: adds column orders.note\n    locks on existing tables: public.orders:" in verbose
    )


@pytest.mark.parametrize(("number", "are_shown"), [(20, True), (21, False)])
def test_what_twenty_new_revisions_do_is_shown_and_not_what_a_whole_history_does(number: int, are_shown: bool) -> None:
    names = [f"r{at}" for at in range(number)]
    steps = [StepEntry(revision=name, direction="upgrade", duration_ms=1, changes=["adds x"]) for name in names]
    revisions = [RevisionEntry(revision=name) for name in names] + [RevisionEntry(revision="old", new=False)]

    text = render(report(graph=GraphEntry(revisions=revisions), steps=steps), 1)

    assert ("  r19\n    changes: adds x\n" in text) is are_shown
    assert ("What the revisions do" in text) is are_shown


def test_the_lines_of_the_script_are_shown_with_the_place_marked() -> None:
    excerpt = Excerpt(first_line=19, lines=["def upgrade():", "    op.drop_index('ix')", "", "x"])

    text = render(report(finding(excerpt=excerpt)))

    assert "      19 | def upgrade():\n    > 20 |     op.drop_index('ix')\n      21 |\n      22 | x\n" in text


def test_a_finding_says_where_it_is_what_happened_and_how_to_fix_it() -> None:
    text = render(
        report(finding("The index ix_a is still there.", detail="CREATE INDEX ix_a", help="Drop it in `downgrade`."))
    )

    assert "  error round-trip at versions/a1.py:20\n    The index ix_a is still there.\n" in text
    assert "      | CREATE INDEX ix_a\n    Fix: Drop it in `downgrade`.\n" in text


def test_findings_are_grouped_by_revision_in_the_order_of_the_history() -> None:
    text = render(
        report(
            finding(revision="b2"), finding(), finding(revision=None, path=None, line=None), finding(severity="warning")
        )
    )

    titles = [line for line in text.splitlines() if line.startswith(("Revision", "The history"))]
    assert titles == ["Revision a1 (create orders)", "Revision b2 (add note)", "The history as a whole"]


def test_advice_that_many_findings_share_is_given_once() -> None:
    text = render(report(finding("one", help="Do this."), finding("two", help="Do this.")))

    assert text.count("Do this.") == 1


def test_a_notice_is_reported_in_a_line() -> None:
    text = render(report(finding("Look.", severity=Severity.NOTICE, detail="a detail", help="some help")))

    assert "Look." in text
    assert "a detail" not in text
    assert "some help" not in text


def test_accepted_findings_are_named_with_their_reason_and_baselined_ones_are_counted() -> None:
    text = render(
        report(
            finding(allowed="nobody downgrades this"),
            finding(allowed="in the baseline b.json"),
            finding(allowed="in the baseline b.json"),
        )
    )

    assert "\n\nPASSED: nothing to report.\n" in text
    assert "  round-trip in a1: nobody downgrades this\n" in text
    assert "  2 findings in the baseline b.json\n" in text


def test_what_could_not_be_judged_is_said_with_its_reason() -> None:
    assert "Not judged\n  schema-drift: the project has no metadata\n" in render(report())


def test_each_reason_why_something_could_not_be_judged_is_said_once() -> None:
    unjudged = [
        CheckEntry(id="offline-sql", outcome=Outcome.SKIPPED, reason=NOT_SELECTED),
        CheckEntry(id="model-drift", outcome=Outcome.SKIPPED, reason="b2 does not apply"),
        CheckEntry(id="round-trip", outcome=Outcome.PASS, reason="b2 does not apply"),
        CheckEntry(id="not-validated", outcome=Outcome.SKIPPED, reason="b2 does not apply"),
        CheckEntry(id="upgrade", outcome=Outcome.SKIPPED, reason=NOT_SELECTED),
    ]

    text = render(report().model_copy(update={"checks": unjudged}))

    assert (
        "Not judged\n"
        "  model-drift, round-trip (in part), not-validated: b2 does not apply\n"
        f"  offline-sql, upgrade: {NOT_SELECTED}\n"
    ) in text


def test_an_error_says_in_its_first_line_what_happened() -> None:
    text = render(report(verdict=Verdict.ERROR, reason="there is no server", graph=GraphEntry()))

    assert text.startswith("NOT VERIFIED: there is no server.\n")


@pytest.mark.parametrize("length", [10, 79, 200])
def test_it_fits_80_columns(length: int) -> None:
    words = "a sentence of some words " * 20
    found = finding(words, detail=f"SELECT {words}\n    , {words}", help=words, revision="r" * length)

    text = render(report(found, finding(path=f"versions/{'p' * length}.py"), finding(allowed=words)))

    too_long = [line for line in text.splitlines() if len(line) > 80]
    assert all("r" * length in line or "p" * length in line for line in too_long)


def test_the_indentation_of_code_stays() -> None:
    text = render(report(finding(help="Write:\n\n    def upgrade():\n        pass\n\nThen run it.")))

    assert "        def upgrade():\n            pass\n" in text
    assert "    Then run it.\n" in text


def test_code_to_be_copied_is_not_broken_into_lines() -> None:
    code = f'op.execute("{"SELECT 1; " * 20}")'

    assert f"        {code}\n" in render(report(finding(help=f"Write:\n\n    {code}")))


def test_a_flood_is_reported_by_check_with_a_way_to_start_from_here() -> None:
    text = render(report(*(finding(str(at)) for at in range(11)), finding(check="upgrade")))

    assert "By check: round-trip 11 and upgrade 1.\n" in text
    assert "--baseline FILE --write-baseline" in text
    assert "--write-baseline" not in render(report(*(finding(str(at)) for at in range(10))))
    known = finding(allowed="in the baseline b.json")
    assert "--write-baseline" not in render(report(known, *(finding(str(at)) for at in range(11))))


@given(reports())
def test_nothing_of_a_project_reaches_the_terminal_or_the_log_as_a_command(sample: Report) -> None:
    text = render(sample)

    assert "\x1b" not in text
    assert "\x9b" not in text
    assert not any(is_workflow_command(line) for line in text.split("\n"))


@pytest.mark.parametrize("attack", ATTACKS)
def test_colours_are_the_only_escape_sequences_on_a_terminal(attack: str) -> None:
    terminal = io.StringIO()

    print_on(Console(file=terminal, force_terminal=True, color_system=None, width=100), report(finding(attack)))

    assert "\x1b" not in terminal.getvalue().replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "")
