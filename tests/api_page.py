"""Writes docs/api.md, the API on one page, from the OpenAPI document: `python -m tests.api_page`.

Only what we say ourselves is on the page, so that it does not change with FastAPI's or pydantic's own words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from app.factory import create_app
from app.projects.schemas import LINE
from app.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
METHODS = ("get", "post", "put", "patch", "delete")

ANSWER = ("answer", "body", "meaning")
# Of limits of a type, and how each reads.
LIMITS = {
    "minimum": "at least {:,.0f}",
    "maximum": "at most {:,.0f}",
    "minLength": "at least {} characters",
    "maxLength": "at most {:,} characters",
    "minItems": "at least {} entries",
    "maxItems": "at most {:,} entries",
}
PATTERNS = {r"^[^\u0000]*$": "without NUL", LINE: "one line, not blank"}
CONDITIONS = ("allOf", "oneOf", "additionalProperties")

Json = Mapping[str, Any]
Answer = tuple[str, str, str]


def api_page() -> str:
    """The page, in Markdown."""
    nowhere = sa.make_url("postgresql+psycopg2:///nowhere")
    document = create_app(Settings(database_url=nowhere)).openapi()
    return "\n".join(_lines(document)).rstrip() + "\n"


def _lines(document: Json) -> Iterator[str]:
    yield f"# The API of the record: {document['info']['title']}"
    yield from ("", "Made from the OpenAPI document by `python -m tests.api_page`.", "")
    yield from (document["info"]["description"].strip(), "")
    for name, scheme in document["components"]["securitySchemes"].items():
        yield from (f"`{name}`, by the scheme `{scheme['scheme']}`: {scheme['description']}", "")
    shared: set[Answer] = set()
    for part, what in (("security", "needs a token"), ("requestBody", "takes a body")):
        answers = _shared_answers(document, part) - shared
        yield from (f"Every operation that {what} can answer:", "")
        yield from _table(ANSWER, sorted(answers))
        shared |= answers
    for tag in document["tags"]:
        yield from (f"## {tag['name'].capitalize()}", "", tag["description"], "")
        for path, operations in document["paths"].items():
            for method in METHODS:
                operation = operations.get(method)
                if operation is not None and operation["tags"] == [tag["name"]]:
                    yield from _operation(method, path, operation, shared)
    yield from ("## Types", "")
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield from _type(name, schema)


def _shared_answers(document: Json, part: str) -> set[Answer]:
    """The answers that all operations with that part have."""
    operations = [each for path in document["paths"].values() for each in path.values() if part in each]
    return set.intersection(*(set(_answers(each["responses"])) for each in operations))


def _operation(method: str, path: str, operation: Json, shared: set[Answer]) -> Iterator[str]:
    yield from (f"### {operation['summary']}", "", f"`{method.upper()} {path}`, as `{operation['operationId']}`", "")
    if "description" in operation:
        yield from (operation["description"], "")
    parameters = [
        (f"`{each['name']}`", each["in"], _kind(each["schema"]), _meaning(each["schema"] | each))
        for each in operation.get("parameters", ())
    ]
    yield from _table(("parameter", "in", "type", "meaning"), parameters)
    body = operation.get("requestBody")
    if body is not None:
        kinds = [f"`{media_type}`: {_kind(each['schema'])}" for media_type, each in body["content"].items()]
        yield from (f"{'Body' if body['required'] else 'Optional body'}: {', '.join(kinds)}.", "")
        for each in body["content"].values():
            if "example" in each:
                yield from ("```json", json.dumps(each["example"], indent=2), "```", "")
    yield from _table(ANSWER, [each for each in _answers(operation["responses"]) if each not in shared])


def _answers(responses: Json) -> Iterator[Answer]:
    for status, response in sorted(responses.items()):
        for media_type, content in response.get("content", {"": {}}).items():
            problems = content.get("examples", {}) if media_type == "application/problem+json" else {}
            for name, problem in problems.items():
                yield status, f"`{name}`", problem["summary"]
            if not problems:
                said = response["description"]
                yield status, _kind(content.get("schema", {})), "" if said == "Successful Response" else said


def _type(name: str, schema: Json) -> Iterator[str]:
    yield from (f"### {name}", "")
    if "description" in schema:
        yield from (schema["description"].strip(), "")
    if "properties" not in schema:
        yield from (_kind(schema), "")
        return
    required = set(schema.get("required", ()))
    rows = [
        (f"`{field}`", _kind(each) + (", required" if field in required else ""), _meaning(each))
        for field, each in schema["properties"].items()
    ]
    yield from _table(("field", "type", "meaning"), rows)
    conditions = {name: schema[name] for name in CONDITIONS if name in schema}
    if conditions:
        yield from (f"`{json.dumps(conditions)}`", "")


def _meaning(schema: Json) -> str:
    """What is said of a field or a parameter, with the first example."""
    examples = schema.get("examples", ())[:1]
    return f"{schema.get('description', '')} {''.join(f'Such as {_value(each)}.' for each in examples)}"


def _kind(schema: Json) -> str:
    """A type with its limits and its default, as in: `string` (at most 64 characters)."""
    limits = [words.format(schema[name]) for name, words in LIMITS.items() if name in schema]
    if "pattern" in schema:
        limits.append(PATTERNS.get(schema["pattern"], f"matching `{schema['pattern']}`"))
    if schema.get("default") is not None and "$ref" not in schema:
        limits.append(f"default {_value(schema['default'])}")
    return _name(schema) + (f" ({', '.join(limits)})" if limits else "")


def _name(schema: Json) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"`{each}`" for each in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if isinstance(schema.get("additionalProperties"), Mapping):
        return f"`object` of {_kind(schema['additionalProperties'])}"
    return f"`{schema.get('format') or schema.get('type') or 'any value'}`"


def _value(value: object) -> str:
    return f"`{value if isinstance(value, str) and value else json.dumps(value)}`"


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    rows = list(rows)
    if not rows:
        return
    for cells in (titles, ("---",) * len(titles), *rows):
        yield f"| {' | '.join(_cell(cell) for cell in cells)} |"
    yield ""


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(api_page(), encoding="utf-8")
