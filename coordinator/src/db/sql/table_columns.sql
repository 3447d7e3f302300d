-- A domain counts as the type below it.
SELECT a.attname::text AS name,
    format_type(a.atttypid, a.atttypmod) AS shown,
    b.typname::text AS base,
    b.typtype::text AS kind,
    CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS modifier,
    a.attnotnull OR t.typnotnull AS not_null,
    a.atthasdef OR t.typdefault IS NOT NULL OR a.attidentity <> '' AS has_default,
    a.attgenerated <> '' AS generated,
    a.attidentity = 'a' AS always_identity,
    CASE WHEN t.typtype = 'd' THEN format_type(b.oid, t.typtypmod) ELSE format_type(a.atttypid, a.atttypmod) END
        AS stored,
    CASE WHEN a.attidentity = 'd'
         THEN format('nextval(%L)', pg_get_serial_sequence(a.attrelid::regclass::text, a.attname::text))
         ELSE coalesce(pg_get_expr(f.adbin, f.adrelid), pg_get_expr(t.typdefaultbin, 0)) END AS default_sql
FROM pg_attribute a
JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
