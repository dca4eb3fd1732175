-- A stand-in for uuid-ossp, with its functions' names, arguments and properties.
-- https://www.postgresql.org/docs/current/uuid-ossp.html

CREATE FUNCTION uuid_nil() RETURNS uuid IMMUTABLE STRICT PARALLEL SAFE
RETURN '00000000-0000-0000-0000-000000000000'::uuid;

-- The name spaces of RFC 9562, section 6.6.

CREATE FUNCTION uuid_ns_dns() RETURNS uuid IMMUTABLE STRICT PARALLEL SAFE
RETURN '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid;

CREATE FUNCTION uuid_ns_url() RETURNS uuid IMMUTABLE STRICT PARALLEL SAFE
RETURN '6ba7b811-9dad-11d1-80b4-00c04fd430c8'::uuid;

CREATE FUNCTION uuid_ns_oid() RETURNS uuid IMMUTABLE STRICT PARALLEL SAFE
RETURN '6ba7b812-9dad-11d1-80b4-00c04fd430c8'::uuid;

CREATE FUNCTION uuid_ns_x500() RETURNS uuid IMMUTABLE STRICT PARALLEL SAFE
RETURN '6ba7b814-9dad-11d1-80b4-00c04fd430c8'::uuid;

-- The time, in steps of 100 ns since 1582-10-15; a clock sequence and a node that are random at each call. A node that is
-- no network card's has the lowest bit of its first byte set.
CREATE FUNCTION uuid_generate_v1() RETURNS uuid VOLATILE STRICT PARALLEL SAFE
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    ticks bigint := (extract(epoch FROM clock_timestamp()) * 10000000)::bigint + 122192928000000000;
    random bytea := uuid_send(gen_random_uuid());
BEGIN
    RETURN encode(
        substring(int8send(ticks) FROM 5 FOR 4) || substring(int8send(ticks) FROM 3 FOR 2)
        || substring(int8send((ticks >> 48) | 4096) FROM 7 FOR 2)
        || substring(set_byte(random, 10, get_byte(random, 10) | 1) FROM 9 FOR 8),
        'hex')::uuid;
END $$;

CREATE FUNCTION uuid_generate_v1mc() RETURNS uuid VOLATILE STRICT PARALLEL SAFE
RETURN uuid_generate_v1();

CREATE FUNCTION uuid_generate_v3(namespace uuid, name text) RETURNS uuid IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    hash bytea := decode(md5(uuid_send(namespace) || convert_to(name, getdatabaseencoding())), 'hex');
BEGIN
    hash := set_byte(hash, 6, get_byte(hash, 6) & 15 | 48);
    RETURN encode(set_byte(hash, 8, get_byte(hash, 8) & 63 | 128), 'hex')::uuid;
END $$;

CREATE FUNCTION uuid_generate_v4() RETURNS uuid VOLATILE STRICT PARALLEL SAFE
RETURN gen_random_uuid();

-- Of the hash functions that it needs, PostgreSQL has no SHA-1: RFC 3174, section 6.1.
CREATE FUNCTION uuid_generate_v5(namespace uuid, name text) RETURNS uuid IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    message bytea := uuid_send(namespace) || convert_to(name, getdatabaseencoding());
    all_ones constant bigint := 4294967295;
    h bigint[] := ARRAY[1732584193, 4023233417, 2562383102, 271733878, 3285377520];
    w bigint[] := array_fill(0::bigint, ARRAY[80], ARRAY[0]);
    a bigint; b bigint; c bigint; d bigint; e bigint; x bigint;
    hash bytea;
BEGIN
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
    SELECT string_agg(substring(int8send(part) FROM 5), '' ORDER BY place) INTO hash FROM unnest(h) WITH ORDINALITY AS u(part, place);
    hash := set_byte(substring(hash FROM 1 FOR 16), 6, get_byte(hash, 6) & 15 | 80);
    RETURN encode(set_byte(hash, 8, get_byte(hash, 8) & 63 | 128), 'hex')::uuid;
END $$;
