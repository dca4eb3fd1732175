"""What is missing on a server, by PostgreSQL's words: each part of each extension by its name."""

from __future__ import annotations

import pytest

from app.gate.postgres.extensions import find_similar_extension, is_of_hosted_extension
from app.gate.postgres.missing import explain_missing
from app.gate.server.database import Database

PARTS = {
    "type": {
        "citext": "citext", "cube": "cube", "earthdistance": "earth", "hstore": "hstore", "isn": "ean13 isbn isbn13 issn ismn13 upc",
        "ltree": "ltree lquery ltxtquery", "postgis": "geometry geography box2d box3d", "postgis_raster": "raster",
        "vector": "vector halfvec sparsevec",
    },
    "function": {
        "earthdistance": "ll_to_earth earth_distance earth_box",
        "fuzzystrmatch": "levenshtein levenshtein_less_equal metaphone dmetaphone dmetaphone_alt soundex daitch_mokotoff",
        "hstore": "hstore hstore_to_json hstore_to_jsonb_loose akeys avals skeys svals",
        "ltree": "nlevel subpath subltree text2ltree ltree2text lca",
        "pg_trgm": "similarity word_similarity strict_word_similarity show_trgm",
        "pgcrypto": "digest hmac crypt gen_salt gen_random_bytes encrypt decrypt_iv armor dearmor pgp_sym_encrypt pgp_pub_decrypt_bytea",
        "postgis": "st_makepoint addgeometrycolumn postgis_version", "tablefunc": "crosstab crosstab2 connectby normal_rand",
        "timescaledb": "create_hypertable add_retention_policy add_compression_policy time_bucket", "unaccent": "unaccent",
        "uuid-ossp": "uuid_generate_v4 uuid_generate_v1mc uuid_ns_dns uuid_nil",
        "vector": "l1_distance l2_distance cosine_distance inner_product vector_dims l2_normalize",
    },
    "operator class": {
        "btree_gist": "gist_int8_ops gist_text_ops gist_uuid_ops gist_date_ops gist_timestamp_ops gist_bool_ops gist_numeric_ops gist_enum_ops gist_inet_ops gist_cidr_ops gist_float8_ops gist_cash_ops gist_oid_ops gist_bpchar_ops gist_bytea_ops gist_bit_ops gist_vbit_ops gist_macaddr_ops gist_macaddr8_ops gist_interval_ops gist_time_ops gist_timetz_ops gist_timestamptz_ops",
        "citext": "citext_ops citext_pattern_ops", "hstore": "gin_hstore_ops gist_hstore_ops",
        "intarray": "gin__int_ops gist__int_ops gist__intbig_ops", "ltree": "gist_ltree_ops gist__ltree_ops",
        "pg_trgm": "gin_trgm_ops gist_trgm_ops", "postgis": "gist_geometry_ops_2d spgist_geography_ops brin_geometry_inclusion_ops",
        "vector": "vector_l2_ops vector_ip_ops vector_cosine_ops vector_l1_ops halfvec_l2_ops sparsevec_l2_ops bit_hamming_ops bit_jaccard_ops",
    },
    "access method": {"bloom": "bloom", "rum": "rum", "vector": "hnsw ivfflat"},
    "language": {name: name for name in ("plpython3u", "plperl", "plperlu", "pltcl", "plv8")},
}  # fmt: skip
EACH = [
    (kind, extension, name) for kind, of in PARTS.items() for extension, names in of.items() for name in names.split()
]


@pytest.mark.parametrize(("kind", "extension", "name"), EACH, ids=[f"{kind} {name}" for kind, _, name in EACH])
def test_a_part_of_an_extension_is_told_by_its_name(kind: str, extension: str, name: str) -> None:
    said = f"function {name}(text) does not exist" if kind == "function" else f'{kind} "{name}" does not exist'
    if kind == "operator class":
        said += ' for access method "gist"'

    help_ = explain_missing(said)

    assert help_ is not None
    assert help_.startswith(f"That belongs to the extension {extension}. ")


