"""The walk: every revision up, down and up again, in the order of the history, and what is recorded of it."""
