"""Whether two values are equal, also across types, and what happened to a value if they are not."""

from __future__ import annotations

import datetime
import ipaddress
import json
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation

from app.gate.recording.model import LossKind
from app.gate.rows._contents import Value


def is_same(old: str, new: str, old_type: str, new_type: str) -> bool:
    """Whether the two are equal, each read as its type."""
    if old == new or old.rstrip() == new.rstrip():
        return True
    return normal(old, old_type) == normal(new, new_type) or _common(old, new, (old_type, new_type))


def _common(old: str, new: str, types: tuple[str, str]) -> bool:
    """Whether they are equal as numbers, times, JSON or UUIDs, if one of the types is of that kind."""
    both = " ".join(types)
    if _NUMBERS.search(both) and (one := _number(old)) is not None:
        return one == _number(new)
    if _TIMES.search(both) and (instant := instant_of(old)) is not None:
        return instant == instant_of(new)
    if (_DOCUMENTS.search(both) or _is_document(old)) and (document := _document(old)) is not None:
        return document == _document(new)
    return "uuid" in both and old.lower().replace("-", "") == new.lower().replace("-", "")


_NUMBERS = re.compile(r"\b(smallint|integer|bigint|numeric|real|double precision|money)\b(?!\[)")
_TIMES = re.compile(r"\b(date|timestamp)")
_DOCUMENTS = re.compile(r"json|\[\]")


def normal(value: Value, type_: str) -> object:
    """The value in a form that is equal for equal values of one type."""
    if value is None:
        return None
    if _NUMBERS.search(type_) and (number := _number(value)) is not None:
        return number
    if _TIMES.search(type_) and (instant := instant_of(value)) is not None:
        return instant
    if _DOCUMENTS.search(type_) and (document := _document(value)) is not None:
        return document
    return value.rstrip()


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(re.sub(r"[$,\s]", "", text))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def instant_of(text: str) -> datetime.datetime | None:
    """The time that the text denotes; without a time zone it is taken as UTC."""
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(datetime.UTC) if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def _is_document(text: str) -> bool:
    """Whether a text of any type may be JSON: white space in that means nothing."""
    return text.lstrip().startswith(("{", "["))


def _document(text: str) -> str | None:
    try:
        return json.dumps(
            json.loads(text, parse_float=Decimal), sort_keys=True, default=lambda each: str(each.normalize())
        )
    except (ValueError, RecursionError):
        return None


def leaves_of(text: str) -> Iterator[tuple[str, str]]:
    """The texts, numbers and booleans in a JSON document, as they are written, each with the names that lead to it.

    What is in a list has the name of the list.
    """
    try:
        document = json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return
    left: list[tuple[str, object]] = [("", document)]
    while left:
        path, value = left.pop()
        if isinstance(value, dict):
            left += [(f"{path}.{name}".lstrip("."), each) for name, each in value.items()]
        elif isinstance(value, list):
            left += [(path, each) for each in value]
        elif value is not None:
            yield path, value if isinstance(value, str) else json.dumps(value)


def what_happened(old: str, new: Value, types: tuple[str, str]) -> LossKind:
    if new is None:
        return LossKind.VALUES_REMOVED
    if _is_rounded(old, new, types):
        return LossKind.VALUES_ROUNDED
    if _has_lost_host(old, new, types):
        return LossKind.HOSTS_CUT_OFF
    if new and old.startswith(new.rstrip()) and not _NUMBERS.search(types[1]):
        return LossKind.VALUES_TRUNCATED
    return LossKind.VALUES_CHANGED


def _has_lost_host(old: str, new: str, types: tuple[str, str]) -> bool:
    """`10.1.2.3/16` became `10.1.0.0/16`: a cast to cidr silently sets the bits of the host to zero."""
    if types[1] != "cidr" or types[0] not in ("inet", "text", "character varying"):
        return False
    try:
        address = ipaddress.ip_interface(old)
        return address.network == ipaddress.ip_network(new) and address.ip != address.network.network_address
    except ValueError:
        return False


def _is_rounded(old: str, new: str, types: tuple[str, str]) -> bool:
    if _NUMBERS.search(types[1]):
        one, other = _number(old), _number(new)
        if one is None or other is None or not one:
            return False
        is_coarser = abs(one - other) < Decimal(1).scaleb(-_decimals(other))
        is_binary = types[1] in ("real", "double precision")
        return is_coarser or (is_binary and abs(one - other) < abs(one) * Decimal("1e-5"))
    if _TIMES.search(types[1]):
        instant, later = instant_of(old), instant_of(new)
        if instant is None or later is None:
            return False
        apart = abs(instant - later)
        is_day = later.time() == datetime.time() and apart < datetime.timedelta(days=1)
        return is_day or (apart < datetime.timedelta(seconds=1) and later.microsecond % 10 == 0)
    return False


def _decimals(number: Decimal) -> int:
    """The number of digits after the decimal point."""
    return len(f"{number.normalize():f}".partition(".")[2])


def is_instant_kept(changed: Sequence[tuple[str, Value]], types: tuple[str, str]) -> bool:
    """False if only the change of their column's type, under the session's time zone, made times other instants."""
    is_cast = types[0] != types[1] and all(type_.startswith("timestamp") for type_ in types)
    return not (is_cast and any(instant_of(old) is not None for old, _ in changed))
