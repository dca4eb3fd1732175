"""Partitioned tables: what is done to the whole, and what comes and goes of its parts."""

from tests.gate.hazards.case import Case, autocommit, body, sql

EVENTS = sql(
    "CREATE TABLE events (id integer NOT NULL, day date NOT NULL, size integer, note text) PARTITION BY RANGE (day)",
    "CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
    "CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
)
OTHER = sql("CREATE TABLE events_2026 (id integer NOT NULL, day date NOT NULL, size integer, note text)")
INDEXED = body(EVENTS, sql("CREATE INDEX ix_size ON events (size)"))
BOUNDS = "FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')"

CASES = [
    Case(
        name="column of a partitioned table",
        before=EVENTS,
        upgrade="op.add_column('events', sa.Column('extra', sa.Text))",
        downgrade="op.drop_column('events', 'extra')",
        because="Only the catalog changes, of the table and of all its partitions.",
    ),
    Case(
        name="rewrite of a partitioned table",
        before=EVENTS,
        upgrade="op.alter_column('events', 'size', type_=sa.BigInteger)",
        downgrade="op.alter_column('events', 'size', type_=sa.Integer)",
        expected={"table-rewrite"},
        because="Every partition is written anew while all of them are locked.",
    ),
    Case(
        name="CHECK on a partitioned table",
        before=EVENTS,
        upgrade="op.create_check_constraint('ck_size', 'events', 'size > 0')",
        downgrade="op.drop_constraint('ck_size', 'events', type_='check')",
        expected={"blocking-scan", "breaking-change", "populated-upgrade"},
        notices={"breaking-change"},
        because="Every partition is read while all of them are locked.",
    ),
    Case(
        name="index on a partitioned table",
        before=EVENTS,
        upgrade="op.create_index('ix_size', 'events', ['size'])",
        downgrade="op.drop_index('ix_size')",
        expected={"blocking-index"},
        because="One index after the other is built, with SHARE on all partitions until the end.",
    ),
    Case(
        name="index on one partition",
        before=EVENTS,
        upgrade="op.create_index('ix_size_2025', 'events_2025', ['size'])",
        downgrade="op.drop_index('ix_size_2025')",
        expected={"blocking-index"},
        because="SHARE on that partition: nobody writes to it while its index is built.",
    ),
    Case(
        name="index on a partitioned table, partition by partition",
        before=EVENTS,
        upgrade=body(
            autocommit(
                "DROP INDEX CONCURRENTLY IF EXISTS ix_size_2024",
                "CREATE INDEX CONCURRENTLY ix_size_2024 ON events_2024 (size)",
                "DROP INDEX CONCURRENTLY IF EXISTS ix_size_2025",
                "CREATE INDEX CONCURRENTLY ix_size_2025 ON events_2025 (size)",
            ),
            sql("CREATE INDEX ix_size ON ONLY events (size)"),
            sql(
                "ALTER INDEX ix_size ATTACH PARTITION ix_size_2024", "ALTER INDEX ix_size ATTACH PARTITION ix_size_2025"
            ),
        ),
        downgrade="op.drop_index('ix_size')",
        because="Each is built beside the traffic; the whole's index has no rows of its own, and takes them over.",
    ),
    Case(
        name="index on ONLY the partitioned table",
        before=EVENTS,
        upgrade=sql("CREATE INDEX ix_size ON ONLY events (size)"),
        downgrade="op.drop_index('ix_size')",
        expected={"not-validated"},
        because="Nothing is built; the index is INVALID until each partition has one that is attached.",
    ),
    Case(
        name="foreign key to a partitioned table",
        before=body(
            sql(
                "CREATE TABLE days (day date PRIMARY KEY) PARTITION BY RANGE (day)",
                "CREATE TABLE days_2025 PARTITION OF days FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
                "CREATE TABLE visits (id integer PRIMARY KEY, day date)",
            )
        ),
        upgrade="op.create_foreign_key('fk_day', 'visits', 'days', ['day'], ['day'])",
        downgrade="op.drop_constraint('fk_day', 'visits', type_='foreignkey')",
        expected={"blocking-scan", "breaking-change", "populated-upgrade"},
        notices={"breaking-change"},
        because="Both tables are read with SHARE ROW EXCLUSIVE on them, so nobody writes to either.",
    ),
    # Partitions that come.
    Case(
        name="new partition",
        before=EVENTS,
        upgrade=sql(f"CREATE TABLE events_2026 PARTITION OF events {BOUNDS}"),
        downgrade="op.drop_table('events_2026')",
        because="ACCESS EXCLUSIVE on events for a moment; the partition is empty.",
    ),
    Case(
        name="new partition beside a default partition",
        before=body(EVENTS, sql("CREATE TABLE events_other PARTITION OF events DEFAULT")),
        upgrade=sql(f"CREATE TABLE events_2026 PARTITION OF events {BOUNDS}"),
        downgrade="op.drop_table('events_2026')",
        expected={"blocking-scan", "populated-upgrade"},
        because="The default partition is read for rows that belong to the new one, and one that is found ends it.",
    ),
    Case(
        name="new partition beside a default partition with a CHECK",
        before=body(
            EVENTS,
            sql("CREATE TABLE events_other PARTITION OF events DEFAULT"),
            sql("ALTER TABLE events_other ADD CHECK (day < '2026-01-01' OR day >= '2027-01-01')"),
        ),
        upgrade=sql(f"CREATE TABLE events_2026 PARTITION OF events {BOUNDS}"),
        downgrade="op.drop_table('events_2026')",
        because="The CHECK proves that no row of the default partition belongs to the new one.",
    ),
    Case(
        name="partition is attached",
        before=body(EVENTS, OTHER),
        upgrade=sql(f"ALTER TABLE events ATTACH PARTITION events_2026 {BOUNDS}"),
        downgrade=sql("ALTER TABLE events DETACH PARTITION events_2026"),
        expected={"blocking-scan"},
        because="Every row of the new partition is put to its bounds under ACCESS EXCLUSIVE on it.",
    ),
    Case(
        name="partition is attached after a CHECK",
        before=body(
            EVENTS, OTHER, sql("ALTER TABLE events_2026 ADD CHECK (day >= '2026-01-01' AND day < '2027-01-01')")
        ),
        upgrade=sql(f"ALTER TABLE events ATTACH PARTITION events_2026 {BOUNDS}"),
        downgrade=sql("ALTER TABLE events DETACH PARTITION events_2026"),
        because="The CHECK proves that all rows are within the bounds.",
    ),
    Case(
        name="partition that was made in the same revision is attached",
        before=EVENTS,
        upgrade=sql(
            "CREATE TABLE events_2026 (LIKE events)",
            f"ALTER TABLE events ATTACH PARTITION events_2026 {BOUNDS}",
        ),
        downgrade="op.drop_table('events_2026')",
        because="The new table is read, but nobody knows it yet; events has SHARE UPDATE EXCLUSIVE only.",
    ),
    # Partitions that go.
    Case(
        name="partition is detached CONCURRENTLY",
        before=EVENTS,
        upgrade=autocommit("ALTER TABLE events DETACH PARTITION events_2025 CONCURRENTLY"),
        expected={"breaking-change", "interrupted-upgrade"},
        notices={"breaking-change", "interrupted-upgrade"},
        because="Queries on events go on, without the rows of 2025, which are in a table by itself; cancelled, it wants FINALIZE.",
    ),
    Case(
        name="partition is detached",
        before=EVENTS,
        upgrade=sql("ALTER TABLE events DETACH PARTITION events_2025"),
        downgrade=sql(
            "ALTER TABLE events ATTACH PARTITION events_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')"
        ),
        expected={"lock-pileup", "breaking-change"},
        notices={"breaking-change"},
        because="ACCESS EXCLUSIVE on events waits for every query on any partition; the rows are kept in events_2025.",
    ),
    Case(
        name="partition is detached beside a default partition",
        before=body(EVENTS, sql("CREATE TABLE events_other PARTITION OF events DEFAULT")),
        upgrade=sql("ALTER TABLE events DETACH PARTITION events_2025"),
        downgrade=sql(
            "ALTER TABLE events ATTACH PARTITION events_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')"
        ),
        expected={"breaking-change"},
        notices={"breaking-change"},
        because="'cannot detach partitions concurrently when a default partition exists', so there is no other way.",
    ),
    Case(
        name="partition with a key is detached",
        before=body(EVENTS, sql("ALTER TABLE events ADD PRIMARY KEY (id, day)")),
        upgrade=autocommit("ALTER TABLE events DETACH PARTITION events_2025 CONCURRENTLY"),
        downgrade=sql(
            "ALTER TABLE events ATTACH PARTITION events_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')"
        ),
        expected={"breaking-change", "interrupted-upgrade"},
        notices={"breaking-change", "interrupted-upgrade"},
        because="The key that the partition had from events is its own from now on, and refuses no more than before.",
    ),
    Case(
        name="partition with a key is attached",
        before=body(
            EVENTS,
            sql("ALTER TABLE events ADD PRIMARY KEY (id, day)"),
            OTHER,
            sql(
                "ALTER TABLE events_2026 ADD PRIMARY KEY (id, day)",
                "ALTER TABLE events_2026 ADD CHECK (day >= '2026-01-01' AND day < '2027-01-01')",
            ),
        ),
        upgrade=sql(f"ALTER TABLE events ATTACH PARTITION events_2026 {BOUNDS}"),
        downgrade=sql("ALTER TABLE events DETACH PARTITION events_2026"),
        because="Its key becomes a part of that of events, and the CHECK proves its rows.",
    ),
    Case(
        name="column of all partitions is dropped",
        before=EVENTS,
        upgrade="op.drop_column('events', 'note')",
        downgrade="op.add_column('events', sa.Column('note', sa.Text))",
        expected={"breaking-change", "data-loss"},
        because="It goes from each partition with the table.",
    ),
    Case(
        name="partition is dropped",
        before=EVENTS,
        upgrade="op.drop_table('events_2024')",
        downgrade=sql("CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')"),
        expected={"breaking-change", "data-loss"},
        because="Its rows are gone, and 'relation \"events_2024\" does not exist'.",
    ),
    # What is built or written anew, of the whole and of one part.
    Case(
        name="REINDEX of a partitioned table",
        before=INDEXED,
        upgrade=autocommit("REINDEX TABLE events"),
        downgrade="pass",
        expected={"blocking-index"},
        because="Each partition in turn has SHARE on it while its indexes are rebuilt: nobody writes to it.",
    ),
    Case(
        name="REINDEX of a partitioned table CONCURRENTLY",
        before=INDEXED,
        upgrade=autocommit("REINDEX TABLE CONCURRENTLY events"),
        downgrade="pass",
        expected={"interrupted-upgrade"},
        notices={"interrupted-upgrade"},
        because="SHARE UPDATE EXCLUSIVE on each partition in turn keeps neither readers nor writers out.",
    ),
    Case(
        name="REINDEX of a partitioned index",
        before=INDEXED,
        upgrade=autocommit("REINDEX INDEX ix_size"),
        downgrade="pass",
        expected={"blocking-index"},
        because="The index of each partition is built again, with SHARE on that partition.",
    ),
    Case(
        name="REINDEX of a partitioned index CONCURRENTLY",
        before=INDEXED,
        upgrade=autocommit("REINDEX INDEX CONCURRENTLY ix_size"),
        downgrade="pass",
        expected={"interrupted-upgrade"},
        notices={"interrupted-upgrade"},
        because="SHARE UPDATE EXCLUSIVE on each partition in turn keeps neither readers nor writers out.",
    ),
    Case(
        name="REINDEX of one partition",
        before=INDEXED,
        upgrade=sql("REINDEX TABLE events_2025"),
        downgrade="pass",
        expected={"blocking-index"},
        because="SHARE on that partition until the commit: nobody writes to it.",
    ),
    Case(
        name="REINDEX of one partition CONCURRENTLY",
        before=INDEXED,
        upgrade=autocommit("REINDEX TABLE CONCURRENTLY events_2025"),
        downgrade="pass",
        expected={"interrupted-upgrade"},
        notices={"interrupted-upgrade"},
        because="SHARE UPDATE EXCLUSIVE keeps neither readers nor writers out.",
    ),
    Case(
        name="VACUUM FULL of a partitioned table",
        before=EVENTS,
        upgrade=autocommit("VACUUM FULL events"),
        downgrade="pass",
        expected={"table-rewrite"},
        because="One partition after the other is copied into new files under ACCESS EXCLUSIVE.",
    ),
    Case(
        name="VACUUM FULL of one partition",
        before=EVENTS,
        upgrade=autocommit("VACUUM (FULL, ANALYZE) events_2025"),
        downgrade="pass",
        expected={"table-rewrite"},
        because="That partition is copied into new files under ACCESS EXCLUSIVE.",
    ),
    Case(
        name="VACUUM of a partitioned table",
        before=EVENTS,
        upgrade=autocommit("VACUUM (FREEZE, ANALYZE) events"),
        downgrade="pass",
        because="The files stay, and SHARE UPDATE EXCLUSIVE keeps neither readers nor writers out.",
    ),
    Case(
        name="CLUSTER of a partitioned table",
        before=INDEXED,
        upgrade=autocommit("CLUSTER events USING ix_size"),
        downgrade="pass",
        expected={"table-rewrite"},
        because="One partition after the other is copied in the order of the index under ACCESS EXCLUSIVE.",
        since=15,
    ),
    Case(
        name="CLUSTER of one partition",
        before=INDEXED,
        upgrade=sql("CLUSTER events_2025 USING events_2025_size_idx"),
        downgrade=sql("ALTER TABLE events_2025 SET WITHOUT CLUSTER"),
        expected={"table-rewrite"},
        because="That partition is copied in the order of the index under ACCESS EXCLUSIVE until the commit.",
    ),
    Case(
        name="one partition is marked for CLUSTER",
        before=INDEXED,
        upgrade=sql("ALTER TABLE events_2025 CLUSTER ON events_2025_size_idx"),
        downgrade=sql("ALTER TABLE events_2025 SET WITHOUT CLUSTER"),
        because="It only marks the index, and no row moves.",
    ),
    Case(
        name="emptied partition",
        before=EVENTS,
        upgrade=sql("TRUNCATE events_2024"),
        downgrade="pass",
        expected={"data-loss"},
        because="The partition gets new, empty files: that takes a moment, and its rows are gone.",
    ),
    Case(
        name="emptied partitioned table",
        before=EVENTS,
        upgrade=sql("TRUNCATE events"),
        downgrade="pass",
        expected={"data-loss"},
        because="All partitions get new, empty files: that takes a moment, and their rows are gone.",
    ),
]
