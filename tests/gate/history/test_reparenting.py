"""Another parent in a script: what changes, and that nothing else does."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.gate.history.place import UnreadableScript, read_place
from app.gate.history.reparenting import CannotReparent, Change, reparent
from tests.gate.history.scripts import WRITERS, Writer


def changed(source: str, change: Change) -> str:
    return reparent(source.encode(), change).decode()


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ("down_revision = 'a1'", {"a1": "z9"}, "down_revision = 'z9'"),
        ('down_revision="a1" ; x = "a1"', {"a1": "z9"}, 'down_revision="z9" ; x = "a1"'),
        (
            "down_revision: Union[str, None] = 'a1'  # 'a1'",
            {"a1": "z9"},
            "down_revision: Union[str, None] = 'z9'  # 'a1'",
        ),
        ("down_revision: 'str | None' = u'a1'", {"a1": "z9"}, "down_revision: 'str | None' = u'z9'"),
        ('down_revision = """a1"""', {"a1": "z9"}, 'down_revision = """z9"""'),
        ("down_revision = (\n    'a'\n    '1'\n)", {"a1": "z9"}, "down_revision = (\n    'z9'\n)"),
        ("down_revision = \\\n    'a1'", {"a1": "z9"}, "down_revision = \\\n    'z9'"),
        ("down_revision = ('a1',)", {"a1": "z9"}, "down_revision = ('z9',)"),
        ("down_revision = ['a1', 'b1', ]", {"b1": "z9"}, "down_revision = ['a1', 'z9', ]"),
        ("down_revision = 'a1', 'b1'", {"a1": "z9", "b1": "y8"}, "down_revision = 'z9', 'y8'"),
        ("down_revision = None", {None: "z9"}, "down_revision = 'z9'"),
        ("down_revision = ()", {None: "z9"}, "down_revision = 'z9'"),
        ("down_revision: str\ndown_revision = 'a1'", {"a1": "z9"}, "down_revision: str\ndown_revision = 'z9'"),
        ("down_revision: str = 'a1'\ndown_revision = \"a1\"", {"a1": "z9"}, "down_revision: str = 'z9'\ndown_revision = \"z9\""),
        ("down_revision: None = None", {None: "z9"}, "down_revision: None = 'z9'"),
        ("down_revision = ('a1', 'b1')", {"b1": None}, "down_revision = ('a1')"),
        ("down_revision = ('a1', 'b1',)", {"b1": None}, "down_revision = ('a1',)"),
        ("down_revision = ('a1', 'b1')", {"a1": None}, "down_revision = ('b1')"),
        ("down_revision = 'a1', 'b1'", {"a1": None}, "down_revision = 'b1'"),
        ("down_revision = ('a1', 'b1')", {"a1": "z9", "b1": "z9"}, "down_revision = ('z9')"),
        (
            "down_revision = (\n    'a1',  # ours\n    'b1',  # theirs\n)",
            {"b1": None},
            "down_revision = (\n    'a1',  # ours\n)",
        ),
        (
            "down_revision = (\n    'a1',  # ours\n    'b1'  # theirs\n)",
            {"a1": None},
            "down_revision = (\n    'b1'  # theirs\n)",
        ),
        ("down_revision = 'a1'\n\ndef upgrade():\n    down_revision = 'a1'", {"a1": "z9"}, None),
    ],
)  # fmt: skip
def test_the_value_changes_in_the_form_that_it_has(before: str, change: Change, after: str | None) -> None:
    head = "revision = 'c3'\n"
    after = before.replace("'a1'", "'z9'", 1) if after is None else after

    assert changed(head + before + "\n", change) == head + after + "\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"""note\n\nRevision ID: c3\nRevises: a1\n"""', '"""note\n\nRevision ID: c3\nRevises: z9\n"""'),
        ("'''note a1\n\nRevises:a1  \n'''", "'''note a1\n\nRevises:z9  \n'''"),
        ('"""Revises: a1"""', '"""Revises: z9"""'),
        ('r"""note\n   Revises: a1 (the note), a11\n"""', 'r"""note\n   Revises: z9 (the note), a11\n"""'),
        ('"""note\nRevises: whatever is there\n"""', '"""note\nRevises: whatever is there\n"""'),
        ('"""note\nRevises:\n"""', '"""note\nRevises: z9\n"""'),
        ('"""note\nRevises: \n"""', '"""note\nRevises: z9\n"""'),
        ("# note\n# Revises: a1\n#", "# note\n# Revises: z9\n#"),
        ('"""note\nRevises: b0\n"""', '"""note\nRevises: z9\n"""'),  # it was wrong before
        (
            'import os\n\n"""a1\n\nRevises: a1\n"""',
            'import os\n\n"""a1\n\nRevises: z9\n"""',
        ),  # below a licence and imports
    ],
)
def test_the_line_in_the_header_changes_with_it(before: str, after: str) -> None:
    assert (
        changed(f"{before}\nrevision, x = 'c3', 1\nrevision = 'c3'\ndown_revision = 'a1'\n", {"a1": "z9"})
        == f"{after}\nrevision, x = 'c3', 1\nrevision = 'c3'\ndown_revision = 'z9'\n"
    )


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: ("# -*- coding: latin-1 -*-\n" + text).encode("latin-1"),
        lambda text: ("#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\r\n" + text).encode("cp1252"),
        lambda text: text.replace("\n\n", "\n\x0c\n").replace("note", "n\x0bo\x1ct\u2028e").encode(),
        lambda text: text.removesuffix("\n").encode(),
    ],
    ids=["byte order mark", "CRLF", "CR", "latin-1", "cp1252", "odd line ends", "no line end at the end"],
)
def test_the_bytes_around_it_stay(encode: Callable[[str], bytes]) -> None:
    text = '"""naïve note\n\nRevises: a1\n"""\n\nx = "é"; revision = "c3"\ny = "éé"; down_revision = "a1"; z = "é"\n\nw = 1\n'

    assert reparent(encode(text), {"a1": "z9"}) == encode(text.replace("a1", "z9"))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("revision = 'c3'\ndown_revision = PREVIOUS", "not written there"),
        ("revision = 'c3'\ndown_revision = f'a{1}'", "not written there"),
        ("revision = 'c3'\ndown_revision = ('a1', OTHER)", "not written there"),
        ("revision = 'c3'\ndown_revision = b'a1'", "not written there"),
        ("revision = 'c3'", "not written there"),
        ("revision = 'c3'\ndown_revision: str", "not written there"),
        ("revision = 'c3'\ndown_revision = 'a1'\ndown_revision = 'b1'", "not written there"),
        ("revision = 'c3'\ndown_revision = 'a1'\nif x:\n    down_revision = 'b1'", "not written there"),
        ("revision = 'c3'\nother = down_revision = 'a1'", "not written there"),
        ("revision, down_revision = 'c3', 'a1'", "not written there"),
        ("# coding: latin-9000\nrevision = 'c3'\ndown_revision = 'a1'", "cannot be decoded"),
        ("# coding: ascii\nrevision = 'c3'\ndown_revision = 'a1' # é", "cannot be decoded"),
    ],
)
def test_what_is_written_otherwise_is_refused(source: str, reason: str) -> None:
    with pytest.raises(CannotReparent, match=reason):
        changed(source, {"a1": "z9"})


def test_an_id_that_the_encoding_lacks_is_refused() -> None:
    with pytest.raises(CannotReparent, match="it is written in iso-8859-1, which lacks characters of Ω1"):
        reparent(b"# coding: latin-1\nrevision = 'c3'\ndown_revision = 'a1'\n", {"a1": "Ω1"})


def test_an_id_with_a_quote_is_quoted_as_python_does() -> None:
    assert changed("revision = 'c3'\ndown_revision = 'a1'\n", {"a1": "o'1"}).endswith('down_revision = "o\'1"\n')


def test_a_script_that_python_cannot_parse_is_not_changed() -> None:
    with pytest.raises(UnreadableScript, match="line 2"):
        changed("revision = 'c3'\n<<<<<<< ours\ndown_revision = 'a1'\n", {"a1": "z9"})


REVISIONS = st.from_regex(r"[0-9a-f]{4,12}|[0-9]{4}_[a-z]{2,9}|[a-z][a-z.-]{2,9}", fullmatch=True)


@given(
    write=st.sampled_from(WRITERS),
    names=st.lists(REVISIONS, min_size=5, max_size=6, unique=True),
    count=st.integers(0, 3),
    moved=st.integers(0, 2),
    is_dropped=st.booleans(),
)
def test_only_the_lines_of_its_parents_change(
    write: Writer, names: list[str], count: int, moved: int, is_dropped: bool
) -> None:
    revision, new, *others = names
    parents = tuple(others[:count])
    change: Change = {None: new} if not parents else {parents[min(moved, count - 1)]: new}
    if is_dropped and count > 1:
        change = {parents[min(moved, count - 1)]: None}

    before = write(revision, parents)
    after = reparent(before, change)

    expected = [change.get(each, each) for each in parents or (None,)]
    place = read_place(after)
    assert place is not None
    assert (place.revision, list(place.parents)) == (revision, [each for each in expected if each is not None])
    assert ast.get_docstring(ast.parse(after), clean=False) == ast.get_docstring(
        ast.parse(write(revision, place.parents)), clean=False
    )
    was, now = (each.decode("latin-1").splitlines(keepends=True) for each in (before, after))
    lines = [line for line in difflib.ndiff(was, now) if line[0] in "-+"]
    assert lines
    assert all("evis" in line or any(each in line for each in (*parents, new)) for line in lines)
