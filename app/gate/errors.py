"""The exceptions that cross from one room of the gate to another."""

from __future__ import annotations


class ServerUnavailable(Exception):
    """There is no PostgreSQL to work on. The message is one line for people, and never holds a password."""


class CannotVerify(Exception):
    """Nothing can be said of the migrations. One line for people: what happened, and what to do. Exit status 2."""
