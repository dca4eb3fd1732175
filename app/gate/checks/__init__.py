"""One rule per file: an id, a severity, a docstring that is its documentation, and one pure function.

`examine` sees a `Recording` and nothing else: no database, no clock, no settings. So a rule is developed and tested
on recordings, and its findings can be reproduced from the report alone. `base` is what a check is made of, `registry`
lists all checks, `pages` makes documentation of their docstrings, and `support` is what several of them share.
"""
