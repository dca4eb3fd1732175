"""Which column types hold all that others hold."""

from __future__ import annotations

import pytest

from app.gate.checks.support.column_types import is_wider


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("character varying(10)", "character varying(20)"),
        ("character varying(10)", "character varying"),
        ("character varying(10)", "text"),
        ("character varying", "text"),
        ("text", "character varying"),
        ("smallint", "bigint"),
        ("numeric(10,2)", "numeric(12,2)"),
        ("numeric(10,2)", "numeric"),
        ("numeric(10)", "numeric(12,2)"),
        ("real", "double precision"),
        ("timestamp(0) without time zone", "timestamp without time zone"),
        ("json", "jsonb"),
    ],
)
def test_wider_types_are_known(before, after):
    assert is_wider(before, after)
    assert not is_wider(after, before) or {before, after} == {"text", "character varying"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("text", "character varying(20)"),
        ("character varying", "character varying(20)"),
        ("numeric(10,2)", "numeric(10,4)"),
        ("numeric", "numeric(10,2)"),
        ("integer", "text"),
        ("integer", "numeric"),
        ("timestamp without time zone", "timestamp with time zone"),
        ("public.status", "public.state"),
    ],
)
def test_narrower_and_other_types_are_known(before, after):
    assert not is_wider(before, after)
