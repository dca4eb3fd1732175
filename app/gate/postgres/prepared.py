"""How PostgreSQL comes to plan a statement that the session keeps prepared.

It plans it when it is first run. That is mostly in a database that is nearly empty, where it would rather read the whole of a
catalog than go through an index, and it keeps to that plan for as long as the schema grows: with 300 tables it then takes up to
three times as long. So the statement is first run between these two.
"""

from __future__ import annotations

WITHOUT_SEQSCANS = (
    "SELECT concat(set_config('overproof.enable_seqscan', current_setting('enable_seqscan'), false),"
    " set_config('enable_seqscan', 'off', false))"
)
WITH_SEQSCANS = "SELECT set_config('enable_seqscan', current_setting('overproof.enable_seqscan'), false)"
