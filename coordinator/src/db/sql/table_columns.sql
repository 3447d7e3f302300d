-- A domain counts as the type below it.
SELECT a.attname::text AS name,
    format_type(a.atttypid, a.atttypmod) AS shown,
    b.typname::text AS base,
    b.typtype::text AS kind,
    CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS modifier,
    a.attnotnull OR t.typnotnull AS not_null,
    a.atthasdef OR t.typdefault IS NOT NULL OR a.attidentity <> '' AS has_default,
    a.attgenerated <> '' AS generated,
    a.attidentity = 'a' AS always_identity
FROM pg_attribute a
JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
