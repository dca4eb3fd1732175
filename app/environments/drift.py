"""Drift: what differs between a database and the schema that was proved for the revisions that it is at."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlmodel import Session, col, select

from app.environments.deployments import current_deployments
from app.environments.models import Environment
from app.environments.schemas import Difference, DriftRead, Policy, SnapshotRead
from app.environments.snapshots import newest_snapshot, objects_in
from app.gate.report.drift import is_of_server
from app.revisions import service as revisions
from app.revisions.models import ProvedSchema, Revision

MOST_DIFFERENCES = 200
Key = tuple[str, str, str, str]  # kind, schema, table, name


class Where(NamedTuple):
    """Where a database is, and what was proved for that."""

    revisions: Sequence[str]
    proved: frozenset[str]  # digests of schemas


def proved_schemas(session: Session, environment: Environment, at: Sequence[str]) -> frozenset[str]:
    """The digests of the schemas after these revisions, by the proofs that count in that environment.

    Of a revision with several contents those that are deployed count, else all.
    """
    project_id = environment.project_id
    trust = Policy.model_validate(environment.policy).trust
    contents = set(
        session.exec(
            select(Revision.revision, Revision.sha256).where(
                Revision.project_id == project_id, col(Revision.revision).in_(list(at))
            )
        )
    )
    deployed: set[revisions.Content] = set()
    for digest in {each.history for each in current_deployments(session, environment)}:
        history = revisions.get_history(session, project_id, digest)
        deployed.update((revision, sha256) for revision, sha256, _ in history.revisions)
    found = revisions.find_proofs(session, project_id, (contents & deployed) or contents)
    return frozenset(
        proof.schema_after for proofs in found.values() for proof in proofs if proof.trusted or trust == "any"
    )


def read_drift(session: Session, environment: Environment) -> DriftRead:
    snapshot = newest_snapshot(session, environment)
    if snapshot is None:
        return _unknown("There is no snapshot: overproof snapshot --submit sends one.", None)
    if not snapshot.revisions:
        why = "could not be read" if snapshot.revisions is None else "is none"
        return _unknown(f"The revision that the database is at {why}, so no schema was proved for it.", snapshot)
    where = Where(snapshot.revisions, proved_schemas(session, environment, snapshot.revisions))
    at = ", ".join(snapshot.revisions)
    if not where.proved:
        return _unknown(
            f"No report that counts here has applied the revision that the database is at ({at}).", snapshot
        )
    differences = find_differences(session, environment, snapshot, where.proved)
    if differences is None:
        return _unknown(unknown_sentence(at), snapshot, where.proved)
    return DriftRead(
        state="drifted" if differences else "none",
        sentence=drift_sentence(at, differences) if differences else f"The schema is the one that was proved for {at}.",
        snapshot=snapshot,
        proved_digests=sorted(where.proved),
        differences=differences[:MOST_DIFFERENCES],
        difference_count=len(differences),
    )


def drift_sentence(at: str, differences: Sequence[Difference]) -> str:
    first = differences[0]
    others = f", and {len(differences) - 1} more" if len(differences) > 1 else ""
    return f"The schema is not the one that was proved for {at}: {first.kind} {first.object} is {first.change}{others}."


def unknown_sentence(at: str) -> str:
    return (
        f"The digest of the schema is not the one that was proved for {at}, and the objects of that one are not known."
    )


def _unknown(sentence: str, snapshot: SnapshotRead | None, proved: Iterable[str] = ()) -> DriftRead:
    return DriftRead(
        state="unknown",
        sentence=sentence,
        snapshot=snapshot,
        proved_digests=sorted(proved),
        differences=[],
        difference_count=None,
    )


def find_differences(
    session: Session, environment: Environment, snapshot: SnapshotRead, proved: Collection[str]
) -> list[Difference] | None:
    """From the nearest proved schema, without what belongs to the server. None if the objects of none are known."""
    if snapshot.digest in proved:
        return []
    found = _by_key(objects_in(session, environment, snapshot))
    schemas = session.exec(
        select(ProvedSchema.objects)
        .where(ProvedSchema.project_id == environment.project_id, col(ProvedSchema.digest).in_(list(proved)))
        .order_by(col(ProvedSchema.first_seen_at).desc())
        .limit(5)
    )
    candidates = [list(_differences(_by_key(objects), found)) for objects in schemas]
    return min(candidates, key=len, default=None)


def is_blank(session: Session, environment: Environment, snapshot: SnapshotRead) -> bool:
    """Whether the database has nothing but what belongs to the server."""
    found = _by_key(objects_in(session, environment, snapshot))
    return all(is_of_server(kind, name, None, definition) for (kind, _, _, name), definition in found.items())


def _by_key(objects: Iterable[Any]) -> Mapping[Key, Any]:
    return {
        (each["kind"], each["schema"], each.get("table", ""), each["name"]): each["definition"]
        for each in objects
        if isinstance(each, dict) and {"kind", "schema", "name", "definition"} <= each.keys()
    }


def _differences(proved: Mapping[Key, Any], found: Mapping[Key, Any]) -> Iterator[Difference]:
    for key in sorted(proved.keys() | found.keys(), key=lambda key: (key[1], key[2] or key[3], key[0], key[3])):
        before, after = proved.get(key), found.get(key)
        kind, schema, table, name = key
        if before == after or is_of_server(kind, name, before, after):
            continue
        change = "unexpected" if before is None else "missing" if after is None else "changed"
        yield Difference(
            kind=kind,
            object=".".join(part for part in (schema, table, name) if part),
            change=change,  # type: ignore[arg-type]
            proved=before,
            found=after,
        )
