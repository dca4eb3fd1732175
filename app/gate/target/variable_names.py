"""What an environment variable is for, judging by its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

OF_A_DATABASE = frozenset(
    [
        "DATABASE",
        "DATABASES",
        "DB",
        "POSTGRES",
        "POSTGRESQL",
        "PG",
        "PSQL",
        "SQL",
        "SQLALCHEMY",
        "ALEMBIC",
        "MIGRATION",
        "MIGRATIONS",
        "RDS",
    ]
)
OF_A_URL = frozenset(["URL", "URI", "DSN", "CONNECTION", "CONN", "STRING"])
# The last word of a variable's name: the placeholder for its value.
_PARTS = {
    **dict.fromkeys(("HOST", "HOSTNAME", "SERVER", "ADDRESS"), "host"),
    "PORT": "port",
    **dict.fromkeys(("USER", "USERNAME", "LOGIN"), "user"),
    **dict.fromkeys(("PASSWORD", "PASS", "PASSWD", "PWD"), "password"),
    **dict.fromkeys(("DB", "NAME", "DATABASE", "DBNAME"), "database"),
}
_OF_LIBPQ = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGPASSWORD": "password", "PGDATABASE": "database"}


def words_of(name: str) -> list[str]:
    """["SHOP", "DB", "URL"] of "SHOP_DB_URL"."""
    return [word for word in name.upper().split("_") if word]


def part_of(name: str) -> tuple[str, str] | None:
    """("POSTGRES", "user") of "POSTGRES_USER": what is before, and the placeholder for its value. None of no part."""
    if name in _OF_LIBPQ:
        return "PG", _OF_LIBPQ[name]
    *others, last = words_of(name) or [""]
    if last in _PARTS and OF_A_DATABASE & set(others):
        return "_".join(others), _PARTS[last]
    return None


# Words of the names of other URLs than that of the database which is written to.
_OF_OTHERS = frozenset(["TEST", "TESTS", "TESTING", "SLAVE", "REPLICA", "READ", "READONLY", "RO", "ASYNC", "ASYNCIO"])


def choose_url(names: Iterable[str]) -> str | None:
    """Of the variables that could hold a database's URL, by their names, the one that most likely does."""
    found = [name for name in names if is_of_url(name)]
    return min(found, key=lambda name: (bool(_OF_OTHERS & {*words_of(name)}), len(words_of(name))), default=None)


def is_of_url(name: str) -> bool:
    """ "SHOP_DB_URL", "OS_DATABASE__CONNECTION"; not "REDIS_URL"."""
    *others, last = words_of(name) or [""]
    return last in OF_A_URL and bool(OF_A_DATABASE & set(others))


def choose_parts(names: Iterable[str]) -> Mapping[str, str]:
    """{"host": "DB_HOST", …}: those of them that hold the parts of one URL. Empty if they are not to be found."""
    groups: dict[str, dict[str, str]] = {}
    for name in names:
        if (found := part_of(name)) is not None:
            groups.setdefault(found[0], {}).setdefault(found[1], name)
    most = max(groups.values(), key=len, default={})
    return most if len(most) >= 3 and most.keys() & {"host", "database"} else {}
