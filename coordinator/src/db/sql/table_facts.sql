SELECT c.oid,
    c.relkind::text AS kind,
    has_table_privilege(c.oid, 'INSERT') AS may_insert,
    has_table_privilege(c.oid, 'SELECT') AS may_select,
    has_table_privilege(c.oid, 'DELETE') AS may_delete,
    row_security_active(c.oid) AS row_security,
    pg_encoding_to_char(d.encoding)::text AS encoding,
    current_user::text AS role
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_database d ON d.datname = current_database()
WHERE n.nspname = $1 AND c.relname = $2
