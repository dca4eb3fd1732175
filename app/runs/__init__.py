"""A run: one verification of one project's migrations, as the gate reported it.

The report is kept whole, as JSON, because it is what was proved and is given back as that. What people ask for (the
verdict, the commit, the checks, the findings) is stored once more in columns and rows, where PostgreSQL can find it.
A run never changes: the same report posted twice is the same run.
"""
