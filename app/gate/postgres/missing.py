"""What a migration needs of the server and does not find there: an extension or what belongs to one, a collation, a
schema, a tablespace. Read from PostgreSQL's words, as one SQLSTATE stands for many causes."""

from __future__ import annotations

import re
from collections.abc import Callable

from app.gate.postgres.extensions import find_similar_extension
from app.gate.postgres.quoting import quote

_OTHER_SERVER = "OVERPROOF_PG_BINDIR names the folder with its programs, --database-url a running server"
_NO_EXTENSION = f"The server does not have that extension. Use one that does: {_OTHER_SERVER}."
# Images of public registries whose servers have it.
_IMAGES = {"postgis": "postgis/postgis", "timescaledb": "timescale/timescaledb"}


def explain_missing(message: str) -> str | None:
    """What is missing, and what to do. None where the message says nothing of that kind.

    The message is PostgreSQL's, alone or at the end of the line in which a program prints it.
    """
    for pattern, help_ in _EXPLANATIONS:
        if found := re.search(rf"(?:^|[:)] ){pattern}", message, re.IGNORECASE):
            return help_(found)
    return None


def _extension(found: re.Match[str]) -> str:
    name = found["name"].lower()
    if (meant := find_similar_extension(name)) is not None:
        return f"Is {meant} meant? {_NO_EXTENSION}"
    image = next((image for prefix, image in _IMAGES.items() if name.startswith(prefix)), None)
    return (
        _NO_EXTENSION[0].upper()
        + _NO_EXTENSION[1:]
        + (f" In CI, that is a service from the image {image}." if image else "")
    )


def _version(found: re.Match[str]) -> str:
    return (
        f"The server has other versions of {found['name']}: leave out the version, or name one of those that"
        f" pg_available_extension_versions lists. A server with that version: {_OTHER_SERVER}."
    )


def _belongs_to(extension: str) -> str:
    return (
        f"That belongs to the extension {extension}. If it is not created, or not in a schema of the search_path, an earlier"
        f" revision must do it: op.execute('CREATE EXTENSION IF NOT EXISTS {quote(extension)}'). Where it is created outside"
        " of the migrations, --prepare COMMAND does it for the gate."
    )


def _part(found: re.Match[str]) -> str | None:
    """The help for a type, a function, an operator class or an access method of an extension."""
    name = found["name"].removesuffix("[]").rpartition(".")[2].lower()
    of_kind = _PARTS[found["kind"].lower()]
    return next((_belongs_to(each) for each, pattern in of_kind.items() if re.fullmatch(pattern, name)), None)


def _operator_class(found: re.Match[str]) -> str | None:
    """The same of one for an access method: btree_gin has the names that PostgreSQL's own have for others."""
    if found["method"].lower() == "gin" and _OF_BTREE_GIN.fullmatch(found["name"].rpartition(".")[2]):
        return _belongs_to("btree_gin")
    return _part(found)


# Of the extensions that migrations create, or rely on without creating them.
_PARTS = {
    "type": {
        "citext": "citext",
        "cube": "cube",
        "earthdistance": "earth",
        "hstore": "hstore",
        "isn": "ean13|is[bms]n(13)?|upc",
        "ltree": "ltree|lquery|ltxtquery",
        "postgis": "geometry|geography|box[23]d",
        "postgis_raster": "raster",
        "vector": "vector|halfvec|sparsevec",
    },
    "function": {
        "earthdistance": "ll_to_earth|earth_distance|earth_box",
        "fuzzystrmatch": "levenshtein(_less_equal)?|d?metaphone(_alt)?|soundex|daitch_mokotoff",
        "hstore": "hstore|hstore_to_jsonb?(_loose)?|akeys|avals|skeys|svals",
        "ltree": "nlevel|subpath|subltree|text2ltree|ltree2text|lca",
        "pg_trgm": r"(strict_)?(word_)?similarity|show_trgm",
        "pgcrypto": "digest|hmac|crypt|gen_salt|gen_random_bytes|(en|de)crypt(_iv)?|(de)?armor|pgp_(sym|pub)_(en|de)crypt(_bytea)?",
        "postgis": r"st_\w+|addgeometrycolumn|postgis_\w+",
        "tablefunc": r"crosstab\d?|connectby|normal_rand",
        "timescaledb": r"create_hypertable|add_(retention|compression)_policy|time_bucket",
        "unaccent": "unaccent",
        "uuid-ossp": r"uuid_generate_v\w+|uuid_ns_\w+|uuid_nil",
        "vector": "(l1|l2|cosine)_distance|inner_product|vector_dims|l2_normalize",
    },
    "operator class": {
        "btree_gist": r"gist_(int[248]|float[48]|numeric|cash|oid|text|bpchar|bytea|v?bit|uuid|bool|enum|inet|cidr|macaddr8?|date|interval"
        r"|time(stamp)?(tz)?)_ops",
        "citext": r"citext_(pattern_)?ops",
        "cube": r"(gist_)?cube_ops",
        "hstore": r"(btree|gin|gist|hash)_hstore_ops",
        "intarray": r"g(in|ist)__int(big)?_ops",
        "isn": r"(ean13|is[bms]n(13)?|upc)_ops",
        "ltree": r"(gist__?|hash_)?ltree_ops",
        "pg_trgm": r"g(in|ist)_trgm_ops",
        "postgis": r"(gist|spgist|brin)_geo\w+",
        "vector": r"(vector|halfvec|sparsevec|bit)_((l1|l2|ip|cosine|hamming|jaccard)_)?ops",
    },
    "access method": {"bloom": "bloom", "rum": "rum", "vector": "hnsw|ivfflat"},
    "language": {name: name for name in ("plpython3u", "plperl", "plperlu", "pltcl", "plv8")},
}
# https://www.postgresql.org/docs/current/btree-gin.html, by the names in which it creates them.
_OF_BTREE_GIN = re.compile(
    r"(int[248]|float[48]|numeric|money|oid|text|varchar|bpchar|char|name|bytea|(var)?bit|uuid|bool|enum|inet|cidr|macaddr8?|date|interval"
    r"|time(stamp)?(tz)?)_ops",
    re.IGNORECASE,
)
_SCALAR = re.compile(
    "smallint|integer|bigint|numeric|real|double precision|money|text|character|character varying|bytea|uuid|boolean|date|interval"
    "|time.*|inet|cidr|macaddr8?|bit|bit varying|oid",
    re.IGNORECASE,
)


