"""What is read of each kind of object, as SELECTs.

Each returns rows of (class, object, part, kind, schema, name, table, definition). The first three identify an object as
`pg_depend` does: (1259, 16388, 0) is a table, (1259, 16388, 2) its second column. The rows of the larger catalogs come
from sources named `some_…`, so that the same text reads everything, or only what may have changed; `homes` are the
tables and views to which parts belong, `spaces` the schemas, `members` the members of extensions.

A column that only some versions have is reached through `to_jsonb(row)`.
"""

from __future__ import annotations


def class_of(catalog: str) -> str:
    return f"'pg_catalog.{catalog}'::regclass::oid"


def privileges_of(acl: str, kind: str, owner: str) -> str:
    """[the access control list, the default one of such an object, the owner's name]."""
    return f"CASE WHEN {acl} IS NOT NULL THEN json_build_array({acl}, acldefault('{kind}', {owner}), pg_get_userbyid({owner})) END"


def owner_of(owner: str) -> str:
    """The owner's name, if that is not the role that runs the migrations: the database's owner, or a superuser."""
    return f"CASE WHEN {owner} NOT IN (SELECT o.oid FROM owners AS o) THEN pg_get_userbyid({owner}) END"


def standalone(catalog: str, oid: str) -> str:
    """Neither a member of an extension nor created together with another object, as a range type's constructors."""
    return f"""NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
        WHERE d.classid = {class_of(catalog)} AND d.objid = {oid} AND d.deptype IN ('e', 'i') OFFSET 0)"""


_SEQUENCE_OPTIONS = """
    'type', format_type(s.seqtypid, NULL), 'start', s.seqstart, 'increment', s.seqincrement,
    'minimum', s.seqmin, 'maximum', s.seqmax, 'cache', s.seqcache, 'cycle', s.seqcycle"""

# A column says of its identity only what `GENERATED … AS IDENTITY` alone would not give.
_IDENTITY_OPTIONS = """
    'start', nullif(s.seqstart, CASE WHEN s.seqincrement > 0 THEN s.seqmin ELSE s.seqmax END),
    'increment', nullif(s.seqincrement, 1),
    'minimum', nullif(s.seqmin, CASE WHEN s.seqincrement > 0 THEN 1
                                     ELSE - (2::numeric ^ (8 * t.typlen - 1))::numeric END),
    'maximum', nullif(s.seqmax, CASE WHEN s.seqincrement > 0 THEN (2::numeric ^ (8 * t.typlen - 1))::numeric - 1
                                     ELSE -1 END),
    'cache', nullif(s.seqcache, 1), 'cycle', nullif(s.seqcycle, false)"""

# Neither the array of another type, nor the row type of a table.
IS_LISTED_TYPE = """(t.typtype IN ('e', 'd', 'r') OR t.typtype = 'b' AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_type AS e WHERE e.oid = t.typelem AND e.typarray = t.oid OFFSET 0)
            OR t.typtype = 'c' AND (SELECT c.relkind FROM pg_catalog.pg_class AS c WHERE c.oid = t.typrelid) = 'c')"""

