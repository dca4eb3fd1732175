"""Any text that a project may have written, and reports full of it."""

from __future__ import annotations

from hypothesis import strategies as st

from app.gate.judging.redaction import redact
from app.gate.report.model import CheckEntry, FindingEntry, GraphEntry, Report, RevisionEntry
from app.gate.report.verdict import Outcome, Severity, Verdict
from tests.gate.reporters.samples import ATTACKS, report

# As texts come out of `judge`, which spells out what no reader of a report can take.
texts = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="`*_[]()<>&|\\#:!~-+=@. \n\t\r1a", max_size=40),
    st.lists(st.sampled_from(ATTACKS), min_size=1, max_size=3).map("".join),
    st.tuples(st.text(max_size=10), st.sampled_from(ATTACKS), st.text(max_size=10)).map("".join),
).map(redact)

findings = st.builds(
    FindingEntry,
    check=st.sampled_from(["upgrade", "round-trip", "schema-drift", "retired"]),
    severity=st.sampled_from(list(Severity)),
    revision=st.none() | texts,
    object=st.none() | texts,
    message=texts,
    detail=st.none() | texts,
    help=st.none() | texts,
    path=st.none() | texts,
    line=st.none() | st.integers(1, 999),
    fingerprint=st.text("0123456789abcdef", min_size=32, max_size=32),
    allowed=st.none() | texts,
)


@st.composite
def reports(draw: st.DrawFn) -> Report:
    found = draw(st.lists(findings, max_size=4))
    return report(
        *found,
        verdict=draw(st.sampled_from(list(Verdict))),
        reason=draw(st.none() | texts),
        graph=GraphEntry(revisions=[RevisionEntry(revision=draw(texts), message=draw(texts), path=draw(texts))]),
        checks=[
            CheckEntry(id="upgrade", outcome=Outcome.FAIL),
            CheckEntry(id="round-trip", outcome=Outcome.SKIPPED, reason=draw(texts)),
        ],
    )
