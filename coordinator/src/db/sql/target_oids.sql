-- The oid that was recorded, and the one that the table has now.
SELECT t.oid AS recorded,
    (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = t.schema_name AND c.relname = t.table_name) AS present
FROM nstore.targets t
WHERE t.target = $1
