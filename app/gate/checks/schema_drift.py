"""The migrations create a different schema from the models, where autogenerate does not look.

Catches
    What differs in `pg_catalog` between a database that was migrated and one that was created from the models: a CHECK
    that is missing or different, an enum with other labels, a server default, identity, the predicate of a partial
    index, an exclusion constraint. An error where the models have it and the migrations do not, or define it
    differently. A warning where only the migrations have it (a trigger, a default with which a column was added), where
    a column merely accepts more than the model's, and where a constraint differs only in its name, or exists once
    instead of twice.

Why it hurts
    Tests usually run on tables that the models create. They then prove something about a schema that production does
    not have: the CHECK that refused the bad row in the test is missing, the label that the code writes does not exist.
    A constraint with another name goes unnoticed until a revision drops it by the name in the model, and fails.

How to fix
    Bring the migrations up to the models with a new revision; autogenerate does not write this one::

        def upgrade() -> None:
            op.create_check_constraint("ck_orders_total", "orders", "total >= 0")

        def downgrade() -> None:
            op.drop_constraint("ck_orders_total", "orders", type_="check")

    If the migrations are right, add to the model what it lacks::

        total: Mapped[int] = mapped_column(server_default="0")

    What no model can express, such as a trigger, can be created together with the tables, so that the tests have it
    too::

        event.listen(Order.__table__, "after_create", DDL("CREATE TRIGGER …"))

Stays quiet when
    Autogenerate sees it too: model-drift reports that. A table or a column exists on one side only, and autogenerate is
    silent: env.py hides it on purpose. The names differ only because PostgreSQL generated them. It is an extension,
    which models cannot create. The models cannot be created alone, or there are none.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from app.gate.checks.base import Check, CheckSkipped, Finding
from app.gate.checks.support import fix_code
from app.gate.checks.support.column_types import is_wider
from app.gate.checks.support.naming import failure_reason, is_one_sided, noun, principal, short_noun
from app.gate.checks.support.schema import Schema, SchemaHistory
from app.gate.checks.support.subjects import named, together
from app.gate.postgres.quoting import unquoted
from app.gate.recording.model import TABLE_KINDS, Change, Definition, Evidence, Key, Recording, Snapshot
from app.gate.recording.names import full_name, shorten, table_of
from app.gate.report.verdict import Severity
from app.gate.snapshot.difference import difference
from app.gate.wording import bulleted, indented, listed, plural

_ONLY_CREATED_BY = "Only the migrations create"
_ONLY_IN_MIGRATIONS = "in the migrations only"


@dataclass(frozen=True)
class Difference:
    """One object on which the migrations and the models disagree."""

    heading: str  # of the finding, if there are several: "The migrations and the models differ on orders"
    object: str  # "public.orders"
    name: str  # what the heading does not say: "check constraint ck_total", "touch()"
    subject: str  # "column orders.note nullable", "index orders.ix_note in-models-only"
    words: str  # a sentence without its full stop
    severity: Severity
    fix: Change | None = None  # from the migrations to the models, if the models are right

    @property
    def is_extra(self) -> bool:
        """Whether the models lack something, and have nothing else in its place."""
        return self.words.endswith(_ONLY_IN_MIGRATIONS)


def examine(recording: Recording) -> Iterator[Finding]:
    head, models = _snapshots(recording)
    by_heading: dict[tuple[str, Severity], list[Difference]] = {}
    for found in _differences(head, models, recording):
        by_heading.setdefault((found.heading, found.severity), []).append(found)
    for (_, severity), differences in sorted(by_heading.items(), key=lambda item: (item[1][0].object, item[0])):
        yield _finding(severity, differences, SchemaHistory.of(recording).at_head())


def _snapshots(recording: Recording) -> tuple[Snapshot, Snapshot]:
    if not recording.has_metadata:
        raise CheckSkipped("env.py gives Alembic no target_metadata to compare with")
    if recording.head is None:
        raise CheckSkipped(recording.not_observed.get("head", "the walk did not reach head"))
    if recording.model_failure is not None:
        raise CheckSkipped(f"the models cannot be created alone: {failure_reason(recording.model_failure)}")
    if recording.models is None:
        raise CheckSkipped(recording.not_observed.get("models", "the models were not created"))
    return recording.head, recording.models


def _differences(head: Snapshot, models: Snapshot, recording: Recording) -> Iterator[Difference]:
    everything = difference(head, models, same_history=False)
    reported = _ReportedElsewhere(recording, head, models, {change.key for change in everything})
    changes = [change for change in principal(everything) if not reported.covers(change)]
    names = _names_in_the_models(changes)
    same = {_identity(key, each): key for key, each in head.objects.items() if key.kind in ("constraint", "index")}
    for change in changes:
        if change.key in names:
            name = names[change.key]
            if (found := _renamed(change, name, models.objects[name])) is not None:
                yield found
        elif change.key not in names.values():
            existing = same.get(_identity(change.key, change.after)) if change.before is None else None
            if (found := _twice(change, existing) if existing else _difference(change)) is not None:
                yield found


def _renamed(change: Change, name: Key, there: Definition) -> Difference | None:
    """A constraint or index that the models have under another name, or with its columns in another order."""
    what, here, model = noun(change), _comparable(change.before).get("definition"), _comparable(there).get("definition")
    if here != model:
        words = f"{what} is {here} in the migrations and {model} in the models"
    elif _GENERATED_NAME.fullmatch(name.name):
        return None
    else:
        words = f"{what} has the name {name.name} in the models"
    subject = f"{named(change.key)} {'renamed' if here == model else 'definition'}"
    return Difference(_on(change.key), table_of(change.key), short_noun(change), subject, words, Severity.WARNING)


def _twice(change: Change, existing: Key) -> Difference:
    """A constraint or index that the models have twice, and the migrations once: the second one has no effect."""
    words = f"{noun(change)} is in the models only, in addition to {existing.name}, which is the same"
    subject = f"{named(change.key)} twice"
    return Difference(_on(change.key), table_of(change.key), short_noun(change), subject, words, Severity.WARNING)


def _names_in_the_models(changes: list[Change]) -> dict[Key, Key]:
    """Constraints and indexes that differ only in their name: name in the migrations -> name in the models."""
    missing = {_identity(change.key, change.after): change.key for change in changes if change.before is None}
    extra = {_identity(change.key, change.before): change.key for change in changes if change.after is None}
    return {
        key: missing[identity]
        for identity, key in extra.items()
        if key.kind in ("constraint", "index") and identity in missing
    }


# Names that PostgreSQL generates. If the model leaves it unnamed, no revision ever drops it by the model's name.
_GENERATED_NAME = re.compile(r".+_(check|fkey|key|pkey|excl|idx)\d*")


def _identity(key: Key, definition: Definition | None) -> str:
    """What an object is, apart from its name. For a unique key, the order of its columns makes no difference."""
    compared = _comparable(definition)
    if compared.get("type") in ("unique", "primary key"):
        compared["definition"] = _in_order(str(compared.get("definition")))
    return f"{key.kind} {table_of(key)} {sorted(compared.items())}"


def _in_order(definition: str) -> str:
    """`UNIQUE (a, b)` for `UNIQUE (b, a)`."""
    head, _, rest = definition.partition("(")
    columns, _, tail = rest.partition(")")
    return f"{head}({', '.join(sorted(columns.split(', ')))}){tail}"


def _on(key: Key) -> str:
    return f"The migrations and the models differ on {shorten(table_of(key))}"


class _ReportedElsewhere:
    """Differences that other checks report, or that none should."""

    def __init__(self, recording: Recording, head: Snapshot, models: Snapshot, differing: Collection[Key]) -> None:
        self._recording = recording
        self._head, self._models, self._differing = head, models, differing
        self._by_autogenerate = {drift.object for drift in recording.drift or ()}

    def covers(self, change: Change) -> bool:
        key = change.key
        if key.kind in ("extension", "schema"):
            return True  # models cannot create one; both were created before the models' tables
        # Functions are listed without their arguments.
        if {table_of(key), full_name(key), full_name(key).partition("(")[0]} & set(self._recording.hidden):
            return True
        if self._recording.drift is not None and self._is_table_or_column_of_one_side(change):
            return True  # autogenerate reports each of them, unless env.py hides it on purpose
        return self._is_in_autogenerate(change) or self._follows_from_a_column(change) or self._is_mapped_view(change)

    def _is_table_or_column_of_one_side(self, change: Change) -> bool:
        key = change.key
        table = Key("table", key.schema, key.table if key.kind == "column" else key.name)
        is_there = table in self._head.objects or table in self._models.objects
        return key.kind in ("table", "column") and is_one_sided(change) and is_there

    def _is_in_autogenerate(self, change: Change) -> bool:
        # A constraint without a name in the model is identified by its columns.
        columns = ", ".join((change.after or change.before or {}).get("columns") or ())
        return bool({full_name(change.key), f"{table_of(change.key)}({columns})"} & self._by_autogenerate)

    def _follows_from_a_column(self, change: Change) -> bool:
        """A type or a sequence that differs or is missing on one side, because the column that uses it has another
        type there."""
        key = change.key
        if not is_one_sided(change) and key.kind != "sequence":
            return False  # a sequence follows the type of its column, too
        side = self._models if change.before is None else self._head
        users = [
            column
            for column, definition in side.objects.items()
            if column.kind == "column" and _uses(definition, column, key, change.after or change.before or {})
        ]
        return bool(users) and all(column in self._differing for column in users)

    def _is_mapped_view(self, change: Change) -> bool:
        """A view that the models map as if it were a table."""
        key = change.key
        if key.kind not in TABLE_KINDS or change.after is not None:
            return False
        return any(Key(kind, key.schema, key.name) in self._models.objects for kind in TABLE_KINDS)


def _uses(definition: Definition, column: Key, key: Key, used: Definition) -> bool:
    if key.kind in ("enum", "domain", "composite type"):
        return unquoted(str(definition.get("type", "")).removesuffix("[]")) == full_name(key)
    if key.kind == "sequence":
        return unquoted(str(used.get("owned_by", ""))) == full_name(column)
    return False


_LITERAL = re.compile(r"\A('(?:[^']|'')*')::[\w \[\]\"().,]+\Z")
# https://www.postgresql.org/docs/current/functions-datetime.html: now() is an equivalent of both.
_NOW = re.compile(r"\bCURRENT_TIMESTAMP\b(?!\()|\btransaction_timestamp\(\)")
# not-validated reports these.
_UNFINISHED = frozenset({"validated", "valid", "index_valid", "not_null", "populated"})
_NOT_OF_MODELS = frozenset({"owner"})  # no model can have one


def _comparable(definition: Definition | None) -> dict[str, Any]:
    compared = {name: value for name, value in (definition or {}).items() if name not in _UNFINISHED | _NOT_OF_MODELS}
    if isinstance(compared.get("definition"), str):
        compared["definition"] = compared["definition"].removesuffix(" NOT VALID")
        compared.pop("columns", None)  # they are in it
    if isinstance(compared.get("default"), str):
        compared["default"] = _LITERAL.sub(r"\1", compared["default"])  # its type does not change the value
        compared["default"] = _NOW.sub("now()", compared["default"])
    if isinstance(compared.get("body"), str):
        compared["body"] = " ".join(compared["body"].split())  # the two are rarely indented in the same way
    return compared


def _difference(change: Change) -> Difference | None:
    key, what, name, place = change.key, noun(change), short_noun(change), table_of(change.key)
    if change.before is None:
        words = f"{what} is in the models, but not in a migrated database"
        return Difference(_on(key), place, name, f"{named(key)} in-models-only", words, Severity.ERROR, change)
    if change.after is None:
        # What belongs to no table is grouped by kind: a history can create dozens of functions.
        heading = _on(key) if key.table else f"{_ONLY_CREATED_BY} {plural(key.kind)}"
        words = f"{what} is {_ONLY_IN_MIGRATIONS}"
        subject = f"{named(key)} in-migrations-only"
        return Difference(heading, place, name if key.table else shorten(place), subject, words, Severity.WARNING)
    head, models = _comparable(change.before), _comparable(change.after)
    differing = [each for each in sorted(head.keys() | models.keys()) if head.get(each) != models.get(each)]
    if "privileges" not in models:
        differing = [each for each in differing if each != "privileges"]  # which no model grants
    attributes = [_attribute(each, head.get(each), models.get(each)) for each in differing]
    if not attributes:
        return None
    severity = Severity.ERROR if any(each[1] is Severity.ERROR for each in attributes) else Severity.WARNING
    if key.kind == "constraint" and _identity(key, change.before) == _identity(key, change.after):
        severity = Severity.WARNING
    words = f"{what} {', and '.join(each[0] for each in attributes)}"
    subject = " ".join([named(key), *differing])
    return Difference(_on(key), place, name, subject, words, severity, change if severity is Severity.ERROR else None)


def _attribute(name: str, head: Any, models: Any) -> tuple[str, Severity]:
    """How an attribute differs, to follow the object's name, and how severe that is."""
    label = name.replace("_", " ")
    if name == "nullable":
        sides = ("the models", "the migrations") if head else ("the migrations", "the models")
        return f"is NOT NULL in {sides[0]} and not in {sides[1]}", Severity.ERROR
    if name == "labels":
        return _labels(head or [], models or [])
    if name == "type" and head is not None and models is not None:
        # A column that accepts all values of the model's breaks nothing that works with the model.
        severity = Severity.WARNING if is_wider(str(models), str(head)) else Severity.ERROR
        return f"has the type {_shown(head)} in the migrations and {_shown(models)} in the models", severity
    if name == "definition":
        return f"is {_shown(head)} in the migrations and {_shown(models)} in the models", Severity.ERROR
    if models is None:
        return f"has the {label} {_shown(head)} {_ONLY_IN_MIGRATIONS}", Severity.WARNING
    if head is None:
        return f"has the {label} {_shown(models)} in the models only", Severity.ERROR
    return f"has the {label} {_shown(head)} in the migrations and {_shown(models)} in the models", Severity.ERROR


