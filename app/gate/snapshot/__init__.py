"""The schema of a database in `pg_catalog`: read as a whole or only its changes, compared, described."""
