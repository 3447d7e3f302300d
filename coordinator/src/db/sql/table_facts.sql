SELECT c.oid,
    c.relkind::text AS kind,
    has_table_privilege(c.oid, 'INSERT') AS may_insert,
    has_table_privilege(c.oid, 'SELECT') AS may_select,
    has_table_privilege(c.oid, 'DELETE') AS may_delete
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2
