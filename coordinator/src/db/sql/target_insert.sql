INSERT INTO nstore.targets (target, schema_name, table_name, oid, made_by_nstore)
SELECT $1, n.nspname::text, c.relname::text, c.oid, $4
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $2 AND c.relname = $3
ON CONFLICT (target) DO NOTHING
