"""Another parent for a revision: its script with another `down_revision` and `Revises:`, and the rest to the letter."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.gate.errors import GateError
from app.gate.history.place import elements_of, find_assignments, parse, place_in, texts_of
from app.gate.history.scripts import digest_content

# By parent, the one that takes its place: "a1" -> "b2"; "a1" -> None takes it out; None -> "b2" gives one to a script
# that has none.
Change = Mapping[str | None, str | None]


class CannotReparent(GateError):
    """The script has its parents in a form that cannot be rewritten. The message says which."""


class Edit(NamedTuple):
    start: int
    end: int
    text: str


def reparent(source: bytes, change: Change) -> bytes:
    """The script with those parents in place of the others. Raises CannotReparent and UnreadableScript."""
    text, encoding = _decode(source)
    tree = parse(text)
    values = find_assignments(tree)
    old = texts_of(values[-1]) if values else None
    if old is None or any(texts_of(each) != old for each in values):
        raise CannotReparent("its down_revision is not written there as a text, a tuple of texts or None")
    new = new_parents(old, change)
    layout = _Layout.of(text)
    edits = [edit for value in values for edit in _edits_of_value(layout, tree, value, change)]
    edits += _edits_of_header(layout, tree, old, new)
    result = _apply(text, edits)
    _check(tree, result, new)
    try:
        return result.encode(encoding)
    except UnicodeEncodeError as error:
        raise CannotReparent(f"it is written in {encoding}, which lacks characters of {', '.join(new)}") from error


def new_parents(old: Sequence[str], change: Change) -> tuple[str, ...]:
    """The parents after the change, each once."""
    new = [change.get(each, each) for each in (old or (None,))]
    return tuple(dict.fromkeys(each for each in new if each is not None))


def _decode(source: bytes) -> tuple[str, str]:
    """The text without its byte order mark, line ends unchanged, and the encoding that writes it as it was."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        text = source.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise CannotReparent(f"it cannot be decoded: {error}") from error
    if text.encode(encoding) != source:
        raise CannotReparent(f"it cannot be written as it was in {encoding}")
    return text, encoding


@dataclass(frozen=True)
class _Layout:
    """A text, and where its lines begin, as Python counts them."""

    text: str
    lines: Sequence[str]
    starts: Sequence[int]

    @classmethod
    def of(cls, text: str) -> _Layout:
        lines = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text)
        starts, at = [], 0
        for line in lines:
            starts.append(at)
            at += len(line)
        return cls(text, lines, starts)

    def offset(self, line: int, column: int) -> int:
        """Of a node's position, which counts lines from 1 and columns in bytes of UTF-8."""
        return self.starts[line - 1] + len(self.lines[line - 1].encode()[:column].decode())

    def span(self, node: ast.expr) -> tuple[int, int]:
        end = self.offset(node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)
        return self.offset(node.lineno, node.col_offset), end


def _edits_of_value(layout: _Layout, tree: ast.Module, value: ast.expr, change: Change) -> Iterator[Edit]:
    if not texts_of(value):  # None, or an empty tuple
        start, end = layout.span(value)
        yield Edit(start, end, _quoted(str(change[None]), *_quotes_of_revision(layout, tree)))
        return
    seen: set[str | None] = set()
    spans = [layout.span(each) for each in elements_of(value)]
    for at, was in enumerate(texts_of(value) or ()):
        parent = change.get(was, was)
        start, end = spans[at]
        if parent is None or parent in seen:
            yield _removal(layout, value, spans, at)
        elif parent != was:
            yield Edit(start, end, _quoted(parent, *_quotes(layout.text[start:end])))
        seen.add(parent)


def _removal(layout: _Layout, value: ast.expr, spans: Sequence[tuple[int, int]], at: int) -> Edit:
    """Without the element: with its lines, where they have nothing else; else with the comma next to it."""
    start, end = spans[at]
    first = max(each for each in layout.starts if each <= start)
    last = min([each for each in layout.starts if each >= end], default=len(layout.text))
    outside = layout.text[first:start] + layout.text[end:last]
    if re.fullmatch(r"\s*,?[ \t]*(?:#[^\r\n]*)?\s*", outside) and layout.span(value)[0] < first:
        return Edit(first, last, "")
    if at + 1 < len(spans):
        return Edit(start, spans[at + 1][0], "")
    return Edit(spans[at - 1][1], end, "")


