"""The other programs that judge MigrationPilot's labelled files, each in the settings that it comes with.

Which hazards a rule names is MigrationPilot's own table for squawk and pgfence (`bench/rule-map.json` of the checkout), and is written
below for those which that table does not know, by the same standard: a rule counts for a hazard that its own message names.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.bench.peers_corpus import LabelledFile


@dataclass(frozen=True)
class Rule:
    """What a rule of some program amounts to."""

    hazards: frozenset[str]  # those that it names
    counts: bool  # it says that something is wrong; false for settings, style, and what is said of safe statements


@dataclass(frozen=True)
class Said:
    """What one program said of one file."""

    rules: frozenset[str]
    hazards: frozenset[str]  # that they name
    alarms: frozenset[str]  # the rules of these that say that something is wrong


@dataclass(frozen=True)
class Peer:
    """A program that was there, and what it said, by the file's name."""

    name: str
    said: Mapping[str, Said]
    unknown: frozenset[str] = frozenset()  # rules that no table knows; each counts as an alarm
    unread: frozenset[str] = frozenset()  # files that it could not read


@dataclass(frozen=True)
class Material:
    """The files as a linter finds them."""

    place: Path
    files: Sequence[LabelledFile]
    sql: Mapping[str, Path]  # in `sql`, by the file's name, without its header
    scripts: Mapping[str, Sequence[Path]]  # the same as Alembic's scripts
    rule_map: Mapping[str, Any]  # MigrationPilot's


def _names(*hazards: str) -> Rule:
    return Rule(frozenset(hazards), counts=True)


NOTHING = Rule(frozenset(), counts=False)

SAFEMIGRATE = {
    "access-method-change-rewrites": _names(),
    "add-non-nullable-without-default": _names(),
    "analyzer-blind-on-dynamic-sql": NOTHING,
    "column-type-change-rewrites-table": _names("column-type-rewrite"),
    "concurrent-index-create-required": _names("non-concurrent-index"),
    "concurrent-index-drop-required": _names(),
    "concurrent-partition-detach-required": _names("partition-detach"),
    "concurrent-reindex-required": _names(),
    "constraint-dropped-warning": _names(),
    "constraint-not-valid-required": _names("check-constraint-scan", "fk-without-not-valid"),
    "drop-column-restricted": _names("drop-column"),
    "drop-database-restricted": _names(),
    "drop-table-restricted": _names("drop-table-cascade"),
    "enum-value-ordering-required": NOTHING,
    "identity-column-add-rewrites": _names(),
    "index-concurrent-in-transaction-banned": _names("concurrently-in-transaction"),
    "index-no-duplicate-column": NOTHING,
    "nullable-to-non-nullable-may-fail": _names("set-not-null-scan"),
    "pk-constraint-exclusive-lock": _names(),
    "refresh-matview-blocks-reads": _names(),
    "rename-column-warning": _names("rename-column-breakage"),
    "rename-table-warning": _names("rename-table-breakage"),
    "stored-generated-column-rewrites": _names("stored-generated-rewrite"),
    "table-logging-mode-rewrites": _names(),
    "transaction-nesting-banned": NOTHING,
    "trigger-add-blocks-writes": _names(),
    "truncate-cascade-banned": _names("truncate-cascade"),
    "uncommitted-transaction-banned": NOTHING,
    "unique-constraint-data-dependent": _names(),
    "unique-constraint-exclusive-lock": _names("unique-constraint-scan"),
    "update-delete-row-scope": _names("unbatched-backfill"),
    "volatile-default-rewrites-table": _names("volatile-default-rewrite"),
}
LOCKSAFE = {
    "add-column-not-null-no-default": _names(),
    "add-column-volatile-default": _names("volatile-default-rewrite"),
    "add-foreign-key-not-valid": _names("fk-without-not-valid"),
    "alter-column-type": _names("column-type-rewrite"),
    "create-index-non-concurrent": _names("non-concurrent-index"),
    "drop-column": _names("drop-column"),
    "drop-index-non-concurrent": _names(),
    "drop-table": _names("drop-table-cascade"),
    "explicit-lock-table": _names(),
    "multiple-ddl-same-table": _names(),
    "rename-table-or-column": _names("rename-column-breakage", "rename-table-breakage"),
    "set-not-null-no-check": _names("set-not-null-scan"),
    "truncate": _names("truncate-cascade"),
}
# "There is raw SQL here" is said of every file. What is in the SQL has rules of its own.
MIGSAFE = {
    "execute_raw_sql": NOTHING,
    "sql_alter_column_type": _names("column-type-rewrite"),
    "sql_alter_table_add_column_not_null": _names(),
    "sql_batch_migration": _names("unbatched-backfill"),
    "sql_create_index_without_concurrently": _names("non-concurrent-index"),
    "sql_delete_without_where": _names(),
    "sql_drop_column": _names("drop-column"),
    "sql_drop_table": _names("drop-table-cascade"),
    "sql_insert_without_batching": _names(),
    "sql_lock_table": _names(),
    "sql_subquery_in_update": _names(),
    "sql_subquery_without_limit": _names(),
    "sql_truncate_table": _names("truncate-cascade"),
    "sql_update_without_where": _names("unbatched-backfill"),
}


