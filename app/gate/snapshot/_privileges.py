"""Privileges in a form that does not name the role which runs the migrations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from app.gate.recording.model import Definition

# Done in Python, where it is simpler than in SQL and does not lengthen planning.

_UNORDERED = ("options", "toast_options", "index_options", "foreign_options", "settings", "tags")
_RIGHTS = {
    "r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE", "D": "TRUNCATE", "x": "REFERENCES", "t": "TRIGGER",
    "X": "EXECUTE", "U": "USAGE", "C": "CREATE", "c": "CONNECT", "T": "TEMPORARY", "s": "SET", "A": "ALTER SYSTEM",
    "m": "MAINTAIN",
}  # fmt: skip
_ACL_ITEM = re.compile(r'("(?:[^"]|"")*"|[^=]*)=([A-Za-z*]*)/.*', re.DOTALL)


def resolve_privileges(definition: dict[str, Any]) -> Definition:
    for field in _UNORDERED:
        value = definition.get(field)
        if isinstance(value, list):
            if value:
                value.sort()
            else:
                del definition[field]
    if "privileges" in definition:
        privileges = _privileges(*definition.pop("privileges"))
        if privileges:
            definition["privileges"] = privileges
    return definition


def _privileges(given: Sequence[str], normal: Sequence[str] | None, owner: str) -> dict[str, str]:
    """{"alice": "INSERT, SELECT", "PUBLIC": "nothing"}: the roles whose rights differ from the object's defaults."""
    rights, normal_rights = _rights(given, owner), _rights(normal or (), owner)
    return {
        grantee: rights.get(grantee, "nothing")
        for grantee in sorted(rights.keys() | normal_rights.keys())
        if rights.get(grantee) != normal_rights.get(grantee)
    }


def _rights(items: Sequence[str], owner: str) -> dict[str, str]:
    """The rights in items such as `alice=ar*/postgres`.

    Several grantors may have granted the same right to one role.
    """
    rights: dict[str, set[str]] = {}
    for item in items:
        match = _ACL_ITEM.fullmatch(item)
        if match is None:
            continue
        role = match[1][1:-1].replace('""', '"') if match[1].startswith('"') else match[1]
        grantee = "PUBLIC" if not match[1] else "the owner" if role == owner else match[1]
        for letter, star in re.findall(r"([A-Za-z])(\*?)", match[2]):
            rights.setdefault(grantee, set()).add(_RIGHTS.get(letter, letter) + (" with grant option" if star else ""))
    return {grantee: ", ".join(sorted(each)) for grantee, each in rights.items()}
