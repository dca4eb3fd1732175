"""What the revisions that are pending on a live database will meet there.

    plan.py         which revisions are pending, by the report that proved them, and what they assume, lock and make
    look.py         what the database has, in READ ONLY transactions: revisions, sizes, locks, owners, replication slots
    assumptions.py  runs the queries of the report, which is not trusted
    judge.py        go, no or unknown, with each reason and what would clear it
    text.py         the same for a terminal

What is not known is never taken for good: a reason whose answer is "unknown" keeps the whole from being "go".
"""
