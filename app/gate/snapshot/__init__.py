"""The schema of a database as `pg_catalog` has it: read, followed from step to step, compared, described."""
