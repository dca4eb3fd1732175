"""The queries for kinds of objects that most databases do not have."""

from __future__ import annotations

from app.gate.snapshot._objects import class_of, owner_of, privileges_of, standalone

# Kinds of which a schema has few or none. They are always read completely.
RARE_OBJECTS = {
    "schemas": f"""
    SELECT {class_of("pg_namespace")}, n.oid, 0, 'schema', '', n.nspname, '', json_build_object(
        'owner', CASE WHEN n.oid >= 16384 THEN {owner_of("n.nspowner")} END,
        'privileges', {privileges_of("n.nspacl", "n", "n.nspowner")})
    FROM spaces AS n""",
    "extensions": f"""
    SELECT {class_of("pg_extension")}, e.oid, 0, 'extension', '', e.extname, '', json_build_object(
        'version', e.extversion, 'schema', e.extnamespace::regnamespace::text)
    FROM pg_catalog.pg_extension AS e""",
    "operators": f"""
    SELECT {class_of("pg_operator")}, o.oid, 0, 'operator', n.nspname, concat(o.oprname, '(',
            CASE WHEN o.oprleft <> 0 THEN format_type(o.oprleft, NULL) || ', ' END,
            format_type(o.oprright, NULL), ')'), '', json_build_object(
        'returns', format_type(o.oprresult, NULL), 'function', o.oprcode::text,
        'commutator', nullif(o.oprcom, 0)::regoperator::text, 'negator', nullif(o.oprnegate, 0)::regoperator::text,
        'restrict', nullif(o.oprrest, 0)::regproc::text, 'join', nullif(o.oprjoin, 0)::regproc::text,
        'merges', nullif(o.oprcanmerge, false), 'hashes', nullif(o.oprcanhash, false))
    FROM pg_catalog.pg_operator AS o JOIN spaces AS n ON n.oid = o.oprnamespace
    WHERE o.oid >= 16384 AND NOT EXISTS (SELECT FROM members AS m
        WHERE m.classid = {class_of("pg_operator")} AND m.objid = o.oid)""",
    "casts": f"""
    SELECT {class_of("pg_cast")}, c.oid, 0, 'cast', '',
        format_type(c.castsource, NULL) || ' as ' || format_type(c.casttarget, NULL), '', json_build_object(
        'function', nullif(c.castfunc, 0)::regprocedure::text,
        'context', CASE c.castcontext WHEN 'e' THEN 'explicit' WHEN 'a' THEN 'assignment' ELSE 'implicit' END,
        'method', CASE c.castmethod WHEN 'f' THEN 'function' WHEN 'i' THEN 'input and output' ELSE 'binary' END)
    FROM pg_catalog.pg_cast AS c
    WHERE c.oid >= 16384 AND {standalone("pg_cast", "c.oid")}""",
    "collations": f"""
    SELECT {class_of("pg_collation")}, c.oid, 0, 'collation', n.nspname, c.collname, '', json_build_object(
        'provider', CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'c' THEN 'libc' WHEN 'b' THEN 'builtin'
                                        ELSE 'default' END,
        'locale', coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale', c.collcollate),
        'character_type', nullif(c.collctype, c.collcollate),
        'rules', to_jsonb(c) ->> 'collicurules',
        'deterministic', nullif(c.collisdeterministic, true))
    FROM pg_catalog.pg_collation AS c JOIN spaces AS n ON n.oid = c.collnamespace
    WHERE c.oid >= 16384 AND NOT EXISTS (SELECT FROM members AS m
        WHERE m.classid = {class_of("pg_collation")} AND m.objid = c.oid)""",
    "event triggers": f"""
    SELECT {class_of("pg_event_trigger")}, e.oid, 0, 'event trigger', '', e.evtname, '', json_build_object(
        'event', e.evtevent, 'function', e.evtfoid::regprocedure::text, 'tags', e.evttags,
        'enabled', CASE e.evtenabled WHEN 'D' THEN 'never' WHEN 'R' THEN 'on replicas' WHEN 'A' THEN 'always' END)
    FROM pg_catalog.pg_event_trigger AS e
    WHERE NOT EXISTS (SELECT FROM members AS m
        WHERE m.classid = {class_of("pg_event_trigger")} AND m.objid = e.oid)""",
    "default privileges": f"""
    SELECT {class_of("pg_default_acl")}, d.oid, 0, 'default privileges',
        CASE WHEN d.defaclnamespace <> 0 THEN d.defaclnamespace::regnamespace::text ELSE '' END,
        concat(CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions'
                                    WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE 'large objects' END,
               ' by ', quote_ident(pg_get_userbyid(d.defaclrole))), '', json_build_object(
        'privileges', json_build_array(d.defaclacl, NULL, pg_get_userbyid(d.defaclrole)))
    FROM pg_catalog.pg_default_acl AS d""",
    "text search configurations": f"""
    SELECT {class_of("pg_ts_config")}, c.oid, 0, 'text search configuration', n.nspname, c.cfgname, '',
        json_build_object(
        'parser', (SELECT p.prsnamespace::regnamespace::text || '.' || quote_ident(p.prsname)
            FROM pg_catalog.pg_ts_parser AS p WHERE p.oid = c.cfgparser),
        'mappings', (SELECT json_object_agg(y.alias, y.dictionaries ORDER BY y.alias COLLATE "C") FROM (
            SELECT k.alias, string_agg(m.mapdict::regdictionary::text, ', ' ORDER BY m.mapseqno) AS dictionaries
            FROM pg_catalog.pg_ts_config_map AS m JOIN ts_token_type(c.cfgparser) AS k ON k.tokid = m.maptokentype
            WHERE m.mapcfg = c.oid GROUP BY k.alias) AS y))
    FROM pg_catalog.pg_ts_config AS c JOIN spaces AS n ON n.oid = c.cfgnamespace
    WHERE c.oid >= 16384 AND NOT EXISTS (SELECT FROM members AS m
        WHERE m.classid = {class_of("pg_ts_config")} AND m.objid = c.oid)""",
    "text search dictionaries": f"""
    SELECT {class_of("pg_ts_dict")}, d.oid, 0, 'text search dictionary', n.nspname, d.dictname, '', json_build_object(
        'template', (SELECT t.tmplnamespace::regnamespace::text || '.' || quote_ident(t.tmplname)
            FROM pg_catalog.pg_ts_template AS t WHERE t.oid = d.dicttemplate),
        'options', d.dictinitoption)
    FROM pg_catalog.pg_ts_dict AS d JOIN spaces AS n ON n.oid = d.dictnamespace
    WHERE d.oid >= 16384 AND NOT EXISTS (SELECT FROM members AS m
        WHERE m.classid = {class_of("pg_ts_dict")} AND m.objid = d.oid)""",
    "foreign data wrappers": f"""
    SELECT {class_of("pg_foreign_data_wrapper")}, w.oid, 0, 'foreign data wrapper', '', w.fdwname, '',
        json_build_object(
        'handler', nullif(w.fdwhandler, 0)::regproc::text, 'validator', nullif(w.fdwvalidator, 0)::regproc::text,
        'options', w.fdwoptions,
        'privileges', {privileges_of("w.fdwacl", "F", "w.fdwowner")})
    FROM pg_catalog.pg_foreign_data_wrapper AS w
    WHERE NOT EXISTS (SELECT FROM members AS m
        WHERE m.classid = {class_of("pg_foreign_data_wrapper")} AND m.objid = w.oid)""",
    "foreign servers": f"""
    SELECT {class_of("pg_foreign_server")}, s.oid, 0, 'foreign server', '', s.srvname, '', json_build_object(
        'wrapper', (SELECT w.fdwname FROM pg_catalog.pg_foreign_data_wrapper AS w WHERE w.oid = s.srvfdw),
        'type', s.srvtype, 'version', s.srvversion, 'options', s.srvoptions,
        'privileges', {privileges_of("s.srvacl", "S", "s.srvowner")})
    FROM pg_catalog.pg_foreign_server AS s
    WHERE NOT EXISTS (SELECT FROM members AS m
        WHERE m.classid = {class_of("pg_foreign_server")} AND m.objid = s.oid)""",
    # Before PostgreSQL 15 there is no catalog of the schemas in a publication (6237), so they are found by dependency.
    # Nor is there a column `prqual`: the name then means the one of `before_15`, from the query around.
    "publications": f"""
    SELECT {class_of("pg_publication")}, p.oid, 0, 'publication', '', p.pubname, '', json_build_object(
        'all_tables', nullif(p.puballtables, false),
        'publish', concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
            CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END),
        'via_root', nullif(p.pubviaroot, false),
        'generated_columns', nullif(to_jsonb(p) ->> 'pubgencols', 'n'),
        'tables', (
            SELECT json_agg(y.entry ORDER BY y.entry COLLATE "C") FROM (
                SELECT concat(r.prrelid::regclass::text,
                    ' (' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname COLLATE "C")
                        FROM jsonb_array_elements_text(nullif(to_jsonb(r) -> 'prattrs', 'null')) AS n
                        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.prrelid AND a.attnum = n::int2) || ')',
                    ' WHERE ' || pg_get_expr(prqual, r.prrelid)) AS entry
                FROM pg_catalog.pg_publication_rel AS r WHERE r.prpubid = p.oid) AS y),
        'schemas', (
            SELECT json_agg(n.nspname ORDER BY n.nspname COLLATE "C")
            FROM pg_catalog.pg_depend AS d
            JOIN pg_catalog.pg_depend AS e ON e.classid = d.classid AND e.objid = d.objid
            JOIN pg_catalog.pg_namespace AS n ON e.refclassid = {class_of("pg_namespace")} AND n.oid = e.refobjid
            WHERE d.classid = 6237 AND d.refclassid = {class_of("pg_publication")} AND d.refobjid = p.oid))
    FROM (SELECT NULL::pg_node_tree AS prqual) AS before_15, pg_catalog.pg_publication AS p""",
}