def squawk(material: Material) -> Peer:
    rules: dict[str, set[str]] = {}
    for major, files in _by_major(material.files):
        paths = {str(material.sql[file.name]): file.name for file in files}
        for entry in json.loads(_run(material, "squawk", "--reporter", "json", "--pg-version", f"{major}.0", *paths)):
            rules.setdefault(paths[entry["file"]], set()).add(entry["rule_name"])
    return _peer("squawk", metadata.version("squawk-cli"), rules, _rules_of(material, "squawk"), material)


def pgfence(material: Material) -> Peer:
    """One file at a time: one that it cannot read ends the run."""
    rules: dict[str, set[str]] = {}
    unread = set()
    for file in material.files:
        version = ("--min-pg-version", str(file.major))
        path = str(material.sql[file.name])
        output = _run(
            material, "pgfence", "analyze", "--output", "json", "--format", "sql", *version, path, may_fail=True
        )
        if not output:
            unread.add(file.name)
            continue
        (entry,) = json.loads(output)["results"]
        rules[file.name] = {each["ruleId"] for each in (*entry["checks"], *entry["policyViolations"])}
    peer = _peer(
        "pgfence", _run(material, "pgfence", "--version").strip(), rules, _rules_of(material, "pgfence"), material
    )
    return replace(peer, unread=frozenset(unread))


def safemigrate_lint(material: Material) -> Peer:
    paths = {str(path): name for name, path in material.sql.items()}
    rules: dict[str, set[str]] = {}
    for entry in json.loads(_run(material, "safemigrate-lint", "--format", "json", *paths)):
        rules.setdefault(paths[entry["file"]], set()).add(entry["rule_id"])
    return _peer("safemigrate-lint", metadata.version("safemigrate-lint"), rules, SAFEMIGRATE, material)


def locksafe(material: Material) -> Peer:
    paths = {str(path): name for name, path in material.sql.items()}
    output = _run(material, "locksafe", "check", "--format", "json", str(material.place / "sql"))
    rules: dict[str, set[str]] = {}
    for entry in json.loads(output):
        rules.setdefault(paths[entry["file"]], set()).add(entry["rule_id"])
    return _peer("locksafe", metadata.version("locksafe"), rules, LOCKSAFE, material)


def migsafe(material: Material) -> Peer:
    """It reads Alembic's scripts, not SQL."""
    names = {str(path): name for name, paths in material.scripts.items() for path in paths}
    rules: dict[str, set[str]] = {}
    for entry in json.loads(_run(material, "migsafe", "analyze", "--format", "json", "--no-color", *names))[
        "migrations"
    ]:
        rules.setdefault(names[entry["file"]], set()).update(issue["type"] for issue in entry["issues"])
    return _peer("migsafe", metadata.version("migsafe"), rules, MIGSAFE, material)


LINTERS: Mapping[str, Callable[[Material], Peer]] = {
    "squawk": squawk,
    "safemigrate-lint": safemigrate_lint,
    "locksafe": locksafe,
    "migsafe": migsafe,
    "pgfence": pgfence,
}


def judge_all(material: Material) -> tuple[list[Peer], list[str]]:
    """What each program said that is installed, and the names of those that are not."""
    missing = [name for name in LINTERS if _find(name) is None]
    return [linter(material) for name, linter in LINTERS.items() if name not in missing], missing


def _find(name: str) -> str | None:
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


def _run(material: Material, name: str, *arguments: str, may_fail: bool = False) -> str:
    """What the program prints. Its exit status says that it found something; some write logs where they run."""
    program = _find(name)
    if program is None:
        raise FileNotFoundError(name)
    done = subprocess.run([program, *arguments], cwd=material.place, capture_output=True, text=True, check=False)
    if not done.stdout.strip() and not may_fail:
        sys.exit(f"bench: {name} says nothing ({done.returncode}): {done.stderr[-2000:]}")
    return done.stdout


def _by_major(files: Iterable[LabelledFile]) -> list[tuple[int, list[LabelledFile]]]:
    ordered = sorted(files, key=lambda file: file.major)
    return [(major, list(group)) for major, group in groupby(ordered, key=lambda file: file.major)]


def _rules_of(material: Material, tool: str) -> dict[str, Rule]:
    entries = material.rule_map["tools"][tool]["rules"]
    return {
        name: Rule(frozenset(entry["hazards"]), counts=entry["bucket"] == "hazard") for name, entry in entries.items()
    }


def _peer(
    name: str, version: str, rules: Mapping[str, set[str]], table: Mapping[str, Rule], material: Material
) -> Peer:
    said, unknown = {}, set()
    for file in material.files:
        spoke = rules.get(file.name, set())
        unknown |= spoke - table.keys()
        known = {rule: table.get(rule, _names()) for rule in spoke}
        said[file.name] = Said(
            frozenset(spoke),
            frozenset().union(*(rule.hazards for rule in known.values())),
            frozenset(each for each, rule in known.items() if rule.counts),
        )
    return Peer(f"{name} {version}", said, frozenset(unknown))
