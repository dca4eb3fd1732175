"""Privileges as PostgreSQL writes them, without the name of the role that runs the migrations."""

from __future__ import annotations

import pytest

from app.gate.snapshot._privileges import resolve_privileges


def privileges(given: list[str], normal: list[str] | None = None, owner: str = "me") -> object:
    return resolve_privileges({"privileges": [given, normal, owner]}).get("privileges")


@pytest.mark.parametrize(
    ("letter", "right"),
    [
        ("r", "SELECT"), ("a", "INSERT"), ("w", "UPDATE"), ("d", "DELETE"), ("D", "TRUNCATE"), ("x", "REFERENCES"),
        ("t", "TRIGGER"), ("X", "EXECUTE"), ("U", "USAGE"), ("C", "CREATE"), ("c", "CONNECT"), ("T", "TEMPORARY"),
        ("s", "SET"), ("A", "ALTER SYSTEM"), ("m", "MAINTAIN"), ("z", "z"),
    ],
)  # fmt: skip
def test_a_right_has_the_name_that_grant_gives_it(letter: str, right: str) -> None:
    assert privileges([f"alice={letter}/me"]) == {"alice": right}


@pytest.mark.parametrize(
    ("items", "owner", "expected"),
    [
        (["me=r/me"], "me", {"the owner": "SELECT"}),
        (['"me-2"=r/"me-2"'], "me-2", {"the owner": "SELECT"}),
        (['"say ""me"""=r/x'], 'say "me"', {"the owner": "SELECT"}),
        (['"me-2"=r/me'], "me", {'"me-2"': "SELECT"}),
        (['"a=b"=r/me'], "me", {'"a=b"': "SELECT"}),
        (["=r/me"], "me", {"PUBLIC": "SELECT"}),
        (["alice=ar*/me"], "me", {"alice": "INSERT, SELECT with grant option"}),
        (["alice=r/me", "alice=a/bob"], "me", {"alice": "INSERT, SELECT"}),
        (["nonsense", "alice=r/me"], "me", {"alice": "SELECT"}),
        (["alice=r/\nme"], "me", {"alice": "SELECT"}),
    ],
)
def test_an_item_is_what_one_role_may_do(items: list[str], owner: str, expected: dict[str, str]) -> None:
    assert privileges(items, owner=owner) == expected


@pytest.mark.parametrize(
    ("given", "normal", "expected"),
    [
        (["me=r/me", "=X/me"], ["me=r/me", "=X/me"], None),
        (["me=r/me"], ["me=r/me", "=X/me"], {"PUBLIC": "nothing"}),
        (["me=rw/me", "=X/me"], ["me=r/me", "=X/me"], {"the owner": "SELECT, UPDATE"}),
    ],
)
def test_what_the_object_has_by_default_is_not_mentioned(
    given: list[str], normal: list[str], expected: dict[str, str] | None
) -> None:
    assert privileges(given, normal) == expected


@pytest.mark.parametrize("field", ["options", "toast_options", "index_options", "foreign_options", "settings", "tags"])
def test_a_list_without_an_order_is_sorted_and_an_empty_one_is_nothing(field: str) -> None:
    assert resolve_privileges({field: ["b", "a"], "name": ["b", "a"]}) == {field: ["a", "b"], "name": ["b", "a"]}
    assert resolve_privileges({field: [], "name": []}) == {"name": []}
    assert resolve_privileges({field: None}) == {field: None}
