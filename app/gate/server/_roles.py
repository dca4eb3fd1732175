"""The roles of an embedded server: an ordinary one for the migrations, and a superuser's rights to lend to it.

No user of a hosted database is a superuser. So the command connects as `postgres`, which owns its database and may
create databases and roles. It is a member of `overproof_superuser`, whose rights it has only after SET ROLE: with these
the driver repeats what PostgreSQL refuses to an ordinary role. What was made that way belongs to `overproof_superuser`,
and so to its members. As `overproof_application`, a member of `postgres` that is never a superuser, the gate does what
an application would: what belongs to the one belongs to the other, and row security is as for an owner.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes so

from app.gate.postgres.quoting import identifier, literal

SUPERUSER = "overproof"  # as which the gate itself connects
ORDINARY = "postgres"  # what scripts that name the owner of a hosted database call it
LENT = "overproof_superuser"
APPLICATION = "overproof_application"
# What hosted databases let their main role grant. Before PostgreSQL 16, CREATEROLE is enough for it.
_GRANTABLE = (
    "pg_checkpoint",
    "pg_create_subscription",
    "pg_maintain",
    "pg_monitor",
    "pg_read_all_data",
    "pg_read_all_settings",
    "pg_read_all_stats",
    "pg_signal_backend",
    "pg_stat_scan_tables",
    "pg_write_all_data",
)


@dataclass(frozen=True)
class OrdinaryRole:
    """The role as which the command connects."""

    name: str
    password: str = field(repr=False)
    lent: str  # the role whose rights it can be lent
    application: str  # a role that has its rights, and is never lent others


def create_roles(cursor: Cursor, version: int, password: str) -> OrdinaryRole:
    """The roles of a cluster that is new or was just unpacked; `version` as in `server_version_num`."""
    cursor.execute("SELECT rolname FROM pg_roles")
    there = {name for (name,) in cursor.fetchall()}
    if LENT not in there:
        cursor.execute(f"CREATE ROLE {identifier(LENT)} SUPERUSER")
        cursor.execute(f"CREATE ROLE {identifier(ORDINARY)} LOGIN CREATEDB CREATEROLE IN ROLE {identifier(LENT)}")
        if version >= 160000:
            roles = ", ".join(identifier(name) for name in _GRANTABLE if name in there)
            cursor.execute(f"GRANT {roles} TO {identifier(ORDINARY)} WITH ADMIN TRUE, INHERIT FALSE")
    if APPLICATION not in there:
        cursor.execute(f"CREATE ROLE {identifier(APPLICATION)} IN ROLE {identifier(ORDINARY)}")
    cursor.execute(f"ALTER ROLE {identifier(ORDINARY)} NOSUPERUSER PASSWORD {literal(password)}")
    return OrdinaryRole(ORDINARY, password, LENT, APPLICATION)