def _no_operator_class(found: re.Match[str]) -> str | None:
    """For an index on a column of a type that the access method does not know by itself."""
    if not _SCALAR.fullmatch(found["type"]):
        return None
    extension = f"btree_{found['method'].lower()}"
    help_ = (
        f"The extension {extension} has one, so that such a column can stand in an index or an exclusion constraint beside"
        f" others: op.execute('CREATE EXTENSION IF NOT EXISTS {extension}')."
    )
    if found["type"].lower() in ("text", "character varying") and extension == "btree_gin":
        help_ += " For LIKE and similarity, name the operator class gin_trgm_ops of the extension pg_trgm."
    return help_


_LOCALE = re.compile(r"(^|\.)[a-z]{2,3}_[A-Z]{2}([.@].*)?$")


def _collation(found: re.Match[str]) -> str | None:
    """For one that the server should have; not for one that a revision should create."""
    if found["name"].endswith("-x-icu"):
        return _NO_ICU
    return _NO_LOCALE if _LOCALE.search(found["name"]) else None


_NO_ICU = (
    "Collations of that kind come from ICU, and PostgreSQL is built without it here, as the packaged one is. Use a server that has"
    f" it: {_OTHER_SERVER}."
)
_NO_LOCALE = (
    "Collations of that kind come from the operating system, which has no such locale here. Generate it (locale-gen, or the package"
    f" locales-all), or use a server that has it: {_OTHER_SERVER}."
)


def _schema(found: re.Match[str]) -> str:
    return (
        "No earlier revision creates that schema on an empty database. Create it where it is first used:"
        f" op.execute('CREATE SCHEMA IF NOT EXISTS {quote(found['name'])}'). Where it is created outside of the migrations, --prepare"
        " COMMAND does it for the gate."
    )


_NO_SCHEMA_SELECTED = (
    "No schema of the search_path exists: create it first, in an earlier revision, or with --prepare COMMAND where it is created outside"
    " of the migrations."
)
_TABLESPACE = (
    "Tablespaces belong to a whole server, and the gate's has its default ones alone. Leave the tablespace to the database or the role"
    " (ALTER DATABASE … SET default_tablespace), or use a server that has it: --database-url."
)

_EXPLANATIONS: tuple[tuple[str, Callable[[re.Match[str]], str | None]], ...] = (
    (r'extension "(?P<name>[^"]+)" is not available', _extension),
    (r'could not open extension control file ".*/(?P<name>[^/"]+)\.control"', _extension),  # before PostgreSQL 16
    (r'extension "(?P<name>[^"]+)" has no (?:installation script nor )?update path', _version),
    (r'(?P<kind>operator class) "(?P<name>[^"]+)" does not exist for access method "(?P<method>[^"]+)"', _operator_class),
    (r'(?P<kind>type|access method|language) "(?P<name>[^"]+)" does not exist', _part),
    (r"(?P<kind>function) (?P<name>[^(]+)\(.*\) does not exist", _part),
    (r'data type (?P<type>.+) has no default operator class for access method "(?P<method>gist|gin)"', _no_operator_class),
    (r'collation "(?P<name>[^"]+)" for encoding "[^"]+" does not exist', _collation),
    (r"ICU is not supported in this build", lambda _: _NO_ICU),
    (r'could not create locale "', lambda _: _NO_LOCALE),
    (r'schema "(?P<name>[^"]+)" does not exist', _schema),
    (r"no schema has been selected to create in", lambda _: _NO_SCHEMA_SELECTED),
    (r'tablespace "[^"]+" does not exist', lambda _: _TABLESPACE),
)  # fmt: skip
