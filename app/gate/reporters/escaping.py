"""Text that a project wrote, escaped for where it is shown."""

from __future__ import annotations

import re

# What a terminal executes instead of showing (C0, DEL and C1, but for tab and line feed), what turns the order of
# letters around (bidirectional controls: a line then reads as something else), what is invisible, and what only some
# programs take for the end of a line.
UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)

# The runner of GitHub Actions executes a line of output that starts with "::", after any white space, and an older form
# anywhere within a line.
COMMAND = re.compile(r"^([^\S\n]*)(?=::)|(?<=##)(?=\[)", re.MULTILINE)


def visible(text: str) -> str:
    """The same text with a line feed for each end of a line, and each invisible character spelled out: "\\x1b"."""
    text = text.replace("\r\n", "\n")
    return UNSEEN.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def one_line(text: str) -> str:
    """Visible, on one line."""
    return " ".join(visible(text).split())


def without_commands(text: str) -> str:
    """Output that may go to the log of a GitHub Actions job: a backslash keeps each line from being a command."""
    return COMMAND.sub(lambda match: f"{match[1] or ''}\\", text)


def shortened(text: str, lines: int, columns: int = 2000) -> str:
    """At most that many lines, each of limited length. What is left out is counted."""
    kept = text.strip("\n").split("\n")
    left_out = len(kept) - lines
    kept = [line if len(line) <= columns else f"{line[:columns]}…" for line in kept[:lines]]
    if left_out > 0:
        kept.append(f"… {left_out} more {'line' if left_out == 1 else 'lines'}")
    return "\n".join(kept)
