"""Definitions that PostgreSQL prints in different ways, and that mean the same.

`CHECK (x IN ('a', 'b'))` on a varchar is printed with other casts once PostgreSQL has read its own text back, as a dump
or a copied definition has it do; and where the column's type has changed under it, its constants are still cast to the
former one. So two printed definitions are the same if PostgreSQL, having read both, prints them alike once more: they
are created, in the database that `ask` reaches, on an empty copy of the table, and rolled back. Expressions that cannot
contain a query are printed as the planner sees them, with constants folded.

    aligned = align(before, after, ask)      # `after`, with the definitions of `before` wherever they mean the same

Only definitions that differ are read back, so this costs nothing where two schemas are alike. What PostgreSQL does not
read back, since a function exists on one side only, say, remains different. `ask` must reach a database with the schema
`after`. It is the one of `incremental.py`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.gate.postgres.quoting import literal
from app.gate.recording.model import Change, Definition, Key, Snapshot
from app.gate.snapshot._queries import PINNED_SETTINGS
from app.gate.snapshot._reading_back import READERS, Reading, Source
from app.gate.snapshot.difference import difference
from app.gate.snapshot.incremental import Ask, difference_between


def difference_in_meaning(before: Snapshot, after: Snapshot, ask: Ask) -> tuple[Change, ...]:
    """The objects that differ in more than PostgreSQL's words."""
    changes = difference_between(before, after)
    if not changes or (aligned := align(before, after, ask, changes=changes)) is after:
        return changes
    return difference(before, aligned)


def align(
    before: Snapshot, after: Snapshot, ask: Ask, *, changes: Iterable[Change] | None = None, same_history: bool = True
) -> Snapshot:
    """The second snapshot, with the words of the first for definitions that mean the same; itself if there are none.

    `changes` are the differences, if the caller knows them.
    """
    if changes is None:
        changes = difference_between(before, after) if same_history else difference(before, after, same_history=False)
    texts = list(_texts(changes, after))
    if not texts:
        return after
    printed = _read_back(texts, ask)
    replaced: dict[Key, dict[str, Any]] = defaultdict(dict)
    for old, new in _pairs(texts):
        if printed[old] is not None and printed[old] == printed[new]:
            replaced[new.key].setdefault(new.name, old.value)
    if not replaced:
        return after
    return Snapshot({**after.objects, **{key: {**after.objects[key], **values} for key, values in replaced.items()}})


@dataclass(frozen=True)
class _Text:
    """One printed part of one object's definition."""

    key: Key
    name: str  # of the part: "definition", "default"
    is_old: bool
    value: str
    reading: Reading


def _texts(changes: Iterable[Change], schema: Snapshot) -> Iterator[_Text]:
    """What could mean the same as another text. What is on one side only may be there on the other by another name."""
    by_place: dict[tuple[str, ...], list[_Text]] = defaultdict(list)
    for change in changes:
        for name, reader in READERS.get(change.key.kind, {}).items():
            old, new = (change.before or {}).get(name), (change.after or {}).get(name)
            if old == new:
                continue
            for definition, value, is_old in ((change.before, old, True), (change.after, new, False)):
                if definition is None or not isinstance(value, str):
                    continue
                reading = reader(Source(change.key, {**definition, **_typed(change.after)}, value, schema.objects))
                if reading is not None:
                    by_place[_place(change.key, name)].append(_Text(change.key, name, is_old, value, reading))
    for texts in by_place.values():
        if len({each.is_old for each in texts}) > 1:
            yield from texts


def _typed(definition: Definition | None) -> dict[str, Any]:
    """The type that a column has now: the one as which its expressions are read, whatever it was before."""
    return {"type": definition["type"]} if definition and "type" in definition else {}


def _place(key: Key, name: str) -> tuple[str, ...]:
    """Where a text of equal meaning may be. Constraints and indexes may have another name."""
    if key.kind in ("constraint", "index"):
        return (key.kind, key.schema, key.table)
    return (*key, name)


def _pairs(texts: Iterable[_Text]) -> Iterator[tuple[_Text, _Text]]:
    """Each old text with each new one that it could be, the ones of equal names first."""
    by_place: dict[tuple[str, ...], list[_Text]] = defaultdict(list)
    for each in texts:
        by_place[_place(each.key, each.name)].append(each)
    for together in by_place.values():
        pairs = [(old, new) for old in together if old.is_old for new in together if not new.is_old]
        yield from sorted(pairs, key=lambda pair: pair[0].key != pair[1].key)


def _read_back(texts: Iterable[_Text], ask: Ask) -> Mapping[_Text, str | None]:
    """What PostgreSQL prints for each text that it has read back; None where it refuses to."""
    texts = list(texts)
    items = [each.reading.as_json() for each in texts]
    # NULL, which ends it, where the session may not use the language of the block.
    language = "SELECT has_language_privilege(l.oid, 'USAGE') FROM pg_language AS l WHERE l.lanname = 'plpgsql'"
    set_items = f"set_config('overproof.items', {literal(json.dumps(items))}, false)"
    answer = ask(
        [
            f"SELECT CASE WHEN ({language}) THEN {set_items} END",
            _READ_BACK,
            "SELECT current_setting('overproof.printed')",
        ]
    )
    return dict(zip(texts, json.loads(answer) if answer else [None] * len(texts), strict=True))


_PINNED = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in PINNED_SETTINGS.items())

# Integers of any width are compared by value: `n IN (1, 2)` has a list of bigint, or of integer if `n` was one before.
_LIST_OF_INTEGERS = r"\m(ANY|ALL) \(''(\{[-0-9,]+\})''::(smallint|integer)\[\]\)"
_AS_BIGINT = r"\1 (''\2''::bigint[])"

# The exception rolls back what was created and set; the variables of a block keep their values. Without percent signs,
# for which some drivers look.
_READ_BACK = f"""DO LANGUAGE plpgsql $overproof$
DECLARE
    item json;
    step text;
    answer json;
    plan json;
    folded text;
    printed text[];
    is_whole boolean;
    found jsonb := '[]';
BEGIN
    FOR item IN SELECT x FROM json_array_elements(current_setting('overproof.items')::json) AS x LOOP
        is_whole := false;
        BEGIN
            PERFORM {_PINNED};
            FOR step IN SELECT x FROM json_array_elements_text(item -> 'steps') AS x LOOP
                EXECUTE step;
            END LOOP;
            EXECUTE item ->> 'print' INTO STRICT answer;
            printed := ARRAY[answer ->> 'traits'];
            FOR step IN SELECT x FROM json_array_elements_text(answer -> 'expressions') AS x LOOP
                EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) SELECT ' || step || coalesce(' FROM ONLY ' || (item ->> 'table'), '')
                    INTO STRICT plan;
                folded := regexp_replace(plan -> 0 -> 'Plan' -> 'Output' ->> 0, '{_LIST_OF_INTEGERS}', '{_AS_BIGINT}', 'g');
                printed := printed || CASE WHEN folded ~ '(Sub|Init)Plan' THEN step ELSE folded END;
            END LOOP;
            is_whole := true;
            RAISE EXCEPTION 'to roll it back';
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
        found := found || jsonb_build_array(CASE WHEN is_whole THEN array_to_json(printed)::text END);
    END LOOP;
    PERFORM set_config('overproof.printed', found::text, false);
END $overproof$"""
