"""Extensions on the embedded server: those that it has, and the stand-ins for those that it was built without."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes so

from app.gate.recording.model import Key
from app.gate.server._stand_ins import DIFFERENCES, FILES
from app.gate.server.database import Database
from app.gate.server.throwaway import Server, throwaway_server
from app.gate.snapshot.difference import difference
from app.gate.snapshot.read import read

TEXTS = ["", "a", "ß", *("x" * length for length in (54, 55, 56, 63, 64, 65, 127, 128, 129, 1000))]
OF_THE_EXTENSION = {
    "pgcrypto": {"version": "1.4", "comment": "cryptographic functions"},
    "uuid-ossp": {"version": "1.1", "comment": "generate universally unique identifiers (UUIDs)"},
}
HASHES = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")


@pytest.fixture(scope="module")
def database(with_stand_ins: Server) -> Database:
    """As the ordinary role connects to it."""
    return with_stand_ins.for_command(with_stand_ins.create_database())


@pytest.fixture
def cursor(database: Database) -> Iterator[Cursor]:
    """In a transaction that is rolled back."""
    with database.connect(autocommit=False) as connection:
        yield connection.cursor()
        connection.rollback()


@pytest.fixture
def pgcrypto(cursor: Cursor) -> Cursor:
    cursor.execute("CREATE EXTENSION pgcrypto")
    return cursor


def value(cursor: Cursor, question: str, *values: Any) -> Any:
    cursor.execute(f"SELECT {question}", values)
    (found,) = cursor.fetchone() or (None,)
    return bytes(found) if isinstance(found, memoryview) else found


def refusal(cursor: Cursor, question: str) -> tuple[str | None, str | None]:
    with pytest.raises(psycopg2.Error) as error:
        value(cursor, question)
    cursor.connection.rollback()
    return error.value.pgcode, error.value.diag.message_primary


# What a stand-in has in common with the extension.


@pytest.mark.parametrize(
    "name", ["uuid-ossp", "pgcrypto", "citext", "pg_trgm", "hstore", "ltree", "btree_gist", "unaccent"]
)
def test_the_owner_of_a_database_may_create_it(cursor: Cursor, name: str) -> None:
    cursor.execute(f'CREATE EXTENSION "{name}"')

    assert value(cursor, "extname FROM pg_extension WHERE extname = %s", name) == name


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_schema_with_a_stand_in_differs_by_the_extension_alone(cursor: Cursor, name: str) -> None:
    before = read(cursor.connection)

    cursor.execute(f'CREATE EXTENSION "{name}"')
    with_it = read(cursor.connection)
    cursor.execute(f'DROP EXTENSION "{name}"')

    (change,) = difference(before, with_it)
    assert change.key == Key("extension", "", name)
    assert change.after == {"schema": "public", **OF_THE_EXTENSION[name]}
    assert difference(before, read(cursor.connection)) == ()


def test_an_older_version_of_pgcrypto_is_updated(cursor: Cursor) -> None:
    cursor.execute("CREATE EXTENSION pgcrypto VERSION '1.3'")
    cursor.execute("ALTER EXTENSION pgcrypto UPDATE")

    assert value(cursor, "fips_mode()") is False


def test_the_functions_work_in_any_schema_and_under_any_search_path(with_stand_ins: Server) -> None:
    with with_stand_ins.create_database().connect(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA one")
        cursor.execute("CREATE EXTENSION pgcrypto SCHEMA one")
        cursor.execute('CREATE EXTENSION "uuid-ossp" SCHEMA one')
        cursor.execute("SET LOCAL search_path = ''")
        for schema in ("one", "public"):
            if schema != "one":  # which no ordinary role may do, with the extension neither
                cursor.execute("ALTER EXTENSION pgcrypto SET SCHEMA public")
                cursor.execute('ALTER EXTENSION "uuid-ossp" SET SCHEMA public')
            assert value(cursor, f"{schema}.hmac('a', 'b', 'sha1')") == hmac.digest(b"b", b"a", "sha1")
            assert value(cursor, f"{schema}.pgp_sym_decrypt({schema}.pgp_sym_encrypt('a', 'k'), 'k')") == "a"
            assert uuid.UUID(value(cursor, f"{schema}.uuid_generate_v1mc()::text")).version == 1


def test_columns_and_indexes_use_the_functions_as_they_use_the_extensions(pgcrypto: Cursor) -> None:
    pgcrypto.execute('CREATE EXTENSION "uuid-ossp"')
    pgcrypto.execute(
        """
        CREATE TABLE accounts (
            id uuid PRIMARY KEY DEFAULT uuid_generate_v4(), other uuid DEFAULT public.gen_random_uuid(), email text,
            digest bytea GENERATED ALWAYS AS (digest(email, 'sha256')) STORED, CHECK (crypt(email, 'ab') <> email));
        CREATE UNIQUE INDEX ON accounts (encode(digest(email, 'sha1'), 'hex'));
        INSERT INTO accounts (email) SELECT 'a' || n FROM generate_series(1, 100) AS n;
        """
    )

    assert value(pgcrypto, "count(DISTINCT id) + count(DISTINCT digest) FROM accounts") == 200
    assert value(pgcrypto, "pg_get_expr(adbin, adrelid) FROM pg_attrdef ORDER BY adnum LIMIT 1") == "uuid_generate_v4()"


def test_what_needs_an_extension_keeps_it(pgcrypto: Cursor) -> None:
    pgcrypto.execute("CREATE TABLE orders (salt bytea DEFAULT gen_random_bytes(8))")

    with pytest.raises(psycopg2.errors.DependentObjectsStillExist, match="cannot drop extension pgcrypto"):
        pgcrypto.execute("DROP EXTENSION pgcrypto")


def test_an_extension_of_postgresql_itself_comes_first(with_stand_ins: Server) -> None:
    with with_stand_ins.create_database().connect() as connection, connection.cursor() as cursor:
        assert value(cursor, "current_setting('extension_control_path')").startswith("$system:")
        assert value(cursor, "count(*) FROM pg_available_extensions WHERE name = 'citext'") == 1
    assert {path.stem for path in FILES.glob("*.control")} == DIFFERENCES.keys()


def test_a_server_that_is_named_has_no_stand_ins(with_stand_ins: Server) -> None:
    with throwaway_server(with_stand_ins.maintenance.url()) as named:
        assert named.stand_ins == {}


# uuid-ossp


def test_uuids_of_names_are_those_of_the_standard(cursor: Cursor) -> None:
    cursor.execute('CREATE EXTENSION "uuid-ossp"')

    for name, space in (("dns", uuid.NAMESPACE_DNS), ("url", uuid.NAMESPACE_URL), ("oid", uuid.NAMESPACE_OID)):
        for text in TEXTS:
            assert value(cursor, f"uuid_generate_v3(uuid_ns_{name}(), %s)::text", text) == str(uuid.uuid3(space, text))
            assert value(cursor, f"uuid_generate_v5(uuid_ns_{name}(), %s)::text", text) == str(uuid.uuid5(space, text))
    assert value(cursor, "uuid_ns_x500()::text") == str(uuid.NAMESPACE_X500)
    assert value(cursor, "uuid_nil()::text") == str(uuid.UUID(int=0))
    assert value(cursor, "uuid_generate_v5(name => 'a', namespace => NULL)") is None


def test_uuids_of_the_time_have_it_and_are_unique(cursor: Cursor) -> None:
    cursor.execute('CREATE EXTENSION "uuid-ossp"')

    assert value(cursor, "count(DISTINCT uuid_generate_v1()) FROM generate_series(1, 1000)") == 1000
    assert value(cursor, "uuid_extract_timestamp(uuid_generate_v1()) - clock_timestamp() < interval '1 minute'")
    assert uuid.UUID(value(cursor, "uuid_generate_v1()::text")).variant == uuid.RFC_4122
    assert uuid.UUID(value(cursor, "uuid_generate_v4()::text")).version == 4


# pgcrypto


@pytest.mark.parametrize("algorithm", HASHES)
def test_digests_are_those_of_the_standard(pgcrypto: Cursor, algorithm: str) -> None:
    for text in TEXTS:
        data = text.encode()
        assert value(pgcrypto, "digest(%s, %s)", text, algorithm) == hashlib.new(algorithm, data).digest()
        assert (
            value(pgcrypto, "digest(%s::bytea, %s)", data, algorithm.upper()) == hashlib.new(algorithm, data).digest()
        )
        assert value(pgcrypto, "hmac(%s, %s, %s)", "a", text, algorithm) == hmac.digest(data, b"a", algorithm)
        assert value(pgcrypto, "hmac(%s::bytea, '\\xff', %s)", data, algorithm) == hmac.digest(b"\xff", data, algorithm)


@pytest.mark.parametrize(
    ("algorithm", "size"), [("sha3-256", 32), ("sha512-256", 32), ("blake2b512", 64), ("ripemd160", 20)]
)
def test_other_digests_have_the_right_size(pgcrypto: Cursor, algorithm: str, size: int) -> None:
    assert len(value(pgcrypto, "digest('a', %s)", algorithm)) == size
    assert value(pgcrypto, "digest('a', %s) <> digest('b', %s)", algorithm, algorithm)


def test_random_bytes_are_as_many_as_were_asked_for(pgcrypto: Cursor) -> None:
    for length in (1, 16, 32, 33, 1024):
        assert len(value(pgcrypto, "gen_random_bytes(%s)", length)) == length
    assert value(pgcrypto, "gen_random_bytes(16) = gen_random_bytes(16)") is False
    assert refusal(pgcrypto, "gen_random_bytes(1025)") == ("39000", "Length not in range")


@pytest.mark.parametrize(
    ("algorithm", "salt", "length"),
    [
        ("bf", r"\$2a\$06\$[./A-Za-z0-9]{21}[.Oeu]", 60),
        ("bf', '10", r"\$2a\$10\$[./A-Za-z0-9]{21}[.Oeu]", 60),
        ("md5", r"\$1\$[./A-Za-z0-9]{8}", 34),
        ("des", "[./A-Za-z0-9]{2}", 13),
        ("xdes", r"_J9\.\.[./A-Za-z0-9]{4}", 20),
        ("sha256crypt", r"\$5\$rounds=5000\$[./A-Za-z0-9]{16}", 75),
        ("sha512crypt', '1000", r"\$6\$rounds=1000\$[./A-Za-z0-9]{16}", 118),
    ],
)
def test_a_password_is_checked_by_its_hash(pgcrypto: Cursor, algorithm: str, salt: str, length: int) -> None:
    assert value(pgcrypto, f"gen_salt('{algorithm}') ~ %s", f"^{salt}$")
    stored = value(pgcrypto, f"crypt('secret', gen_salt('{algorithm}'))")

    assert len(stored) == length
    assert value(pgcrypto, "crypt('secret', %s)", stored) == stored
    assert value(pgcrypto, "crypt('Secret', %s)", stored) != stored


def test_ciphers_decrypt_what_they_encrypted(pgcrypto: Cursor) -> None:
    for length in (0, 1, 15, 16, 17, 64, 65, 1000):
        text = "ü" * length
        for cipher in ("aes", "aes-cbc/pad:pkcs", "AES-ECB"):
            encrypted = value(pgcrypto, "encrypt(%s::bytea, 'key', %s)", text.encode(), cipher)
            assert len(encrypted) == (2 * length // 16 + 1) * 16
            assert value(pgcrypto, "decrypt(%s::bytea, 'key', %s)", encrypted, cipher) == text.encode()
        message = value(pgcrypto, "pgp_sym_encrypt(%s, 'key', 'cipher-algo=aes256')", text)
        assert value(pgcrypto, "pgp_sym_decrypt(%s::bytea, 'key')", message) == text
        assert value(pgcrypto, "dearmor(armor(%s::bytea))", message) == message
    assert value(pgcrypto, "pgp_sym_encrypt('a', 'key') = pgp_sym_encrypt('a', 'key')") is False


def test_what_is_encrypted_for_a_public_key_is_decrypted_with_a_secret_one(pgcrypto: Cursor) -> None:
    message = value(pgcrypto, "pgp_pub_encrypt('ü', '\\x99010d04')")

    assert value(pgcrypto, "pgp_pub_decrypt(%s::bytea, '\\x9503', 'password')", message) == "ü"
    assert value(pgcrypto, "pgp_pub_decrypt_bytea(%s::bytea, '\\x9503')", message) == "ü".encode()
    assert value(pgcrypto, "pgp_key_id('\\x99010d04') ~ '^[0-9A-F]{16}$'")


# SQLSTATE and words are those of the extension.
REFUSED = {
    "pgp_sym_decrypt(pgp_sym_encrypt('a', 'key'), 'kez')": ("39000", "Wrong key or corrupt data"),
    "pgp_sym_decrypt('plain', 'key')": ("39000", "Wrong key or corrupt data"),
    "decrypt(encrypt('a', 'key', 'aes'), 'kez', 'aes')": ("39000", "decrypt error: Decryption failed"),
    "encrypt('a', 'key', 'aes/pad:none')": ("39000", "encrypt error: Encryption failed"),
    "encrypt('a', 'key', 'rot13')": ("22023", 'Cannot use "rot13": No such cipher algorithm'),
    "digest('a', 'crc32')": ("22023", 'Cannot use "crc32": No such hash algorithm'),
    "crypt('a', 'x')": ("22023", "invalid salt"),
    "crypt('a', '$2a$03$abcdefghijklmnopqrstuu')": ("22023", "invalid salt"),
    "gen_salt('rot13')": ("22023", "gen_salt: Unknown salt algorithm"),
    "gen_salt('bf', 32)": ("22023", "gen_salt: Incorrect number of rounds"),
    "dearmor('plain')": ("39000", "Corrupt ascii-armor"),
    "pgp_pub_encrypt('a', 'key')": ("39000", "Wrong key or corrupt data"),
    "pgp_pub_encrypt('a', '')": ("39000", "No encryption key found"),
    "pgp_pub_encrypt('a', pgp_sym_encrypt('a', 'key'))": ("39000", "Unexpected packet in key data"),
    "pgp_pub_decrypt(pgp_sym_encrypt('a', ''), '\\x99')": ("39000", "Wrong key or corrupt data"),
}


@pytest.mark.parametrize("question", REFUSED)
def test_what_cannot_be_done_is_refused(pgcrypto: Cursor, question: str) -> None:
    assert refusal(pgcrypto, question) == REFUSED[question]
