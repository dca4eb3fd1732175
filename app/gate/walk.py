"""The walk: which revision goes up, down and up again, in which transaction, and what is done when one of them fails.

    up          committed, as a deploy would do it
    down, up    in one transaction that is rolled back, so that a defective downgrade spoils nothing that comes after it.
                One transaction is not what users run (pending trigger events, a new label of an enum): a second upgrade
                that fails there is suspected, and confirmed with commits on a database of its own before it counts.

A revision that commits by itself, as an autocommit block does, cannot be rolled back. It goes down and up with commits; if that
leaves another schema behind than there was, the database is made anew and brought to that revision.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from app.gate.errors import CannotVerify
from app.gate.history.git_base import compare, read_base
from app.gate.history.graph import read_graph
from app.gate.history.paths import repository_root
from app.gate.recording.model import (
    EXISTS_ALREADY,
    Divergence,
    Drift,
    Failure,
    Graph,
    Part,
    Revision,
    Snapshot,
    Statement,
    Step,
    Trip,
    UnregisteredModel,
)
from app.gate.rows.connection import AskFailed, Line
from app.gate.rows.touched import find_rows, touched_tables
from app.gate.rows.trial import Trial
from app.gate.settled import Models, find_settled
from app.gate.snapshot.incremental import FIRST_QUESTION, begin, difference_between, follow, has_rare, question
from app.gate.snapshot.read import without
from app.gate.target.runner import Stage
from app.gate.target.session import Conversation, Gone, Hung, Place, Request, Unforeseen

_UNITS_MS = {"": 1, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


class Spoiled(Exception):
    """The database is not what the walk left it as. `next_index` is where the walk goes on with a new one."""

    def __init__(self, next_index: int) -> None:
        super().__init__(next_index)
        self.next_index = next_index


@dataclass
class Walk:
    """One walk through one history, as it grows."""

    index: int  # which of the command's calls to Alembic it is
    hello: Mapping[str, Any]
    graph: Graph
    plan: list[str]
    parts: frozenset[Part]  # what is recorded beyond it
    is_transactional: bool  # False where the connection commits each statement by itself
    has_metadata: bool
    current: tuple[str, ...] = ()  # where the database was before the walk: the base's revisions, with --base
    base: Divergence | None = None
    is_stamp: bool = (
        False  # the command only marks the database with a revision, as one does whose tables code has made
    )
    start: Snapshot | None = None
    trips: dict[str, Trip] = field(default_factory=dict)
    suspects: list[str] = field(default_factory=list)
    applied: set[str] = field(default_factory=set)
    blocked_by: dict[str, str] = field(
        default_factory=dict
    )  # revision that was not tried -> the one that failed below it
    head: Snapshot | None = None
    is_stop: bool = False  # a later walk goes on with the same history
    drift: tuple[Drift, ...] | None = None
    is_drift_stale: bool = False  # a script has changed the models' metadata, in the process that was asked
    hidden: tuple[str, ...] = ()
    late: tuple[str, ...] = ()  # tables of models that the command loads once Alembic is done: "public.orders"
    unregistered: tuple[UnregisteredModel, ...] | None = None
    missing: dict[str, str] = field(default_factory=dict)
    paths: Mapping[str, Path] = field(default_factory=dict)  # of the scripts, by revision
    unpopulated: dict[str, Trial] = field(default_factory=dict)  # revisions that are still to be tried over rows
    known: Mapping[str, str] | None = None  # tables settled at the base, and their models; None: nobody asks
    models: Models = field(default_factory=dict)
    settled: frozenset[str] = frozenset()  # tables that need not be compared with their models (see `settled.py`)
    creation: Sequence[str] | None = None  # SQL that creates what the models have beyond these, if SQL is enough
    created: Snapshot | None = None  # by that SQL
    refused: tuple[str, ...] = ()  # tables of which a filter of the project's left something out
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, revision: str, **changes: Any) -> None:
        """Write down more of that revision's trip. Others may be at it as well, for other fields."""
        with self._lock:
            self.trips[revision] = replace(self.trips[revision], **changes)

    @cached_property
    def revisions(self) -> dict[str, Revision]:
        """The scripts by their revision."""
        return {each.revision: each for each in self.graph.revisions}

    @property
    def history(self) -> tuple[Any, ...]:
        """What tells one history from another: where its scripts are, and where its revision is kept."""
        return tuple(self.hello[name] for name in ("script_location", "version_table", "version_table_schema"))

    def ask_drift(
        self, conversation: Conversation, timeout_s: float, meanwhile: Callable[[], None] | None = None
    ) -> None:
        """What autogenerate would still write, in the process of that conversation, which is at head."""
        answer = conversation.ask("drift", timeout_s, meanwhile, settled=sorted(self.settled))
        if failure := answer.get("failure"):
            self.missing["drift"] = f"autogenerate failed: {failure['message']}"
            return
        self.drift = tuple(Drift(each["operation"], each["object"], each["kind"]) for each in answer["operations"])
        self.hidden += tuple(answer["waived"])
        self.refused = tuple(answer["refused"])
        self.is_drift_stale = answer["is_stale"]

    def get_head(self) -> Snapshot:
        """The schema at head. Raises LookupError if the walk did not get there."""
        if self.head is None:
            raise LookupError("head was not reached")
        return self.head

    def without_version_table(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot less the table in which Alembic keeps the revision."""
        return without(snapshot, self._version_schema, self.hello["version_table"])

    @property
    def version_table(self) -> str:
        """ "public.alembic_version" """
        return f"{self._version_schema}.{self.hello['version_table']}"

    @property
    def _version_schema(self) -> str:
        return str(self.hello["version_table_schema"] or self.hello.get("default_schema") or "public")


def begin_walk(index: int, conversation: Conversation, stage: Stage) -> Walk:
    """Have the driver get ready, and read the history and the plan. Raises CannotVerify."""
    described = conversation.ask("prepare")
    if failure := described.get("failure"):
        raise CannotVerify(f"Alembic cannot begin on an empty database: {failure['message']}")
    directory, base_ref = stage.target.directory, stage.base_ref
    is_kept = stage.is_kept and described["has_metadata"]
    # Which take a while: we read the history in the meantime.
    if is_kept:
        conversation.send("fingerprints")
    elif base_ref is None and described["plan"]:
        conversation.foresee({"do": "query", "statements": FIRST_QUESTION})
    graph = read_graph(described, directory, stage.scripts)
    if not described.get("is_upgrade", True) and not described["is_stamp"]:
        raise CannotVerify("the command does not upgrade: name the one that brings the database to head, after --")
    divergence = None
    if base_ref is not None:
        env = directory / (conversation.hello["script_location"] or "") / "env.py"
        graph, divergence = _set_against_base(graph, described, directory, base_ref, env)
    return Walk(
        index=index,
        hello=conversation.hello,
        graph=graph,
        plan=list(described["plan"]),
        parts=stage.parts,
        is_transactional=described["is_transactional"],
        has_metadata=described["has_metadata"],
        current=tuple(described["current"]),
        base=divergence,
        is_stamp=described.get("is_stamp", False),
        paths={each["revision"]: Path(each["path"]) for each in described["revisions"]},
        models=conversation.receive().get("models", {}) if is_kept else {},
    )


def _set_against_base(
    graph: Graph, described: Mapping[str, Any], directory: Path, ref: str, env: Path
) -> tuple[Graph, Divergence]:
    """The graph with its new revisions marked, and what the branch did to the old ones."""
    root = repository_root(directory)
    folders = {Path(location) for location in described["locations"]}
    folders |= {root / folder for folder in {each.path.rpartition("/")[0] for each in graph.revisions}}
    base = read_base(ref, root, sorted(folders))
    outside = {each.revision for each in graph.revisions if each.path.startswith("/")}
    revisions = tuple(
        replace(each, is_new=each.revision not in base.scripts and each.revision not in outside)
        for each in graph.revisions
    )
    return replace(graph, revisions=revisions), compare(base, graph, root, env)


class Walker:
    """Goes one walk over one conversation. Made anew, with the same `walk`, when the database had to be."""

    def __init__(self, walk: Walk, conversation: Conversation, timeout_s: float, cancel: Callable[[str], None]) -> None:
        self._walk = walk
        self._conversation = conversation
        self._timeout_s = timeout_s
        self._cancel = cancel  # ends what a backend is doing
        self._state: Snapshot

    def go(self, start_at: int, on_step: Callable[[int], None], at_head: Callable[[], None]) -> None:
        """Walk the plan from that index on, then look at what is there at its end. Raises Spoiled, Hung and Gone.

        `at_head` is called when the walk got to head, while the command is busy with what autogenerate sees.
        """
        self._fast_forward(start_at)
        self._state = self._look()
        if start_at == 0:
            self._walk.start = self._state
        for index in range(start_at, len(self._walk.plan)):
            on_step(index)
            self._visit(index)
        on_step(len(self._walk.plan))
        self._arrive(at_head)

    def forward(self) -> None:
        """Apply what the base has of the plan, and nothing else. Raises CannotVerify."""
        walk = self._walk
        # What slipped in below an old revision has to be there for that one to apply.
        slipped_in = {revision for revision, _ in walk.base.slipped_in} if walk.base else set()
        for revision in walk.plan:
            if walk.revisions[revision].is_new and revision not in slipped_in:
                continue
            answer = self._run(revision, "upgrade", is_observed=False)
            if failure := answer.get("failure"):
                raise CannotVerify(
                    f"revision {revision} is older than this branch and does not apply: {failure['message']};"
                    " run without --base to see the whole history judged"
                )

    def _fast_forward(self, index: int) -> None:
        for revision in self._walk.plan[:index]:
            if revision in self._walk.applied:
                try:
                    answer = self._run(revision, "upgrade", is_observed=False)
                except (Gone, Hung) as lost:
                    answer = {"failure": {"message": str(lost)}}
                if failure := answer.get("failure"):
                    raise CannotVerify(
                        f"revision {revision} applied once and not again on another empty database: {failure['message']}"
                    )

    def _visit(self, index: int) -> None:
        walk = self._walk
        name = walk.plan[index]
        revision = walk.revisions[name]
        for parent in (*revision.down_revisions, *revision.depends_on):
            if parent in walk.trips and parent not in walk.applied:
                culprit = walk.blocked_by.get(parent, parent)
                walk.blocked_by[name] = culprit
                walk.trips[name] = Trip(name, not_tried=f"it comes after {culprit}, which does not apply")
                return
        before = self._state
        self._foresee(name, before)
        up = self._step(name, "upgrade")
        if up.failure is not None:
            walk.trips[name] = Trip(name, up=up)
            if not up.transactional and self._look(before) != before:
                raise Spoiled(index + 1)
            return
        walk.applied.add(name)
        has_downgrade = revision.downgrade_body != "missing"
        is_held = has_downgrade and up.transactional and walk.is_transactional
        if is_held:
            self._conversation.ask("hold")
        try:
            after = self._look(before)
        except Unforeseen:
            self._take_back(name)
            after = self._look(before)
        up = replace(up, changes=difference_between(before, after))
        self._state = after
        walk.trips[name] = Trip(name, up=up, not_tried=None if has_downgrade else "the script has no downgrade()")
        is_done = is_held and self._go_back_and_forth(name, before, after)
        self._postpone_rows(name, before)
        if has_downgrade and not is_done:
            self._go_back_and_forth_with_commits(index, before, after)

    def _go_back_and_forth(self, name: str, before: Snapshot, after: Snapshot) -> bool:
        """Down and up in the held transaction, which is rolled back. False if the script ends it: nothing has happened then."""
        try:
            is_done = self._try_back_and_forth(name, before, after)
        except Unforeseen:
            self._take_back(name)
            is_done = self._try_back_and_forth(name, before, after)
        if is_done:
            self._release(name)
        elif not self._conversation.ask("release")["undone"] and self._look(after) != after:
            raise Spoiled(self._walk.plan.index(name) + 1)  # it did not only roll back
        return is_done

    def _release(self, name: str) -> None:
        if not self._conversation.ask("release")["undone"]:
            raise Spoiled(self._walk.plan.index(name) + 1)

    # What will be asked is mostly known beforehand. The command goes on with it while we think about its answers.

    def _foresee(self, name: str, before: Snapshot) -> None:
        walk = self._walk
        look: Request = {"do": "query", "statements": question(before)}
        requests = [self._request(name, "upgrade", is_observed=True)]
        if walk.revisions[name].downgrade_body != "missing" and walk.is_transactional:
            requests += [{"do": "hold"}, look]
            if Part.POPULATED not in walk.parts:  # else rows may come between
                again = self._request(name, "upgrade", is_observed=False)
                requests += [self._request(name, "downgrade", is_observed=True), look, again]
        else:
            requests.append(look)
        self._conversation.foresee(*requests)

    def _take_back(self, name: str) -> None:
        """Undo what was foreseen and is not wanted: it is in a transaction that is held, as what comes now will be."""
        self._let_pass()
        self._release(name)
        self._conversation.ask("hold")

    def _let_pass(self) -> None:
        """Let what was foreseen go to its end."""
        while self._conversation.foreseen:
            request = self._conversation.foreseen[0]
            if request["do"] == "step":
                self._carry_out(request)
            else:
                self._conversation.ask(**request)

    def _try_back_and_forth(self, name: str, before: Snapshot, after: Snapshot) -> bool:
        walk = self._walk
        trip = walk.trips[name]
        trial = self._trial(trip, before)
        if trial:
            trial.look_ahead()
        down = self._step(name, "downgrade")
        if down is _CANNOT_HOLD:
            return False
        if down.failure is not None:
            walk.trips[name] = replace(trip, down=down)
            return True
        back = self._look(after, asked_since=before)
        down = replace(down, changes=difference_between(after, back))
        trip = replace(trip, down=down, left_behind=difference_between(before, back))
        trial = trial or self._trial(trip, before)
        if trip.left_behind and not down.changes:
            walk.trips[name] = trip  # the downgrade undid nothing: an upgrade over it all proves nothing more
            self._let_pass()
            return True
        again = (
            trial.upgrade(lambda: self._repeat(name, "upgrade"), is_void) if trial else self._repeat(name, "upgrade")
        )
        if again is _CANNOT_HOLD:
            return False
        if again.failure is not None:
            walk.trips[name] = replace(trip, again=again, populated=trial.populated if trial else None)
            if not (trip.left_behind and again.failure.sqlstate in EXISTS_ALREADY):
                walk.suspects.append(name)
            return True
        if trip.left_behind or not _must_do_the_same(trip.up, again, before):
            trip = replace(trip, not_repeated=difference_between(after, self._look(back)))
            if trip.not_repeated and (trial or not trip.left_behind):
                # It may leave a table alone that has rows, or have asked on another connection, for which nothing has gone down.
                walk.suspects.append(name)
        trip = replace(trip, again=again)
        if trial:
            trial.after_upgrade()
            trial.downgrade(lambda: self._repeat(name, "downgrade"))
            trip = replace(
                trip, populated=trial.populated, not_covered=trial.not_covered, rows_failure=trial.rows_failure
            )
        walk.trips[name] = trip
        return True

    def _postpone_rows(self, name: str, before: Snapshot) -> None:
        """Rows that could not be tried on the way down and up will be, on another database (`populate`)."""
        trip = self._walk.trips[name]
        if trip.populated is None and not trip.not_covered:
            trial = self._trial(trip, before)
            if trial is not None:
                self._conversation.ask("hold")
                trial.look_ahead()
                self._conversation.ask("release")
                self._walk.unpopulated[name] = trial

    def _trial(self, trip: Trip, before: Snapshot) -> Trial | None:
        """The revision's upgrade over rows, if it does something with rows that were there before it."""
        walk = self._walk
        if trip.up is None or not walk.is_transactional or Part.POPULATED not in walk.parts:
            return None
        touched = touched_tables(trip.up, before, trip.down) - {walk.version_table}
        path = find_rows(walk.paths[trip.revision], walk.hello["script_location"], trip.revision)
        if not touched and path is None:
            return None
        own_rows = path.read_text("utf-8", "replace") if path else None
        return Trial(self._line(), touched, trip.up.changes, own_rows)

    def _line(self) -> Line:
        """The migration's connection, for rows: what is refused is an answer, and no fault."""

        def ask(sql: str, *before: str) -> str:
            answer = self._conversation.ask("ask", sql=sql, before=before)
            if failure := answer.get("failure"):
                raise AskFailed(Failure(**failure))
            return str(answer["value"])

        def execute(statements: Sequence[str]) -> Failure | None:
            failure = self._conversation.ask("execute", statements=list(statements)).get("failure")
            return Failure(**failure) if failure else None

        def load(script: str) -> Failure | None:
            failure = self._conversation.ask("script", sql=script).get("failure")
            return Failure(**failure) if failure else None

        return Line(ask, execute, load)

    def _go_back_and_forth_with_commits(self, index: int, before: Snapshot, after: Snapshot) -> None:
        walk = self._walk
        name = walk.plan[index]
        trip = walk.trips[name]
        down = self._step(name, "downgrade")
        back = self._look(after)
        if down.failure is not None:
            walk.trips[name] = replace(trip, down=down)
            if back != after:
                raise Spoiled(index + 1)
            return
        down = replace(down, changes=difference_between(after, back))
        trip = replace(trip, down=down, left_behind=difference_between(before, back))
        if trip.left_behind and not down.changes:
            walk.trips[name] = trip
            # The version table says that the revision is not there, though it is.
            raise Spoiled(index + 1)
        again = self._repeat(name, "upgrade")
        forth = self._look(back)
        differences = () if again.failure else difference_between(after, forth)
        walk.trips[name] = replace(trip, again=again, not_repeated=differences)
        if again.failure is not None or differences:
            raise Spoiled(index + 1)

    def _arrive(self, at_head: Callable[[], None]) -> None:
        """Look at what is there at the end of the plan."""
        walk = self._walk
        walk.missing.update(_what_is_in_the_way(walk))
        if not walk.missing:
            walk.head = walk.without_version_table(self._state)
            if walk.has_metadata and walk.parts & {Part.DRIFT, Part.MODELS}:
                self._find_settled()
            if walk.has_metadata and Part.DRIFT in walk.parts:
                walk.ask_drift(self._conversation, self._timeout_s, at_head)
            else:
                at_head()
        if not walk.is_transactional:
            walk.missing["populated"] = (
                "env.py's connection commits each statement by itself, so rows could not be taken back"
            )
        if not walk.has_metadata:
            for part in ("drift", "models", "unregistered"):
                walk.missing[part] = "env.py gives no target_metadata, so Alembic knows of no models"
            return
        walk.hidden += tuple(self._conversation.ask("hidden")["tables"])
        if Part.UNREGISTERED in walk.parts:
            walk.unregistered = self._find_unregistered()

    def _find_unregistered(self) -> tuple[UnregisteredModel, ...]:
        try:
            found = self._conversation.ask("unregistered", self._timeout_s)["models"]
        except TimeoutError:
            raise CannotVerify(
                "a module of the models' packages, which env.py does not import, was imported to see whether it has models, and that"
                f" did not end within {self._timeout_s:g} s: --ignore unregistered-models leaves such modules alone"
            ) from None
        return tuple(UnregisteredModel(**each) for each in found)

    def _find_settled(self) -> None:
        walk = self._walk
        if walk.known is not None and walk.start is not None:
            walk.settled = find_settled(walk.known, walk.models, walk.start, self._state)
        if Part.MODELS in walk.parts and (walk.settled or walk.known is None):
            if not walk.models:
                walk.models = self._conversation.ask("fingerprints", self._timeout_s)["models"]
            walk.creation = self._conversation.ask("creation", settled=sorted(walk.settled))["statements"]

    # Single requests.

    def _repeat(self, revision: str, direction: str) -> Step:
        """Take a step whose locks, rewrites and scans are known from the first time. To look again at each statement is not for free."""
        return self._step(revision, direction, is_observed=False)

    def _step(self, revision: str, direction: str, *, is_observed: bool = True) -> Step:
        answer = self._carry_out(self._request(revision, direction, is_observed=is_observed))
        if answer.get("cannot_hold"):
            return _CANNOT_HOLD
        failure = answer.get("failure")
        return Step(
            revision=revision,
            direction=direction,
            duration_ms=round(answer.get("ms", 0.0), 3),
            transactional=answer.get("transactional", True),
            statements=tuple(_statement(each) for each in answer.get("statements", ())),
            failure=Failure(**failure, revision=revision) if failure else None,
        )

    def _request(self, revision: str, direction: str, *, is_observed: bool) -> Request:
        return step_request(revision, direction, is_observed and Part.LOCKS in self._walk.parts)

    def _run(
        self, revision: str, direction: str, *, is_observed: bool, stop_before: int | None = None
    ) -> dict[str, Any]:
        return self._carry_out(step_request(revision, direction, is_observed, stop_before))

    def _carry_out(self, step: Request) -> dict[str, Any]:
        at = (step["revision"], step["direction"])
        try:
            return self._conversation.ask(timeout_s=self._timeout_s, **step)
        except TimeoutError:
            return self._end_hung_step(at)
        except Gone as gone:
            gone.at = at
            raise

    def _end_hung_step(self, at: Place) -> dict[str, Any]:
        """Cancel what the step is doing. Raises Hung if it does not answer then either."""
        words = f"did not end within {self._timeout_s:g} s"
        self._cancel(self._conversation.hello["backend"])
        try:
            answer = self._conversation.receive(_PATIENCE_S)
        except TimeoutError:
            raise Hung(words, at) from None
        if failure := answer.get("failure"):
            failure.update(error="Timeout", message=words, sqlstate=None)
        elif self._conversation.foreseen:
            raise Hung(words, at)  # it ended by itself just then, and what came after it may have been cancelled
        return answer

    def _look(self, since: Snapshot | None = None, asked_since: Snapshot | None = None) -> Snapshot:
        """The schema as it is now. `since` is an earlier state of it, from which little has changed."""
        return begin(self._ask) if since is None else follow(since, self._ask, asked_since)

    def _ask(self, statements: Sequence[str]) -> Any:
        return self._conversation.ask("query", statements=list(statements))["value"]


def step_request(revision: str, direction: str, is_observed: bool, stop_before: int | None = None) -> Request:
    """The request for one revision in one direction, as the driver's `do_step` describes it."""
    return {
        "do": "step",
        "revision": revision,
        "direction": direction,
        "observe": is_observed,
        "stop_before": stop_before,
    }


_PATIENCE_S = 15.0  # how long a cancelled step may take to say so
_CANNOT_HOLD = Step("", "", 0.0)


# A definition that PostgreSQL is given as it is to be, or a change of rows.
_SAYS_WHAT_IT_DOES = re.compile(
    r"\s*(?:(?:CREATE|ALTER|DROP)\s+(?:UNIQUE\s+)?(?:TABLE|INDEX|TYPE|SEQUENCE|VIEW|SCHEMA|DOMAIN)\b|COMMENT\s+ON\b|INSERT\b|UPDATE\b"
    r"|DELETE\b|SELECT pg_catalog\.)[^;]*;?\s*",
    re.IGNORECASE,
)


def _must_do_the_same(up: Step | None, again: Step, before: Snapshot) -> bool:
    """Whether a second upgrade of the very same schema can leave nothing else behind: it sent the same statements, and each says by
    itself what it does. Then there is no need to look."""
    sent, sent_again = ([statement.sql for statement in step.statements] if step else [] for step in (up, again))
    if sent != sent_again or not all(map(_SAYS_WHAT_IT_DOES.fullmatch, sent)):
        return False
    return not (has_rare(before) and any(key.kind == "event trigger" for key in before.objects))


def lost_step(revision: str, direction: str, lost: Gone | Hung) -> Step:
    """The step in the middle of which the command ended, or was ended."""
    if isinstance(lost, Hung):
        failure = Failure("Timeout", str(lost), revision=revision)
    else:
        failure = Failure("Gone", f"the command ended in the middle of the revision: {lost}", revision=revision)
    return Step(revision, direction, 0.0, transactional=False, failure=failure)


def is_void(step: Step) -> bool:
    """Whether the step did not take place, since the script wants to commit where it was to be held."""
    return step is _CANNOT_HOLD


def _what_is_in_the_way(walk: Walk) -> dict[str, str]:
    """Why nothing can be said of the schema at head, by part of the recording."""
    reason = None
    failed = [name for name, trip in walk.trips.items() if trip.up is not None and trip.up.failure is not None]
    if failed:
        reason = f"revision {failed[0]} does not apply, so head was not reached"
    elif not walk.plan and walk.graph.problems:
        reason = "Alembic cannot read the history"
    parts = ("head", "models", "drift", "offline", "concurrent")
    return dict.fromkeys(parts, reason) if reason else {}


def _statement(seen: Mapping[str, Any]) -> Statement:
    rewrites = tuple(sorted(seen.get("rewrites", ())))  # sorted, for PostgreSQL tells them in any order
    return Statement(
        sql=seen["sql"],
        duration_ms=round(seen["ms"], 3),
        line=seen["line"],
        locks={table: frozenset(modes) for table, modes in sorted(seen.get("locks", {}).items())},
        rewrites=rewrites,
        scans=tuple(sorted(seen.get("scans", ()))),
        # A rewrite builds the table's indexes again: that is part of the rewrite, not a finding of its own.
        index_builds=tuple(table for table in sorted(seen.get("index_builds", ())) if table not in rewrites),
        written=dict(sorted(seen.get("written", {}).items())),
        transactional=seen["tx"],
        lock_timeout_ms=_milliseconds(seen.get("lock_timeout")),
    )


def _milliseconds(setting: str | None) -> int | None:
    """PostgreSQL's way to print a time, such as "2s" or "0", in milliseconds."""
    found = re.fullmatch(r"(\d+)(ms|s|min|h|d|)", setting or "")
    return int(found[1]) * _UNITS_MS[found[2]] if found else None
