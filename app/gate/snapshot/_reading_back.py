"""How a printed definition is read back, by the kind of object: what creates it again, and what prints it then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.gate.postgres.quoting import identifier, literal
from app.gate.recording.model import Definition, Key

_SCHEMA = _NAME = "overproof_meaning"  # of what is created


@dataclass(frozen=True)
class Source:
    """A printed text, and where it is from."""

    key: Key
    definition: Definition
    text: str
    schema: Mapping[Key, Definition]  # of the database in which it is read back


@dataclass(frozen=True)
class Reading:
    """Statements that create it, and a query that prints it: {"traits": …, "expressions": […]}.

    The planner prints the expressions, as expressions over the table. Texts of equal meaning have equal traits.
    """

    steps: tuple[str, ...]
    print: str
    table: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {"steps": self.steps, "print": self.print, "table": self.table}


def _real(key: Key) -> str:
    return f"{identifier(key.schema)}.{identifier(key.table or key.name)}"


def _copy(key: Key) -> str:
    """A table of the same name, since an expression may name its table."""
    return f"{_SCHEMA}.{identifier(key.table)}"


def _copied(key: Key) -> tuple[str, ...]:
    return (f"CREATE SCHEMA {_SCHEMA}", f"CREATE TABLE {_copy(key)} (LIKE {_real(key)})")


def _answer(traits: str, expressions: str = "'{}'::text[]") -> str:
    return f"SELECT json_build_object('traits', ({traits})::text, 'expressions', to_json({expressions}))"


def _oid(name: str) -> str:
    return f"{literal(name)}::regclass"


_OF_INDEX = """json_build_array(c.relam, c.reloptions, i.indnkeyatts, i.indkey::text, i.indclass::text, i.indcollation::text,
    i.indoption::text, to_jsonb(i) -> 'indnullsnotdistinct')"""
_EXPRESSIONS_OF_INDEX = """ARRAY(SELECT '(' || pg_get_indexdef(i.indexrelid, n, false) || ')' FROM generate_series(1, i.indnatts) AS n
    WHERE i.indkey[n - 1] = 0 ORDER BY n) || ('(' || coalesce(pg_get_expr(i.indpred, i.indrelid), 'true') || ')')"""


def _constraint(source: Source) -> Reading | None:
    key, kind = source.key, source.definition.get("type")
    if kind not in ("check", "exclude"):
        return None  # no other one has expressions
    steps = (*_copied(key), f"ALTER TABLE {_copy(key)} ADD CONSTRAINT {_NAME} {source.text}")
    found = f"pg_constraint AS k WHERE k.conrelid = {_oid(_copy(key))} AND k.conname = '{_NAME}'"
    if kind == "check":
        traits = "json_build_array(k.connoinherit, to_jsonb(k) -> 'conenforced')"
        answer = _answer(traits, "ARRAY['(' || pg_get_expr(k.conbin, k.conrelid) || ')']")
        return Reading(steps, f"{answer} FROM {found}", _copy(key))
    traits = f"json_build_array(k.condeferrable, k.condeferred, k.conexclop::text, {_OF_INDEX})"
    joined = f"pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid, {found} AND i.indexrelid = k.conindid"
    return Reading(steps, f"{_answer(traits, _EXPRESSIONS_OF_INDEX)} FROM {joined}", _copy(key))


def _index(source: Source) -> Reading:
    key = source.key
    steps = (*_copied(key), f"CREATE INDEX {_NAME} ON {_copy(key)} {source.text}")
    found = (
        f"pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE i.indexrelid = {_oid(f'{_SCHEMA}.{_NAME}')}"
    )
    return Reading(steps, f"{_answer(_OF_INDEX, _EXPRESSIONS_OF_INDEX)} FROM {found}", _copy(key))


def _expression(source: Source) -> Reading:
    """A default, or what a generated column computes: as a value of the type that the column has now."""
    key, of_type = source.key, source.definition["type"]
    value = literal(f"CAST(({source.text}) AS {of_type})")
    return Reading(_copied(key), _answer("NULL", f"ARRAY[{value}]"), _copy(key))


def _default_of_domain(source: Source) -> Reading:
    value = literal(f"CAST(({source.text}) AS {source.definition['type']})")
    return Reading((), _answer("NULL", f"ARRAY[{value}]"))


def _domain_constraint(source: Source) -> Reading | None:
    key = source.key
    domain = source.schema.get(Key("domain", key.schema, key.table))
    if domain is None:
        return None
    copy = _copy(key)
    steps = (
        f"CREATE SCHEMA {_SCHEMA}",
        f"CREATE DOMAIN {copy} AS {domain['type']}",
        f"ALTER DOMAIN {copy} ADD CONSTRAINT {_NAME} {source.text.removesuffix(' NOT VALID')}",
    )
    found = f"pg_constraint AS k WHERE k.contypid = {literal(copy)}::regtype"
    return Reading(steps, f"{_answer('pg_get_constraintdef(k.oid)')} FROM {found}")


def _policy(source: Source) -> Reading:
    """Not as the planner sees it: it shows no query that is part of an expression."""
    key = source.key
    steps = (*_copied(key), f"CREATE POLICY {_NAME} ON {_copy(key)} USING ({source.text})")
    found = f"pg_policy AS p WHERE p.polrelid = {_oid(_copy(key))}"
    return Reading(steps, f"{_answer('pg_get_expr(p.polqual, p.polrelid)')} FROM {found}")


def _view(source: Source) -> Reading:
    steps = (f"CREATE SCHEMA {_SCHEMA}", f"CREATE VIEW {_SCHEMA}.{_NAME} AS {source.text}")
    return Reading(steps, _answer(f"pg_get_viewdef({_oid(f'{_SCHEMA}.{_NAME}')})"))


def _trigger(source: Source) -> Reading:
    key = source.key
    constraint = "CONSTRAINT " if source.definition.get("constraint") else ""
    found = f"pg_trigger AS g WHERE g.tgrelid = {_oid(_real(key))} AND g.tgname = '{_NAME}'"
    return Reading(
        (f"CREATE {constraint}TRIGGER {_NAME} {source.text}",), f"{_answer('pg_get_triggerdef(g.oid)')} FROM {found}"
    )


def _rule(source: Source) -> Reading:
    key = source.key
    steps = (f"DROP RULE IF EXISTS {identifier(key.name)} ON {_real(key)}", source.text)
    found = f"pg_rewrite AS r WHERE r.ev_class = {_oid(_real(key))} AND r.rulename = {literal(key.name)}"
    return Reading(steps, f"{_answer('pg_get_ruledef(r.oid)')} FROM {found}")


def _statistics(source: Source) -> Reading:
    name = f"{identifier(source.key.schema)}.{identifier(source.key.name)}"
    found = (
        f"pg_statistic_ext AS s WHERE s.stxname = {literal(source.key.name)}"
        f" AND s.stxnamespace = {literal(identifier(source.key.schema))}::regnamespace"
    )
    steps = (f"DROP STATISTICS IF EXISTS {name}", source.text)
    return Reading(steps, f"{_answer('pg_get_statisticsobjdef(s.oid)')} FROM {found}")


def _function(source: Source) -> Reading | None:
    """Only a body that PostgreSQL has parsed. It keeps any other one as it was written."""
    if not source.text.startswith(("BEGIN ATOMIC", "RETURN ")):
        return None
    signature = f"{_SCHEMA}.{_NAME}({source.definition.get('arguments', '')})"
    returns = f"RETURNS {source.definition['returns']} " if source.definition.get("returns") else ""
    kind = "FUNCTION" if source.key.kind == "function" else "PROCEDURE"
    steps = (f"CREATE SCHEMA {_SCHEMA}", f"CREATE {kind} {signature} {returns}LANGUAGE sql {source.text}")
    return Reading(steps, f"{_answer('pg_get_function_sqlbody(p.oid)')} FROM pg_proc AS p WHERE p.proname = '{_NAME}'")


_DEFINITION = "definition"

# By the kind of object and the part of its definition.
READERS: Mapping[str, Mapping[str, Callable[[Source], Reading | None]]] = {
    "constraint": {_DEFINITION: _constraint},
    "index": {_DEFINITION: _index},
    "column": {"default": _expression, "generated": _expression},
    "domain": {"default": _default_of_domain},
    "domain constraint": {_DEFINITION: _domain_constraint},
    "policy": {"using": _policy, "with_check": _policy},
    "view": {_DEFINITION: _view},
    "materialized view": {_DEFINITION: _view},
    "trigger": {_DEFINITION: _trigger},
    "rule": {_DEFINITION: _rule},
    "statistics": {_DEFINITION: _statistics},
    "function": {"body": _function},
    "procedure": {"body": _function},
}
