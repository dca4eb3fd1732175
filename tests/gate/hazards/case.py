"""What a labelled migration is made of."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field

# The checks that say what an upgrade does to a database in use. The others judge a history as a whole, or a way back.
#
# A case is safe if none of them has anything to say: nobody waits for longer than a moment, each statement that worked before
# the upgrade works after it, it can be run again where it was stopped, and it gets along with rows that hold NULLs, duplicates and
# the longest, finest and largest values. That some other row may break a rule which the upgrade itself brings is told by
# breaking-change. Where it could be argued whether older code minds (a default that goes), there is no case.
HAZARDS = frozenset(
    {
        "table-rewrite",
        "blocking-scan",
        "blocking-index",
        "lock-pileup",
        "lock-timeout",
        "breaking-change",
        "not-validated",
        "interrupted-upgrade",
        "populated-upgrade",
        "data-loss",
        "access-change",
        "upgrade",
    }
)
# Those that advise: an upgrade may do what they tell of and hurt nobody, in a small table. Only the cases that name them ask them.
ADVISED = frozenset({"bulk-update", "unindexed-foreign-key"})


@dataclass(frozen=True, kw_only=True)
class Case:
    """One revision, the schema that it meets, and what is to be said of it.

    `before`, `upgrade` and `downgrade` are bodies of an Alembic script's functions. All tables of a case are in a schema of its own,
    to which `search_path` leads, and lock_timeout is set, as it should be.
    """

    name: str  # a few words, unlike those of every other case
    before: str
    upgrade: str
    downgrade: str | None = None  # None: the script has none
    expected: frozenset[str] | set[str] = frozenset()  # ids of the checks that find something; empty where it is safe
    notices: frozenset[str] | set[str] = frozenset()  # those of them that only mention it, though they can warn
    because: str  # what PostgreSQL does
    checks: frozenset[str] = HAZARDS  # that are asked
    since: int = 0  # the first major version that knows the statement
    expected_on: Mapping[int, set[str]] = field(default_factory=dict)  # major version -> what is expected there instead

    @property
    def slug(self) -> str:
        """The name as PostgreSQL and Python take it: `int_to_bigint`."""
        return re.sub(r"\W+", "_", self.name).strip("_").lower()

    def expected_by(self, major: int) -> frozenset[str]:
        """What is expected on that major version."""
        return frozenset(self.expected_on.get(major, self.expected))


def sql(*statements: str) -> str:
    """Lines of a script that execute those statements."""
    return "\n".join(f"op.execute({_quoted(textwrap.dedent(statement).strip())})" for statement in statements)


def _quoted(text: str) -> str:
    return f'''"""{text}"""''' if not text.endswith('"') else f"'''{text}'''"


def online(*statements: str) -> str:
    """Lines that execute them on a database, and are not in the SQL of `alembic upgrade --sql`."""
    lines = [f"op.get_bind().exec_driver_sql({statement!r})" for statement in statements]
    return "\n".join(["if not op.get_context().as_sql:", *(f"    {line}" for line in lines)])


def autocommit(*statements: str) -> str:
    """The same in an autocommit block: each statement is a transaction of its own."""
    return "with op.get_context().autocommit_block():\n" + textwrap.indent(sql(*statements), "    ")


def body(*lines: str) -> str:
    """Several parts of a script, one after the other."""
    return "\n".join(textwrap.dedent(line).strip() for line in lines)
