INSERT INTO nstore.targets (target, schema_name, table_name, oid, made_by_nstore)
SELECT $1, $2::text, $3::text, c.oid, $4
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $2::text AND c.relname = $3::text
ON CONFLICT (target) DO NOTHING
