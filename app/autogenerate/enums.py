"""The types of enum columns: created before their use, dropped after it, and altered when the labels change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import sqlalchemy as sa
from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from alembic.util import CommandError
from sqlalchemy.types import TypeEngine

from app.autogenerate.expressions import for_text
from app.autogenerate.types import native_enum, quote

Labels = tuple[str, ...]


class EnumName(NamedTuple):
    schema: str | None  # None: the default schema
    name: str

    def __str__(self) -> str:
        return ".".join(quote(part) for part in self if part)


@dataclass(frozen=True)
class EnumUse:
    """A stored column whose type is an enum, or an array of one."""

    table: str  # quoted, and qualified if its schema is not the default one
    column: str  # quoted
    is_array: bool
    default: str | None  # "'draft'::mood"


@dataclass(frozen=True)
class Dependent:
    """A CHECK constraint or an index that uses labels. It must be dropped while the type is replaced."""

    drop: str
    create: str


@dataclass
class CreateEnumOp(ops.MigrateOperation):
    enum: EnumName
    labels: Labels

    def reverse(self) -> DropEnumOp:
        return DropEnumOp(self.enum, self.labels)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("add_enum", str(self.enum), self.labels)

    def statements(self) -> Iterator[str]:
        yield f"CREATE TYPE {self.enum} AS ENUM ({_literals(self.labels)})"


@dataclass
class DropEnumOp(ops.MigrateOperation):
    enum: EnumName
    labels: Labels

    def reverse(self) -> CreateEnumOp:
        return CreateEnumOp(self.enum, self.labels)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("remove_enum", str(self.enum), self.labels)

    def statements(self) -> Iterator[str]:
        yield f"DROP TYPE {self.enum}"


@dataclass
class AlterEnumOp(ops.MigrateOperation):
    """Changes the labels of an existing type. Labels can be added; to remove or rename one, the type is replaced."""

    enum: EnumName
    before: Labels
    after: Labels
    uses: tuple[EnumUse, ...]
    dependents: tuple[Dependent, ...]

    def reverse(self) -> AlterEnumOp:
        return AlterEnumOp(self.enum, self.after, self.before, self.uses, self.dependents)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("modify_enum", str(self.enum), self.before, self.after)

    def statements(self) -> Iterator[str]:
        kept = tuple(label for label in self.after if label in self.before)
        return self._additions() if self.before == kept else self._replacement()

    def _additions(self) -> Iterator[str]:
        place = f" BEFORE {_literal(self.before[0])}" if self.before else ""
        for label in self.after:
            if label not in self.before:
                yield f"ALTER TYPE {self.enum} ADD VALUE {_literal(label)}{place}"
            place = f" AFTER {_literal(label)}"

    def _replacement(self) -> Iterator[str]:
        old = EnumName(self.enum.schema, f"{self.enum.name}_old")
        yield from (dependent.drop for dependent in self.dependents)
        yield f"ALTER TYPE {self.enum} RENAME TO {quote(old.name)}"
        yield f"CREATE TYPE {self.enum} AS ENUM ({_literals(self.after)})"
        for use in self.uses:
            alter, brackets = f"ALTER TABLE {use.table} ALTER COLUMN {use.column}", "[]" if use.is_array else ""
            if use.default:
                yield f"{alter} DROP DEFAULT"
            yield f"{alter} TYPE {self.enum}{brackets} USING {use.column}::text{brackets}::{self.enum}{brackets}"
            if use.default:
                yield f"{alter} SET DEFAULT {use.default}"
        yield f"DROP TYPE {old}"
        yield from (dependent.create for dependent in self.dependents)


@renderers.dispatch_for(CreateEnumOp)
@renderers.dispatch_for(DropEnumOp)
@renderers.dispatch_for(AlterEnumOp)
def _render(context: AutogenContext, op: CreateEnumOp | DropEnumOp | AlterEnumOp) -> list[str]:
    return [f"op.execute({for_text(statement)!r})" for statement in op.statements()]


def _literal(label: str) -> str:
    return "'" + label.replace("'", "''") + "'"


def _literals(labels: Iterable[str]) -> str:
    return ", ".join(map(_literal, labels))


def complete(context: AutogenContext, upgrade: ops.UpgradeOps) -> None:
    """Adds the operations on enum types before and after those that Alembic found."""
    connection = cast("sa.Connection", context.connection)  # it is None only in offline mode
    modelled, stored = _enums_of_models(context), _enums_of_database(connection)
    abandoned = {name for name in _released_enums(upgrade.ops) if name in stored and name not in modelled}
    upgrade.ops[:] = [
        *(CreateEnumOp(name, labels) for name, labels in modelled.items() if name not in stored),
        *(
            AlterEnumOp(name, stored[name], labels, _uses(connection, name), _dependents(connection, name))
            for name, labels in modelled.items()
            if name in stored and stored[name] != labels
        ),
        *upgrade.ops,
        *(DropEnumOp(name, stored[name]) for name in sorted(abandoned, key=str)),
    ]


def _enums_of_models(context: AutogenContext) -> dict[EnumName, Labels]:
    """Raises CommandError if two models have different labels for the same type."""
    labels_by_enum: dict[EnumName, Labels] = {}
    for table in context.sorted_tables:
        for column in table.columns:
            enum = native_enum(column.type)
            if enum is None:
                continue
            name, labels = EnumName(enum.schema, str(enum.name)), tuple(enum.enums)
            if labels_by_enum.setdefault(name, labels) != labels:
                raise CommandError(
                    f"Two enums of the models would both be stored as the type {name}: one has the labels "
                    f"{', '.join(labels_by_enum[name])}; that of {table.name}.{column.name} has {', '.join(labels)}. "
                    "Rename the class of one of them, or give its column sa_type=sa.Enum(…, name=…)."
                )
    return labels_by_enum


def _enums_of_database(connection: sa.Connection) -> dict[EnumName, Labels]:
    rows = connection.execute(
        sa.text(
            "SELECT nullif(n.nspname, current_schema()), t.typname, "
            "array_agg(e.enumlabel::text ORDER BY e.enumsortorder) "
            "FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_enum e ON e.enumtypid = t.oid "
            "GROUP BY n.nspname, t.typname"
        )
    )
    return {EnumName(schema, name): tuple(labels) for schema, name, labels in rows}


def _released_enums(operations: Iterable[ops.MigrateOperation]) -> Iterator[EnumName]:
    """The enum types that dropped tables, dropped columns and columns with a new type had."""
    for op in operations:
        types: Iterable[TypeEngine[Any]] = ()
        if isinstance(op, ops.ModifyTableOps):
            yield from _released_enums(op.ops)
        elif isinstance(op, ops.DropTableOp):
            types = [column.type for column in op.to_table().columns]
        elif isinstance(op, ops.DropColumnOp):
            types = [op.to_column().type]
        elif isinstance(op, ops.AlterColumnOp) and op.modify_type is not None:
            types = [cast("TypeEngine[Any]", op.existing_type)]
        for type_ in types:
            enum = native_enum(type_)
            if enum is not None:
                yield EnumName(enum.schema, str(enum.name))


# The columns of one enum's type, or of arrays of it.
_COLUMNS = """
    SELECT c.oid AS relation, a.attnum, c.oid::regclass::text AS name, quote_ident(a.attname) AS attribute,
           a.atttypid <> t.oid AS is_array, pg_get_expr(d.adbin, d.adrelid) AS column_default
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    JOIN pg_attribute a ON a.atttypid IN (t.oid, t.typarray) AND NOT a.attisdropped
    JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE t.typname = :name AND n.nspname = coalesce(:schema, current_schema())