def _labels(head: list[str], models: list[str]) -> tuple[str, Severity]:
    missing = [repr(label) for label in models if label not in head]
    extra = [repr(label) for label in head if label not in models]
    if missing:
        rest = f", and has {listed(extra)} instead" if extra else ""
        return f"lacks the models' {listed(missing)}{rest}", Severity.ERROR
    if extra:  # PostgreSQL cannot remove a label, so it remains when the model drops it
        return f"has {listed(extra)} in the migrations only", Severity.WARNING
    order = f"{', '.join(head)} in the migrations, {', '.join(models)} in the models"
    return f"has its labels in another order ({order})", Severity.WARNING


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    text = ", ".join(map(str, value)) if isinstance(value, list) else " ".join(str(value).split())
    return text if len(text) <= 160 else f"{text[:160]}…"


def _finding(severity: Severity, differences: list[Difference], schema: Schema) -> Finding:
    first = differences[0]
    if len(differences) == 1:
        message = f"{first.words[0].upper()}{first.words[1:]}."
    else:
        message = f"{first.heading} ({len(differences)}): {listed([each.name for each in differences])}."
    return Finding(
        message,
        together(each.subject for each in differences),
        object=first.object if len({each.object for each in differences}) == 1 else None,
        detail=bulleted(each.words for each in differences) if len(differences) > 1 else None,
        help=_help(severity, differences, schema),
        severity=severity,
    )


