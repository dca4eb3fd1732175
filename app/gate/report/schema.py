"""The JSON Schema of a report, for programs that read it::

    python -m app.gate.report.schema > docs/overproof-report-1.schema.json

Made from the models, with their docstrings and comments as descriptions. A reader ignores fields that it does not know,
and misses none that was added later: so only fields without a default are required, and others are allowed.
"""

from __future__ import annotations

import ast
import inspect
import io
import json
import sys
import tokenize
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.gate.report import model
from app.gate.report.model import FORMAT, Report

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def render() -> str:
    """The schema, as it is published."""
    return json.dumps(make_schema(), indent=2, ensure_ascii=False) + "\n"


def make_schema() -> dict[str, Any]:
    schema = Report.model_json_schema()
    for each in (schema, *schema["$defs"].values()):
        _describe(each)
    return {"$schema": DIALECT, "title": FORMAT, **{key: value for key, value in schema.items() if key != "title"}}


def _describe(schema: dict[str, Any]) -> None:
    """Of one model: say what each field is. It is open for fields that were added later."""
    kind = getattr(model, schema["title"])
    if not issubclass(kind, BaseModel):
        return  # an enumeration
    comments = _comments_on(kind)
    for name, field in schema["properties"].items():
        field.pop("title", None)
        if name in comments:
            field.setdefault("description", comments[name])


def _comments_on(kind: type[BaseModel]) -> Mapping[str, str]:
    """{"base": "the Git ref with which …"}: the comment behind each field of the model, or within it."""
    source = inspect.getsource(kind)
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    fields = [each for each in ast.walk(ast.parse(source)) if isinstance(each, ast.AnnAssign)]
    return {
        each.target.id: comments[line]
        for each in fields
        if isinstance(each.target, ast.Name)
        for line in range(each.lineno, (each.end_lineno or each.lineno) + 1)
        if line in comments
    }


if __name__ == "__main__":
    sys.stdout.write(render())