"""


def _uses(connection: sa.Connection, enum: EnumName) -> tuple[EnumUse, ...]:
    rows = connection.execute(sa.text(f"{_COLUMNS} ORDER BY c.oid::regclass::text, a.attnum"), enum._asdict())
    return tuple(EnumUse(row.name, row.attribute, row.is_array, row.column_default) for row in rows)


def _dependents(connection: sa.Connection, enum: EnumName) -> tuple[Dependent, ...]:
    rows = connection.execute(
        sa.text(f"""
            WITH used AS ({_COLUMNS})
            SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', u.name, k.conname),
                   format('ALTER TABLE %s ADD CONSTRAINT %I %s', u.name, k.conname, pg_get_constraintdef(k.oid))
            FROM used u JOIN pg_constraint k ON k.conrelid = u.relation AND k.contype = 'c' AND u.attnum = ANY
            (k.conkey) UNION SELECT format('DROP INDEX %s', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid) FROM
            used u JOIN pg_index i ON i.indrelid = u.relation AND (i.indpred IS NOT NULL OR i.indexprs IS NOT NULL) JOIN
            pg_depend p ON p.classid = 'pg_class'::regclass AND p.objid = i.indexrelid
                            AND p.refobjid = u.relation AND p.refobjsubid = u.attnum
            ORDER BY 1
        """),
        enum._asdict(),
    )
    return tuple(Dependent(drop, create) for drop, create in rows)