def test_each_operator_class_of_postgres_own_extensions_is_known(blank_database: Database) -> None:
    query = """
        SELECT extname, amname, opcname
        FROM pg_depend JOIN pg_extension AS e ON e.oid = refobjid JOIN pg_opclass AS o ON o.oid = objid JOIN pg_am AS a ON a.oid = opcmethod
        WHERE classid = 'pg_opclass'::regclass AND refclassid = 'pg_extension'::regclass
    """
    with blank_database.connect() as connection, connection.cursor() as cursor:
        for name in ("btree_gin", "btree_gist", "citext", "cube", "hstore", "intarray", "isn", "ltree", "pg_trgm"):
            cursor.execute(f"CREATE EXTENSION {name}")
        cursor.execute(query)
        found = cursor.fetchall()

    said = {
        (extension, name): explain_missing(
            f'operator class "public.{name}" does not exist for access method "{method}"'
        )
        for extension, method, name in found
    }

    assert len(said) > 70
    assert [each for each, help_ in said.items() if f"the extension {each[0]}." not in str(help_)] == []


@pytest.mark.parametrize(
    ("said", "exists"),
    [
        ('operator class "int4_ops" does not exist for access method "gin"', "SELECT FROM pg_extension WHERE extname = 'btree_gin'"),
        ("function uuid_generate_v4() does not exist", "SELECT FROM pg_proc WHERE proname = 'uuid_generate_v4'"),
        ('data type uuid has no default operator class for access method "gist"', "SELECT FROM pg_opclass WHERE opcname = 'gist_uuid_ops'"),
        ('schema "My shop" does not exist', "SELECT FROM pg_namespace WHERE nspname = 'My shop'"),
    ],
)  # fmt: skip
def test_the_code_makes_what_is_missing(said: str, exists: str, blank_database: Database) -> None:
    help_ = str(explain_missing(said))
    code = help_[help_.index("op.execute(") :].partition(")")[0] + ")"

    with blank_database.connect() as connection, connection.cursor() as cursor:
        for _ in range(2):  # it can be run again
            exec(code, {"op": cursor})
        cursor.execute(exists)
        assert cursor.rowcount == 1


@pytest.mark.parametrize(
    "said",
    [
        'type "mood" does not exist',
        'type "ean14" does not exist',
        "function total(integer) does not exist",
        'operator class "my_ops" does not exist for access method "gin"',
        'operator class "int4_ops" does not exist for access method "brin"',
        'operator class "gin_int4_ops" does not exist for access method "gin"',
        'access method "mine" does not exist',
        'language "plmine" does not exist',
        'relation "citext" does not exist',
        'collation "mine" for encoding "UTF8" does not exist',
        'data type json has no default operator class for access method "gin"',
        'data type uuid has no default operator class for access method "btree"',
        "it broke",
    ],
)
def test_of_what_a_revision_should_create_nothing_is_said(said: str) -> None:
    assert explain_missing(said) is None


