"""Scripts as Alembic's templates and people write them, as bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Writer = Callable[[str, Sequence[str]], bytes]

BODY = "\n\ndef upgrade() -> None:\n    pass\n\n\ndef downgrade() -> None:\n    pass\n"


def _value(parents: Sequence[str]) -> object:
    return tuple(parents) if len(parents) > 1 else next(iter(parents), None)


def newest(revision: str, parents: Sequence[str]) -> bytes:
    """Of Alembic's templates since 1.18."""
    return (
        f'"""note\n\nRevision ID: {revision}\nRevises: {", ".join(parents)}\nCreate Date: 2026-03-01 10:00:00\n\n"""\n'
        "from typing import Sequence, Union\n\nfrom alembic import op\nimport sqlalchemy as sa\n\n\n"
        f"# revision identifiers, used by Alembic.\nrevision: str = {revision!r}\n"
        f"down_revision: Union[str, Sequence[str], None] = {_value(parents)!r}\n"
        "branch_labels: Union[str, Sequence[str], None] = None\ndepends_on: Union[str, Sequence[str], None] = None\n"
        + BODY
    ).encode()


def oldest(revision: str, parents: Sequence[str]) -> bytes:
    """Of Alembic's first templates, in a file of Windows."""
    return (
        f'"""note\n\nRevision ID: {revision}\nRevises: {", ".join(parents)}\nCreate Date: 2013-03-01\n\n"""\n\n'
        f"# revision identifiers, used by Alembic.\nrevision = {revision!r}\ndown_revision = {_value(parents)!r}\n\n"
        f"from alembic import op\nimport sqlalchemy as sa\n{BODY}"
    ).replace("\n", "\r\n").encode("utf-8-sig")  # fmt: skip


def formatted(revision: str, parents: Sequence[str]) -> bytes:
    """As a formatter leaves it, with remarks."""
    value = f'"{parents[0]}"' if len(parents) == 1 else "None"
    if len(parents) > 1:
        value = "".join(["(\n", *(f'    "{each}",  # joined\n' for each in parents), ")"])
    return (
        f'"""Note of {revision}.\n\nRevision ID: {revision}\nRevises: {", ".join(parents)}\n"""\n\nfrom alembic import op\n\n'
        f'revision = "{revision}"\ndown_revision = {value}  # by hand\nbranch_labels = None\ndepends_on = None\n{BODY}'
    ).encode()


def by_hand(revision: str, parents: Sequence[str]) -> bytes:
    """In another encoding, in another order, on one line."""
    value = f"['{parents[0]}']" if len(parents) == 1 else (", ".join(map(repr, parents)) or "None")
    return (
        "# -*- coding: latin-1 -*-\n"
        f"down_revision = {value}; s = 'ä'; revision = {revision!r}  # ö\nfrom alembic import op\n{BODY}"
    ).encode("latin-1")


WRITERS: Sequence[Writer] = (newest, oldest, formatted, by_hand)