def _help(severity: Severity, differences: list[Difference], schema: Schema) -> str:
    if severity is Severity.WARNING and not all(each.is_extra for each in differences):
        return (
            "Databases that the models create, such as those of tests, differ here. Change the model to match the migrations, or the "
            "database in a revision; autogenerate does not see this."
        )
    if severity is Severity.WARNING and all(each.heading.startswith(_ONLY_CREATED_BY) for each in differences):
        return (
            "Tests on tables that the models create run without it. If nothing uses it any more, drop it in a revision; else create it"
            ' together with the tables: event.listen(metadata, "after_create", DDL("…")).'
        )
    if severity is Severity.WARNING:
        return (
            "Tests on tables that the models create run without it. Add it to the model (server_default, comment, Index, the name), "
            'or, if a model cannot express it, create it together with the tables: event.listen(metadata, "after_create", DDL("…")).'
        )
    code = fix_code.code((each.fix for each in differences if each.fix is not None), schema=schema)
    text = "If the models are right, write a revision by hand: autogenerate does not see this"
    return f"{text}:\n\n{indented(code)}" if code else f"{text}."


CHECK = Check(
    id="schema-drift", severity=Severity.ERROR, examine=examine, needs=frozenset({Evidence.MODELS, Evidence.DRIFT})
)