@pytest.mark.parametrize(
    ("said", "begins", "ends"),
    [
        ('extension "postgis" is not available', "The server does not have that extension.", "from the image postgis/postgis."),
        ('extension "postgis_topology" is not available', "The server does not have", "from the image postgis/postgis."),
        ('extension "timescaledb" is not available', "The server does not have", "from the image timescale/timescaledb."),
        ('extension "plpythonu3" is not available', "The server does not have", "a running server."),
        ('extension "pgvector" is not available', "Is vector meant? The server", "a running server."),
        ('could not open extension control file "/usr/share/postgis.control": No such file', "The server", "postgis/postgis."),
        ('extension "hstore" has no installation script nor update path for version "9"', "The server has other versions of hstore:", "a running server."),
        ('extension "hstore" has no update path from version "1" to version "9"', "The server has other versions of hstore:", "a running server."),
        ('type "public.citext[]" does not exist', "That belongs to the extension citext.", "for the gate."),
        ('operator class "public.int4_ops" does not exist for access method "GIN"', "That belongs to the extension btree_gin.", "for the gate."),
        ("function public.uuid_nil() does not exist", "That belongs to the extension uuid-ossp.", "for the gate."),
        ('data type text has no default operator class for access method "gin"', "The extension btree_gin has one", "of the extension pg_trgm."),
        ('data type character varying has no default operator class for access method "gin"', "The extension btree_gin", "pg_trgm."),
        ('data type text has no default operator class for access method "gist"', "The extension btree_gist", "btree_gist')."),
        ('data type uuid has no default operator class for access method "gin"', "The extension btree_gin", "btree_gin')."),
        ('data type timestamp with time zone has no default operator class for access method "gist"', "The extension btree_gist", "btree_gist')."),
        ('collation "de-x-icu" for encoding "UTF8" does not exist', "Collations of that kind come from ICU", "a running server."),
        ('collation "de_DE.utf8" for encoding "UTF8" does not exist', "Collations of that kind come from the operating", "a running server."),
        ('collation "de_DE" for encoding "UTF8" does not exist', "Collations of that kind come from the operating", "a running server."),
        ('collation "pg_catalog.en_US@x" for encoding "UTF8" does not exist', "Collations of that kind come from the operating", "a running server."),
        ("ICU is not supported in this build", "Collations of that kind come from ICU", "a running server."),
        ('could not create locale "xx"', "Collations of that kind come from the operating", "a running server."),
        ('schema "Shop" does not exist', "No earlier revision creates that schema", "COMMAND does it for the gate."),
        ("no schema has been selected to create in", "No schema of the search_path exists", "outside of the migrations."),
        ('tablespace "fast" does not exist', "Tablespaces belong to a whole server", "--database-url."),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "before", ["", "sqlalchemy.exc.ProgrammingError: (psycopg2.errors.UndefinedObject) ", "ERROR: "]
)
def test_what_is_missing_is_explained_alone_and_at_the_end_of_a_line(
    before: str, said: str, begins: str, ends: str
) -> None:
    help_ = explain_missing(before + said)

    assert help_ is not None
    assert help_.startswith(begins)
    assert help_.endswith(ends)


def test_what_a_message_quotes_is_no_message() -> None:
    assert explain_missing('relation "schema "x" does not exist"') is None


HOSTED = """
    address_standardizer address_standardizer_data_us amcheck anon autoinc bloom bool_plperl btree_gin btree_gist citext cube dblink
    dict_int dict_xsyn earthdistance fuzzystrmatch h3 h3_postgis hll hstore hypopg insert_username intagg intarray ip4r isn lo ltree
    moddatetime oracle_fdw orafce pageinspect pg_bigm pg_buffercache pg_cron pg_freespacemap pg_hint_plan pg_partman pg_prewarm
    pg_proctab pg_repack pg_similarity pg_squeeze pg_stat_statements pg_trgm pg_visibility pg_wait_sampling pg_walinspect pgaudit
    pgcrypto pglogical pgrouting pgrowlocks pgstattuple pgtap plperl plpgsql pltcl plv8 postgis postgis_raster postgis_sfcgal
    postgis_tiger_geocoder postgis_topology postgres_fdw prefix rdkit refint semver sslinfo tablefunc tcn tds_fdw temporal_tables
    timescaledb tsm_system_rows tsm_system_time unaccent uuid-ossp vector xml2
"""


@pytest.mark.parametrize("name", HOSTED.split())
def test_an_extension_of_hosted_databases_is_known_by_its_name(name: str) -> None:
    assert is_of_hosted_extension(f'CREATE EXTENSION IF NOT EXISTS "{name}" SCHEMA public')
    assert find_similar_extension(name) is None


@pytest.mark.parametrize(
    ("statement", "is_hosted"),
    [
        ("create extension hstore", True),
        ("ALTER EXTENSION hstore UPDATE", True),
        ("DROP EXTENSION IF EXISTS hstore CASCADE", True),
        (" COMMENT ON EXTENSION hstore IS 'x'", True),
        ("CREATE EXTENSION plpython3u", False),
        ("CREATE EXTENSION plperlu", False),
        ("SELECT 'CREATE EXTENSION hstore'", False),
    ],
)
def test_a_statement_about_an_extension_is_told_by_its_first_words(statement: str, is_hosted: bool) -> None:
    assert is_of_hosted_extension(statement) is is_hosted


@pytest.mark.parametrize(
    ("name", "meant"),
    [("pgvector", "vector"), ("uuid_ossp", "uuid-ossp"), ("pg_trigram", "pg_trgm"), ("plperlu", None), ("mine", None)],
)
def test_a_name_that_is_nearly_one_is_corrected(name: str, meant: str | None) -> None:
    assert find_similar_extension(name) == meant
