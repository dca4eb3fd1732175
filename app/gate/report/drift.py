"""Which differences between a live database and the schema that was proved are no drift."""

from __future__ import annotations

from typing import Final

# What the operators of a server add to databases, beside what a project's migrations make.
OF_SERVER: Final = frozenset(
    {
        "default privileges",
        "event trigger",
        "foreign data wrapper",
        "foreign server",
        "publication",
        "schema",
    }
)


def is_of_server(kind: str, name: str, before: object, after: object) -> bool:
    """Whether that is a difference between servers: an extension for monitoring, the rights of a fresh database.

    `before` is the definition in the proved schema, which must be there in any case; None: it has no such object."""
    if after is None:
        return False
    if kind == "extension" or (kind, name) == ("schema", "public"):
        return True
    return before is None and kind in OF_SERVER
