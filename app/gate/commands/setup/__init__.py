"""What `overproof init` finds out about a project, and what it writes there: settings of the gate, and a CI job.

Nothing of the project is executed for it, except its Python, which is asked for the database drivers that it has.
"""
