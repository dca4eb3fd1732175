"""One rule per file: an id, a severity, a docstring that is its documentation, and one pure function.

`examine` sees a `Recording` and nothing else: no database, no clock, no settings. So a rule is developed and tested
on recordings, and what it says can be repeated from the report alone. `base` is what a check is made of, `registry`
lists them all, `words`, `downgrades`, `hazards` and `remedy` are what several of them share.
"""
