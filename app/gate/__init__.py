"""The gate: runs a project's migrations on a throwaway PostgreSQL, records what happened, then judges.

A throwaway server and not a staging database, because a proof must start from nothing, may destroy everything,
and has to see what PostgreSQL does without anyone else in the way. The parts run one after the other:

    Target -> Server -> Recorder -> Recording -> checks -> Report -> reporters

The gate knows nothing of the web or of the application's own tables.
"""
