"""The gate: runs a project's migrations on a throwaway PostgreSQL, records what happened, then judges.

A throwaway server and not a staging database, because a proof must start from nothing, may destroy everything, and has
to observe what PostgreSQL does without other sessions in the way. The parts run one after the other:

    Target -> Server -> Recorder -> Recording -> checks -> Report -> reporters

What judges (left) has the recording and no database; what observes (right) has a database and no opinion:

    commands/                           what people type
    recorder.py                         the order of the whole recording
    judging/     base_cache.py reruns/  the verdict | the schema of the base, cached | further runs of the command
    reporters/   configuration.py walk/ formats | settings | up, down, up
    checks/      target/                one rule per file | the command, its process, the session with the driver
    snapshot/    history/ server/ rows/ pg_catalog | scripts on disk and in Git | PostgreSQL | test rows
    recording/   supervisor/            plain data | cleans up after kill -9
    report/ wording.py postgres/ errors.py files.py

A room imports from the floors below it. A file whose name begins with an underscore belongs to its room; the others are
doors. `driver/` runs in the project's interpreter; nothing imports it, and it imports nothing of ours.
docs/architecture.md follows one statement through all of this.

The gate knows nothing of the web or of the application's own tables.
"""