OBJECTS = {
    "relations": f"""
    SELECT {class_of("pg_class")}, c.oid, 0,
        CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table'
                       ELSE 'table' END,
        h.space, c.relname, '', json_build_object(
        'unlogged', nullif(c.relpersistence = 'u', false),
        'of_type', CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END,
        'partition_by', CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
        'partition_of', CASE WHEN c.relispartition THEN (
            SELECT i.inhparent::regclass::text || ' ' || pg_get_expr(c.relpartbound, c.oid)
            FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = c.oid) END,
        'inherits', CASE WHEN NOT c.relispartition THEN (
            SELECT json_agg(i.inhparent::regclass::text ORDER BY i.inhseqno)
            FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = c.oid) END,
        'options', c.reloptions,
        'toast_options', (SELECT toast.reloptions FROM pg_catalog.pg_class AS toast WHERE toast.oid = c.reltoastrelid),
        'row_security', CASE WHEN c.relrowsecurity AND c.relforcerowsecurity THEN 'enabled and forced'
                             WHEN c.relrowsecurity THEN 'enabled' WHEN c.relforcerowsecurity THEN 'forced' END,
        'replica_identity', CASE c.relreplident WHEN 'n' THEN CASE WHEN c.relkind IN ('r', 'p', 'm') THEN 'nothing' END WHEN 'f' THEN 'full' WHEN 'i' THEN coalesce((
            SELECT 'index ' || quote_ident(x.relname) FROM pg_catalog.pg_index AS i
            JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisreplident),
            'an index that is gone') END,
        'tablespace', (SELECT t.spcname FROM pg_catalog.pg_tablespace AS t WHERE t.oid = c.reltablespace),
        'access_method', (SELECT a.amname FROM pg_catalog.pg_am AS a WHERE a.oid = c.relam AND a.amname <> 'heap'),
        'definition', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
        'populated', CASE WHEN c.relkind = 'm' THEN nullif(c.relispopulated, true) END,
        'server', (SELECT s.srvname FROM pg_catalog.pg_foreign_table AS f
            JOIN pg_catalog.pg_foreign_server AS s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid),
        'foreign_options', (SELECT f.ftoptions FROM pg_catalog.pg_foreign_table AS f
            WHERE f.ftrelid = c.oid),
        'owner', {owner_of("c.relowner")},
        'privileges', {privileges_of("c.relacl", "r", "c.relowner")})
    FROM some_class AS c JOIN homes AS h ON h.oid = c.oid""",
    "columns": f"""
    SELECT {class_of("pg_class")}, a.attrelid, a.attnum, 'column', h.space, a.attname, h.name, json_build_object(
        'type', format_type(a.atttypid, a.atttypmod),
        'collation', CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
        'nullable', NOT a.attnotnull,
        'not_null', nn.details,
        'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
        'generated', CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END,
        'virtual', CASE WHEN a.attgenerated = 'v' THEN true END,
        'identity', CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END,
        'sequence', CASE WHEN a.attidentity <> '' THEN (
            SELECT nullif(json_strip_nulls(json_build_object({_IDENTITY_OPTIONS}))::text, '{{}}')::json
            FROM pg_catalog.pg_depend AS o JOIN pg_catalog.pg_sequence AS s ON s.seqrelid = o.objid
            WHERE o.refclassid = {class_of("pg_class")} AND o.refobjid = a.attrelid AND o.refobjsubid = a.attnum
              AND o.classid = {class_of("pg_class")} AND o.deptype = 'i') END,
        'storage', CASE WHEN a.attstorage <> t.typstorage THEN
            CASE a.attstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main'
                              ELSE 'extended' END END,
        'compression', CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END,
        'statistics', nullif(a.attstattarget, -1),
        'options', a.attoptions,
        'foreign_options', a.attfdwoptions,
        'privileges', {privileges_of("a.attacl", "c", "h.owner")})
    FROM some_attribute AS a
    JOIN homes AS h ON h.oid = a.attrelid
    JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
    LEFT JOIN some_not_null AS nn ON nn.conrelid = a.attrelid AND nn.attnum = a.attnum
    LEFT JOIN some_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped""",
    # The constraints of a partition that came from its parent are the parent's. PostgreSQL 18 keeps NOT NULL as a
    # constraint with a generated name, which is read as a property of the column, as in older versions.
    "constraints": f"""
    SELECT {class_of("pg_constraint")}, k.oid, 0, 'constraint', h.space, k.conname, h.name, json_build_object(
        'type', CASE k.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique' WHEN 'f' THEN 'foreign key'
                               WHEN 'c' THEN 'check' ELSE 'exclude' END,
        'columns', CASE WHEN k.contype IN ('p', 'u', 'f') THEN (
            SELECT json_agg(a.attname ORDER BY n.position) FROM unnest(k.conkey) WITH ORDINALITY AS n (attnum, position)
            JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = n.attnum) END,
        'references', CASE WHEN k.contype = 'f' THEN k.confrelid::regclass::text END,
        'definition', pg_get_constraintdef(k.oid),
        'validated', nullif(k.convalidated, true),
        'index_options', CASE WHEN k.conindid <> 0 AND k.contype <> 'f' THEN x.reloptions END,
        'index_tablespace', (SELECT t.spcname FROM pg_catalog.pg_tablespace AS t
            WHERE k.contype <> 'f' AND t.oid = x.reltablespace),
        'index_valid', CASE WHEN k.contype <> 'f' THEN nullif(i.indisvalid, true) END,
        'clustered', CASE WHEN k.contype <> 'f' THEN nullif(i.indisclustered, false) END)
    FROM some_constraint AS k
    JOIN homes AS h ON h.oid = k.conrelid
    LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = k.conindid
    LEFT JOIN pg_catalog.pg_class AS x ON x.oid = k.conindid
    WHERE k.contype IN ('p', 'u', 'f', 'c', 'x') AND k.conparentid = 0""",
    "domain constraints": f"""
    SELECT {class_of("pg_constraint")}, k.oid, 0, 'domain constraint', n.nspname, k.conname, t.typname,
        json_build_object('definition', pg_get_constraintdef(k.oid), 'validated', nullif(k.convalidated, true))
    FROM some_constraint AS k
    JOIN pg_catalog.pg_type AS t ON t.oid = k.contypid
    JOIN spaces AS n ON n.oid = t.typnamespace
    WHERE k.contype = 'c' AND NOT EXISTS (SELECT FROM members AS m
        WHERE m.classid = {class_of("pg_type")} AND m.objid = t.oid)""",
    # What precedes USING repeats the names. An index that backs a constraint is read with the constraint,
    # and one that a partition has from its parent with the parent's.
    "indexes": f"""
    SELECT {class_of("pg_class")}, c.oid, 0, 'index', h.space, c.relname, h.name, json_build_object(
        'unique', nullif(i.indisunique, false),
        'definition', substr(pg_get_indexdef(c.oid), length(concat(
            'CREATE ', CASE WHEN i.indisunique THEN 'UNIQUE ' END, 'INDEX ', quote_ident(c.relname),
            ' ON ', CASE WHEN c.relkind = 'I' THEN 'ONLY ' END, quote_ident(h.space), '.', quote_ident(h.name))) + 2),
        'valid', nullif(i.indisvalid, true),
        'clustered', nullif(i.indisclustered, false),
        'tablespace', (SELECT t.spcname FROM pg_catalog.pg_tablespace AS t WHERE t.oid = c.reltablespace),
        'statistics', (SELECT json_object_agg(a.attnum, a.attstattarget ORDER BY a.attnum)
            FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attstattarget <> -1))
    FROM some_class AS c
    JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
    JOIN homes AS h ON h.oid = i.indrelid
    WHERE c.relkind IN ('i', 'I') AND NOT c.relispartition AND {standalone("pg_class", "c.oid")}""",
    # The sequence of an identity column is read with the column.
    "sequences": f"""
    SELECT {class_of("pg_class")}, c.oid, 0, 'sequence', n.nspname, c.relname, '', json_build_object(
        {_SEQUENCE_OPTIONS},
        'unlogged', nullif(c.relpersistence = 'u', false),
        'owned_by', (
            SELECT o.refobjid::regclass::text || '.' || quote_ident(a.attname)
            FROM pg_catalog.pg_depend AS o
            JOIN pg_catalog.pg_attribute AS a ON a.attrelid = o.refobjid AND a.attnum = o.refobjsubid
            WHERE o.classid = {class_of("pg_class")} AND o.objid = c.oid AND o.deptype = 'a'
              AND o.refclassid = {class_of("pg_class")}),
        'owner', {owner_of("c.relowner")},
        'privileges', {privileges_of("c.relacl", "s", "c.relowner")})
    FROM some_class AS c
    JOIN spaces AS n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_sequence AS s ON s.seqrelid = c.oid
    WHERE {standalone("pg_class", "c.oid")}""",
    "types": f"""
    SELECT {class_of("pg_type")}, t.oid, 0,
        CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'c' THEN 'composite type'
                       WHEN 'r' THEN 'range type' ELSE 'base type' END,
        n.nspname, t.typname, '',
        CASE t.typtype
        WHEN 'e' THEN json_build_object(
            'labels', (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum AS e
                WHERE e.enumtypid = t.oid),
            'privileges', {privileges_of("t.typacl", "T", "t.typowner")})
        WHEN 'd' THEN json_build_object(
            'type', format_type(t.typbasetype, t.typtypmod),
            'collation', (SELECT t.typcollation::regcollation::text FROM pg_catalog.pg_type AS b
                WHERE b.oid = t.typbasetype AND b.typcollation <> t.typcollation),
            'nullable', NOT t.typnotnull,
            'default', coalesce(pg_get_expr(t.typdefaultbin, 0), t.typdefault),
            'privileges', {privileges_of("t.typacl", "T", "t.typowner")})
        WHEN 'c' THEN json_build_object(
            'attributes', (
                SELECT json_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
                    CASE WHEN a.attcollation <> b.typcollation
                         THEN 'COLLATE ' || a.attcollation::regcollation::text END) ORDER BY a.attnum)
                FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS b ON b.oid = a.atttypid
                WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
            'privileges', {privileges_of("t.typacl", "T", "t.typowner")})
        WHEN 'r' THEN (
            SELECT json_build_object(
                'subtype', format_type(r.rngsubtype, NULL),
                'operator_class', (SELECT o.opcnamespace::regnamespace::text || '.' || quote_ident(o.opcname)
                    FROM pg_catalog.pg_opclass AS o WHERE o.oid = r.rngsubopc AND NOT o.opcdefault),
                'collation', (SELECT r.rngcollation::regcollation::text FROM pg_catalog.pg_type AS b
                    WHERE b.oid = r.rngsubtype AND b.typcollation <> r.rngcollation),
                'canonical', nullif(r.rngcanonical, 0)::regproc::text,
                'difference', nullif(r.rngsubdiff, 0)::regproc::text,
                'multirange', format_type(r.rngmultitypid, NULL),
                'privileges', {privileges_of("t.typacl", "T", "t.typowner")})
            FROM pg_catalog.pg_range AS r WHERE r.rngtypid = t.oid)
        ELSE json_build_object(
            'input', t.typinput::text, 'output', t.typoutput::text, 'length', t.typlen, 'by_value', t.typbyval,
            'alignment', t.typalign, 'storage', t.typstorage, 'category', t.typcategory,
            'preferred', nullif(t.typispreferred, false), 'default', t.typdefault,
            'privileges', {privileges_of("t.typacl", "T", "t.typowner")})
        END
    FROM some_type AS t JOIN spaces AS n ON n.oid = t.typnamespace
    WHERE {IS_LISTED_TYPE}
      AND NOT EXISTS (SELECT FROM members AS m WHERE m.classid = {class_of("pg_type")} AND m.objid = t.oid)""",
    "functions": f"""
    SELECT {class_of("pg_proc")}, p.oid, 0,
        CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
        n.nspname, p.proname || '(' || oidvectortypes(p.proargtypes) || ')', '',
        CASE WHEN p.prokind = 'a' THEN (
            SELECT json_build_object(
                'returns', pg_get_function_result(p.oid),
                'aggregate_kind', nullif(g.aggkind, 'n'),
                'direct_arguments', nullif(g.aggnumdirectargs, 0),
                'state_function', g.aggtransfn::text, 'state_type', format_type(g.aggtranstype, NULL),
                'state_space', nullif(g.aggtransspace, 0), 'initial_condition', g.agginitval,
                'final_function', nullif(g.aggfinalfn, 0)::regproc::text,
                'final_extra', nullif(g.aggfinalextra, false), 'final_modify', g.aggfinalmodify,
                'combine_function', nullif(g.aggcombinefn, 0)::regproc::text,
                'serial_function', nullif(g.aggserialfn, 0)::regproc::text,
                'deserial_function', nullif(g.aggdeserialfn, 0)::regproc::text,
                'moving_state_function', nullif(g.aggmtransfn, 0)::regproc::text,
                'moving_inverse_function', nullif(g.aggminvtransfn, 0)::regproc::text,
                'moving_final_function', nullif(g.aggmfinalfn, 0)::regproc::text,
                'moving_state_type', CASE WHEN g.aggmtranstype <> 0 THEN format_type(g.aggmtranstype, NULL) END,
                'moving_initial_condition', g.aggminitval,
                'sort_operator', nullif(g.aggsortop, 0)::regoperator::text,
                'parallel', p.proparallel,
                'privileges', {privileges_of("p.proacl", "f", "p.proowner")})
            FROM pg_catalog.pg_aggregate AS g WHERE g.aggfnoid = p.oid)
        ELSE json_build_object(
            'arguments', pg_get_function_arguments(p.oid),
            'returns', pg_get_function_result(p.oid),
            'language', (SELECT l.lanname FROM pg_catalog.pg_language AS l WHERE l.oid = p.prolang),
            'volatility', CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' END,
            'parallel', CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' END,
            'strict', nullif(p.proisstrict, false),
            'security_definer', nullif(p.prosecdef, false),
            'leakproof', nullif(p.proleakproof, false),
            'window', nullif(p.prokind = 'w', false),
            'cost', p.procost,
            'rows', nullif(p.prorows, 0),
            'support', nullif(p.prosupport, 0)::regproc::text,
            'transforms', (SELECT json_agg(format_type(y, NULL) ORDER BY y) FROM unnest(p.protrftypes) AS y),
            'settings', p.proconfig,
            'library', p.probin,
            'body', coalesce(pg_get_function_sqlbody(p.oid), p.prosrc),
            'owner', {owner_of("p.proowner")},
            'privileges', {privileges_of("p.proacl", "f", "p.proowner")})
        END
    FROM some_proc AS p JOIN spaces AS n ON n.oid = p.pronamespace
    WHERE {standalone("pg_proc", "p.oid")}""",
    # PostgreSQL's internal triggers implement foreign keys and deferred constraints, which are read as constraints.
    "triggers": f"""
    SELECT {class_of("pg_trigger")}, g.oid, 0, 'trigger', h.space, g.tgname, h.name, json_build_object(
        'definition', substr(pg_get_triggerdef(g.oid), length(concat(
            'CREATE ', CASE WHEN g.tgconstraint <> 0 THEN 'CONSTRAINT ' END, 'TRIGGER ', quote_ident(g.tgname))) + 2),
        'constraint', nullif(g.tgconstraint <> 0, false),
        'enabled', CASE g.tgenabled WHEN 'D' THEN 'never' WHEN 'R' THEN 'on replicas' WHEN 'A' THEN 'always' END)
    FROM some_trigger AS g JOIN homes AS h ON h.oid = g.tgrelid
    WHERE NOT g.tgisinternal""",
    "rules": f"""
    SELECT {class_of("pg_rewrite")}, r.oid, 0, 'rule', h.space, r.rulename, h.name, json_build_object(
        'definition', pg_get_ruledef(r.oid),
        'enabled', CASE r.ev_enabled WHEN 'D' THEN 'never' WHEN 'R' THEN 'on replicas' WHEN 'A' THEN 'always' END)
    FROM some_rewrite AS r JOIN homes AS h ON h.oid = r.ev_class
    WHERE r.rulename <> '_RETURN'""",
    "policies": f"""
    SELECT {class_of("pg_policy")}, p.oid, 0, 'policy', h.space, p.polname, h.name, json_build_object(
        'restrictive', nullif(NOT p.polpermissive, false),
        'command', CASE p.polcmd WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update'
                                 WHEN 'd' THEN 'delete' ELSE 'all' END,
        'roles', (SELECT json_agg(q.role ORDER BY q.role COLLATE "C") FROM (
            SELECT CASE WHEN o = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(o)) END AS role
            FROM unnest(p.polroles) AS o) AS q),
        'using', pg_get_expr(p.polqual, p.polrelid),
        'with_check', pg_get_expr(p.polwithcheck, p.polrelid))
    FROM some_policy AS p JOIN homes AS h ON h.oid = p.polrelid""",
    "statistics": f"""
    SELECT {class_of("pg_statistic_ext")}, s.oid, 0, 'statistics', n.nspname, s.stxname, h.name, json_build_object(
        'definition', pg_get_statisticsobjdef(s.oid), 'target', nullif(s.stxstattarget, -1))
    FROM some_statistic_ext AS s
    JOIN homes AS h ON h.oid = s.stxrelid
    JOIN spaces AS n ON n.oid = s.stxnamespace""",
}
