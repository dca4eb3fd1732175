"""The report as a page: all of it is there, and nothing of what a project wrote is anything but text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given

from app.gate.checks.pages import DOCUMENTATION_URL
from app.gate.report.model import AssumptionEntry, Excerpt, GraphEntry, Report, RevisionEntry, StatementEntry, StepEntry
from app.gate.report.verdict import Severity, Verdict
from app.gate.reporters.escaping import UNSEEN, one_line
from app.gate.reporters.html import page, render
from app.gate.reporters.html.page import moment, prose
from app.gate.reporters.html.view import RevisionView, RunView, run_view
from app.gate.wording import duration
from tests.gate.reporters.samples import ATTACKS, finding, report
from tests.gate.reporters.strategies import reports
from tests.html_page import Page

PAGES = DOCUMENTATION_URL.partition("{")[0]


@given(reports())
def test_what_a_project_wrote_is_text_and_nothing_else(subject: Report) -> None:
    page = Page(render(subject))

    assert page.open == []
    tags = {tag for tag, _ in page.elements}
    assert tags.isdisjoint({"script", "img", "iframe", "object", "form", "link", "base", "b"})
    assert not any(name.startswith("on") or name == "style" for _, names in page.elements for name in names)
    assert all(link.startswith(("#", PAGES)) for link in page.values("href") + page.values("src"))
    assert not UNSEEN.search(page.text)


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_in_every_field_is_shown(attack: str) -> None:
    evil = finding(
        attack,
        check=attack,
        object=attack,
        detail=attack,
        help=attack,
        path=attack,
        assumption=AssumptionEntry(sql=attack),
        excerpt=Excerpt(first_line=19, lines=[attack, attack]),
    )
    step = StepEntry(
        revision="b2",
        direction="upgrade",
        duration_ms=1.0,
        statements=[
            StatementEntry(
                sql=attack, duration_ms=1.0, locks=[{"table": attack, "mode": attack}], rewrites=[attack], scans=["t"]
            )
        ],
        changes=[attack],
    )
    accepted = finding(check=attack, allowed=attack)
    page = Page(render(report(evil, accepted, steps=[step], not_covered=[attack], reason=attack)))

    assert page.open == []
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "img", "b"})
    assert one_line(attack).replace("`", "") in page.words.replace("`", "")


def test_the_ids_of_a_page_are_each_used_once_and_every_link_within_it_leads_somewhere() -> None:
    page = Page(render(report(finding(), finding(revision="b2"), finding(revision="gone"), finding(revision=None))))

    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in page.values("href") if link.startswith("#")} <= set(ids)
    assert {"finding-1", "finding-4", "revision-2", "history"} <= set(ids)


def test_the_verdict_comes_first_and_each_finding_has_its_place_and_its_fix() -> None:
    bad = finding(
        "`orders` is locked.",
        check="table-rewrite",
        object="public.orders",
        detail="ALTER TABLE orders …",
        help="Do this:\n\n    op.execute('SELECT 1')",
        excerpt=Excerpt(first_line=19, lines=["def upgrade():", "    op.alter_column()"]),
        assumption=AssumptionEntry(sql="SELECT * FROM orders LIMIT 10"),
    )
    page = Page(render(report(bad)))

    first = next(tag for tag, _ in page.elements if tag.startswith("h") and tag[1:].isdigit())
    assert first == "h1"
    assert page.words.index("The migrations fail: 1 error") < page.words.index("versions/a1.py:20")
    for words in (
        "orders is locked.",
        "20 op.alter_column()",
        "op.execute('SELECT 1')",
        "SELECT * FROM orders LIMIT 10",
    ):
        assert words in page.words, words
    assert f"{PAGES}table-rewrite.md" in page.values("href") or any(
        "table-rewrite" in each for each in page.values("href")
    )


def test_notices_are_folded_and_errors_are_not() -> None:
    page = Page(render(report(finding(), finding(severity=Severity.NOTICE))))

    folded = [
        attributes
        for tag, attributes in page.elements
        if tag == "details" and "finding" in (attributes.get("class") or "")
    ]
    assert ["open" in each for each in folded] == [True, False]


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Verdict.PASS, "The migrations pass"),
        (Verdict.FAIL, "The migrations fail"),
        (Verdict.ERROR, "The migrations could not be verified"),
    ],
)
def test_each_verdict_has_its_words(verdict: Verdict, words: str) -> None:
    assert words in Page(render(report(verdict=verdict))).words


def test_the_page_allows_itself_nothing_but_its_style() -> None:
    page = Page(render(report()))

    policy = next(each["content"] or "" for tag, each in page.elements if each.get("http-equiv"))
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


def test_what_a_revision_changes_and_locks_is_there_without_a_finding() -> None:
    page = Page(render(report()))

    assert "adds column orders.note" in page.words
    assert "ALTER TABLE orders ADD note text" in page.words
    assert "locks public.orders in ACCESS EXCLUSIVE mode" in page.words
    assert "Nothing was found." in page.words


def test_the_rows_over_which_a_revision_was_repeated_are_counted() -> None:
    step = StepEntry(revision="b2", direction="upgrade", duration_ms=1.0, rows={"public.orders": 8, "public.<b>": 6})

    assert "Repeated over rows: 6 in public.<b>, 8 in public.orders." in Page(render(report(steps=[step]))).words


def test_of_a_long_history_only_revisions_with_findings_are_shown() -> None:
    revisions = [
        RevisionEntry(revision=f"r{number}", down_revisions=[f"r{number - 1}"] * (number > 0)) for number in range(60)
    ]
    page = Page(
        render(report(finding(revision="r7"), graph=GraphEntry(heads=["r59"], bases=["r0"], revisions=revisions)))
    )

    assert [each for each in page.values("id") if each.startswith("revision-") and each.count("-") == 1] == [
        "revision-8"
    ]


def test_a_report_of_an_early_end_is_a_page_too() -> None:
    page = Page(
        render(report(verdict=Verdict.ERROR, reason="the server is gone", graph=GraphEntry(), checks=[], steps=[]))
    )

    assert "the server is gone" in page.words


def test_quoted_words_are_code() -> None:
    assert prose("a `<b>` c") == "a <code>&lt;b&gt;</code> c"


def test_names_and_statements_of_megabytes_are_cut() -> None:
    huge = "x" * 1_000_000
    evil = finding(huge, object=huge, detail=huge, help=huge, path=huge, check=huge, revision=huge)
    statement = StatementEntry(sql=huge, duration_ms=1.0, locks=[{"table": huge, "mode": huge}], rewrites=[huge])
    step = StepEntry(revision=huge, direction="upgrade", duration_ms=1.0, statements=[statement] * 9, changes=[huge])

    text = render(report(evil, steps=[step], reason=huge, not_covered=[huge]))

    assert len(text) < 200_000
    assert "x…" in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.00321, "3.2 ms"), (0.999, "999 ms"), (0.9999, "1 s"), (1.44, "1.4 s"), (59.9, "60 s"), (125, "2 min")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_time_is_shown_in_utc_with_the_exact_one_for_programs() -> None:
    when = datetime(2026, 11, 30, 1, 2, 3, 456000, tzinfo=timezone(timedelta(hours=2)))

    assert moment(when) == '<time datetime="2026-11-29T23:02:03.456+00:00">2026-11-29 23:02 UTC</time>'
    assert when.astimezone(UTC).hour == 23


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a & b", "a &amp; b"),
        ("a `b` and `c`", "a <code>b</code> and <code>c</code>"),
        ("`a`", "<code>a</code>"),
        ("a ` b", "a ` b"),
        ("x" * 4001, "x" * 4000 + "…"),
        ("x" * 4000, "x" * 4000),
    ],
)
def test_prose_is_one_line_with_code(text: str, html: str) -> None:
    assert prose(text) == html


def test_paragraphs_are_apart_and_code_is_a_block() -> None:
    assert page.paragraphs("Do:\n\n    a <b>\n\n    c\n\nThen\nthat.\n\nEnd.") == (
        '<p>Do:</p>\n<pre tabindex="0"><code>a &lt;b&gt;\n\nc</code></pre>\n<p> Then that.</p>\n<p> End.</p>'.replace(
            "<p> ", "<p>"
        )
    )


def test_blocks_and_lines_are_cut_at_their_ends() -> None:
    lines = [f"l{at}" for at in range(81)]
    eighty = "\n".join(lines[:80])

    assert page.block(eighty) == f'<pre tabindex="0"><code>{eighty}</code></pre>'
    assert page.block("\n".join(lines)).endswith("l79\n… 1 more line</code></pre>")
    assert page.block("x" * 1001) == f'<pre tabindex="0"><code>{"x" * 1000}…</code></pre>'
    assert page.block("x" * 1000) == f'<pre tabindex="0"><code>{"x" * 1000}</code></pre>'
    assert len(page.block("\n".join(["x" * 999] * 20))) == len('<pre tabindex="0"><code></code></pre>') + 10_001
    assert page.line("x" * 300) == "x" * 300
    assert page.line("x" * 301) == "x" * 300 + "…"
    assert page.lock_mode("ShareLock") == "SHARE"
    assert page.lock_mode("a\nb") == "a b"


def test_documentation_has_paragraphs_lists_and_code() -> None:
    text = "First\nwords.\n\nIntro:\n- one\nmore\n* two\n\n- only\n\nCode::\n\n    x = 1\n"

    assert page.docs(text) == (
        "<p>First words.</p>\n<p>Intro:</p><ul><li>one more</li><li>two</li></ul>\n<ul><li>only</li></ul>\n<p>Code:</p>\n"
        '<pre tabindex="0"><code>x = 1</code></pre>'
    )


def test_an_excerpt_is_lines_with_numbers_one_of_them_marked() -> None:
    shown = page.excerpt(finding(line=8, excerpt=Excerpt(first_line=7, lines=["a\nb", "<c>", "x" * 1001])))

    assert shown == (
        '<pre class="excerpt" tabindex="0"><span class="code-line"><span class="number">7</span>a b\n</span>'
        '<span class="code-line place"><span class="number">8</span>&lt;c&gt;\n</span>'
        f'<span class="code-line"><span class="number">9</span>{"x" * 1000}…\n</span></pre>'
    )
    assert page.excerpt(finding()) == ""


def test_a_page_counts_the_statements_that_it_leaves_out() -> None:
    def shown(number: int) -> str:
        statements = [StatementEntry(sql=f"SELECT {at}", duration_ms=1500.0) for at in range(number)]
        step = StepEntry(revision="b2", direction="upgrade", duration_ms=1.0, statements=statements)
        return Page(render(report(steps=[step]))).words

    assert "201 statements" in shown(201)
    assert "SELECT 199" in shown(201)
    assert "SELECT 200 " not in shown(201)
    assert "… 1 more statement" in shown(201)
    assert "more statement" not in shown(200)
    assert "1.5 s" in shown(1)


def test_of_twenty_new_revisions_each_is_shown_and_numbers_go_on_from_one_to_the_next() -> None:
    def view(number: int) -> RunView:
        revisions = [RevisionEntry(revision=f"r{at}", message=f"m{at}") for at in range(number)]
        found = [
            finding(revision="r1"),
            finding(revision="r1"),
            finding(revision="r3"),
            finding(revision="gone"),
            finding(revision=None),
        ]
        return run_view(report(*found, finding(allowed="so"), graph=GraphEntry(revisions=revisions)))

    whole, long = view(20), view(21)

    assert [each.anchor for each in whole.revisions] == [*(f"revision-{at}" for at in range(1, 22)), "history"]
    assert [(each.anchor, each.revision, each.message) for each in long.revisions] == [
        ("revision-2", "r1", "m1"), ("revision-4", "r3", "m3"), ("revision-22", "gone", ""), ("history", None, ""),
    ]  # fmt: skip
    assert [[each.number for each in revision.findings] for revision in long.revisions] == [[1, 2], [3], [4], [5]]
    assert (long.totals, long.accepted_count, len(long.accepted)) == ("5 errors", 1, 1)


def test_the_findings_of_a_page_are_the_most_severe_first() -> None:
    view = run_view(report(*(finding(severity=each) for each in ("notice", "error", "warning"))))

    assert [(each.number, each.entry.severity, each.is_open) for each in view.findings] == [
        (1, "error", True), (2, "warning", True), (3, "notice", False),
    ]  # fmt: skip
    assert [each.id for each in view.skipped] == ["schema-drift"]


def test_a_revision_without_an_upgrade_has_neither_statements_nor_a_picture() -> None:
    bare = RevisionView("revision-1", "a1", "", [])

    assert (list(bare.statements), bare.statements_left_out, bare.timeline) == ([], 0, None)
