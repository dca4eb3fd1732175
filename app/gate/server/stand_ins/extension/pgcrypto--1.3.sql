-- A stand-in for pgcrypto, with its functions' names, arguments and properties.
-- https://www.postgresql.org/docs/current/pgcrypto.html
--
-- PostgreSQL itself has MD5 and SHA-2, and SHA-1 is computed here: with these, digest() and hmac() return what pgcrypto's
-- do. It has no other digests, no ciphers and no slow hashes. What crypt() and the functions that encrypt return here has
-- the form that pgcrypto gives it, and is checked and decrypted here as there, but no other program understands it.
--
-- A function that calls another one of the extension has a body of SQL, in which PostgreSQL keeps that one's oid: it is
-- found whatever the schema of the extension and the search path are.

CREATE FUNCTION digest(bytea, text) RETURNS bytea IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    message bytea := $1;
    all_ones constant bigint := 4294967295;
    h bigint[] := ARRAY[1732584193, 4023233417, 2562383102, 271733878, 3285377520];
    w bigint[] := array_fill(0::bigint, ARRAY[80], ARRAY[0]);
    a bigint; b bigint; c bigint; d bigint; e bigint; x bigint;
    size int;
BEGIN
    CASE lower($2)
        WHEN 'md5' THEN RETURN decode(md5(message), 'hex');
        WHEN 'sha224' THEN RETURN sha224(message);
        WHEN 'sha256' THEN RETURN sha256(message);
        WHEN 'sha384' THEN RETURN sha384(message);
        WHEN 'sha512' THEN RETURN sha512(message);
        WHEN 'sha1', 'sha-1' THEN NULL;
        ELSE
            -- A value of the right size.
            size := CASE lower($2)
                WHEN 'ripemd160' THEN 20 WHEN 'sha3-224' THEN 28 WHEN 'sha512-224' THEN 28 WHEN 'sha3-256' THEN 32
                WHEN 'sha512-256' THEN 32 WHEN 'blake2s256' THEN 32 WHEN 'sm3' THEN 32 WHEN 'sha3-384' THEN 48
                WHEN 'sha3-512' THEN 64 WHEN 'blake2b512' THEN 64
            END;
            IF size IS NULL THEN
                RAISE invalid_parameter_value USING MESSAGE = format('Cannot use "%s": No such hash algorithm', $2);
            END IF;
            RETURN substring(sha512(convert_to(lower($2) || chr(1), getdatabaseencoding()) || message) FROM 1 FOR size);
    END CASE;
    -- SHA-1: RFC 3174, section 6.1.
    message := message || '\x80' || decode(repeat('00', (119 - length(message) % 64) % 64), 'hex')
        || int8send(length(message)::bigint * 8);
    FOR start IN 0 .. length(message) - 1 BY 64 LOOP
        a := h[1]; b := h[2]; c := h[3]; d := h[4]; e := h[5];
        FOR t IN 0 .. 79 LOOP
            IF t < 16 THEN
                x := ('x' || encode(substring(message FROM start + 4 * t + 1 FOR 4), 'hex'))::bit(32)::bigint;
            ELSE
                x := w[t - 3] # w[t - 8] # w[t - 14] # w[t - 16];
                x := ((x << 1) | (x >> 31)) & all_ones;
            END IF;
            w[t] := x;
            x := x + e + (((a << 5) | (a >> 27)) & all_ones) + CASE t / 20
                WHEN 0 THEN (d # (b & (c # d))) + 1518500249
                WHEN 1 THEN (b # c # d) + 1859775393
                WHEN 2 THEN ((b & c) | (d & (b | c))) + 2400959708
                ELSE (b # c # d) + 3395469782
            END;
            e := d; d := c; c := ((b << 30) | (b >> 2)) & all_ones; b := a; a := x & all_ones;
        END LOOP;
        h := ARRAY[h[1] + a & all_ones, h[2] + b & all_ones, h[3] + c & all_ones, h[4] + d & all_ones, h[5] + e & all_ones];
    END LOOP;
    RETURN (SELECT string_agg(substring(int8send(part) FROM 5), '' ORDER BY place)
            FROM unnest(h) WITH ORDINALITY AS words(part, place));
END $$;

CREATE FUNCTION digest(text, text) RETURNS bytea IMMUTABLE STRICT PARALLEL SAFE
RETURN digest(convert_to($1, getdatabaseencoding()), $2);

-- RFC 2104, section 2.
CREATE FUNCTION hmac(bytea, bytea, text) RETURNS bytea IMMUTABLE STRICT PARALLEL SAFE
RETURN (
    WITH sizes AS (SELECT CASE WHEN lower($3) IN ('sha384', 'sha512') THEN 128 ELSE 64 END AS block),
    keys AS (SELECT block, CASE WHEN length($2) > block THEN digest($2, $3) ELSE $2 END AS key FROM sizes),
    bytes AS (SELECT at, CASE WHEN at < length(key) THEN get_byte(key, at) ELSE 0 END AS byte
              FROM keys, generate_series(0, block - 1) AS at),
    pads AS (SELECT string_agg(set_byte('\x00', 0, byte # 54), '' ORDER BY at) AS inner_pad,
                    string_agg(set_byte('\x00', 0, byte # 92), '' ORDER BY at) AS outer_pad
             FROM bytes)
    SELECT digest(outer_pad || digest(inner_pad || $1, $3), $3) FROM pads);

CREATE FUNCTION hmac(text, text, text) RETURNS bytea IMMUTABLE STRICT PARALLEL SAFE
RETURN hmac(convert_to($1, getdatabaseencoding()), convert_to($2, getdatabaseencoding()), $3);

-- Random data. That of gen_random_uuid() comes from the operating system.

CREATE FUNCTION gen_random_uuid() RETURNS uuid VOLATILE PARALLEL SAFE
RETURN pg_catalog.gen_random_uuid();

CREATE FUNCTION gen_random_bytes(int4) RETURNS bytea VOLATILE STRICT PARALLEL SAFE
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    random bytea := '';
BEGIN
    IF $1 NOT BETWEEN 1 AND 1024 THEN
        RAISE external_routine_invocation_exception USING MESSAGE = 'Length not in range';
    END IF;
    WHILE length(random) < $1 LOOP
        random := random || sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
    END LOOP;
    RETURN substring(random FROM 1 FOR $1);
END $$;

-- Hashes of passwords.

CREATE FUNCTION gen_salt(text, int4) RETURNS text VOLATILE STRICT PARALLEL SAFE
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    letters constant text := './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
    rounds int := $2;
    random text := translate(
        rtrim(encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'base64'), '='), '+' || chr(10), '.');
    is_possible bool;
BEGIN
    IF rounds = 0 THEN
        rounds := CASE lower($1) WHEN 'des' THEN 25 WHEN 'xdes' THEN 725 WHEN 'md5' THEN 1000 WHEN 'bf' THEN 6 ELSE 5000 END;
    END IF;
    is_possible := CASE lower($1)
        WHEN 'des' THEN rounds = 25
        WHEN 'xdes' THEN rounds BETWEEN 1 AND 16777215 AND rounds % 2 = 1
        WHEN 'md5' THEN rounds = 1000
        WHEN 'bf' THEN rounds BETWEEN 4 AND 31
        WHEN 'sha256crypt' THEN rounds BETWEEN 1000 AND 999999999
        WHEN 'sha512crypt' THEN rounds BETWEEN 1000 AND 999999999
    END;
    IF is_possible IS NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = 'gen_salt: Unknown salt algorithm';
    ELSIF NOT is_possible THEN
        RAISE invalid_parameter_value USING MESSAGE = 'gen_salt: Incorrect number of rounds';
    END IF;
    RETURN CASE lower($1)
        WHEN 'des' THEN left(random, 2)
        WHEN 'xdes' THEN
            (SELECT '_' || string_agg(substr(letters, (rounds >> 6 * place & 63) + 1, 1), '' ORDER BY place)
             FROM generate_series(0, 3) AS place) || left(random, 4)
        WHEN 'md5' THEN '$1$' || left(random, 8)
        -- The last letter stands for two bits.
        WHEN 'bf' THEN format('$2a$%s$%s%s', lpad(rounds::text, 2, '0'), left(random, 21), substr('.Oeu', ascii(right(random, 1)) % 4 + 1, 1))
        WHEN 'sha256crypt' THEN format('$5$rounds=%s$%s', rounds, left(random, 16))
        ELSE format('$6$rounds=%s$%s', rounds, left(random, 16))
    END;
END $$;

CREATE FUNCTION gen_salt(text) RETURNS text VOLATILE STRICT PARALLEL SAFE
RETURN gen_salt($1, 0);

-- What comes before the hash names the method and has the salt; the second argument is a salt, or a whole hash.
CREATE FUNCTION crypt(text, text) RETURNS text IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    salt text;
    size int;
BEGIN
    IF $2 ~ '^\$2[ax]\$' THEN
        salt := substring($2 FROM '^\$2[ax]\$(?:0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{22}');
        size := 31;
    ELSIF $2 LIKE '$1$%' THEN
        salt := substring($2 FROM '^\$1\$[^$]{0,8}') || '$';
        size := 22;
    ELSIF $2 ~ '^\$[56]\$' THEN
        salt := substring($2 FROM '^\$[56]\$(?:rounds=\d+\$)?[^$]{0,16}') || '$';
        size := CASE WHEN $2 LIKE '$5$%' THEN 43 ELSE 86 END;
    ELSIF $2 LIKE '\_%' THEN
        salt := substring($2 FROM '^_[./A-Za-z0-9]{8}');
        size := 11;
    ELSE
        salt := substring($2 FROM '^..');
        size := 11;
    END IF;
    IF salt IS NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = 'invalid salt';
    END IF;
    RETURN salt || left(
        translate(encode(sha512(convert_to(salt || chr(1) || $1, getdatabaseencoding())), 'base64'), '+' || chr(10), '.'), size);
END $$;

-- Ciphers: the data is combined by XOR with as many bytes of SHA-512 over the key, so that it can be read with the same
-- key alone.

CREATE FUNCTION encrypt_iv(bytea, bytea, bytea, text) RETURNS bytea IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    parts text[] := regexp_match(lower($4), '^(aes|rijndael|bf|blowfish|3des|des3|des|cast5)(?:-(?:cbc|ecb|cfb))?(?:/pad:(pkcs|none))?$');
    block int;
    data bytea := $1;
BEGIN
    IF parts IS NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = format('Cannot use "%s": No such cipher algorithm', $4);
    END IF;
    block := CASE WHEN parts[1] IN ('aes', 'rijndael') THEN 16 ELSE 8 END;
    IF parts[2] IS DISTINCT FROM 'none' THEN
        data := data || decode(repeat(lpad(to_hex(block - length(data) % block), 2, '0'), block - length(data) % block), 'hex');
    ELSIF length(data) % block > 0 THEN
        RAISE external_routine_invocation_exception USING MESSAGE = 'encrypt error: Encryption failed';
    END IF;
    RETURN coalesce(
        (SELECT string_agg(set_byte('\x00', 0, get_byte(data, 64 * part + at) # get_byte(mask, at)), '' ORDER BY part, at)
         FROM generate_series(0, (length(data) - 1) / 64) AS part,
             LATERAL (SELECT sha512(int4send(part) || int4send(length($2)) || $2 || $3)) AS masks(mask),
             LATERAL generate_series(0, least(length(data) - 64 * part, 64) - 1) AS at),
        '');
END $$;

CREATE FUNCTION encrypt(bytea, bytea, text) RETURNS bytea IMMUTABLE STRICT PARALLEL SAFE
RETURN encrypt_iv($1, $2, ''::bytea, $3);

CREATE FUNCTION decrypt_iv(bytea, bytea, bytea, text) RETURNS bytea IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    parts text[] := regexp_match(lower($4), '^(aes|rijndael|bf|blowfish|3des|des3|des|cast5)(?:-(?:cbc|ecb|cfb))?(?:/pad:(pkcs|none))?$');
    block int;
    data bytea;
    padding int := 0;
BEGIN
    IF parts IS NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = format('Cannot use "%s": No such cipher algorithm', $4);
    END IF;
    block := CASE WHEN parts[1] IN ('aes', 'rijndael') THEN 16 ELSE 8 END;
    IF length($1) % block = 0 THEN
        data := coalesce(
            (SELECT string_agg(set_byte('\x00', 0, get_byte($1, 64 * part + at) # get_byte(mask, at)), '' ORDER BY part, at)
             FROM generate_series(0, (length($1) - 1) / 64) AS part,
                 LATERAL (SELECT sha512(int4send(part) || int4send(length($2)) || $2 || $3)) AS masks(mask),
                 LATERAL generate_series(0, least(length($1) - 64 * part, 64) - 1) AS at),
            '');
        IF parts[2] IS DISTINCT FROM 'none' AND length(data) > 0 THEN
            padding := get_byte(data, length(data) - 1);
        END IF;
    END IF;
    IF data IS NULL OR padding > block OR padding > 0 AND
        substring(data FROM length(data) - padding + 1) <> decode(repeat(lpad(to_hex(padding), 2, '0'), padding), 'hex')
    THEN
        RAISE external_routine_invocation_exception USING MESSAGE = 'decrypt error: Decryption failed',
            HINT = 'A stand-in for pgcrypto decrypts only what it has encrypted itself.';
    END IF;
    RETURN substring(data FROM 1 FOR length(data) - padding);
END $$;

CREATE FUNCTION decrypt(bytea, bytea, text) RETURNS bytea IMMUTABLE STRICT PARALLEL SAFE
RETURN decrypt_iv($1, $2, ''::bytea, $3);

-- PGP messages with a password: the beginning of such a message, a random salt, and the encrypted data with a check sum.

CREATE FUNCTION pgp_sym_encrypt_bytea(bytea, text) RETURNS bytea VOLATILE STRICT PARALLEL SAFE
RETURN (
    SELECT '\xc30d04070302'::bytea || salt || '\xd2'::bytea
        || encrypt_iv(substring(sha256(salt || $1) FROM 1 FOR 20) || $1, convert_to($2, getdatabaseencoding()), salt, 'aes')
    FROM gen_random_bytes(9) AS salts(salt));

CREATE FUNCTION pgp_sym_encrypt(text, text) RETURNS bytea VOLATILE STRICT PARALLEL SAFE
RETURN pgp_sym_encrypt_bytea(convert_to($1, getdatabaseencoding()), $2);

CREATE FUNCTION pgp_sym_encrypt_bytea(bytea, text, text) RETURNS bytea VOLATILE STRICT PARALLEL SAFE
RETURN pgp_sym_encrypt_bytea($1, $2);

CREATE FUNCTION pgp_sym_encrypt(text, text, text) RETURNS bytea VOLATILE STRICT PARALLEL SAFE
RETURN pgp_sym_encrypt($1, $2);

CREATE FUNCTION pgp_sym_decrypt_bytea(bytea, text) RETURNS bytea IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    salt bytea := substring($1 FROM 7 FOR 9);
    body bytea := substring($1 FROM 17);
    data bytea;
BEGIN
    IF substring($1 FROM 1 FOR 6) = '\xc30d04070302' AND length(body) >= 32 THEN
        SELECT string_agg(set_byte('\x00', 0, get_byte(body, 64 * part + at) # get_byte(mask, at)), '' ORDER BY part, at)
        INTO data
        FROM generate_series(0, (length(body) - 1) / 64) AS part,
            LATERAL (SELECT convert_to($2, getdatabaseencoding())) AS keys(key),
            LATERAL (SELECT sha512(int4send(part) || int4send(length(key)) || key || salt)) AS masks(mask),
            LATERAL generate_series(0, least(length(body) - 64 * part, 64) - 1) AS at;
        data := substring(data FROM 1 FOR greatest(length(data) - get_byte(data, length(data) - 1), 0));
    END IF;
    IF substring(data FROM 1 FOR 20) = substring(sha256(salt || substring(data FROM 21)) FROM 1 FOR 20) THEN
        RETURN substring(data FROM 21);
    END IF;
    RAISE external_routine_invocation_exception USING MESSAGE = 'Wrong key or corrupt data',
        HINT = 'A stand-in for pgcrypto decrypts only what it has encrypted itself.';
END $$;

CREATE FUNCTION pgp_sym_decrypt(bytea, text) RETURNS text IMMUTABLE STRICT PARALLEL SAFE
RETURN convert_from(pgp_sym_decrypt_bytea($1, $2), getdatabaseencoding());

CREATE FUNCTION pgp_sym_decrypt_bytea(bytea, text, text) RETURNS bytea IMMUTABLE STRICT PARALLEL SAFE
RETURN pgp_sym_decrypt_bytea($1, $2);

CREATE FUNCTION pgp_sym_decrypt(bytea, text, text) RETURNS text IMMUTABLE STRICT PARALLEL SAFE
RETURN pgp_sym_decrypt($1, $2);

-- ASCII armor: RFC 4880, section 6.

CREATE FUNCTION armor(bytea, text[], text[]) RETURNS text IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    crc int := 11994318;
    headers text;
BEGIN
    IF array_ndims($2) > 1 OR array_ndims($3) > 1 OR cardinality($2) <> cardinality($3) THEN
        RAISE array_subscript_error USING MESSAGE = 'mismatched array dimensions';
    END IF;
    FOR at IN 0 .. length($1) - 1 LOOP
        crc := crc # (get_byte($1, at) << 16);
        FOR bit IN 1 .. 8 LOOP
            crc := crc << 1;
            IF crc & 16777216 <> 0 THEN
                crc := crc # 25578747;
            END IF;
        END LOOP;
    END LOOP;
    SELECT string_agg(format(E'%s: %s\n', key, value), '' ORDER BY place) INTO headers
    FROM unnest($2, $3) WITH ORDINALITY AS pairs(key, value, place);
    RETURN format(E'-----BEGIN PGP MESSAGE-----\n%s\n%s=%s\n-----END PGP MESSAGE-----\n',
        headers, rtrim(encode($1, 'base64'), E'\n') || CASE WHEN length($1) > 0 THEN E'\n' END, encode(substring(int4send(crc) FROM 2), 'base64'));
END $$;

CREATE FUNCTION armor(bytea) RETURNS text IMMUTABLE STRICT PARALLEL SAFE
RETURN armor($1, '{}'::text[], '{}'::text[]);

CREATE FUNCTION dearmor(text) RETURNS bytea IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    body text := substring($1 FROM
        '-----BEGIN PGP [A-Z ]+-----\r?\n(?:[^\n:]+: [^\n]*\n)*\r?\n((?:[A-Za-z0-9+/=]+\r?\n)*)=[A-Za-z0-9+/]{4}\r?\n-----END PGP');
BEGIN
    IF body IS NULL OR regexp_replace(body, '\s', '', 'g') !~ '^(?:[^=]{4})*(?:[^=]{2}==|[^=]{3}=)?$' THEN
        RAISE external_routine_invocation_exception USING MESSAGE = 'Corrupt ascii-armor';
    END IF;
    RETURN decode(body, 'base64');
END $$;

CREATE FUNCTION pgp_armor_headers(text, OUT key text, OUT value text) RETURNS SETOF record IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RETURN QUERY SELECT pair[1], pair[2]
    FROM regexp_matches(substring($1 FROM '-----BEGIN PGP [A-Z ]+-----\r?\n((?:[^\n:]+: [^\n]*\n)*)'), '([^\n:]+): ([^\n]*)\n', 'g') AS pairs(pair);
END $$;

-- Public keys: any is taken for the other half of any secret key.

-- The kinds of packets with which a key begins: RFC 4880, sections 4.2 and 4.3.
CREATE FUNCTION pgp_key_id(bytea) RETURNS text IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    first int := CASE WHEN length($1) > 0 THEN get_byte($1, 0) END;
    kind int := CASE WHEN first < 192 THEN (first >> 2) & 15 ELSE first & 63 END;
BEGIN
    IF first IS NULL THEN
        RAISE external_routine_invocation_exception USING MESSAGE = 'No encryption key found';
    ELSIF first < 128 THEN
        RAISE external_routine_invocation_exception USING MESSAGE = 'Wrong key or corrupt data';
    ELSIF kind NOT IN (5, 6, 7, 14) THEN
        RAISE external_routine_invocation_exception USING MESSAGE = 'Unexpected packet in key data';
    END IF;
    RETURN upper(left(encode(sha256($1), 'hex'), 16));
END $$;

-- The password is empty: its length is that of nothing, once the key is known to be one.
CREATE FUNCTION pgp_pub_encrypt_bytea(bytea, bytea) RETURNS bytea VOLATILE STRICT PARALLEL SAFE
RETURN '\xc1c04c03'::bytea || pgp_sym_encrypt_bytea($1, left(pgp_key_id($2), 0));

CREATE FUNCTION pgp_pub_encrypt_bytea(bytea, bytea, text) RETURNS bytea VOLATILE STRICT PARALLEL SAFE
RETURN pgp_pub_encrypt_bytea($1, $2);

CREATE FUNCTION pgp_pub_encrypt(text, bytea) RETURNS bytea VOLATILE STRICT PARALLEL SAFE
RETURN '\xc1c04c03'::bytea || pgp_sym_encrypt($1, left(pgp_key_id($2), 0));

CREATE FUNCTION pgp_pub_encrypt(text, bytea, text) RETURNS bytea VOLATILE STRICT PARALLEL SAFE
RETURN pgp_pub_encrypt($1, $2);

CREATE FUNCTION pgp_pub_decrypt_bytea(bytea, bytea) RETURNS bytea IMMUTABLE STRICT PARALLEL SAFE
RETURN pgp_sym_decrypt_bytea(
    CASE WHEN substring($1 FROM 1 FOR 4) = '\xc1c04c03'::bytea THEN substring($1 FROM 5) ELSE ''::bytea END,
    left(pgp_key_id($2), 0));

CREATE FUNCTION pgp_pub_decrypt(bytea, bytea) RETURNS text IMMUTABLE STRICT PARALLEL SAFE
RETURN convert_from(pgp_pub_decrypt_bytea($1, $2), getdatabaseencoding());

CREATE FUNCTION pgp_pub_decrypt_bytea(bytea, bytea, text) RETURNS bytea IMMUTABLE STRICT PARALLEL SAFE
RETURN pgp_pub_decrypt_bytea($1, $2);

CREATE FUNCTION pgp_pub_decrypt_bytea(bytea, bytea, text, text) RETURNS bytea IMMUTABLE STRICT PARALLEL SAFE
RETURN pgp_pub_decrypt_bytea($1, $2);

CREATE FUNCTION pgp_pub_decrypt(bytea, bytea, text) RETURNS text IMMUTABLE STRICT PARALLEL SAFE
RETURN pgp_pub_decrypt($1, $2);

CREATE FUNCTION pgp_pub_decrypt(bytea, bytea, text, text) RETURNS text IMMUTABLE STRICT PARALLEL SAFE
RETURN pgp_pub_decrypt($1, $2);
