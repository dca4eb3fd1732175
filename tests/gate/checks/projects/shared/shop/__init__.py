"""A shop of which the tests need little more than a table."""
