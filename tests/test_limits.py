"""How long the names may be that clients send: what just fits is taken, and one character more is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from app.changes.schemas import ChangeId
from app.environments.schemas import Denied, DeploymentId
from app.projects.schemas import EnvironmentName, Link, Name, Slug
from app.revisions.schemas import RevisionId, Sha256
from app.runs.schemas import Branch, Fingerprint

LONGEST = {
    "ChangeId": (ChangeId, "", 64),
    "DeploymentId": (DeploymentId, "", 64),
    "Denied": (Denied, "", 63),
    "Slug": (Slug, "", 63),
    "Name": (Name, "", 200),
    "EnvironmentName": (EnvironmentName, "", 63),
    "Link": (Link, "https://", 500),
    "RevisionId": (RevisionId, "", 255),
    "Sha256": (Sha256, "", 64),
    "Branch": (Branch, "", 255),
    "Fingerprint": (Fingerprint, "", 128),
}
NEEDED = LONGEST.keys() - {"Fingerprint", "Branch"}


@pytest.mark.parametrize(("type_", "start", "longest"), LONGEST.values(), ids=LONGEST)
def test_what_just_fits_is_taken_and_one_more_is_refused(type_: Any, start: str, longest: int) -> None:
    fits = start + "a" * (longest - len(start))

    assert TypeAdapter(type_).validate_python(fits) == fits
    with pytest.raises(ValidationError):
        TypeAdapter(type_).validate_python(fits + "a")


@pytest.mark.parametrize("name", LONGEST)
def test_no_name_has_what_postgresql_does_not_store(name: str) -> None:
    type_, start, longest = LONGEST[name]

    with pytest.raises(ValidationError):
        TypeAdapter(type_).validate_python(start + "\0" + "a" * (longest - len(start) - 1))


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_a_name_is_not_empty(name: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(LONGEST[name][0]).validate_python("")
