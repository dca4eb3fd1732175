"""Findings weighed by the sizes of tables in a deployed database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from app.gate.judging.sizes import Deployed, SizedTable, TableSize, Weight
from app.gate.judging.weighing import WeightedFinding
from app.gate.recording.model import Recording
from app.gate.recording.names import full_name, shorten
from app.gate.report.verdict import OF_SIZE, Severity
from app.gate.wording import listed, readable_bytes, readable_number


def weigh_by_size(weighed: Iterable[WeightedFinding], deployed: Deployed, configured: Iterable[str]) -> list[str]:
    """Make notices of hazards on small and on new tables, unless their check's severity is configured.

    Returns what could not be weighed, a sentence each.
    """
    uncounted: dict[str, None] = {}
    for each in weighed:
        if each.check.id not in OF_SIZE or each.recording is None:
            continue
        each.tables = tuple(_sized_tables(each, deployed))
        uncounted.update(dict.fromkeys(one.table for one in each.tables if one.weight is Weight.UNKNOWN))
        is_light = all(one.weight in (Weight.SMALL, Weight.NEW) for one in each.tables)
        if each.tables and is_light and each.check.id not in configured:
            each.severity = Severity.NOTICE
    return list(_unknown(deployed, [*uncounted]))


def _unknown(deployed: Deployed, uncounted: list[str]) -> Iterator[str]:
    advice = "run ANALYZE there and take the snapshot again; until then hazards are weighed as on large tables"
    if deployed.sizes and not deployed.has_sizes:
        yield f"{deployed.source} has no sizes, since no table was ever analyzed: {advice}"
    elif uncounted:
        names = listed([shorten(each) for each in uncounted])
        yield f"{deployed.source} does not have the rows of {names}, which {'was' if len(uncounted) == 1 else 'were'} never analyzed: {advice}"


def _sized_tables(finding: WeightedFinding, deployed: Deployed) -> Iterator[SizedTable]:
    recording = finding.recording
    if recording is None:
        return
    former = _former_names(recording)
    for table in finding.finding.tables or _tables_of(finding.finding.object, deployed.sizes):
        name: str | None = table
        while name is not None and name not in deployed.sizes:
            name = former.get(name)
        if name is None:
            yield SizedTable(table, Weight.UNKNOWN if _was_there(table, recording, deployed) else Weight.NEW)
            continue
        size = deployed.sizes[name]
        if size.rows is None:
            yield SizedTable(table, Weight.UNKNOWN, size)
        else:
            yield SizedTable(table, Weight.SMALL if size.rows < deployed.small_table_rows else Weight.LARGE, size)


def _tables_of(object_: str | None, known: Mapping[str, TableSize]) -> list[str]:
    """The tables of `public.orders`, `public.orders.note` or `public.customers, public.orders`."""
    tables = []
    for name in object_.split(", ") if object_ else ():
        parts = name.split(".")
        wholes = [".".join(parts[:length]) for length in range(len(parts), 1, -1)]
        tables.append(next((each for each in wholes if each in known), ".".join(parts[:2])))
    return tables


def _former_names(recording: Recording) -> dict[str, str]:
    """{"public.purchases": "public.orders"}: the tables that the revisions rename."""
    return {
        full_name(each.after): full_name(each.before)
        for trip in recording.trips
        for each in (trip.up.renamed if trip.up is not None else ())
        if each.after.kind == "table"
    }


def _was_there(table: str, recording: Recording, deployed: Deployed) -> bool:
    """Whether the deployed database should have the table: it is at the schema from which the walk starts."""
    if recording.start is None or not recording.trips:
        return False
    is_start = {*recording.get_revision(recording.trips[0].revision).down_revisions} <= deployed.revisions
    names = {full_name(key) for key in recording.start.objects if key.kind == "table"}
    return is_start and bool(deployed.revisions) and table in names


def sentence_of(tables: Iterable[SizedTable], deployed: Deployed) -> str:
    """How large the tables are: "In production, orders has about 400 million rows (48 GB)." """
    known = [each for each in tables if each.size.rows is not None]
    new = [shorten(each.table) for each in tables if each.weight is Weight.NEW]
    where = f"In {deployed.source}"
    parts = []
    if known:
        largest = sorted(known, key=lambda each: -(each.size.rows or 0))
        parts.append(f"{where}, {listed([_size(each) for each in largest])}.")
    if new:
        parts.append(f"{where} there is no {listed(new)} yet.")
    return " ".join(parts)


def _size(table: SizedTable) -> str:
    size = f" ({readable_bytes(table.size.bytes)})" if table.size.bytes is not None else ""
    return f"{shorten(table.table)} has about {readable_number(table.size.rows or 0)} rows{size}"
