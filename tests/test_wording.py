"""Texts are plain standard English: turns that no other project has, and that a reader has to read twice, stay out.

A turn is in the list only if it has no ordinary use here: "by itself", "beside" and "at once" are left to the reviewer.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# The turn, as a pattern of whole words: what to write.
TURNS = {
    r"mend(?:s|ed|ing)?": "fix",
    r"anew": "again, recreated",
    r"told": "reported, described, named; of a variable: what it holds",
    r"beside the traffic": "concurrently, without blocking writes",
    r"the way back": "the downgrade",
    r'(?<!")nobody(?!")': "no session, no caller, unused",  # in quotes it is an account of the operating system
    r"whoever": "the caller, the user, a maintainer",
    r"(?:get|gets|got|getting) along": "works with",
    r"(?:goes|went) on": "continues",
    r"(?:come|comes|came) of": "results from",
    r"what (?:becomes|became|has become) of": "the outcome, the result",
    r"as far as (?:its|the) (?:text|words) tells?": "judging by its SQL text",
    r"for people": "human-readable",
    r"the release before": "the previous release",
    r"(?:a )?slips? of the pen": "a typo",
    r"be(?:falls?|fell|fallen)": "affects",
    r"stumbles?": "breaks, fails",
    r"heirs?": "the successor",
    r"tired (?:person|people)": "a reader",
}
PATTERNS = {re.compile(rf"\b{turn}\b", re.IGNORECASE): instead for turn, instead in TURNS.items()}
PATTERNS[re.compile(r'(?<=""")(?:Gives|Gave)\b')] = "Returns"

# The title of a merged revision is part of the history.
MERGED = ("migrations/versions/2026_07_07_0841_store_what_became_of_each_check_93ba5c20e7d4.py",)


def texts() -> list[Path]:
    """What people read: code, templates, migrations and documentation."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    for folder, suffixes in (("app", (".py", ".html", ".txt")), ("migrations", (".py", ".mako"))):
        found += [path for path in (ROOT / folder).rglob("*") if path.suffix in suffixes]
    return sorted(path for path in found if not str(path.relative_to(ROOT)).startswith(MERGED))


def turns_in(text: str) -> list[tuple[int, str, str]]:
    """(line, turn, what to write), also where a line ends within the turn."""
    return sorted(
        (text.count("\n", 0, found.start()) + 1, " ".join(found[0].split()), instead)
        for pattern, instead in PATTERNS.items()
        for found in re.finditer(pattern.pattern.replace(" ", r"[\s#]+"), text, pattern.flags)
    )


def test_no_text_has_a_turn_of_our_own() -> None:
    found = [
        f'{path.relative_to(ROOT)}:{line}: "{turn}": write {instead}'
        for path in texts()
        for line, turn, instead in turns_in(path.read_text(encoding="utf-8"))
    ]

    assert not found, "Plain English, please:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("text", "turn"),
    [
        ("how to mend it", "mend"),
        ("Build it beside\n    # the traffic", "beside # the traffic"),
        ("The older code\ngets along with it", "gets along"),
        ('"""Gives the schema."""', "Gives"),
        ("Told once", "Told"),
    ],
)
def test_a_turn_is_found_wherever_it_stands(text: str, turn: str) -> None:
    assert [found for _, found, _ in turns_in(text)] == [turn]


@pytest.mark.parametrize("text", ["amendment", "recommended", "their", "it gives a result", "annotold", "the people"])
def test_other_words_are_no_turn(text: str) -> None:
    assert turns_in(text) == []
