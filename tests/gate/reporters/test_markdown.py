from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from app.gate.checks.pages import DOCUMENTATION_URL
from app.gate.report.model import CheckEntry, Excerpt, Report, StepEntry
from app.gate.report.verdict import Outcome, Severity, Verdict
from app.gate.reporters.escaping import one_line, visible
from app.gate.reporters.markdown import cell, code, fenced, paragraphs, prose, render
from tests.gate.reporters.samples import ATTACKS, finding, report
from tests.gate.reporters.strategies import reports, texts

# The only links of a report.
PAGES = DOCUMENTATION_URL.partition("{")[0]

# GitHub's dialect, but for the links that it makes of bare addresses.
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


class Shown(HTMLParser):
    """What a reader sees of a page, and the elements of which it is made."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(MARKDOWN.render(markdown))
        self.close()
        self.text = self.text.replace("\u200b", "")

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attributes if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


def without_ticks(text: str) -> str:
    return one_line(text).replace("`", "").replace(" ", "")


@given(texts)
def test_prose_shows_the_text_and_nothing_else(text: str) -> None:
    shown = Shown(prose(text))

    assert set(shown.tags) <= {"p", "code"}
    assert shown.text.replace("`", "").replace(" ", "").strip() == without_ticks(text).strip()


@given(texts)
def test_a_code_span_shows_the_text_and_nothing_else(text: str) -> None:
    shown = Shown(f"a {code(text)} b")

    assert shown.tags == ["p", "code"]
    assert "".join(shown.text.split()) == f"a{''.join(one_line(text).split())}b"


@given(texts)
def test_a_block_of_code_cannot_be_left(text: str) -> None:
    shown = Shown(f"{fenced(text)}\n\nafter")

    assert shown.tags == ["pre", "code", "p"]
    assert visible(text).strip("\n") in shown.text


@given(st.lists(texts, min_size=2, max_size=2))
def test_a_cell_of_a_table_cannot_be_left(cells: list[str]) -> None:
    shown = Shown(f"| a | b |\n| - | - |\n| {cell(cells[0])} | {cell(cells[1])} |\n| x | y |")

    assert [tag for tag in shown.tags if tag != "code"] == [
        *("table", "thead", "tr", "th", "th", "tbody"),
        *("tr", "td", "td"),
        *("tr", "td", "td"),
    ]


@given(texts)
def test_advice_is_prose_and_code(text: str) -> None:
    assert set(Shown(paragraphs(text)).tags) <= {"p", "pre", "code"}


@given(reports())
def test_a_report_has_no_element_that_a_project_wrote(sample: Report) -> None:
    allowed = {
        *("h2", "h3", "p", "code", "pre", "strong", "ul", "li", "details", "summary", "sub", "br", "a"),
        *("table", "thead", "tbody", "tr", "th", "td"),
    }

    shown = Shown(render(sample))
    assert set(shown.tags) <= allowed
    assert all(link.startswith(PAGES) for link in shown.links)


def test_no_one_is_notified_and_no_issue_is_linked() -> None:
    assert prose("@everyone see #12") == "@&#8203;everyone see #&#8203;12"


def test_code_in_our_own_messages_stays_code() -> None:
    assert prose("run `alembic merge heads` now") == "run `alembic merge heads` now"


def test_a_finding_says_where_it_is_what_happened_and_how_to_fix_it() -> None:
    text = render(
        report(
            finding(
                "The index ix_a is still there.", detail="CREATE INDEX ix_a", help="Drop it:\n\n    op.drop_index()"
            )
        )
    )

    assert (
        "### `a1` create orders\n\n<details open>\n<summary>❌ <strong>error</strong> <code>round-trip</code>" in text
    )
    assert (
        r"The index ix\_a is still there. ([about this check](https://overproof.example/docs/checks/round-trip.md))"
        in text
    )
    assert "```sql\nCREATE INDEX ix_a\n```" in text
    assert "Fix: Drop it:\n\n```python\nop.drop_index()\n```" in text


def test_the_lines_of_the_script_are_shown_with_the_place_marked() -> None:
    excerpt = Excerpt(first_line=19, lines=["def upgrade():", "    op.drop_index('ix')"])

    text = render(report(finding(excerpt=excerpt)))

    assert "```python\ndef upgrade():\n    op.drop_index('ix')  # <-- line 20\n```" in text


def test_a_table_of_all_findings_comes_first_errors_before_the_rest_and_only_errors_are_unfolded() -> None:
    text = render(
        report(finding(severity=Severity.WARNING, object="orders.note"), finding(path=None, line=None, revision=None))
    )

    error = "| ❌ | [`round-trip`](https://overproof.example/docs/checks/round-trip.md) |  | <code>the whole history</code> |"
    warning = "| ⚠️ | [`round-trip`](https://overproof.example/docs/checks/round-trip.md) | <code>orders.note</code> | <code>versions/a1.py:20</code> |"
    assert text.index(error) < text.index(warning) < text.index("### `a1`") < text.index("### The history as a whole")
    assert text.count("<details open>") == 1
    assert "**Command** alembic upgrade head<br>**Versions** Alembic 1.20.1" in text


def test_a_reviewer_sees_what_the_new_revisions_do() -> None:
    text = render(report())

    assert "| <code>b2</code> add note | adds column orders.note | public.orders: AccessExclusiveLock |  |  |" in text


def test_what_was_not_covered_is_said() -> None:
    text = render(report().model_copy(update={"not_covered": ["pgcrypto is a stand-in", "<b>no base</b>"]}))

    assert "<summary>Not covered</summary>\n\n- pgcrypto is a stand-in\n- &lt;b&gt;no base&lt;/b&gt;\n" in text
    assert "Not covered" not in render(report())


def test_an_error_says_what_happened() -> None:
    text = render(report(verdict=Verdict.ERROR, reason="there is no server"))

    assert text.startswith("## ⚠️ The migrations could not be verified\n\nthere is no server\n")


@pytest.mark.parametrize(
    ("number", "row"), [(50, None), (51, "| | … and 1 error | | |"), (60, "| | … and 10 errors | | |")]
)
def test_a_table_has_fifty_findings(number: int, row: str | None) -> None:
    text = render(report(*(finding() for _ in range(number))), 1_000_000)

    assert text.count("| ❌ |") == min(number, 50)
    assert (row or "… and") in text if row else "… and" not in text


@pytest.mark.parametrize(("number", "rest"), [(12, ""), (13, "<br>… 1 more")])
def test_a_revision_has_twelve_effects_of_a_kind(number: int, rest: str) -> None:
    words = [f"w{at}" for at in range(number)]
    step = StepEntry(revision="b2", direction="upgrade", duration_ms=1, changes=words)

    assert f"add note | {'<br>'.join(words[:12])}{rest} |  |  |  |" in render(report(steps=[step]))


@pytest.mark.parametrize(("number", "row"), [(100, None), (101, "- … 1 more"), (130, "- … 30 more")])
def test_a_hundred_accepted_findings_are_listed(number: int, row: str | None) -> None:
    text = render(report(*(finding(allowed=f"so {at} it is") for at in range(number))))

    assert text.count(" it is\n") == min(number, 100)
    assert (f"- `round-trip` in `a1`: so 99 it is\n{row}\n" in text) if row else ("- …" not in text)


def test_texts_of_any_length_are_cut() -> None:
    long = "x" * 3000
    checks = [CheckEntry(id="upgrade", outcome=Outcome.PASS, reason=long)]
    step = StepEntry(revision="b2", direction="upgrade", duration_ms=1, changes=[long])

    text = render(report(finding(allowed=long), finding(detail=long), not_covered=[long], checks=checks, steps=[step]))

    assert f"- {'x' * 2000}\n" in text
    assert f": {'x' * 2000}\n" in text
    assert f"| pass | {'x' * 2000} |" in text
    assert f"add note | {'x' * 400} |" in text
    assert f"\n{'x' * 400}…\n" in text
    assert "x" * 2001 not in text


@pytest.mark.parametrize(("number", "rest"), [(30, ""), (31, "\n… 1 more line")])
def test_thirty_lines_of_a_detail_are_shown(number: int, rest: str) -> None:
    lines = [f"l{at}" for at in range(number)]

    assert fenced("\n".join(lines)) == "```\n" + "\n".join(lines[:30]) + rest + "\n```"


def test_advice_has_sixty_lines() -> None:
    assert paragraphs("\n".join(["a"] * 60)) == " ".join("a" * 60)
    assert paragraphs("\n".join(["a"] * 61)) == " ".join("a" * 60) + " … 1 more line"
    assert paragraphs("x" * 401) == "x" * 400 + "…"


def test_what_would_begin_a_block_is_text() -> None:
    assert [prose(text) for text in ("- a", "1. a", "12) a", "# a", ": a", "+a", "=a", "1 a")] == [
        r"\- a", r"1\. a", r"12\) a", r"\# a", r"\: a", r"\+a", r"\=a", "1 a",
    ]  # fmt: skip


def test_code_with_backticks_is_between_more_of_them() -> None:
    assert [code(text) for text in ("a", "", "a`b", "`a", "a``")] == [
        "`a`",
        "`  `",
        "``a`b``",
        "`` `a ``",
        "``` a`` ```",
    ]
    assert fenced("a```b", "sql") == "````sql\na```b\n````"
    assert fenced("a``b", "") == "```\na``b\n```"


def test_what_is_left_out_says_how_many_findings_it_were_and_a_heading_stands_before_the_first_that_is_shown() -> None:
    big, small = finding("big", detail="\n".join(["y" * 300] * 20)), finding("small")

    text = render(report(big, small), 4_000)

    assert "### `a1` create orders\n\n<details open>\n<summary>❌ <strong>error</strong>" in text
    assert text.count("### ") == 1
    assert "big" not in text
    assert text.endswith("1 more finding did not fit here; the text and JSON reports list all.\n")


def test_the_limit_leaves_room_for_the_line_that_counts_and_no_more() -> None:
    one = report(finding("a" * 300))
    size = len(render(one, 10_000).encode())

    # Each block is counted with an empty line behind it, of which the last one is a line feed.
    assert "aaa" in render(one, size + 401)
    assert "Overproof 0" not in render(one, size + 400)
    assert "aaa" not in render(one, 401)


@pytest.mark.parametrize("limit", [5_000, 20_000, 1_048_576])
def test_it_is_never_longer_than_the_limit_and_counts_what_it_leaves_out(limit: int) -> None:
    many = [finding(f"{at} is wrong", detail="x" * 3000, revision=None) for at in range(1000)]

    text = render(report(*many), limit)

    shown = sum(f"{at} is wrong" in text for at in range(1000))
    assert len(text.encode()) <= limit
    assert shown > 0
    assert f"{1000 - shown} more findings did not fit here" in text or shown == 1000
    assert text.startswith("## ❌ The migrations fail: 1000 errors")


@pytest.mark.parametrize("attack", ATTACKS)
def test_each_known_attack_is_text(attack: str) -> None:
    shown = Shown(render(report(finding(attack, detail=attack, help=attack, severity=Severity.WARNING))))

    assert all(link.startswith(PAGES) for link in shown.links)
    assert not {"script", "img", "b", "x", "blockquote", "hr", "del", "em"} & set(shown.tags)
