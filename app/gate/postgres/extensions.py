"""The extensions that hosted databases let their users create, though PostgreSQL itself allows it to superusers alone.

PostgreSQL lets the owner of a database create those that are marked as trusted. Hosted databases add to these. Here are
those of Amazon RDS, Google Cloud SQL and Azure Database, which other services mostly follow:
https://docs.aws.amazon.com/AmazonRDS/latest/PostgreSQLReleaseNotes/postgresql-extensions.html
https://cloud.google.com/sql/docs/postgres/extensions
https://learn.microsoft.com/azure/postgresql/extensions/concepts-extensions-versions
"""

from __future__ import annotations

import difflib
import re

from app.gate.postgres.quoting import name_of

_NAMES = """
    address_standardizer address_standardizer_data_us amcheck anon autoinc bloom bool_plperl btree_gin btree_gist citext
    cube dblink dict_int dict_xsyn earthdistance fuzzystrmatch h3 h3_postgis hll hstore hypopg insert_username intagg
    intarray ip4r isn lo ltree moddatetime oracle_fdw orafce pageinspect pg_bigm pg_buffercache pg_cron pg_freespacemap
    pg_hint_plan pg_partman pg_prewarm pg_proctab pg_repack pg_similarity pg_squeeze pg_stat_statements pg_trgm
    pg_visibility pg_wait_sampling pg_walinspect pgaudit pgcrypto pglogical pgrouting pgrowlocks pgstattuple pgtap
    plperl plpgsql pltcl plv8 postgis postgis_raster postgis_sfcgal postgis_tiger_geocoder postgis_topology postgres_fdw
    prefix rdkit refint semver sslinfo tablefunc tcn tds_fdw temporal_tables timescaledb tsm_system_rows tsm_system_time
    unaccent uuid-ossp vector xml2
"""
_ON_HOSTED_DATABASES = frozenset(_NAMES.split())
_OTHERS = ("plperlu",)  # whose names are like one of these
_OF_AN_EXTENSION = re.compile(
    r"""\A\s*(?:CREATE|ALTER|DROP|COMMENT\s+ON)\s+EXTENSION\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?("(?:[^"]|"")+"|[\w$]+)""",
    re.IGNORECASE,
)


def is_of_hosted_extension(statement: str) -> bool:
    """Whether a statement creates, alters or drops an extension as users of hosted databases may."""
    found = _OF_AN_EXTENSION.match(statement)
    return found is not None and name_of(found[1]) in _ON_HOSTED_DATABASES


def find_similar_extension(name: str) -> str | None:
    """The extension that was probably meant: `vector` for "pgvector". None for the name of an extension."""
    if name in _ON_HOSTED_DATABASES or name in _OTHERS:
        return None
    return next(iter(difflib.get_close_matches(name, sorted(_ON_HOSTED_DATABASES), cutoff=0.8)), None)
