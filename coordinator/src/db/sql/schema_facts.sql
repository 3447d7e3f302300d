SELECT current_user::text AS role,
    (SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = $1) AS may_create_table,
    has_database_privilege(current_database(), 'CREATE') AS may_create_schema
