"""Reruns: further runs of the command, for what one walk cannot show, or has shown in a way that users do not run.

    of the whole command    offline SQL, two concurrent upgrades, the command without the driver    `_paths.py`
    of the models           the schema that they create                                            `_models.py`
    of the history          over rows that are there from the start                             `_populated_history.py`
    of single revisions     unconfirmed second upgrades, interrupted upgrades, upgrades over rows  `_revisions.py`

`schedule.py` says which of them there are, and runs them in the job pool.
"""
