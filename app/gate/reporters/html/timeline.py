"""The lock timeline of a step, as SVG: which table locks it holds over its statements, and what it rewrites and scans.

Each statement is a column. Columns are as wide as each other: durations on a throwaway database say little about
those on a large table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from app.gate.postgres.locks import BLOCKS_READS, BLOCKS_WRITES
from app.gate.report.model import StatementEntry, StepEntry
from app.gate.reporters.escaping import one_line, shortened

WIDTH, WIDEST_COLUMN, NARROWEST_COLUMN = 640, 80, 4  # pixels
ROW, BAR, HEADER = 36, 12, 22
LEGIBLE = 20  # the narrowest column with a number in it
MOST_ROWS = 40
NAME_LENGTH = 130  # a schema and a table, as long as PostgreSQL has them
TITLE_LENGTH = 400
SQL_WORDS = {
    "AccessExclusiveLock": "ACCESS EXCLUSIVE",
    "ExclusiveLock": "EXCLUSIVE",
    "ShareRowExclusiveLock": "SHARE ROW EXCLUSIVE",
    "ShareLock": "SHARE",
    "ShareUpdateExclusiveLock": "SHARE UPDATE EXCLUSIVE",
    "RowExclusiveLock": "ROW EXCLUSIVE",
    "RowShareLock": "ROW SHARE",
    "AccessShareLock": "ACCESS SHARE",
}
OF_EVERY_QUERY = ("RowExclusiveLock", "RowShareLock", "AccessShareLock")  # what reads and writes take themselves
NO_LOCK = ""  # of a table that is only rewritten or scanned, as far as the report says


@dataclass(frozen=True)
class Span:
    """From the statement that takes a lock to the last one before it is released; both are positions."""

    first: int
    last: int


@dataclass
class Row:
    """One lock mode on one table."""

    table: str
    mode: str
    spans: list[Span] = field(default_factory=list)
    rewrites: list[int] = field(default_factory=list)  # positions of statements
    scans: list[int] = field(default_factory=list)

    @property
    def weakness(self) -> int:
        """0 for the strongest mode; the highest for one that is not known."""
        return list(SQL_WORDS).index(self.mode) if self.mode in SQL_WORDS else len(SQL_WORDS)

    @property
    def blocks(self) -> str:
        """What other sessions cannot do meanwhile: the class of its bar, and a word of its label."""
        if self.mode in BLOCKS_READS:
            return "reads"
        return "writes" if self.mode in BLOCKS_WRITES else "nothing"

    @property
    def label(self) -> str:
        words = {"reads": "blocks reads and writes", "writes": "blocks writes", "nothing": ""}[self.blocks]
        parts = [SQL_WORDS.get(self.mode, one_line(self.mode)[:NAME_LENGTH]), words]
        return " · ".join([one_line(self.table)[:NAME_LENGTH], *filter(None, parts)])


def lock_rows(step: StepEntry) -> list[Row]:
    """The tables in the order in which they are first touched, each with its strongest lock first."""
    rows: dict[tuple[str, str], Row] = {}
    tables: dict[str, None] = {}
    for position, statement in enumerate(step.statements):
        last = _end_of_transaction(step.statements, position)
        for lock in statement.locks:
            table, mode = lock.get("table", ""), lock.get("mode", "")
            if mode in OF_EVERY_QUERY:
                continue
            tables.setdefault(table)
            rows.setdefault((table, mode), Row(table, mode)).spans.append(Span(position, last))
    for position, statement in enumerate(step.statements):
        for name in ("rewrites", "scans"):
            for table in getattr(statement, name):
                if name == "scans" and table in statement.rewrites:
                    continue  # which reads all of it
                tables.setdefault(table)
                getattr(_row_of_mark(rows, table, position), name).append(position)
    order = list(tables)
    return sorted(rows.values(), key=lambda row: (order.index(row.table), row.weakness))


def _end_of_transaction(statements: Sequence[StatementEntry], position: int) -> int:
    """The position of the last statement of the transaction: of itself, if it runs outside one."""
    if not statements[position].transactional:
        return position
    later = range(position + 1, len(statements))
    return next((each - 1 for each in later if _ends_transaction(statements[each])), len(statements) - 1)


def _ends_transaction(statement: StatementEntry) -> bool:
    return not statement.transactional or statement.sql.lstrip().upper().startswith(("COMMIT", "ROLLBACK;", "END;"))


def _row_of_mark(rows: dict[tuple[str, str], Row], table: str, position: int) -> Row:
    """The row of the strongest lock that the table has at that statement."""
    held = [
        row
        for row in rows.values()
        if row.table == table and any(span.first <= position <= span.last for span in row.spans)
    ]
    known = [row for row in held if row.mode in SQL_WORDS]
    if known:
        return min(known, key=lambda row: row.weakness)
    return rows.setdefault((table, NO_LOCK), Row(table, NO_LOCK))


def lock_timeline(step: StepEntry, prefix: str) -> Markup:
    """An SVG picture; empty if the step locks, rewrites and scans no table that was there before.

    `prefix`: of the ids of its statements in the page, "{prefix}-3" for the third, to which its columns lead.
    """
    rows = lock_rows(step)
    if not rows:
        return Markup("")
    return Markup("\n").join(_picture(step, rows, prefix))


def _picture(step: StepEntry, rows: Sequence[Row], prefix: str) -> Iterator[Markup]:
    number = len(step.statements)
    column = max(NARROWEST_COLUMN, min(WIDEST_COLUMN, WIDTH // number))
    shown, left_out = rows[:MOST_ROWS], len(rows) - MOST_ROWS
    width = max(WIDTH, column * number)
    height = HEADER + ROW * len(shown) + (ROW if left_out > 0 else 0)
    yield Markup(
        '<svg class="timeline" role="group" viewBox="0 0 {0} {1}" width="{0}" height="{1}">'
        "<title>Locks of revision {2}, a column for each statement</title>"
    ).format(width, height, one_line(step.revision)[:NAME_LENGTH])
    for position, statement in enumerate(step.statements):
        yield _column(position, statement, column, height, prefix)
    for place, row in enumerate(shown):
        yield from _row(row, column, HEADER + ROW * place)
    if left_out > 0:
        yield _text("label", 2, HEADER + ROW * len(shown) + 14, f"… {left_out} more")
    yield Markup("</svg>")


def _column(position: int, statement: StatementEntry, width: int, height: int, prefix: str) -> Markup:
    """What is shown when a pointer or the keyboard's focus is on the statement."""
    x = position * width
    sql = one_line(shortened(statement.sql, 8, TITLE_LENGTH))
    number = _text("number", x + width / 2, 14, str(position + 1)) if width >= LEGIBLE else Markup("")
    return Markup('<a href="#%s-%d"><title>%d. %s (%.1f ms)</title>%s%s</a>') % (
        *(prefix, position + 1, position + 1, sql, statement.duration_ms),
        *(_rectangle("column", x, 0, width, height), number),
    )


def _row(row: Row, width: int, y: int) -> Iterator[Markup]:
    yield _text("label", 2, y + 13, row.label)
    for span in row.spans:
        length = (span.last - span.first + 1) * width
        yield _rectangle(f"bar blocks-{row.blocks}", span.first * width + 1, y + 18, length - 2, BAR)
    for mark, positions in (("rewrite", row.rewrites), ("scan", row.scans)):
        for position in positions:
            # A rewrite fills its column; a scan is a frame around it, so that they differ without their colours.
            yield _rectangle(mark, position * width + 1, y + 16, max(width - 2, 2), BAR + 4)
            if width >= LEGIBLE:
                yield _text(f"mark on-{mark}", position * width + width / 2, y + 28, mark[0].upper())


def _rectangle(css_class: str, x: float, y: float, width: float, height: float) -> Markup:
    """`css_class` is ours."""
    return Markup(f'<rect class="{css_class}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"/>')  # noqa: S704


def _text(css_class: str, x: float, y: float, text: str) -> Markup:
    return Markup(f'<text class="{css_class}" x="{x:g}" y="{y:g}">{escape(text)}</text>')  # noqa: S704 - escaped
