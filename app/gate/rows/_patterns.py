"""Texts that match a pattern: a regular expression of PostgreSQL's, or a LIKE pattern.

A CHECK such as `code ~ '^[A-Z]{3}-\\d+$'` is only satisfied by a text that was made for it. What is usual in CHECKs is
supported; whether a text really matches is for PostgreSQL to decide.
"""

from __future__ import annotations

import string

_CLASSES = {
    "alpha": string.ascii_lowercase + string.ascii_uppercase,
    "digit": string.digits,
    "alnum": string.ascii_lowercase + string.digits + string.ascii_uppercase,
    "upper": string.ascii_uppercase,
    "lower": string.ascii_lowercase,
    "space": " ",
    "blank": " ",
    "punct": "-_.!",
    "xdigit": "0123456789abcdef",
    "word": string.ascii_lowercase + string.digits + "_",
}
_ANY = string.ascii_lowercase + string.digits + string.ascii_uppercase + "-_. @/"
_ESCAPES = {"d": _CLASSES["digit"], "w": _CLASSES["word"], "s": " ", "D": string.ascii_lowercase, "W": "-. ", "S": _ANY}
_CONSTRAINTS = "mMyYAZ"  # escapes that match no character
_MOST = 300  # characters


class NotSupported(Exception):
    """The pattern has something that is not supported here, such as a look-ahead."""


def like(pattern: str, number: int) -> str:
    """A text that matches a LIKE pattern, a different one for each number if the pattern allows it."""
    text, letters = "", iter(pattern)
    for letter in letters:
        if letter == "\\":
            text += next(letters, "")
        elif letter == "%":
            text += f"a{number}"
        else:
            text += "a" if letter == "_" else letter
    return text


def regular(pattern: str, number: int) -> str | None:
    """A text that matches a regular expression, or None if it is not supported."""
    try:
        return _Example(pattern, number).text()
    except (NotSupported, ValueError, RecursionError):
        return None


class _Example:
    """Reads a pattern from left to right, and builds one text that matches it."""

    def __init__(self, pattern: str, number: int) -> None:
        for prefix in ("***=", "***:", "(?i)"):
            pattern = pattern.removeprefix(prefix)
        self._pattern = pattern
        self._place = 0
        self._number = number  # what is left of it: makes one text differ from another

    def text(self) -> str:
        text = self._alternatives()
        if self._place < len(self._pattern):
            raise NotSupported(self._pattern)
        return text[:_MOST]

    def _peek(self) -> str:
        return self._pattern[self._place : self._place + 1]

    def _take(self) -> str:
        letter = self._peek()
        if not letter:
            raise NotSupported(self._pattern)
        self._place += 1
        return letter

    def _alternatives(self) -> str:
        # All of them are read, since reading finds the end; each number chooses another.
        branches = [self._branch()]
        while self._peek() == "|":
            self._place += 1
            branches.append(self._branch())
        return branches[self._choose(len(branches))]

    def _branch(self) -> str:
        text = ""
        while self._peek() not in ("", "|", ")"):
            text += self._repeated()
        return text

    def _repeated(self) -> str:
        begun, before = self._place, self._number
        text = self._atom()
        times = self._times()
        end = self._place
        for _ in range(times - 1):
            self._place = begun
            text += self._atom()
        self._place = end
        if times == 0:
            self._number = before
            return ""
        return text

    def _times(self) -> int:
        quantifier = self._peek()
        if quantifier in ("*", "+"):
            least, most = (0 if quantifier == "*" else 1), _MOST
            self._place += 1
        elif quantifier == "?":
            least, most = 0, 0
            self._place += 1
        elif quantifier == "{":
            end = self._pattern.index("}", self._place)
            first, comma, second = self._pattern[self._place + 1 : end].partition(",")
            least = int(first)
            most = int(second) if second else (_MOST if comma else least)
            self._place = end + 1
        else:
            return 1
        if self._peek() == "?":  # as few as possible
            self._place += 1
        # Once where that is allowed: it shows more than none.
        return max(least, min(1, most))

    def _atom(self) -> str:
        letter = self._take()
        if letter == "(":
            if self._peek() == "?":
                self._place += 1
                if self._take() != ":":
                    raise NotSupported(self._pattern)
            text = self._alternatives()
            if self._take() != ")":
                raise NotSupported(self._pattern)
            return text
        if letter == "[":
            return self._one_of(self._bracket())
        if letter == "\\":
            return self._escaped(self._take())
        if letter in "^$":
            return ""
        if letter in "*+?{":
            raise NotSupported(self._pattern)
        return self._one_of(_ANY[:36]) if letter == "." else letter

    def _escaped(self, letter: str) -> str:
        if letter in _CONSTRAINTS:
            return ""
        if letter in _ESCAPES:
            return self._one_of(_ESCAPES[letter])
        if letter in "ntr":
            return {"n": "\n", "t": "\t", "r": "\r"}[letter]
        if letter.isalnum():
            raise NotSupported(self._pattern)  # a back reference, a code point
        return letter

    def _bracket(self) -> str:
        """The characters between brackets."""
        is_negated = self._peek() == "^"
        if is_negated:
            self._place += 1
        found = ""
        is_first = True
        while is_first or self._peek() != "]":
            is_first = False
            letter = self._take()
            if letter == "[" and self._peek() in (":", ".", "="):
                end = self._pattern.index(self._peek() + "]", self._place + 1)
                name = self._pattern[self._place + 1 : end]
                found += _CLASSES.get(name, name if len(name) == 1 else "")
                self._place = end + 2
                continue
            if letter == "\\":
                letter = self._take()
                if letter in _ESCAPES:
                    found += _ESCAPES[letter]
                    continue
            if self._peek() == "-" and self._pattern[self._place + 1 : self._place + 2] not in ("]", ""):
                self._place += 1
                last = self._take()
                if last == "\\":
                    last = self._take()
                found += "".join(map(chr, range(ord(letter), min(ord(last), ord(letter) + 200) + 1)))
            else:
                found += letter
        self._place += 1
        return "".join(each for each in _ANY if each not in found) if is_negated else found

    def _one_of(self, letters: str) -> str:
        if not letters:
            raise NotSupported(self._pattern)
        return letters[self._choose(len(letters))]

    def _choose(self, count: int) -> int:
        self._number, choice = divmod(self._number, count)
        return choice
