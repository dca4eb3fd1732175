"""A run: one verification of one project's migrations, as the gate reported it.

The whole report is stored as JSON, and returned unchanged, because it is the evidence. The parts that are searched or
listed (verdict, commit, checks, findings) are also stored in columns and rows.
A run never changes: the same report posted twice is the same run.
"""
