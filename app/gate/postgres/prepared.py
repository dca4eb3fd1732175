"""Index scans in the plans of prepared statements.

PostgreSQL plans a prepared statement when it is first run. That is mostly in a database that is nearly empty, where
sequential scans of the catalogs look cheaper than index scans, and it keeps the plan while the schema grows: with 300
tables the statement then takes up to three times as long. So the first run is between these two.
"""

from __future__ import annotations

WITHOUT_SEQSCANS = (
    "SELECT concat(set_config('overproof.enable_seqscan', current_setting('enable_seqscan'), false),"
    " set_config('enable_seqscan', 'off', false))"
)
WITH_SEQSCANS = "SELECT set_config('enable_seqscan', current_setting('overproof.enable_seqscan'), false)"
