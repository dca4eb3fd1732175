"""What a report says in a word. Apart from the report itself, whose models take long to import, and are needed last."""

from __future__ import annotations

from enum import StrEnum

# Reasons that the gate itself gives: of a check that was left out on purpose, of a finding that a baseline accepts.
IGNORED = "ignored by the configuration"
NOT_SELECTED = "not selected"
NOT_ASKED_FOR = "off unless asked for: select it, or give it a severity, if several upgrades may start at the same time"
CODE_STARTS_LATER = "off unless asked for: select it, or give it a severity, if code is started before the upgrade"
NO_OTHER_HISTORY = "off unless --same-schema-as names another history"
NOTHING_NEW = "not tried: hazards of revisions that are on the base are history; --base none tries them"
IN_BASELINE = "in the baseline"  # and then the file's name

# Checks whose findings cost time in proportion to the size of a table.
OF_SIZE = frozenset(
    {
        "blocking-index",
        "blocking-scan",
        "bulk-update",
        "lock-pileup",
        "lock-timeout",
        "table-rewrite",
        "unindexed-foreign-key",
    }
)
SMALL_TABLE_ROWS = 10_000  # fewer make a table a small one, unless the settings say otherwise


class Severity(StrEnum):
    """How severe a finding is. Only errors fail a run, unless `--fail-on` says otherwise."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


class Verdict(StrEnum):
    """A run's outcome. `error`: nothing could be verified."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"


class Outcome(StrEnum):
    """The outcome of one check: that of its most severe finding, or skipped with a reason."""

    PASS = "pass"
    FAIL = "fail"
    WARN = "warn"
    NOTICE = "notice"
    SKIPPED = "skipped"
