"""A project that uses the extensions that web applications use, each as their migrations do."""

from __future__ import annotations

from pathlib import Path

from tests.gate.projects import script, write_project

# extension: (the columns of its table, what comes later, and how that is taken back)
USES = {
    "uuid-ossp": (
        "id uuid PRIMARY KEY DEFAULT uuid_generate_v4(), made uuid DEFAULT uuid_generate_v1mc(), name text",
        """
        ALTER TABLE of_uuid_ossp ADD COLUMN slug uuid;
        UPDATE of_uuid_ossp SET slug = uuid_generate_v5(uuid_ns_url(), coalesce(name, ''));
        """,
        "ALTER TABLE of_uuid_ossp DROP COLUMN slug;",
    ),
    "pgcrypto": (
        "id uuid PRIMARY KEY DEFAULT gen_random_uuid(), email text NOT NULL, password text, ssn text",
        """
        ALTER TABLE of_pgcrypto ADD COLUMN secret bytea, ADD COLUMN email_hash text;
        UPDATE of_pgcrypto SET secret = pgp_sym_encrypt(ssn, 'key'), email_hash = encode(digest(lower(email), 'sha256'), 'hex'),
            password = crypt(password, gen_salt('bf', 8));
        UPDATE of_pgcrypto SET ssn = pgp_sym_decrypt(secret, 'key');
        """,
        "ALTER TABLE of_pgcrypto DROP COLUMN secret, DROP COLUMN email_hash;",
    ),
    "citext": (
        "id serial PRIMARY KEY, email citext NOT NULL UNIQUE, name text",
        "ALTER TABLE of_citext ALTER COLUMN name TYPE citext;",
        "ALTER TABLE of_citext ALTER COLUMN name TYPE text;",
    ),
    "pg_trgm": (
        "id serial PRIMARY KEY, name text, title text",
        """
        CREATE INDEX ix_pg_trgm_name ON of_pg_trgm USING gin (name gin_trgm_ops);
        CREATE INDEX ix_pg_trgm_title ON of_pg_trgm USING gist (title gist_trgm_ops);
        """,
        "DROP INDEX ix_pg_trgm_name, ix_pg_trgm_title;",
    ),
    "hstore": (
        "id serial PRIMARY KEY, attributes hstore NOT NULL DEFAULT ''",
        """
        CREATE INDEX ix_hstore_attributes ON of_hstore USING gin (attributes);
        ALTER TABLE of_hstore ADD COLUMN settings jsonb;
        UPDATE of_hstore SET settings = hstore_to_jsonb(attributes);
        """,
        "ALTER TABLE of_hstore DROP COLUMN settings; DROP INDEX ix_hstore_attributes;",
    ),
    "ltree": (
        "id serial PRIMARY KEY, path ltree NOT NULL",
        "CREATE INDEX ix_ltree_path ON of_ltree USING gist (path); CREATE UNIQUE INDEX ux_ltree_path ON of_ltree (path);",
        "DROP INDEX ix_ltree_path, ux_ltree_path;",
    ),
    "btree_gist": (
        "id serial PRIMARY KEY, room int NOT NULL, booked tstzrange NOT NULL",
        "ALTER TABLE of_btree_gist ADD CONSTRAINT no_overlap EXCLUDE USING gist (room WITH =, booked WITH &&);",
        "ALTER TABLE of_btree_gist DROP CONSTRAINT no_overlap;",
    ),
    "unaccent": (
        "id serial PRIMARY KEY, name text",
        "ALTER TABLE of_unaccent ADD COLUMN plain text; UPDATE of_unaccent SET plain = lower(unaccent(name));",
        "ALTER TABLE of_unaccent DROP COLUMN plain;",
    ),
    "vector": (
        "id serial PRIMARY KEY, embedding vector(3)",
        """
        CREATE INDEX ix_vector_embedding ON of_vector USING hnsw (embedding vector_l2_ops);
        ALTER TABLE of_vector ADD COLUMN other vector(3);
        UPDATE of_vector SET other = embedding;
        """,
        "ALTER TABLE of_vector DROP COLUMN other; DROP INDEX ix_vector_embedding;",
    ),
}


def write(place: Path) -> Path:
    """A first revision that creates them, each with a table that uses it, and one that changes each table."""
    tables = {extension: f"of_{extension}".replace("-", "_") for extension in USES}
    create = "".join(f'CREATE EXTENSION "{name}"; CREATE TABLE {tables[name]} ({USES[name][0]});' for name in USES)
    drop = "".join(f'DROP TABLE {tables[name]}; DROP EXTENSION "{name}";' for name in USES)
    scripts = {"start": script("start", None, _execute(create), _execute(drop))}
    for extension, (_, later, back) in USES.items():
        *_, parent = scripts
        scripts[tables[extension]] = script(tables[extension], parent, _execute(later), _execute(back))
    return write_project(place, scripts)


def _execute(sql: str) -> str:
    statements = [" ".join(each.split()) for each in sql.split(";")]
    return "\n".join(f"op.execute({each!r})" for each in statements if each)