def _quotes(literal: str) -> tuple[str, str]:
    """The prefix and the quotes of a string as it is written."""
    prefix = literal[: len(literal) - len(literal.lstrip("bBfFrRuU"))]
    quote = literal[len(prefix)]
    return prefix, quote * 3 if literal.startswith(quote * 3, len(prefix)) else quote


def _quotes_of_revision(layout: _Layout, tree: ast.Module) -> tuple[str, str]:
    values = find_assignments(tree, "revision")
    if not values or not isinstance(values[-1], ast.Constant):
        return "", '"'
    start, end = layout.span(values[-1])
    return "", _quotes(layout.text[start:end])[1]


def _quoted(revision: str, prefix: str, quotes: str) -> str:
    is_plain = not re.search(r"[\\'\"\r\n]", revision)
    return f"{prefix}{quotes}{revision}{quotes}" if is_plain else repr(revision)


_REVISES = re.compile(
    r"^(?P<name>[ \t#]*Revises:)(?P<space>[ \t]*)(?P<parents>[^\r\n]*?)(?P<rest>[ \t]*)$", re.MULTILINE
)
_LIST = re.compile(r"[\w.-]+(?:\s*,\s*[\w.-]+)*")


def _edits_of_header(layout: _Layout, tree: ast.Module, old: Sequence[str], new: Sequence[str]) -> Iterator[Edit]:
    """`Revises:` in the docstring, in another text above the code, or in comments there."""
    for start, end in _header(layout, tree):
        for found in _REVISES.finditer(re.sub(r"\r", "\n", layout.text[start:end])):
            listed = _revised(found["parents"], old, new)
            if found["parents"]:
                yield Edit(start + found.start("parents"), start + found.end("parents"), listed)
            else:
                yield Edit(start + found.start("space"), start + found.end("rest"), f" {listed}")


def _header(layout: _Layout, tree: ast.Module) -> Iterator[tuple[int, int]]:
    code = min((each.lineno for each in tree.body if isinstance(each, ast.FunctionDef)), default=len(layout.lines) + 1)
    for each in tree.body:
        is_text = (
            isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant) and isinstance(each.value.value, str)
        )
        if is_text and isinstance(each, ast.Expr) and each.lineno < code:
            start, end = layout.span(each.value)
            prefix, quotes = _quotes(layout.text[start:end])
            yield start + len(prefix) + len(quotes), end - len(quotes)
    for number, column, comment in _comments(layout.text):
        if number < code:
            start = layout.starts[number - 1] + column
            yield start, start + len(comment)


def _comments(text: str) -> Iterator[tuple[int, int, str]]:
    try:
        for token in tokenize.generate_tokens(io.StringIO(text, newline="").readline):
            if token.type == tokenize.COMMENT and token.start[1] == 0:
                yield *token.start, token.string
    except (tokenize.TokenError, SyntaxError):
        return


def _revised(text: str, old: Sequence[str], new: Sequence[str]) -> str:
    """The list of parents, with the new ones. In prose, only the names of the old ones are replaced."""
    if not text or _LIST.fullmatch(text):
        return ", ".join(new)
    if len(old) == len(new):
        for was, now in zip(old, new, strict=True):
            text = re.sub(rf"(?<![\w.-]){re.escape(was)}(?![\w-])", lambda _, now=now: now, text)  # type: ignore[misc]
    return text


def _apply(text: str, edits: Sequence[Edit]) -> str:
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def _check(tree: ast.Module, result: str, new: Sequence[str]) -> None:
    """Raises CannotReparent if the result is not the same script with those parents."""
    after = parse(result)
    was, now = place_in(tree), place_in(after)
    if (
        was is None
        or now is None
        or (now.revision, now.labels, now.parents) != (was.revision, was.labels, tuple(new))
        or digest_content(after) != digest_content(tree)
    ):
        raise CannotReparent("its down_revision is written in an unusual way")
